"""A notebook whose kernel never came up is run by another one, and by a third one never."""

import inspect
from types import SimpleNamespace

import jupyter_client.client
import pytest
import run_notebooks

DIED = "Kernel died before replying to kernel_info"  # another program took its port, say
NOTEBOOK = SimpleNamespace(nb=None, uri="/book/one.ipynb")


@pytest.fixture
def runs(monkeypatch):
    """How each run ends: with an error, or with what it returns. Those to come stay in the list."""
    endings = []

    def run(*_, **__):
        ending = endings.pop(0)
        if isinstance(ending, Exception):
            raise ending
        return ending

    monkeypatch.setattr(run_notebooks, "single_nb_execution", run)
    return endings


def test_a_kernel_that_never_came_up_is_followed_by_one_more(runs):
    runs += RuntimeError(DIED), "done", "not run"
    assert run_notebooks.execute(NOTEBOOK) == "done"
    assert runs == ["not run"]


@pytest.mark.parametrize("errors", [[DIED, DIED], ["Kernel died"]])  # twice; in a cell
def test_what_another_kernel_does_not_cure_is_an_error(runs, errors):
    runs += [*map(RuntimeError, errors), "not run"]
    with pytest.raises(RuntimeError, match=errors[-1]):
        run_notebooks.execute(NOTEBOOK)
    assert runs == ["not run"]


def test_this_is_what_jupyter_says_of_such_a_kernel():
    assert DIED in inspect.getsource(jupyter_client.client)
