"""The progress bar: one output for a whole run, redrawn in place, full at the end."""

import pytest

from layernorm_book.chapters import progress


class Output(list):
    """Stands in for a notebook's output: keeps what it was given to show."""

    def update(self, bar):
        self.append(bar._repr_html_())


@pytest.fixture
def outputs(monkeypatch):
    made = []

    def display(bar, display_id):
        assert display_id
        made.append(Output([bar._repr_html_()]))
        return made[-1]

    monkeypatch.setattr(progress, "display", display)
    return made


@pytest.mark.parametrize("total", [1, 3, 100, 1440])
def test_one_output_is_redrawn_as_the_work_is_done_and_ends_full(outputs, total):
    bar = progress.ProgressBar(total, "steps")
    for done in range(total):
        assert outputs[0][-1].count("value=") == 1
        if done == 720:
            assert 'value="720"' in outputs[0][-1]
            assert 20 < len(outputs[0]) < 60  # not at every step
        bar.advance()
    (shown,) = outputs
    assert 'value="0"' in shown[0]
    assert f'value="{total}" max="{total}"' in shown[-1]
    assert f"{total:,} of {total:,} steps" in shown[-1]


def test_it_may_end_in_words(outputs):
    bar = progress.ProgressBar(2, "steps", "trained: 1 run of 2 steps")
    for _ in range(2):
        assert 'value="' in outputs[0][-1]
        assert "trained" not in outputs[0][-1]
        bar.advance()
    assert outputs[0][-1] == "<div>trained: 1 run of 2 steps</div>"
    assert repr(bar) == "trained: 1 run of 2 steps"


def test_outside_a_notebook_it_prints_once(capsys):
    bar = progress.ProgressBar(2, "runs")
    bar.advance()
    assert capsys.readouterr().out == "0 of 2 runs\n"
    assert repr(bar) == "1 of 2 runs"
