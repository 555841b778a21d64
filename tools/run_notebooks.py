"""Run the book's notebooks side by side and keep their outputs, so that an unchanged one rests.

Outputs are kept by jupyter-cache under a digest of all that they depend on: the package, the data,
the pins, what is installed, the configuration. A change to any of these starts an empty cache; a
change in one notebook's code runs that notebook alone; a failing notebook is never kept.

jupyter-cache's own parallel executor is not used. Its workers write to the cache themselves and may
lose one another's records, and neither threads, nor order, nor encryption can be set. Here workers
only run notebooks, and this process alone writes.

A notebook with a cell tagged `timing` measures time. It runs after the others, with the machine to
itself and all its cores; the others share the cores, one thread each. One with a cell tagged `long`
starts before the rest.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import nullcontext
from importlib.metadata import distributions
from pathlib import Path

from forked_kernels import kernels_are_forked
from jupyter_cache.cache.main import JupyterCacheBase
from jupyter_cache.executors.utils import create_cache_bundle, single_nb_execution
from myst_nb.core.read import is_myst_markdown_notebook
from sphinx_external_toc.parsing import parse_toc_yaml
from traitlets.config import Config

ROOT = Path(__file__).parents[1]
KEPT = ROOT / ".book_cache"
INPUTS = ("src/**/*", "book/data/**/*", "requirements.txt", "_config.yml")
INPUTS += ("tools/run_notebooks.py", "tools/forked_kernels.py")
VIEW = "application/vnd.jupyter.widget-view+json"
STATES = "application/vnd.jupyter.widget-state+json"
TIMEOUT = 300  # seconds for one cell
# Kernels speak to us encrypted; without this each one warns that it does not.
ENCRYPTED = Config({"KernelManager": {"transport_encryption": "auto"}})


def digest():
    """Return a name for everything, other than a notebook's own code, that its outputs rest on."""
    state = hashlib.sha256(f"{sys.version} {platform.platform()}".encode())
    for installed in sorted(f"{d.name}=={d.version}" for d in distributions()):
        state.update(installed.encode())
    for path in sorted({p for pattern in INPUTS for p in ROOT.glob(pattern) if p.is_file()}):
        if path.suffix != ".pyc" and not any(part.endswith(".egg-info") for part in path.parts):
            state.update(f"\0{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return state.hexdigest()[:16]


def pages_with_cells():
    """Yield (path, how it is read) for each page of the table of contents with cells to run."""
    for path in (
        path for name in parse_toc_yaml(ROOT / "_toc.yml") for path in ROOT.glob(f"{name}.*")
    ):
        if path.suffix == ".ipynb":
            yield path, {}
        elif path.suffix == ".md" and is_myst_markdown_notebook(path.read_text(encoding="utf-8")):
            yield path, {"read_data": {"type": "plugin", "name": "myst_nb_md"}}


def has_cell_tagged(tag, notebook):
    """Return whether a cell of the notebook has this tag."""
    return any(tag in cell.metadata.get("tags", []) for cell in notebook.cells)


def execute(notebook):
    """Run one notebook in its own folder.

    A kernel is told ports that were free a moment before. Another program may take one first, and
    the kernel ends before it has run a cell: then another one tries.
    """
    folder = str(Path(notebook.uri).parent)
    for last in (False, True):
        try:
            return single_nb_execution(notebook.nb, folder, TIMEOUT, False, config=ENCRYPTED)
        except RuntimeError as error:
            if last or "before replying to kernel_info" not in str(error):
                raise


def forget_unseen_widgets(notebook):
    """Drop the state of widgets that no output shows: a check may make many labs."""
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", ())]
    waiting = [o.data[VIEW]["model_id"] for o in outputs if VIEW in o.get("data", {})]
    states = notebook.metadata.get("widgets", {}).get(STATES, {}).get("state", {})
    seen = set()
    while waiting:
        if (model := waiting.pop()) in states and model not in seen:
            seen.add(model)
            waiting += re.findall(r"IPY_MODEL_(\w+)", json.dumps(states[model]))
    for model in set(states) - seen:
        del states[model]


def run_and_keep(cache, notebooks, processes):
    """Run notebooks, keep what they gave, say how each went; return the paths that failed."""
    failed = []
    with ThreadPoolExecutor(processes) as pool:
        running = {pool.submit(execute, notebook): notebook for notebook in notebooks}
        for future in as_completed(running):
            notebook = running[future]
            name = Path(notebook.uri).relative_to(ROOT)
            if error := future.exception() or future.result().err:  # a dead kernel, or a cell
                print(f"\nFailed: {name}\n{error}\n", flush=True)
                failed.append(notebook.uri)
                continue
            forget_unseen_widgets(notebook.nb)
            seconds = future.result().time
            print(f"{seconds:6.1f} s  {name}", flush=True)
            bundle = create_cache_bundle(notebook, None, None, seconds, None)
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    return failed


def run():
    """Run every notebook that needs it; return (folder of the cache, paths that failed)."""
    folder = KEPT / digest()
    KEPT.mkdir(exist_ok=True)
    for other in KEPT.iterdir():
        if other.is_dir() and other != folder:
            shutil.rmtree(other)
    cache = JupyterCacheBase(folder)
    for record in cache.list_project_records():
        cache.remove_nb_from_project(record.pk)
    records = [cache.add_nb_to_project(str(path), **how) for path, how in pages_with_cells()]
    notebooks = [cache.get_project_notebook(record.pk) for record in cache.list_unexecuted()]
    print(
        f"Running {len(notebooks)} of {len(records)} notebooks; the others have not changed.",
        flush=True,
    )

    alone = [n for n in notebooks if has_cell_tagged("timing", n.nb)]
    together = [n for n in notebooks if not has_cell_tagged("timing", n.nb)]
    together.sort(key=lambda n: not has_cell_tagged("long", n.nb))
    # The kernels import this tree's package, whichever one the environment was installed from, and
    # a thread that waits sleeps: it would keep a core busy that another notebook can use.
    os.environ |= {"PYTHONPATH": str(ROOT / "src"), "OMP_WAIT_POLICY": "passive"}
    os.environ["OMP_NUM_THREADS"] = "1"
    # What they import takes 2.5 s of CPU, which is for nothing where nothing is to run.
    with kernels_are_forked() if together else nullcontext():
        failed = run_and_keep(cache, together, os.cpu_count())
    del os.environ["OMP_NUM_THREADS"]
    return folder, failed + run_and_keep(cache, alone, 1)
