"""Measure every page of the built book against its promises; exit 1 where one is broken.

    make audit                     every page
    make audit PAGES="04 index"    pages whose name contains one of these

It serves _build/html as `make serve` does, with gzip and the content security policy, and looks at
each page in a real browser: light and dark, desk and phone. Needs Node.js 18.16 or newer and
Chromium or Chrome (CHROME_PATH names one elsewhere). The first run installs the packages that
tools/audit/package.json names.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import serve

AUDIT = Path(__file__).parent / "audit"
MOST_BYTES, MOST_REQUESTS = 140_000, 20
LEAST = {"performance": 0.97, "accessibility": 1, "best-practices": 1, "seo": 1}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def breaches(result):
    """Return what a result breaks, one line each."""
    if result["view"] == "lighthouse":
        low = [f"{k} {result[k]:.2f} < {v}" for k, v in LEAST.items() if result[k] < v]
        return low + (result["failed"] + result["timings"] if low else [])
    found = [f"axe {v}" for v in result["violations"]]
    found += [f"console: {m}" for m in result["messages"]]
    found += [f"foreign request: {url}" for url in result["foreign"]]
    if result["bytes"] > MOST_BYTES:
        found.append(f"{result['bytes']} bytes > {MOST_BYTES}")
    if result["requests"] > MOST_REQUESTS:
        found.append(f"{result['requests']} requests > {MOST_REQUESTS}")
    if result["labs"]["promised"] and not result["labs"]["alive"]:
        found.append("the lab is not alive")
    if result["wide"] > 0:
        found.append(f"the page is {result['wide']} pixels wider than the screen")
    return found


def line(result):
    """Return one row of the table."""
    if result["view"] == "lighthouse":
        figures = " / ".join(f"{result[k] * 100:.0f}" for k in LEAST)
    else:
        figures = f"{result['bytes'] / 1000:6.1f} kB {result['requests']:3} requests"
    return f"{result['page']:36} {result['view']:12} {figures}"


def tools():
    """Return (node, browser), having installed the packages; or say what is missing and leave."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm):
        sys.exit("The audit needs Node.js 18.16 or newer with npm. Install it and try again.")
    browser = os.environ.get("CHROME_PATH") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        sys.exit("The audit needs Chromium or Chrome. Install one, or name one in CHROME_PATH.")
    stamp = AUDIT / "node_modules" / ".installed"
    wanted = (AUDIT / "package.json").read_text(encoding="utf-8")
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        print("Installing the audit's packages (once) ...", flush=True)
        flags = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")
        subprocess.run([npm, "install", *flags], cwd=AUDIT, check=True, stdout=subprocess.DEVNULL)
        stamp.write_text(wanted, encoding="utf-8")
    return node, browser


def main(wanted):
    """Measure, print the table, and say what is broken."""
    if not (serve.HTML / "index.html").is_file():
        sys.exit("There is no book in _build/html yet. Make it with: make book")
    node, browser = tools()
    pages = sorted(str(p.relative_to(serve.HTML)) for p in serve.HTML.rglob("*.html"))
    pages.remove("index.html")  # it only leads on to the landing page, book/index.html
    if wanted:
        pages = [p for p in pages if any(w in p for w in wanted)]
    judged = [p for p in pages if p.startswith("book/")]
    book = serve.server()
    threading.Thread(target=book.serve_forever, daemon=True).start()
    order = {
        "base": f"http://127.0.0.1:{book.server_port}/",
        "pages": pages,
        "lighthouse": judged,
        "chrome": browser,
        "tries": 3,
    }
    measuring = subprocess.Popen(
        [node, "measure.mjs", json.dumps(order)], cwd=AUDIT, stdout=subprocess.PIPE, text=True
    )
    broken = count = 0
    for text in measuring.stdout:
        result = json.loads(text)
        found = breaches(result)
        count, broken = count + 1, broken + bool(found)
        print(f"{'FAILS' if found else 'ok':6}{line(result)}", flush=True)
        for what in found:
            print(f"          {what}", flush=True)
    complete = measuring.wait() == 0 and count == 4 * len(pages) + len(judged)
    book.shutdown()
    if not complete:
        print("\nThe audit did not finish; its own error stands above.", file=sys.stderr)
    print(f"\n{count - broken} of {count} measurements keep the book's promises.")
    return 0 if complete and not broken else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
