"""The progress bar: one output for a whole run, redrawn in place, full at the end."""

import pytest

from layernorm_book.chapters import progress


class Output:
    """Stands in for a notebook's output: keeps what it was given to show."""

    def __init__(self, first):
        self.shown = [first._repr_html_()]

    def update(self, bar):
        self.shown.append(bar._repr_html_())


@pytest.fixture
def outputs(monkeypatch):
    made = []

    def display(bar, display_id):
        assert display_id
        made.append(Output(bar))
        return made[-1]

    monkeypatch.setattr(progress, "display", display)
    return made


@pytest.mark.parametrize("total", [1, 3, 100, 1440])
def test_one_output_that_ends_full(outputs, total):
    bar = progress.ProgressBar(total, "steps")
    for _ in range(total):
        bar.advance()
    (output,) = outputs
    assert output.shown[0].count('value="0"') == 1
    assert f'value="{total}" max="{total}"' in output.shown[-1]
    assert f"{total:,} of {total:,} steps" in output.shown[-1]


def test_it_moves_while_the_work_is_done_but_not_at_every_step(outputs):
    bar = progress.ProgressBar(1440, "steps")
    for _ in range(720):
        bar.advance()
    assert 'value="720"' in outputs[0].shown[-1]
    assert 20 < len(outputs[0].shown) < 60


def test_outside_a_notebook_it_prints_once(capsys):
    bar = progress.ProgressBar(2, "runs")
    bar.advance()
    assert capsys.readouterr().out == "0 of 2 runs\n"
    assert repr(bar) == "1 of 2 runs"
