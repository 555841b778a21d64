"""Run every chapter as Colab would: its versions, an empty folder, the package by its address.

The environment lies in .cache/colab and is made again when tools/colab_requirements.txt changes.
Git is told to take a snapshot of this tree for the repository's address, so nothing is fetched.

    python tools/rehearse_colab.py [CHAPTER.ipynb ...]

A test of the labs borrows the environment: `make_environment`, then `PYTHON`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distribution
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from repository import address

ROOT = Path(__file__).parents[1]
VENV = ROOT / ".cache" / "colab"
PYTHON = VENV / "bin" / "python"
SITE_PACKAGES = Path("lib", f"python3.{sys.version_info.minor}", "site-packages")
REQUIREMENTS = ROOT / "tools" / "colab_requirements.txt"
STAND_IN = "def enable_custom_widget_manager():\n    pass\n"
VIEW = "application/vnd.jupyter.widget-view+json"


def make_environment():
    """Make .cache/colab, unless it holds what the requirements ask for."""
    stamp = VENV / "ready.txt"
    if not stamp.is_file() or stamp.read_text() != REQUIREMENTS.read_text():
        print("Installing Colab's versions into .cache/colab (once) ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
        link_torch()
        pip("install", "--quiet", "--no-compile", "-r", REQUIREMENTS)
        stamp.write_text(REQUIREMENTS.read_text())
    pip("uninstall", "--quiet", "--yes", "layernorm-book")


def link_torch():
    """Lend this environment's torch, which is the one asked for: a second takes 1.4 GB."""
    for name in {file.parts[0] for file in distribution("torch").files} - {".."}:
        (VENV / SITE_PACKAGES / name).symlink_to(sys.prefix / SITE_PACKAGES / name)


def pip(*arguments):
    """Run pip in the environment; return what it prints."""
    command = [PYTHON, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


def snapshot(target, branch):
    """Commit this tree as it stands, changes included, to a repository of its own."""
    listed = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    names = subprocess.run(listed, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    for name in filter(None, names.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((ROOT / name).read_bytes())
    identity = ("-c", "user.name=rehearsal", "-c", "user.email=rehearsal@localhost")
    for command in (
        ("init", "-q", "-b", branch),
        ("add", "-A"),
        (*identity, "commit", "-qm", "as it is"),
    ):
        subprocess.run(["git", *command], cwd=target, check=True)


def environment(scratch):
    """Return the variables of a Colab runtime: google.colab is there, the address leads here."""
    url, branch = address()
    snapshot(scratch / "repository", branch)
    package = scratch / "stand-in" / "google" / "colab"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "output.py").write_text(STAND_IN)
    return os.environ | {
        "PYTHONPATH": str(scratch / "stand-in"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # its debugger's words about frozen modules
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{scratch / 'repository'}.insteadOf",
        "GIT_CONFIG_VALUE_0": url,
    }


def add_kernel(folder):
    """Describe the environment's Python as the Jupyter kernel "colab"."""
    (folder / "kernels" / "colab").mkdir(parents=True)
    argv = [str(PYTHON), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Colab", "language": "python"}
    (folder / "kernels" / "colab" / "kernel.json").write_text(json.dumps(spec))
    os.environ["JUPYTER_PATH"] = str(folder)


def run(path, folder, variables):
    """Run one notebook from top to bottom; return the problem in words, or None."""
    started = time.monotonic()
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, kernel_name="colab", timeout=300, resources=where)
    try:
        client.execute(env=variables)
    except CellExecutionError as error:
        return f"{path.name}: {error}"
    problem = widgets_problem(notebook)
    print(f"{path.name:32} {time.monotonic() - started:5.1f} s", flush=True)
    return f"{path.name}: {problem}" if problem else None


def widgets_problem(notebook):
    """Return which lab left no state behind, or None."""
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    views = [o.data[VIEW]["model_id"] for o in outputs if VIEW in o.get("data", {})]
    states = notebook.metadata.get("widgets", {}).get(
        "application/vnd.jupyter.widget-state+json", {}
    )
    lost = [view for view in views if view not in states.get("state", {})]
    if lost:
        return f"{len(lost)} of {len(views)} widgets left no state in the notebook"
    made = sum("Lab(" in c.source for c in notebook.cells if "lab" in c.metadata.get("tags", ()))
    return f"{made} labs, but {len(views)} widgets shown" if made > len(views) else None


def main(names):
    """Rehearse the named chapters, or all; exit 1 where one fails."""
    make_environment()
    before = pip("freeze").splitlines()
    chapters = [Path(n) for n in names] or sorted((ROOT / "book").glob("*.ipynb"))
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        variables = environment(scratch)
        add_kernel(scratch / "jupyter")
        folder = scratch / "content"
        folder.mkdir()
        # The first chapter installs the package; the others find it there.
        problems = [run(chapters[0], folder, variables)]
        if problems == [None]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                rest = [pool.submit(run, c, folder, variables) for c in chapters[1:]]
                problems += [future.result() for future in rest]
    after = pip("freeze").splitlines()
    problems += [f"replaced or removed: {line}" for line in before if line not in after]
    problems = [problem for problem in problems if problem]
    print("\n\n".join(problems) or f"{len(chapters)} chapters run on Colab's versions")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
