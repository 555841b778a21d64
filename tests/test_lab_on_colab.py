"""The labs with the widget packages that Colab ships, older by years than the pinned ones.

They run in the environment that `make colab` makes.
"""

import json
import os
import subprocess

import pytest
from browser import ROOT, move, open_lab, serve
from rehearse_colab import PYTHON

from layernorm_book import widgets

RUN = """
import json, sys
import anywidget, ipywidgets, nbformat
from nbclient import NotebookClient

cells = ["from layernorm_book.widgets import *", *json.loads(sys.argv[1])]
cells.append("lab = LayerNormLab(x=[1.0, 3.0])\\nlab.eps = 3.0\\n"
    "lab.set_state({'placement': 'outside', 'revision': 7})\\nprint(json.dumps(lab.answer))")
cells[0] += "\\nimport json"
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
NotebookClient(notebook, timeout=300, store_widget_state=True).execute()
versions = {"ipywidgets": ipywidgets.__version__, "anywidget": anywidget.__version__}
print(json.dumps({"notebook": notebook, "versions": versions}))
"""


@pytest.fixture(scope="module")
def executed():
    """A cell for each lab, run by nbclient in that environment."""
    if not PYTHON.is_file():
        pytest.skip("Colab's versions are not here: make colab")
    command = (PYTHON, "-c", RUN, json.dumps([f"{name}()" for name in widgets.__all__]))
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "JUPYTER_PLATFORM_DIRS": "1"}
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_python_answers_there(executed):
    assert executed["versions"] == {"ipywidgets": "7.7.1", "anywidget": "0.9.21"}
    (printed,) = executed["notebook"]["cells"][-1]["outputs"]
    assert json.loads(printed["text"]) == {"revision": 7, "values": [-0.25, 0.25]}


def test_the_pages_made_there_are_alive(page, executed, tmp_path):
    state = executed["notebook"]["metadata"]["widgets"]
    (state,) = (v for k, v in state.items() if k.endswith("widget-state+json"))
    views = [
        output["data"]["application/vnd.jupyter.widget-view+json"]
        for cell in executed["notebook"]["cells"][1:-1]
        for output in cell["outputs"]
    ]
    assert len(views) == len(widgets.__all__)
    kind = '<script type="application/vnd.jupyter.widget-{}+json">{}</script>'
    scripts = [
        f'<div class="widget">{kind.format("view", json.dumps(view))}</div>' for view in views
    ]
    scripts.append(kind.format("state", json.dumps(state).replace("</", "<\\/")))
    icon = '<link rel="icon" href="data:,">'
    html = f'<!doctype html><meta charset="utf-8">{icon}<script defer src="widgets.js"></script>'
    (tmp_path / "page.html").write_text(html + "".join(scripts), encoding="utf-8")
    (tmp_path / "widgets.js").write_bytes((ROOT / "book/_static/widgets.js").read_bytes())
    site, stop = serve(tmp_path)
    open_lab(page, site.url("page.html"))
    assert page.locator(".ln-lab").count() == len(views)
    lab = ".ln-lab:has([name=shift])"  # LayerNormLab
    mean = f"{lab} [data-quantity=mean]"
    before = page.get_attribute(mean, "data-value")
    move(page, f"{lab} [name=weight][data-index='0']", 0.5)
    move(page, f"{lab} [name=x][data-index='0']", 4)
    assert page.get_attribute(mean, "data-value") != before
    stop()
