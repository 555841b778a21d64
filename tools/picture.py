"""Film the landing page's lab in the built book, and a report of the judge: .github/book.gif.

    python tools/picture.py     after `make book`

Its comment is a digest of what it shows, by which a test can tell when it is stale.
"""

import json
import re
from hashlib import sha256
from html import escape
from io import BytesIO
from pathlib import Path

from browser_path import find_browser
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "_build" / "html" / "book" / "index.html"
PICTURE = ROOT / ".github" / "book.gif"
WIDTH, HEIGHT = 760, 560
# (scale of the weights, as a power of two; LayerNorm or not; how long it stays, in seconds)
SWEEP_UP = [(k / 4, "none", 0.12) for k in range(13)]
SWEEP_DOWN = [(k / 4, "layernorm", 0.12) for k in range(11, -13, -1)]
FILM = [
    *((0, "none", 1.5), *SWEEP_UP, (3, "none", 1.8)),
    *((3, "layernorm", 2.2), *SWEEP_DOWN, (-3, "layernorm", 1.8), (-3, "none", 1.8)),
]
REPORT = """<body style="margin: 0; background: #14181d; color: #dfe5ec">
<pre style="margin: 26px 28px; font: 15px/1.5 'DejaVu Sans Mono', monospace"><span
style="color: #8fd0f5">$ python -m layernorm_book check my_layers.py:layer_norm</span>

{}</pre>"""


def report():
    """Return the report that README quotes, which a test compares with the judge's own."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.search(r"```text\n(.*?)\n```", readme, re.DOTALL)[1]


def digest():
    """Return what the picture depends on, in one word."""
    bundled = ROOT / "src" / "layernorm_book" / "widgets" / "bundled"
    index = json.loads((ROOT / "book" / "index.ipynb").read_text(encoding="utf-8"))
    lab = next(c["source"] for c in index["cells"] if "lab" in c["metadata"].get("tags", ()))
    files = (Path(__file__), bundled / "depth.js", bundled / "depth.css")
    parts = [*(path.read_text(encoding="utf-8") for path in files), "".join(lab), report()]
    return sha256("\0".join(parts).encode()).hexdigest()[:16]


def frames(browser):
    """Yield (a picture, how long it stays in seconds)."""
    page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
    page.goto(PAGE.as_uri())
    lab = page.locator(".ln-lab").first
    lab.wait_for()
    for scale, norm, seconds in FILM:
        lab.locator(f"[name=norm][value={norm}]").evaluate("e => e.click()")
        move = "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', { bubbles: true })); }"
        lab.locator("[name=scale]").evaluate(move, scale)
        yield lab.screenshot(), seconds
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    text = escape(report()).replace("unbiased-variance:", "<b>unbiased-variance</b>:")
    page.set_content(REPORT.format(text.replace("eps-outside-sqrt:", "<b>eps-outside-sqrt</b>:")))
    yield page.screenshot(), 6.0


def film():
    """Take every frame and write the picture, or leave the old one as it is."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(), args=["--no-sandbox", "--disable-gpu"]
        )
        taken = list(frames(browser))
        browser.close()
    pictures = []
    for png, _ in taken:
        ground = Image.new("RGB", (WIDTH, HEIGHT), "white")
        shot = Image.open(BytesIO(png)).convert("RGB")
        ground.paste(shot, ((WIDTH - shot.width) // 2, max(0, (HEIGHT - shot.height) // 2)))
        pictures.append(ground.quantize(96, dither=Image.Dither.NONE))
    pictures[0].save(
        PICTURE,
        save_all=True,
        append_images=pictures[1:],
        duration=[round(1000 * seconds) for _, seconds in taken],
        loop=0,
        optimize=True,
        comment=digest().encode(),
    )
    print(f"{PICTURE.relative_to(ROOT)}: {len(pictures)} frames, {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    film()
