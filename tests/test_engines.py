"""Every lab of every page, taken by hand and by key in Chromium, Firefox and WebKitGTK.

Chromium must be there. Without one of the others its tests are skipped, unless EVERY_ENGINE is set,
as it is in .ci/run.
"""

import os
import re

import pytest
from browser import Quiet, serve
from browser_path import NoBrowser
from engines import ENGINES, Chromium, wait_for

# What the console says is kept in the page too, for the engine whose driver does not pass it on.
EAR = b"""<head><script>
window.heard = [];
for (const kind of ["error", "warn"]) {
    const plain = console[kind];
    console[kind] = (...words) => { heard.push(words.join(" ")); plain.apply(console, words); };
}
addEventListener("error", ({ message, target }) =>
    heard.push(message ?? `not loaded: ${target.src ?? target.href}`), true);
addEventListener("unhandledrejection", ({ reason }) => heard.push(String(reason)));
</script>"""
# A lab may lie in a box, which is closed at first.
OPEN = """
    for (const box of document.querySelectorAll(".ln-fold"))
        if (box.querySelector(".ln-lab")) box.open = true;
"""
# The controls of a page: one of each kind in each lab, which are taken, and all that have a handle.
FIND = """
    const seen = new Set();
    const ranges = [...document.querySelectorAll(".ln-lab input[type=range]:not(:disabled)")];
    window.controls = ranges.filter(range => range.closest("label").getClientRects().length);
    const labs = [...document.querySelectorAll(".ln-lab")];
    return controls.flatMap((range, k) => {
        const kind = labs.indexOf(range.closest(".ln-lab")) + " " + range.name;
        return seen.has(kind) ? [] : (seen.add(kind), [[k, kind]]);
    });"""
# Where each drawn handle is off from where its number belongs, if it is by more than 2 px.
ASTRAY = """
    return [...document.querySelectorAll(".ln-lab .ln-plot .ln-handle")].flatMap(handle => {
        const range = handle.previousElementSibling, lab = handle.closest(".ln-lab");
        const [box, plot, column] = [handle, handle.closest(".ln-plot"), handle.parentElement]
            .map(node => node.getBoundingClientRect());
        if (!plot.height) return [];
        const at = `[data-quantity="${range.name}"][data-index="${range.dataset.index}"]`;
        const said = +lab.querySelector(at).dataset.value;
        const down = plot.height * (range.max - said) / (range.max - range.min);
        const offs = [box.top + box.height / 2 - plot.top - down,
            box.left + box.width / 2 - column.left - column.width / 2];
        const name = range.name + range.dataset.index;
        return offs.every(off => Math.abs(off) <= 2) ? [] : [[name, ...offs]];
    });"""
# A control: where its handle is to be taken, how long its way is, and all that its lab says.
LOOK = """
    const range = controls[%d], { min, max, value } = range, lab = range.closest(".ln-lab");
    if (%d) { range.focus({ preventScroll: true }); range.scrollIntoView({ block: "center" }); }
    const handle = range.parentElement.querySelector(".ln-handle");
    const box = (handle ?? range).getBoundingClientRect();
    const share = (value - min) / (max - min), [middle, thumb] = [box.width / 2, box.height];
    const way = handle?.closest(".ln-plot").getBoundingClientRect().height ?? box.width - thumb;
    return { upright: !!handle, share, way,
        x: box.left + (handle ? middle : thumb / 2 + share * way), y: box.top + box.height / 2,
        min: +min, max: +max, value: +value, says: [...lab.querySelectorAll("[data-quantity]")]
            .map(node => node.dataset.value).join() };"""

# A bit that can be flipped: where it is to be clicked, and whether it is set.
BIT = """
    const bit = document.querySelector(".ln-lab [role=switch]:not([hidden])");
    if (!bit) return null;
    bit.scrollIntoView({ block: "center" });
    const { left, top, width, height } = bit.getBoundingClientRect();
    return { at: [left + width / 2, top + height / 2], set: bit.getAttribute("aria-checked") };"""
START = "controls[%d].closest('.ln-lab').querySelector('[data-do=start]')?.click()"


class Listening(Quiet):
    """Serves a folder; each page listens to what its console says."""

    def do_GET(self):
        path = self.translate_path(self.path)
        if not path.endswith(".html"):
            return super().do_GET()
        with open(path, "rb") as file:
            content = file.read().replace(b"<head>", EAR, 1)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture(scope="module")
def book(built_book):
    site, stop = serve(built_book, Listening)
    yield site
    stop()


@pytest.fixture(scope="module", params=ENGINES)
def engine(request):
    try:
        if request.param == "Chromium":
            engine = Chromium(request.getfixturevalue("chromium"))
        else:
            engine = ENGINES[request.param]()
    except NoBrowser as problem:
        if os.environ.get("EVERY_ENGINE"):
            pytest.fail(str(problem))
        pytest.skip(str(problem))
    yield engine
    engine.close()


def test_every_lab_of_every_page(engine, book):
    pages = 0
    for path in sorted((book.folder / "book").glob("*.html")):
        labs = re.findall(r"widget-view\+json", path.read_text(encoding="utf-8"))
        if labs:
            engine.open(book.url(f"book/{path.name}"))
            play(engine, path.stem, len(labs))
            pages += 1
    assert pages


def play(engine, page, labs):
    """Take one control of each kind on a page, and see that all handles follow."""
    mounted = "return [...document.querySelectorAll('.ln-lab')].filter(lab => lab.%s).length"
    wait_for(lambda: engine.evaluate(mounted % "querySelector('[data-value]')") == labs)
    assert engine.evaluate(ASTRAY) == [], page
    engine.evaluate(OPEN)
    engine.evaluate("document.querySelectorAll('.ln-more').forEach(part => part.open = true)")
    for k, kind in engine.evaluate(FIND):
        engine.evaluate(START % k)
        drag(engine, k, f"{page}, {kind}, dragged")
        press(engine, k, f"{page}, {kind}, by key")
        assert engine.evaluate(ASTRAY) == [], f"{page}, after {kind}"
    if bit := engine.evaluate(BIT):
        engine.drag(bit["at"])
        assert engine.evaluate(BIT)["set"] != bit["set"], page
    engine.evaluate("return 0")  # what was said before has been heard then
    assert engine.heard == [], page


def look(engine, k, focus=False):
    return engine.evaluate(LOOK % (k, focus))


def drag(engine, k, where):
    """Take a handle where it stands; it must follow the hand, and stay where it is let go."""
    for sign in (1, -1):
        before = look(engine, k, focus=True)
        x, y, way = (before[key] for key in ("x", "y", "way"))
        far = sign * min(30, way / 4)  # more than half a step of the widest
        stops = [
            (x, y - far * part) if before["upright"] else (x + far * part, y) for part in (0.5, 1)
        ]
        engine.drag((x, y), *stops)
        after = look(engine, k)
        room = 1 - before["share"] if sign > 0 else before["share"]
        if room * way < 4:  # it stands at its end already
            continue
        assert sign * (after["value"] - before["value"]) > 0, where
        assert after["says"] != before["says"], where


def press(engine, k, where):
    """Go to both ends, and a step back from each. A dial may stop short: its row ends before."""
    look(engine, k, focus=True)
    for key, sign, end in (
        ("End", 1, "max"),
        ("ArrowDown", -1, None),
        ("Home", -1, "min"),
        ("ArrowUp", 1, None),
    ):
        before = look(engine, k)
        engine.press(key)
        after = look(engine, k)
        moved = sign * (after["value"] - before["value"])
        assert moved > 0 or (key == "End" and moved == 0), f"{where}: {key}"
        assert after["says"] != before["says"] or moved == 0, f"{where}: {key}"
        if end and before["upright"]:
            assert after["value"] == before[end], f"{where}: {key}"
