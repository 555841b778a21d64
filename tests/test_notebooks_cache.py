"""Several workers write to the notebooks' cache at once, and nothing gets lost."""

import multiprocessing
import sys

import nbformat
from browser import ROOT
from jupyter_cache.base import CacheBundleIn

sys.path.insert(0, str(ROOT / "tools"))

from run_notebooks import Cache

WRITERS, EACH = 4, 25


def write(job):
    """Keep some notebooks, each under a name of its own; return what went wrong."""
    cache, writer = job
    for k in range(EACH):
        cell = nbformat.v4.new_code_cell(f"print({writer}, {k})", execution_count=1)
        bundle = CacheBundleIn(nbformat.v4.new_notebook(cells=[cell]), f"{writer}-{k}.ipynb")
        try:
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
        except Exception as error:
            return repr(error)
    return ""


def test_writers_at_the_same_time_lose_nothing(tmp_path):
    cache = Cache(tmp_path)
    assert cache.list_cache_records() == []
    with multiprocessing.Pool(WRITERS) as pool:
        wrong = pool.map(write, [(cache, writer) for writer in range(WRITERS)])
    assert wrong == [""] * WRITERS
    records = cache.list_cache_records()
    assert len(records) == WRITERS * EACH
    for record in records:
        cache.get_cache_bundle(record.pk)  # raises where the notebook is gone
