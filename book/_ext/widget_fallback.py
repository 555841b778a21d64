"""A lab's table goes into the page beside the lab, for readers without JavaScript.

MyST-NB keeps one form of each output. A lab's output has two that belong together: the view,
which the page's script brings to life, and an HTML table of its state, which that script removes.
"""

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

VIEW, TABLE = "application/vnd.jupyter.widget-view+json", "text/html"


class KeepTable(SphinxPostTransform):
    """Move a lab's table into its view, before MyST-NB chooses between them."""

    default_priority = 3  # MyST-NB chooses at 4

    def run(self, **kwargs):
        """Move each one that has both."""
        for bundle in self.document.findall(nodes.container):
            forms = {form.get("mime_type"): form for form in bundle.children if _is_form(form)}
            if VIEW in forms and TABLE in forms:
                before, after = _html('<div class="widget">'), _html("</div>")
                view, table = forms[VIEW].children, forms[TABLE].children
                forms[VIEW].children = [before, *view, *table, after]


def _html(text):
    return nodes.raw("", text, format="html")


def _is_form(node):
    return isinstance(node, nodes.container) and "mime_type" in node


def setup(app):
    app.add_post_transform(KeepTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
