"""Take the rules that nothing can match out of the style sheets, once the book is whole.

The theme carries all of Bootstrap and 1900 glyphs of Font Awesome: 66 kB packed on every page, of
which 23 kB are used. PurgeCSS does this too, and would make Node.js part of every build. A rule
stays if each class and id that it needs is a word somewhere in the pages or the scripts, whatever
that word is there for; so a script that adds a class finds its rule.
"""

import re
from pathlib import Path

COMMENT = re.compile(r"/\*(?!!).*?\*/", re.DOTALL)
RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
ALTERNATIVES = re.compile(r":(?:not|where|is|has)\([^()]*(?:\([^()]*\)[^()]*)*\)")
COMMA = re.compile(r",(?![^(]*\))")
NAME = re.compile(r"[.#](-?[A-Za-z_][\w-]*)")
EMPTY_BLOCK = re.compile(r"@(?:media|supports)[^{}]*\{\s*\}")


def trimmed(css, words):
    """Return `css` without the rules that name a class or an id that is not in `words`."""

    def rule(match):
        selectors, body = match.groups()
        if "@" in selectors:
            return match[0] if "Awesome" not in body else ""
        kept = [s for s in COMMA.split(selectors) if set(names(s)) <= words]
        return f"{','.join(kept)}{{{body}}}" if kept else ""

    return EMPTY_BLOCK.sub("", RULE.sub(rule, COMMENT.sub("", css)))


def names(selector):
    """Return the classes and ids that an element must have; those in :not() and the like aside."""
    return NAME.findall(ALTERNATIVES.sub("", selector).replace("\\", ""))


def trim(app, exception):
    if exception or app.builder.format != "html":
        return
    folder = Path(app.outdir)
    sources = [*folder.rglob("*.html"), *folder.glob("_static/**/*.js")]
    words = {w for s in sources for w in re.findall(r"[\w-]+", s.read_text(encoding="utf-8"))}
    for sheet in folder.glob("_static/**/*.css"):
        css = sheet.read_text(encoding="utf-8")
        sheet.write_text(trimmed(css, words), encoding="utf-8")


def setup(app):
    app.connect("build-finished", trim, priority=910)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
