"""The lab with the widget packages that Colab ships, older by years than the pinned ones.

They live in an environment of their own, which is made once and kept in .cache; torch and NumPy it
takes from this one.
"""

import hashlib
import json
import subprocess
import sys
import sysconfig

import pytest
from browser import ROOT, move, serve, values
from lab_book import STAGES
from test_lab_in_browser import assert_pytorch_agrees

COLAB = (
    "ipywidgets==7.7.1",
    "anywidget==0.9.21",
    "ipykernel==6.17.1",
    "ipython==7.34.0",
    "nbclient",
    "nbformat",
)
RUN = """
import json, sys
import anywidget, ipywidgets, nbformat
from nbclient import NotebookClient

cells = ["from layernorm_book.widgets import LayerNormLab", *json.loads(sys.argv[1])]
cells.append("lab = LayerNormLab(x=[1.0, 3.0])\\nlab.eps = 3.0\\n"
    "lab.set_state({'placement': 'outside'})\\nprint(lab.y)")
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
NotebookClient(notebook, timeout=300, store_widget_state=True).execute()
versions = {"ipywidgets": ipywidgets.__version__, "anywidget": anywidget.__version__}
print(json.dumps({"notebook": notebook, "versions": versions}))
"""


@pytest.fixture(scope="module")
def colab_python():
    """The Python of an environment with Colab's packages; made on the first run, then kept."""
    key = hashlib.sha256(repr((COLAB, sys.version, sys.prefix)).encode()).hexdigest()[:12]
    folder = ROOT / ".cache" / f"colab-{key}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        for command in (
            (sys.executable, "-m", "venv", "--clear", str(folder)),
            (str(python), "-m", "pip", "install", "--quiet", *COLAB),
        ):
            done = subprocess.run(command, capture_output=True, encoding="utf-8")
            assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        own = folder / "lib" / version / "site-packages"
        # Its own packages come first on the path, then those of this environment.
        paths = (str(ROOT / "src"), sysconfig.get_path("purelib"))
        (own / "book.pth").write_text("\n".join(paths) + "\n", encoding="utf-8")
        (folder / "ready").touch()
    return python


@pytest.fixture(scope="module")
def executed(colab_python):
    """The lab's cells, run by nbclient in that environment."""
    command = (str(colab_python), "-c", RUN, json.dumps(list(STAGES.values())))
    environment = {"PATH": f"{colab_python.parent}:/usr/bin:/bin", "HOME": str(ROOT / ".cache")}
    environment |= {"JUPYTER_PLATFORM_DIRS": "1"}
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_old_packages_are_the_ones_that_run(executed):
    assert executed["versions"] == {"ipywidgets": "7.7.1", "anywidget": "0.9.21"}


def test_python_answers_there(executed):
    (printed,) = executed["notebook"]["cells"][-1]["outputs"]
    assert json.loads(printed["text"]) == pytest.approx([-0.25, 0.25])


def test_the_pages_made_there_are_alive(page, executed, tmp_path):
    state = executed["notebook"]["metadata"]["widgets"]
    (state,) = (v for k, v in state.items() if k.endswith("widget-state+json"))
    views = [
        output["data"]["application/vnd.jupyter.widget-view+json"]
        for cell in executed["notebook"]["cells"][1:-1]
        for output in cell["outputs"]
    ]
    assert len(views) == len(STAGES)
    kind = '<script type="application/vnd.jupyter.widget-{}+json">{}</script>'
    scripts = [kind.format("view", json.dumps(view)) for view in views]
    scripts.append(kind.format("state", json.dumps(state).replace("</", "<\\/")))
    icon = '<link rel="icon" href="data:,">'
    html = f'<!doctype html><meta charset="utf-8">{icon}<script defer src="widgets.js"></script>'
    (tmp_path / "page.html").write_text(html + "".join(scripts), encoding="utf-8")
    (tmp_path / "widgets.js").write_bytes((ROOT / "book/_static/widgets.js").read_bytes())
    site, stop = serve(tmp_path)
    page.goto(site.url("page.html"))
    page.wait_for_function(f"document.querySelectorAll('.ln-lab tbody').length > {len(STAGES)}")
    assert page.locator(".ln-lab").count() == len(STAGES)
    before = values(page, "mean")[0]
    move(page, ".ln-lab [name=x][data-index='0']", 4)
    assert values(page, "mean")[0] != before
    page.evaluate("""document.querySelectorAll(".ln-lab").forEach(
        (lab, k, all) => k === 3 || lab.remove())""")
    assert_pytorch_agrees(page)
    stop()
