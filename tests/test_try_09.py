"""The lines to try in chapter 9, performed on its built page.

Its runs are trained while the page is built, so what they show differs from machine to machine a
little: what a line promises is tested with room for that.
"""

import numpy as np
import pytest
from browser import pixels, slide, values
from test_engines import OPEN
from tries import tries

DEPTH, TOKENS = ".ln-depth", ".ln-collapse"
POST, PRE = 0, 1


def sizes(page):
    text = page.get_attribute(f"{DEPTH} [data-quantity=sizes]", "data-value")
    return [float(size) for size in text.split()]


def choose(page, place):
    page.evaluate(f"() => {{ {OPEN} }}")
    page.locator(f"{DEPTH} label:has([name=norm][value={place}])").click()
    assert page.is_checked(f"{DEPTH} [name=norm][value={place}]")


@tries("09-pre", "Choose pre: the row grows slowly, and on the right the columns hardly change.")
def test_pre_adds_up_and_changes_little_in_the_end(lab_page):
    choose(lab_page, "pre")
    found = sizes(lab_page)
    assert 3 < found[-1] < 30
    assert found[-1] < 1.1 * found[-5]
    painted = pixels(lab_page.locator(f"{DEPTH} canvas"))  # (32, 49, 4)
    signed = painted[..., 3] * np.where(painted[..., 0] > 100, 1, -1)
    change = np.abs(np.diff(signed, axis=1)).mean(0)  # (48,)
    assert change[-8:].mean() < change[:8].mean() / 4


@tries("09-peri", "Choose peri and drag weights: the picture stands still.")
def test_peri_does_not_see_the_weights(lab_page):
    choose(lab_page, "peri")
    canvas, before = lab_page.locator(f"{DEPTH} canvas"), None
    for _ in slide(lab_page, f"{DEPTH} [name=scale]"):
        painted = pixels(canvas)[..., 3], np.array(sizes(lab_page))
        before = before or painted
        assert np.abs(painted[0] - before[0]).max() <= 2
        assert painted[1] == pytest.approx(before[1], rel=5e-3)
    choose(lab_page, "pre")
    assert np.abs(pixels(canvas)[..., 3] - before[0]).max() > 50


# --- the tokens -----------------------------------------------------------------------------------


def to_step(page, step):
    """Drag until the lab says this step."""
    slider = page.locator(f"{TOKENS} [name=frame]")
    slider.scroll_into_view_if_needed()
    slider.press("Home")
    while values(page, "step", TOKENS)[0] < step:
        slider.press("ArrowRight")
    assert values(page, "step", TOKENS) == [step]


def squares(page, run):
    """Return the squares of a run, one for each block and the start: (7, 12, 12, 4)."""
    painted = pixels(page.locator(f"{TOKENS} canvas").nth(run))
    return np.stack([painted[:, 13 * k : 13 * k + 12] for k in range(7)])


@tries(
    "09-merge",
    "Drag step slowly to the right: post-LN's squares fill from the right, and by step 8 its last "
    "is one colour.",
)
def test_the_tokens_of_the_stuck_run_become_one(lab_page):
    assert values(lab_page, "step", TOKENS) == [0]  # it opens there
    to_step(lab_page, 0)
    assert all(np.ptp(square[..., 3]) > 20 for square in squares(lab_page, POST))
    for step in (2, 5, 8):
        to_step(lab_page, step)
        full = squares(lab_page, POST)[..., 3].mean((1, 2))  # (7,)
        assert (np.diff(full) > -2).all()
    last = squares(lab_page, POST)[-1]
    assert (last == last[0, 0]).all()
    assert squares(lab_page, PRE)[-1, ..., 3].mean() < 200  # paler
    assert values(lab_page, "apart", TOKENS)[PRE] > 1e-4  # close too, but not one
    said = lab_page.text_content(f"{TOKENS} [data-quantity=sentence]")
    assert said.startswith("After 8 steps, post-LN has merged all tokens into one")


@tries(
    "09-back",
    "Stop at step 20, then go on to the end: post-LN's last square keeps its one colour. How far "
    "apart are pre-LN's tokens?",
)
def test_only_the_others_come_apart_again(lab_page):
    to_step(lab_page, 20)
    post, pre = values(lab_page, "apart", TOKENS)
    assert post < 1e-6 < 1e-4 < pre < 0.05  # close, but not one
    to_step(lab_page, 0)
    slider, seen = lab_page.locator(f"{TOKENS} [name=frame]"), []
    for _ in range(16):
        seen.append(values(lab_page, "apart", TOKENS))
        slider.press("ArrowRight")
    seen.append(values(lab_page, "apart", TOKENS))
    assert values(lab_page, "step", TOKENS) == [200]
    stays, goes = (squares(lab_page, run)[-1] for run in (POST, PRE))
    assert (stays == stays[0, 0]).all()
    assert np.ptp(goes[..., 3]) > 100
    assert len(np.unique(goes[..., 3])) > 4
    post, pre = np.transpose(seen)
    assert pre.min() < 0.05
    assert pre[-1] > 0.1
    assert 3 <= pre.argmin() <= 10
    assert (post[5:] < 1e-6).all()
    stuck, free = values(lab_page, "loss", TOKENS)
    assert free < stuck - 0.1
