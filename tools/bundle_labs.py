"""Bundle each lab's modules into the one front end that a page carries, with esbuild and terser.

    make bundle        writes src/layernorm_book/widgets/bundled anew; needs Node.js 18 or newer

What it makes is committed, so that a reader needs no Node. SHA256SUMS beside it says from which
files it was made, so that a test sees without Node when they have changed since.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
WIDGETS = ROOT / "src" / "layernorm_book" / "widgets"
TOOL = ROOT / "tools" / "bundle"
SUMS = "SHA256SUMS"


def digests(widgets: Path = WIDGETS) -> str:
    """Return the digest of each file that goes into the bundles or is one, as sha256sum writes."""
    files = [p for p in widgets.rglob("*") if p.suffix in (".js", ".css")]
    lines = {f"{path.relative_to(widgets).as_posix()}": path for path in files}
    lines |= {name: TOOL / name for name in ("bundle.mjs", "package-lock.json")}
    return "".join(
        f"{hashlib.sha256(lines[name].read_bytes()).hexdigest()}  {name}\n"
        for name in sorted(lines)
    )


def stale(widgets: Path = WIDGETS) -> list[str]:
    """Return the files that have changed, come or gone since the bundles were made."""
    recorded = set((widgets / "bundled" / SUMS).read_text(encoding="utf-8").splitlines())
    return sorted({line[66:] for line in recorded ^ set(digests(widgets).splitlines())})


def node() -> str | None:
    """Return the path of Node.js where it and the locked packages are here, or None."""
    here = all((TOOL / "node_modules" / name).is_dir() for name in ("esbuild", "terser"))
    return shutil.which("node") if here else None


def bundle(target: Path) -> None:
    """Write each lab's .js and .css into a folder."""
    subprocess.run([node(), "bundle.mjs", WIDGETS, target], cwd=TOOL, check=True)


def main() -> None:
    """Install the packages as they are locked, and bundle."""
    if not shutil.which("npm"):
        sys.exit("Bundling needs Node.js 18 or newer with npm. Install it and try again.")
    flags = ("--no-audit", "--no-fund", "--ignore-scripts")
    subprocess.run(["npm", "ci", *flags], cwd=TOOL, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(WIDGETS / "bundled", ignore_errors=True)
    bundle(WIDGETS / "bundled")
    (WIDGETS / "bundled" / SUMS).write_text(digests(), encoding="utf-8")


if __name__ == "__main__":
    main()
