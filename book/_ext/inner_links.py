"""Follow every link inside the finished book, to its anchor too; a dead one fails the build.

Sphinx checks the references that it resolved itself, and its linkcheck asks other sites. Neither
sees what raw HTML, templates and notebook outputs point at, nor files deleted at the end.
"""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.util import logging

LOGGER = logging.getLogger(__name__)


class Page(HTMLParser):
    """What one page points at, and the anchors that it offers."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links = set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        """Note ids, names and every address."""
        for name, value in attributes:
            if name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value)
            elif name in ("href", "src", "action", "poster") and value:
                self.links.append(value)


def dead_links(folder):
    """Return (page, link) for each link inside `folder` that leads nowhere."""
    pages = {path.resolve(): Page(path) for path in Path(folder).rglob("*.html")}
    dead = []
    for path, page in sorted(pages.items()):
        for link in dict.fromkeys(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            missing = not target.is_file()
            anchor = unquote(parts.fragment)
            if missing or (anchor and target in pages and anchor not in pages[target].anchors):
                dead.append((path, link))
    return dead


def check(app, exception):
    if exception or app.builder.format != "html":
        return
    for path, link in dead_links(app.outdir):
        LOGGER.warning("dead link in %s: %s", path.relative_to(Path(app.outdir).resolve()), link)


def setup(app):
    app.connect("build-finished", check, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
