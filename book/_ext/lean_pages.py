"""Leave on each page only what that page uses, and tell search engines what it is about.

The stock theme loads 1.3 MB on every page, most of it for features that this book does without.
Nothing here edits the theme: it takes scripts and style sheets off a page's list, adds attributes
to its HTML, and in the end deletes the files that no page asks for.
"""

import os
import re
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.builders.html._assets import _JavaScript

# Name in the list of scripts or style sheets: what in the page's body shows that it is needed.
ON_DEMAND = {
    "sphinx-design.min.css": 'class="sd-',
    "design-tabs.js": "sd-tab-label",
    "exercise.css": "exercise admonition",
    "clipboard.min.js": 'class="highlight-',
    "copybutton.js": 'class="highlight-',
    "copybutton.css": 'class="highlight-',
}
SEARCH_ONLY = ("doctools.js", "sphinx_highlight.js")
# From a file the browser may not fetch the pages that it found, to quote them. Elsewhere the quote
# is to be the chapter's text, without the title bar, the contents and a widget's table of numbers.
SEARCH = """
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
addEventListener("DOMContentLoaded", () => {
  Search.htmlToText = (html) => {
    const article = new DOMParser().parseFromString(html, "text/html").querySelector("article");
    const left_out = ".headerlink, .widget, .ln-code, .ln-check, script";
    article.querySelectorAll(left_out).forEach((element) => element.remove());
    return article.textContent.replace(/\\s+/g, " ");
  };
}, { capture: true });
"""
VIEWPORT = r'<meta name="viewport"[^>]*>\n?'
UNUSED = (
    "**/*.map",
    "**/*.LICENSE.txt",
    "_static/**/fontawesome",
    "_static/**/fontawesome.js",
    "_static/**/bootstrap.js",
    "_static/locales",
    "_static/images",
    "_static/file.png",
    "_static/minus.png",
    "_static/plus.png",
    "_static/check-solid.svg",
    "_static/copy-button.svg",
    "_static/copybutton_funcs.js",
    "_static/sbt-webpack-macros.html",
    "_static/webpack-macros.html",
    "_sphinx_design_static",
)


def on_page(app, pagename, templatename, context, doctree):
    body = context.get("body", "")
    search = pagename == "search"
    if search:
        scripts = [s for s in context["script_files"] if wanted(s, body)]
        context["script_files"] = [*scripts, _JavaScript("", body=SEARCH)]
    context["css_files"] = [c for c in context["css_files"] if wanted(c, body)]
    if not search:
        context["script_files"] = [
            deferred(s) for s in context["script_files"] if wanted(s, body) and not_for_search(s)
        ]
    if body:
        context["body"] = fixed(body)
    context["header_buttons"] = header_buttons(app, pagename, context.get("header_buttons", []))
    metatags = re.sub(VIEWPORT, "", context.get("metatags", ""))  # the theme writes its own
    context["metatags"] = metatags + described(app, context, doctree)


def header_buttons(app, pagename, buttons):
    """Offer Colab and a download where there is a notebook, each as a link; and what else there is.

    The theme would make a menu of one entry, which needs Bootstrap, and offer Colab on pages that
    are Markdown, which Colab cannot open.
    """
    colab = [b for b in buttons if b["type"] == "group" and b["buttons"][0]["text"] == "Colab"]
    others = [b for b in buttons if b not in colab]
    if not is_notebook(app, pagename):
        return others
    colab = [b["buttons"][0] | {"text": "Open in Colab", "icon": "fa-solid fa-play"} for b in colab]
    download = {
        "type": "link",
        "url": f"{Path(pagename).name}.ipynb",
        "text": "Notebook",
        "tooltip": "Download this chapter as a notebook",
        "icon": "fa-solid fa-download",
        "label": "download-notebook-button",
    }
    return [*colab, download, *others]


def is_notebook(app, pagename):
    return pagename in app.env.found_docs and str(app.env.doc2path(pagename)).endswith(".ipynb")


def copy_notebooks(app, exception):
    """Put each notebook beside its page, as it stands in the repository: without outputs."""
    if exception or app.builder.format != "html":
        return
    for pagename in filter(lambda name: is_notebook(app, name), app.env.found_docs):
        target = Path(app.outdir) / f"{pagename}.ipynb"
        target.write_bytes(Path(app.env.doc2path(pagename)).read_bytes())


def name(asset):
    return os.path.basename(os.fspath(asset.filename or ""))


def wanted(asset, body):
    return ON_DEMAND.get(name(asset), "") in body


def not_for_search(script):
    """The theme's inline scripts set options of a version switcher and of search-as-you-type."""
    inline = script.attributes.get("body", "")
    return name(script) not in SEARCH_ONLY and not inline.startswith("DOCUMENTATION_OPTIONS.")


def deferred(script):
    """Return a copy: the objects are shared by all pages, and search needs its scripts at once."""
    if not script.filename or {"async", "defer", "type"} & set(script.attributes):
        return script
    return _JavaScript(
        script.filename, priority=script.priority, **script.attributes, defer="defer"
    )


def fixed(body):
    """Change what stands in the way of assistive technology."""
    # The label differs from the text that is seen, so a voice command by that text would fail.
    body = body.replace(' aria-label="Toggle hidden content"', "")
    # What is wider than the page is scrolled, and a keyboard scrolls only where it can stop.
    body = re.sub(r'(<div class="highlight"><pre)(?=>)', r'\1 tabindex="0"', body)
    # ARIA withdrew this role; the entries stand in a list.
    return body.replace('role="doc-biblioentry"', 'role="listitem"')


def described(app, context, doctree):
    """Return the page's description and what a link to it shows elsewhere.

    sphinxext-opengraph leaves out the search page, and an address where none is known is wrong.
    """
    title = context.get("title") or "Search"
    text = first_paragraph(doctree) if doctree else f"{title} in {app.config.html_title}."
    card = {
        "og:title": re.sub(r"<[^>]+>", "", title),
        "og:description": text,
        "og:type": "article",
        "og:site_name": app.config.html_title,
    }
    if base := app.config.html_baseurl:
        card["og:url"] = context.get("pageurl") or base
        card["og:image"] = f"{base.rstrip('/')}/_static/card.png"
    tags = [f'<meta name="description" content="{escape(text)}" />']
    tags += [f'<meta property="{k}" content="{escape(v)}" />' for k, v in card.items()]
    tags += ['<meta name="twitter:card" content="summary_large_image" />']
    return "\n".join(tags)


def first_paragraph(doctree):
    paragraphs = (p for p in doctree.findall(nodes.paragraph) if p.parent.tagname == "section")
    text = " ".join(next((p.astext() for p in paragraphs), doctree.astext()).split())
    return text if len(text) <= 160 else text[:160].rsplit(" ", 1)[0] + " …"


def known_address(app, config):
    """Canonical links need the address, which is known only where the book is published."""
    config.html_baseurl = config.html_baseurl or os.environ.get("BOOK_URL", "")


def delete_unused(app, exception):
    if exception or app.builder.format != "html":
        return
    for pattern in UNUSED:
        for path in sorted(Path(app.outdir).glob(pattern), reverse=True):
            if path.is_dir():
                for file in sorted(path.rglob("*"), reverse=True):
                    file.rmdir() if file.is_dir() else file.unlink()
                path.rmdir()
            else:
                path.unlink()


def setup(app):
    # Jupyter Book sets this value of sphinx-comments, which the book does not load.
    app.add_config_value("comments_config", {}, "html")
    app.connect("config-inited", known_address)
    app.connect("html-page-context", on_page, priority=900)
    app.connect("build-finished", copy_notebooks)
    app.connect("build-finished", delete_unused, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
