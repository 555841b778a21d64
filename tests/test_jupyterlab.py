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
from browser import foreign, values
from conftest import ROOT
from engines import wait_for

CHAPTERS = {  # chapter -> what its lab asks PyTorch for, worked out in the chapter's kernel
    "03_gamma_and_beta": (
        "F.layer_norm(torch.tensor(lab.x), (lab.n,), torch.tensor(lab.weight), "
        "torch.tensor(lab.bias), lab.eps).flatten()"
    ),
    "05_backward": "(lambda x: torch.autograd.grad(F.layer_norm(x, x.shape, eps=lab.eps), x, "
    "torch.tensor(lab.grad_y))[0])(torch.tensor(lab.x, requires_grad=True))",
}
ROW = "torch.tensor(lab.x).flatten().tolist()"
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
ASK = f"""async expression => {{
    const request = {KERNEL}.requestExecute(
        {{ code: "", store_history: false, user_expressions: {{ it: expression }} }});
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
    answer = page.evaluate(ASK, f"[float(v) for v in {expression}]")
    return np.float32(ast.literal_eval(answer))


def shown(page, quantity):
    """Return the numbers that a lab shows, in the float32 that they are."""
    return np.float32(values(page, quantity))


def drag(page, name, index, pixels):
    """Take the handle of an element and move it that far up."""
    control = page.locator(f".ln-lab [name={name}][data-index='{index}']").first
    control.scroll_into_view_if_needed()
    box = control.bounding_box()
    scale = "({ min, max, value }) => [min, max, value].map(Number)"
    low, high, value = control.evaluate(scale)
    x = box["x"] + box["width"] / 2
    y = box["y"] + box["height"] * (high - value) / (high - low)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - pixels, steps=5)
    page.mouse.up()


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_runs_and_its_lab_and_python_follow_each_other(front_end, address, name):
    page = front_end
    page.goto(f"{address}lab/tree/{name}.ipynb?reset")
    page.wait_for_function(READY)
    page.evaluate(RUN)
    page.wait_for_function(FINISHED, timeout=120_000)
    assert page.evaluate(ERRORS) == []

    page.wait_for_selector(".ln-lab [data-value]", state="attached")
    before = ask(page, ROW)
    np.testing.assert_array_equal(shown(page, "x"), before)
    page.evaluate(KEEP_BUSY)
    drag(page, "x", 0, 30)
    says = page.locator(".ln-says").first
    assert says.text_content() == "PyTorch: waiting …"
    answered = """() => {
        const { textContent } = document.querySelector(".ln-says");
        return textContent.includes("PyTorch") && !textContent.includes("waiting"); }"""
    page.wait_for_function(answered)

    after = ask(page, ROW)
    assert after[0] > before[0]
    np.testing.assert_array_equal(after[1:], before[1:])
    np.testing.assert_array_equal(shown(page, "x"), after)
    np.testing.assert_array_equal(shown(page, "torch"), ask(page, CHAPTERS[name]))
