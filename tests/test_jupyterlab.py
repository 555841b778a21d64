"""The labs in JupyterLab itself: a real front end, a real kernel, and what goes between them.

Two chapters are opened and run from top to bottom. Then a hand drags a bar, Python is asked what
its trait says, and the lab what PyTorch says. While Python is busy, the lab waits and says so.
"""

import ast
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from browser import foreign
from conftest import ROOT
from engines import wait_for

CHAPTERS = {  # chapter -> the kind of lab that is taken, what that asks PyTorch for
    "02_normalize": (
        "LayerNormLab",
        "F.layer_norm(torch.tensor(lab.x), (len(lab.x),), eps=lab.eps)",
    ),
    "05_backward": (
        "GradientLab",
        "(lambda x: torch.autograd.grad(F.layer_norm(x, x.shape, torch.tensor(lab.weight), "
        "eps=lab.eps), x, torch.tensor(lab.grad_y))[0])(torch.tensor(lab.x, requires_grad=True))",
    ),
}
# Names the lab of a kind that a chapter has, and says its place among all of them.
NAME = """from ipywidgets.widgets.widget import _instances
labs = [widget for widget in _instances.values() if hasattr(widget, "ask_pytorch")]
place = next(k for k, lab in enumerate(labs) if type(lab).__name__ == "{}")
lab = labs[place]"""
READY = """() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel
    ?.status === 'idle'"""
RUN = "() => void jupyterapp.commands.execute('notebook:run-all-cells')"
CELLS = """const cells = jupyterapp.shell.currentWidget.content.widgets.map(({ model }) => model)
    .filter(model => model.type === "code" && model.sharedModel.source.trim());"""
FINISHED = f"""() => {{ {CELLS}
    return cells.every(model => model.executionCount && model.executionState === "idle"); }}"""
ERRORS = f"""() => {{ {CELLS}
    return cells.flatMap(model => model.outputs.toJSON())
        .filter(output => output.output_type === "error").map(output => output.evalue); }}"""
KERNEL = "jupyterapp.shell.currentWidget.sessionContext.session.kernel"
TELL = f"""async ([code, expression]) => {{
    const request = {KERNEL}.requestExecute(
        {{ code, store_history: false, user_expressions: {{ it: expression }} }});
    const answer = (await request.done).content.user_expressions.it;
    return answer.data?.["text/plain"] ?? answer.evalue; }}"""
KEEP_BUSY = f"""() => void {KERNEL}.requestExecute(
    {{ code: "import time; time.sleep(2)", store_history: false }})"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The address of a JupyterLab that has two chapters in its folder."""
    home = tmp_path_factory.mktemp("jupyter")
    (home / "chapters").mkdir()
    for name in CHAPTERS:
        source = (ROOT / "book" / f"{name}.ipynb").read_bytes()
        (home / "chapters" / f"{name}.ipynb").write_bytes(source)
    own = {f"JUPYTER_{name}_DIR": str(home / name) for name in ("RUNTIME", "CONFIG", "DATA")}
    own |= {"HOME": str(home), "IPYTHONDIR": str(home), "PYTHONPATH": str(ROOT / "src")}
    options = ("--no-browser", "--allow-root", "--expose-app-in-browser", "--ServerApp.port=0")
    options += ("--IdentityProvider.token=", f"--ServerApp.root_dir={home / 'chapters'}")
    # Should this process be killed, the server ends by itself.
    options += ("--ServerApp.shutdown_no_activity_timeout=300",)
    options += ("--MappingKernelManager.cull_idle_timeout=240",)
    with (home / "printed").open("wb") as printed:
        program = subprocess.Popen(
            (sys.executable, "-m", "jupyterlab", *options),
            env=os.environ | own | {"OMP_NUM_THREADS": "1"},
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
    try:
        files = wait_for(lambda: list((home / "RUNTIME").glob("jpserver-*.json")), 60)
        yield json.loads(wait_for(files[0].read_text))["url"]
    finally:
        program.terminate()
        program.wait(30)


@pytest.fixture
def front_end(chromium):
    """A page whose console must be silent, and that must not ask anybody else for anything."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    complaints = []
    page.on("console", lambda m: m.type == "error" and complaints.append(m.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.extend(foreign(request.url)))
    yield page
    page.close()
    assert not complaints


def ask(page, expression):
    """Return the numbers of an expression in the kernel of the open notebook."""
    answer = page.evaluate(TELL, ["", f"[float(v) for v in {expression}]"])
    return np.float32(ast.literal_eval(answer))


def shown(lab, quantity):
    """Return the numbers that a lab shows, in the float32 that they are."""
    read = "nodes => nodes.map(node => node.dataset.value)"
    nodes = lab.locator(f"[data-quantity={quantity}]")
    return np.float32([float(value) for value in nodes.evaluate_all(read)])


def drag(page, handle, pixels):
    """Take a handle and move it that far up."""
    handle.scroll_into_view_if_needed()
    page.wait_for_timeout(500)  # JupyterLab lays out cells as they come into view
    handle.hover()  # waits until it stands still
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - pixels, steps=5)
    page.mouse.up()


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_runs_and_its_lab_and_python_follow_each_other(front_end, address, name):
    page, (kind, pytorch) = front_end, CHAPTERS[name]
    page.goto(f"{address}lab/tree/{name}.ipynb?reset")
    page.wait_for_function(READY)
    page.evaluate(RUN)
    page.wait_for_function(FINISHED, timeout=120_000)
    assert page.evaluate(ERRORS) == []

    place = int(page.evaluate(TELL, [NAME.format(kind), "place"]))
    lab = page.locator(".ln-lab").nth(place)
    lab.locator("[data-value]").first.wait_for(state="attached")
    before = ask(page, "lab.x")
    np.testing.assert_array_equal(shown(lab, "x"), before)
    page.evaluate(KEEP_BUSY)
    drag(page, lab.locator("[name=x] + .ln-handle").first, 12)
    says = lab.locator(".ln-says")
    assert says.text_content() == "PyTorch: waiting …"
    page.wait_for_function(
        "says => !says.textContent.includes('waiting')", arg=says.element_handle()
    )

    after = ask(page, "lab.x")
    assert after[0] > before[0]
    np.testing.assert_array_equal(after[1:], before[1:])
    np.testing.assert_array_equal(shown(lab, "x"), after)
    np.testing.assert_array_equal(shown(lab, "torch"), ask(page, pytorch))
