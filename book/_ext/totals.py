"""Count what the build checks, over all notebooks: {total}`claims` becomes "214"."""

import json
from pathlib import Path

from cells import claims_in
from docutils import nodes


def count(folder):
    """Return how much there is of each thing, by its name."""
    texts = [p.read_text(encoding="utf-8") for p in sorted(Path(folder).glob("*.ipynb"))]
    cells = [cell for text in texts for cell in json.loads(text)["cells"]]
    checks = [c for c in cells if "check" in c["metadata"].get("tags", [])]
    return {
        "notebooks": len(texts),
        "claims": sum(claims_in("".join(cell["source"])) for cell in checks),
        "things to try": sum("".join(c["source"]).count('<a id="try-') for c in cells),
    }


def role(name, rawtext, text, lineno, inliner, options=None, content=None):
    """Return the count of `text`, or complain and say what can be counted."""
    env = inliner.document.settings.env
    totals = count(Path(env.doc2path(env.docname)).parent)
    if text not in totals:
        message = inliner.reporter.error(f"{text!r} is not one of {', '.join(totals)}", line=lineno)
        return [inliner.problematic(rawtext, rawtext, message)], [message]
    return [nodes.Text(f"{totals[text]:,}")], []


def setup(app):
    app.add_role("total", role)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
