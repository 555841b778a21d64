"""A real browser for the tests, with the network cut off, and pages for it to open."""

import base64
import contextlib
import functools
import http.server
import io
import json
import re
import shutil
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from ipywidgets.embed import embed_data
from playwright.sync_api import sync_playwright
from tries import chapter_of

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from browser_path import NoBrowser, find_browser  # noqa: E402

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--js-flags=--expose-gc",
    "--enable-precise-memory-info",
    "--disable-site-isolation-trials",  # every page is ours: a process less for each
    # The network is cut off: no name resolves but this machine's own.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)
HTML = """<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><link rel="icon" href="data:,"><script defer src="widgets.js"></script>
<main>{views}</main><script type="application/vnd.jupyter.widget-state+json">{state}</script>"""


@pytest.fixture(scope="session")
def chromium():
    """A browser; the test run fails, and says why, where there is none to be had."""
    try:
        path = find_browser()
    except NoBrowser as problem:
        pytest.fail(str(problem))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def tab(chromium):
    """The tab that the tests use in turn: a new one starts a process, for 0.8 s of CPU."""
    context = chromium.new_context()
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab = context.new_page()
    tab.complaints = []
    tab.on("console", lambda m: m.type == "error" and tab.complaints.append(m.text))
    tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.on("request", lambda request: tab.complaints.extend(foreign(request.url)))
    tab.expose_function("save", lambda changed: tab.save(changed))  # for join_to_python
    yield tab
    context.close()


@pytest.fixture
def page(tab):
    """A page as good as new. At the end it must have been silent and asked no other origin."""
    tab.set_viewport_size({"width": 900, "height": 900})
    tab.emulate_media(media="null", color_scheme="null", reduced_motion="null")
    with devtools_of(tab) as devtools:
        devtools.send("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
    yield tab
    tab.mouse.up()
    tab.mouse.move(-1, -1)  # over nothing: the next page would feel it there
    tab.goto("about:blank")  # whatever still ran has ended, and has said what it had to say
    complaints = tab.complaints.copy()
    tab.complaints.clear()
    assert not complaints


@pytest.fixture
def show(page, tmp_path):
    """A function that shows widgets on a bare page, from a file: no Sphinx, no theme."""

    def open_page(*widgets):
        write_page(tmp_path, "page", *widgets)
        return open_lab(page, (tmp_path / "page.html").as_uri())

    return open_page


@contextlib.contextmanager
def devtools_of(page):
    """A session of the page's developer tools; while it is open, no medium is emulated."""
    devtools = page.context.new_cdp_session(page)
    yield devtools
    devtools.detach()


@pytest.fixture
def devtools(page):
    """What can be asked of the page's developer tools."""
    with devtools_of(page) as devtools:
        yield devtools


@pytest.fixture(scope="session")
def phone(chromium):
    """A page on a touch screen, and as its `touch` a function: what fingers do to it."""
    context = chromium.new_context(
        viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True
    )
    phone = context.new_page()
    devtools = context.new_cdp_session(phone)

    def touch(kind, *points):
        points = [{"x": x, "y": y} for x, y in points]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    phone.touch = touch
    yield phone
    context.close()


@pytest.fixture(scope="session")
def scriptless(chromium):
    """A page that runs no script."""
    context = chromium.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def bench(chromium):
    """A page for `run_module`."""
    page = chromium.new_page()
    yield page
    page.close()


@pytest.fixture(scope="module")
def run_module(bench):
    """A function that evaluates an expression with a module of the labs as `m`."""
    site, stop = serve(ROOT / "src" / "layernorm_book" / "widgets")
    bench.goto(site.url("says.js"))

    def evaluate(module, expression, *given):
        script = f"async given => {{ const m = await import('./{module}'); return {expression}; }}"
        return bench.evaluate(script, list(given))

    yield evaluate
    stop()


@pytest.fixture(scope="module")
def site(built_book):
    """The built book, at an address."""
    site, stop = serve(built_book)
    yield site
    stop()


@pytest.fixture
def lab_page(request, page, site):
    """The chapter of a line of a "Try this" list, in a browser, its labs alive."""
    id = request.node.get_closest_marker("tries").kwargs["id"]
    page.set_viewport_size({"width": 1280, "height": 800})
    return open_lab(page, site.url(f"book/{chapter_of(id, ROOT / 'book')}.html"))


def foreign(url):
    """Return the address in a list if it leaves this machine."""
    at_home = re.match(r"(file|blob|data|about):|http://(localhost|127\.0\.0\.1)[:/]", url)
    return [] if at_home else [f"asked for {url}"]


class Site:
    """A folder of pages, at its address on localhost and at its file:// address."""

    def __init__(self, folder, port):
        self.folder = folder
        self.addresses = {"localhost": f"http://localhost:{port}", "file": folder.as_uri()}

    def url(self, name, scheme="localhost"):
        return f"{self.addresses[scheme]}/{name}"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def serve(folder, handler=Quiet):
    """Serve a folder on a free port of this machine; return (Site, function that stops it)."""
    handler = functools.partial(handler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("localhost", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def stop():
        server.shutdown()
        server.server_close()

    return Site(Path(folder), server.server_port), stop


def write_page(folder, name, *widgets):
    """Write a page that holds widgets as a built notebook does, without Sphinx or a theme."""
    data = embed_data(views=widgets, drop_defaults=False)
    views = "".join(
        f'<div class="widget"><script type="application/vnd.jupyter.widget-view+json">'
        f"{json.dumps(view)}</script>{_still(widget)}</div>"
        for view, widget in zip(data["view_specs"], widgets, strict=True)
    )
    state = json.dumps(data["manager_state"]).replace("</", "<\\/")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "book" / "_static" / "widgets.js", folder)
    page = HTML.format(title=name, views=views, state=state)
    (folder / f"{name}.html").write_text(page, encoding="utf-8")


def _still(widget):
    return widget.to_html() if hasattr(widget, "to_html") else ""


def values(page, quantity, lab=""):
    """Return the full values of a quantity's readouts, in the order of their elements.

    Args:
        lab: a selector for one of several labs.
    """
    nodes = f"{lab} [data-quantity='{quantity}']"
    read = "nodes => nodes.map(node => node.dataset.value)"
    return [float(value) for value in page.eval_on_selector_all(nodes, read)]


def move(page, selector, value):
    """Set a control as a hand does, and let the page know."""
    script = """(input, value) => {
        input.value = value;
        input.dispatchEvent(new Event("input", { bubbles: true }));
    }"""
    page.eval_on_selector(selector, script, str(value))


def slide(page, slider, steps=9):
    """Drag a horizontal slider from end to end with the mouse; yield at each step."""
    slider = page.locator(slider)
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    for k in range(steps):
        page.mouse.move(box["x"] + 1 + (box["width"] - 2) * k / (steps - 1), middle)
        if k == 0:
            page.mouse.down()
        yield k
    page.mouse.up()


def drag_cell(page, cell, down):
    """Drag a cell of x in the axis picker down by some pixels; up, where that is below 0."""
    handle = page.locator(f".ln-cells label[data-index='{cell}']")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + down, steps=4)
    page.mouse.up()


def pixels(canvas):
    """Return what is painted on a canvas: an array of int, of shape (height, width, 4)."""
    script = """canvas => {
        const { data, width, height } = canvas.getContext("2d").getImageData(
            0, 0, canvas.width, canvas.height);
        let text = "";
        for (const v of data) text += String.fromCharCode(v);
        return [width, height, btoa(text)];
    }"""
    width, height, data = canvas.evaluate(script)
    painted = np.frombuffer(base64.b64decode(data), np.uint8)
    return painted.reshape(height, width, 4).astype(int)


def type_in(page, selector, text):
    """Type into a field and press Enter."""
    page.fill(selector, text)
    page.press(selector, "Enter")


def open_lab(page, address):
    """Open a page and wait until all of its labs are alive."""
    if page.url != "about:blank":  # a new fragment alone would not load anything
        page.goto("about:blank")
    page.goto(address)
    page.wait_for_function("""() => !document.querySelector("script[type$='view+json']")""")
    page.wait_for_selector(".ln-lab [data-value]", state="attached")
    return page


def run_copied(page):
    """Run the lines that "Copy as Python" gives; return them and the names that they define."""
    page.evaluate("void (navigator.clipboard.writeText = async text => { window.copied = text; })")
    page.click("[data-do=python]")
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(page.evaluate("copied"), names)
    return page.evaluate("copied"), names


def join_to_python(page, widget):
    """Put a lab's front end on a page, its model joined to Python without Jupyter in between.

    The page then has `fromPython(changes)`, `end()` and `handlers`.

    Returns:
        A function that hands over what Python has sent meanwhile, and returns those messages.
    """
    sent = []
    widget._send = lambda message, buffers=None: sent.append(message)

    def waiting():
        messages = [message["state"] for message in sent if message["method"] == "update"]
        sent.clear()
        return messages

    def save(changed):
        widget.set_state(changed)
        return waiting()

    def hand_over():
        messages = waiting()
        page.evaluate("messages => messages.forEach(fromPython)", messages)
        return messages

    page.save = save
    page.evaluate(
        """async (state) => {
            const { default: widget } = await import(URL.createObjectURL(
                new Blob([state._esm], { type: "text/javascript" })));
            const handlers = (window.handlers = {});
            let changed = {};
            const model = { get: (key) => state[key],
                on: (event, handler) => (handlers[event] = handler),
                off: (event) => delete handlers[event],
                set: (key, value) => { changed[key] = value; fromPython({ [key]: value }); },
                save_changes() {
                    window.saved = window.save(changed).then((all) => all.forEach(fromPython));
                    changed = {};
                } };
            window.fromPython = (changes) => {
                Object.assign(state, changes);
                for (const key in changes) handlers[`change:${key}`]?.();
            };
            const el = document.querySelector("main");
            el.replaceChildren();
            window.end = widget.render({ model, el });
        }""",
        widget.get_state(),
    )
    return hand_over


def run_on_packed(page, sources, module, run, packed, rows):
    """Run JavaScript on packed numbers; return the numbers that it packs in answer, as bytes.

    Args:
        sources: modules by their file names.
        module: the one that `run` gets as `module`; it may import the others.
        run: the body of a function of `module`, `packed` (an ArrayBuffer) and `rows` that returns
            a typed array.
        packed: bytes.
        rows: what else is to be known of each row, for JSON.
    """

    script = """async ({ name, rows }) => {
        const module = await import(`/${name}`);
        const packed = await (await fetch("/packed")).arrayBuffer();
        const bytes = new Uint8Array((() => { %s })().buffer);
        let text = "";
        for (let i = 0; i < bytes.length; i += 32768)
            text += String.fromCharCode(...bytes.subarray(i, i + 32768));
        return btoa(text);
    }"""
    files = {name: source.encode() for name, source in sources.items()}
    files |= {"packed": packed, "index.html": b'<title>rows</title><link rel="icon" href="data:,">'}
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        site, stop = serve(Path(folder))
        page.goto(site.url("index.html"))
        answer = page.evaluate(script % run, {"name": module, "rows": rows})
        stop()
    return base64.b64decode(answer)
