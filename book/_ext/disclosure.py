"""Draw dropdown admonitions, exercises' solutions among them, as <details>.

The browser then opens and closes them, with the keyboard too, without a script. The summary is
plain text: a link inside it would be a control within a control.
"""

from docutils import nodes


class details(nodes.Element):
    """A box that the reader opens."""


class summary(nodes.TextElement):
    """The line of it that is always seen."""


def fold(app, doctree, docname):
    dropdowns = [n for n in doctree.findall(nodes.Admonition) if "dropdown" in n["classes"]]
    for node in dropdowns:
        title, *content = node.children
        folded = details(ids=node["ids"], classes=["admonition", node.tagname, *node["classes"]])
        folded += summary("", title.astext(), classes=["admonition-title"])
        folded += content
        node.replace_self(folded)


def visit(self, node):
    attributes = {} if "open" not in node["classes"] else {"open": "open"}
    self.body.append(self.starttag(node, type(node).__name__, **attributes))


def depart(self, node):
    self.body.append(f"</{type(node).__name__}>\n")


def setup(app):
    app.add_node(details, html=(visit, depart))
    app.add_node(summary, html=(visit, depart))
    app.connect("doctree-resolved", fold)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
