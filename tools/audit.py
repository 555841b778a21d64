"""Measure every page of the built book against its promises; exit 1 where one is broken.

    make audit                     every page
    make audit PAGES="04 index"    pages whose name contains one of these

It serves _build/html as `make serve` does, with gzip and the content security policy, and looks at
each page in a real browser, light and dark, desk and phone: with Playwright and axe, then with
Lighthouse. That needs Node.js 18.20 or newer; the first run installs it by the lock file.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import serve
from axe_playwright_python.sync_playwright import Axe
from browser_path import NoBrowser, find_browser
from playwright.sync_api import sync_playwright

AUDIT = Path(__file__).parent / "audit"
MOST_BYTES, MOST_REQUESTS = 140_000, 20
LEAST = {"performance": 0.97, "accessibility": 1, "best-practices": 1, "seo": 1}
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
DESK = {"viewport": {"width": 1350, "height": 940}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True}
VIEWS = {
    "light": {**DESK, "color_scheme": "light"},
    "dark": {**DESK, "color_scheme": "dark"},
    "phone": {**PHONE, "color_scheme": "light"},
    "phone, dark": {**PHONE, "color_scheme": "dark"},
}
# A phone widens its window to what overflows, so the screen's own width is the measure.
OVERFLOW = """screen => {
    document.querySelectorAll("details").forEach((d) => (d.open = true));
    return document.scrollingElement.scrollWidth - screen;
}"""
LABS = (
    "document.querySelectorAll('script[type=\"application/vnd.jupyter.widget-view+json\"]').length"
)
ALIVE = "document.querySelectorAll('.widget input').length"


def look(browser, base, path, view):
    """Return (figures of one page in one view, what it breaks)."""
    # Its own cache: a first view. Reduced motion, or axe meets colours half way.
    context = browser.new_context(**VIEWS[view], reduced_motion="reduce")
    page = context.new_page()
    broken, sizes = [], {}
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")

    def requested(event):
        url = event["request"]["url"]
        if not re.match("(data|blob):", url):
            sizes[event["requestId"]] = 0
            if not url.startswith(base):
                broken.append(f"foreign request: {url}")

    def loaded(event):
        if event["requestId"] in sizes:
            sizes[event["requestId"]] = event["encodedDataLength"]

    def said(message):
        if message.type in ("warning", "error"):
            broken.append(f"console: {message.text}")

    wire.on("Network.requestWillBeSent", requested)
    wire.on("Network.loadingFinished", loaded)
    page.on("console", said)
    page.on("pageerror", lambda error: broken.append(f"console: {error}"))
    page.on("requestfailed", lambda request: broken.append(f"failed: {request.url}"))
    page.goto(base + path, wait_until="networkidle")
    total, requests = sum(sizes.values()), len(sizes)
    if total > MOST_BYTES:
        broken.append(f"{total} bytes > {MOST_BYTES}")
    if requests > MOST_REQUESTS:
        broken.append(f"{requests} requests > {MOST_REQUESTS}")
    if page.evaluate(LABS) and not page.evaluate(ALIVE):
        broken.append("the lab is not alive")
    if (wide := page.evaluate(OVERFLOW, VIEWS[view]["viewport"]["width"])) > 0:
        broken.append(f"the page is {wide} pixels wider than the screen")
    for violation in Axe().run(page).response["violations"]:
        places = ", ".join(" ".join(node["target"]) for node in violation["nodes"])
        broken.append(f"axe {violation['id']}: {places}")
    context.close()
    return f"{total / 1000:6.1f} kB {requests:3} requests", broken


def score(url, browser_path):
    """Return (Lighthouse's scores of one page, what is below the promise)."""
    command = ("node_modules/.bin/lighthouse", url, "--quiet", "--output=json")
    command += (f"--chrome-flags=--headless {' '.join(FLAGS)}",)
    environment = os.environ | {"CHROME_PATH": browser_path}
    best = None
    # Another program at work makes a score lower, never higher: so the best of a few tries.
    for _ in range(3):
        run = subprocess.run(
            command, cwd=AUDIT, env=environment, stdout=subprocess.PIPE, check=True
        )
        report = json.loads(run.stdout)
        scores = {name: report["categories"][name]["score"] or 0 for name in LEAST}
        if best is None or scores["performance"] > best["performance"]:
            best = scores
        if best["performance"] >= LEAST["performance"]:
            break
    broken = [
        f"{name} {best[name]:.2f} < {least}" for name, least in LEAST.items() if best[name] < least
    ]
    if broken:
        audits = report["audits"].values()
        broken += [f"{a['id']} {a.get('displayValue', '')}" for a in audits if a["score"] == 0]
    return " / ".join(f"{best[name] * 100:.0f}" for name in LEAST), broken


def results(pages, base, browser_path):
    """Yield (page, view, figures, what is broken) for each measurement."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        for page in pages:
            for view in VIEWS:
                yield page, view, *look(browser, base, page, view)
        browser.close()
    for page in pages:
        if page.startswith("book/"):
            yield page, "lighthouse", *score(base + page, browser_path)


def install_lighthouse():
    """Install what the lock file names, unless it is there; or say what is missing and leave."""
    npm = shutil.which("npm")
    if not npm:
        sys.exit("The audit needs Node.js 18.20 or newer with npm. Install it and try again.")
    lock = AUDIT / "package-lock.json"
    stamp = AUDIT / "node_modules" / ".installed"
    if not stamp.is_file() or stamp.read_bytes() != lock.read_bytes():
        print("Installing Lighthouse (once) ...", flush=True)
        command = (npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts")
        subprocess.run(command, cwd=AUDIT, check=True, stdout=subprocess.DEVNULL)
        stamp.write_bytes(lock.read_bytes())


def main(wanted):
    """Measure, print the table, and say what is broken."""
    if not (serve.HTML / "index.html").is_file():
        sys.exit("There is no book in _build/html yet. Make it with: make book")
    try:
        browser_path = find_browser()
    except NoBrowser as problem:
        sys.exit(str(problem))
    install_lighthouse()
    pages = sorted(str(p.relative_to(serve.HTML)) for p in serve.HTML.rglob("*.html"))
    pages.remove("index.html")  # it only leads on to the landing page, book/index.html
    if wanted:
        pages = [p for p in pages if any(w in p for w in wanted)]
    book = serve.server()
    threading.Thread(target=book.serve_forever, daemon=True).start()
    count = kept = 0
    for page, view, figures, broken in results(
        pages, f"http://127.0.0.1:{book.server_port}/", browser_path
    ):
        print(f"{'FAILS' if broken else 'ok':6}{page:36} {view:12} {figures}", flush=True)
        for what in broken:
            print(f"          {what}", flush=True)
        count, kept = count + 1, kept + (not broken)
    book.shutdown()
    print(f"\n{kept} of {count} measurements keep the book's promises.")
    return 0 if count and kept == count else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
