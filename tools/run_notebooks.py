"""Run the book's notebooks side by side and keep their outputs, so that an unchanged one rests.

Outputs are kept by jupyter-cache under a digest of all that they depend on: the package, the data,
the pins, what is installed, the configuration. A change to any of these starts an empty cache; a
change in one notebook's code runs that notebook alone; a failing notebook is never kept.

A notebook with a cell tagged `timing` measures time. It runs after the others, with the machine to
itself and all its cores; the others share the cores, one thread each. One with a cell tagged `long`
starts before them all when its time is not known yet.
"""

import hashlib
import logging
import multiprocessing
import os
import platform
import shutil
import sys
from importlib.metadata import distributions
from pathlib import Path

from jupyter_cache.cache.main import JupyterCacheBase
from jupyter_cache.executors.basic import (
    ExecutionWorkerLocalMProc,
    JupyterExecutorLocalMproc,
    ProcessData,
)
from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.read import is_myst_markdown_notebook
from sphinx_external_toc.parsing import parse_toc_yaml
from traitlets.config import Config

ROOT = Path(__file__).parents[1]
KEPT = ROOT / ".book_cache"
INPUTS = ("src/**/*", "book/data/**/*", "requirements.txt", "_config.yml", "tools/run_notebooks.py")
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


def notebooks():
    """Return {path: how it is read} for each page of the table of contents with cells to run."""
    toc = parse_toc_yaml(ROOT / "_toc.yml")
    files = [path for name in toc for path in ROOT.glob(f"{name}.*")]
    found = {path: None for path in files if path.suffix == ".ipynb"}
    for path in files:
        if path.suffix == ".md" and is_myst_markdown_notebook(path.read_text(encoding="utf-8")):
            found[path] = {"type": "plugin", "name": "myst_nb_md"}
    return found


def has_cell_tagged(tag, notebook):
    """Return whether a cell of the notebook has this tag."""
    return any(tag in cell.metadata.get("tags", []) for cell in notebook.cells)


def failure(path, result):
    """Say which cell of which notebook failed, and how."""
    code = [cell for cell in result.nb.cells if cell.cell_type == "code"]
    failed = [c for c in code if any(o.output_type == "error" for o in c.get("outputs", []))]
    failed = failed or [c for c in code if c.get("execution_count") is None] or code[-1:]
    number = result.nb.cells.index(failed[0]) + 1
    where = f"{path.relative_to(ROOT)}, cell {number} of {len(result.nb.cells)}"
    return f"\nFailed: {where}\n{result.err}\n"


class Cache(JupyterCacheBase):
    """jupyter-cache's cache without its limit.

    Looking for what is over the limit, one worker can take a record that another has just written
    for too old. The cache is small and dies with its digest, so it needs no limit.
    """

    def truncate_caches(self):
        """Keep everything."""


class Worker(ExecutionWorkerLocalMProc):
    """jupyter-cache's worker with encrypted kernels, which says how each notebook went."""

    def log_info(self, msg):
        """Keep quiet: `execute` says it."""

    @property
    def logger(self):
        """A logger of errors alone, since a failure was printed with its cell."""
        logger = logging.getLogger("run_notebooks")
        logger.setLevel(logging.ERROR)
        return logger

    @staticmethod
    def execute(project_nb, data):
        """Run one notebook in its own folder."""
        path = Path(project_nb.uri)
        result = single_nb_execution(
            project_nb.nb,
            cwd=str(path.parent),
            timeout=data.timeout,
            allow_errors=data.allow_errors,
            config=ENCRYPTED,
        )
        if result.err:
            print(failure(path, result), flush=True)
        else:
            print(f"{result.time:6.1f} s  {path.relative_to(ROOT)}", flush=True)
            (KEPT / f"{path.stem}.seconds").write_text(str(result.time))
        return result


class Executor(JupyterExecutorLocalMproc):
    """jupyter-cache's parallel executor, longest notebook first and one at a time to each core."""

    def run_and_cache(self, *, filter_uris, processes, timeout=TIMEOUT):
        """Run what is not in the cache; return the paths that failed."""
        jobs = [
            ProcessData(record.pk, record.uri, self.cache, timeout, False)
            for record in sorted(self.get_records(filter_uris), key=self.seconds, reverse=True)
        ]
        with multiprocessing.Pool(processes) as pool:
            results = list(pool.imap_unordered(Worker(), jobs, chunksize=1))
        return [uri for status, uri in results if status]

    def seconds(self, record):
        """Return the time of a notebook's earlier run, or a guess where there was none."""
        earlier = KEPT / f"{Path(record.uri).stem}.seconds"
        if earlier.is_file():
            return float(earlier.read_text())
        long = has_cell_tagged("long", self.cache.get_project_notebook(record.pk).nb)
        return 60.0 if long else 5.0


def run():
    """Run every notebook that needs it; return (folder of the cache, paths that failed)."""
    folder = KEPT / digest()
    KEPT.mkdir(exist_ok=True)
    for other in KEPT.iterdir():
        if other.is_dir() and other != folder:
            shutil.rmtree(other)
    cache = Cache(folder)
    for record in cache.list_project_records():
        cache.remove_nb_from_project(record.pk)
    alone, together = [], []
    for path, reader in notebooks().items():
        how = {"read_data": reader} if reader else {}
        record = cache.add_nb_to_project(str(path), **how)
        measured = has_cell_tagged("timing", cache.get_project_notebook(record.pk).nb)
        (alone if measured else together).append(str(path))
    running, total = len(cache.list_unexecuted()), len(alone + together)
    print(f"Running {running} of {total} notebooks; the others have not changed.", flush=True)

    # The kernels import this tree's package, whichever one the environment was installed from.
    os.environ["PYTHONPATH"] = str(ROOT / "src")
    executor, failed = Executor(cache), []
    if together:
        os.environ["OMP_NUM_THREADS"] = "1"
        failed += executor.run_and_cache(filter_uris=together, processes=os.cpu_count())
        del os.environ["OMP_NUM_THREADS"]
    if alone:
        failed += executor.run_and_cache(filter_uris=alone, processes=1)
    return folder, failed
