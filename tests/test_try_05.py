"""Chapter 5 keeps what its "Try this" list promises."""

import numpy as np
import pytest
from browser import move, values
from tries import tries

DRAWN = ("dots", "line")


def press(page, label):
    page.get_by_role("button", name=label, exact=True).click()


def largest(page):
    return np.abs(values(page, "grad_x")).max()


def near_zero(page):
    """Return how many dots stand at 0, of all that are drawn; by the picture, not the numbers."""
    places = [float(part.split()[0]) for part in dots(page)]
    return sum(place < 10 for place in places), len(places)  # of 1000


def dots(page):
    return page.get_attribute(".ln-factors", "d").split("M")[1:]


@tries(
    "05-line",
    "Press “all equal”, then “1 + x̂”, and read grad_x. Each dot below the bars is one element, "
    "over its x̂ and at the height g = γ · grad_y. Equal x̂ share a dot. See how the five lie.",
)
def test_a_line_stays_behind(lab_page):
    x = values(lab_page, "x")
    for label, size in (("all equal", 1), ("1 + x̂", 3)):
        press(lab_page, label)
        assert np.abs(values(lab_page, "grad_y")).max() == size
        assert largest(lab_page) < 3e-6
        assert "next to nothing goes on" in lab_page.text_content(".ln-story")
        assert not lab_page.is_visible(".ln-line")  # the reader is to see it
        dots, line = (lab_page.get_attribute(f".ln-fit .ln-{part}", "d") for part in DRAWN)
        places = np.array([part.removesuffix("h0").split() for part in dots.split("M")[1:]], float)
        assert len(places) == 8
        assert len(np.unique(places, axis=0)) == 5
        assert np.corrcoef(places[:, 0], x)[0, 1] > 0.999999  # over x̂
        ends = np.array([end.split() for end in line[1:].split("L")], float)
        assert places[:, 1] == pytest.approx(np.interp(places[:, 0], *ends.T), abs=0.3)


@tries(
    "05-off",
    "Now drag one bar of grad_y, and watch its dot and grad_x.",
)
def test_a_dot_off_the_line_goes_on(lab_page):
    for index in range(8):
        press(lab_page, "1 + x̂")
        before = values(lab_page, "grad_y")[index]
        for by in (1, -0.5):
            move(lab_page, f"[name=grad_y][data-index='{index}']", before + by)
            assert largest(lab_page) > 0.05
            rest = lab_page.get_attribute(".ln-rest", "d").split("M")[1 + index]
            _, low, high = map(float, rest.replace("V", " ").split())
            assert (low - high) * by > 0


@tries(
    "05-detach",
    "In the lab, press “Start”, open “What stays behind”, and find these eight as dots. Press "
    "“detach μ”, so that μ is a constant on the way back: one dot leaves the 0. Press “detach σ” "
    "too, and the other follows.",
)
def test_each_way_that_is_cut_frees_a_direction(lab_page):
    press(lab_page, "Start")
    assert not lab_page.is_visible(".ln-factors")
    lab_page.click("text=What stays behind")
    assert lab_page.is_visible(".ln-factors")
    assert lab_page.text_content(".ln-spectrum .ln-middle") == "singular values"
    assert near_zero(lab_page) == (2, 8)
    assert lab_page.text_content("[data-quantity=singular]").endswith("· 1.25e−6 · 0")
    lab_page.get_by_label("detach μ").check(force=True)
    assert near_zero(lab_page) == (1, 8)
    lab_page.get_by_label("detach σ").check(force=True)
    assert near_zero(lab_page) == (0, 8)


@tries("05-gamma", "Press “other γ”: six dots spread out, and the two at the left stay.")
def test_gamma_spreads_six_and_frees_none(lab_page):
    assert len({part.split()[0] for part in dots(lab_page)}) == 2
    press(lab_page, "other γ")
    assert near_zero(lab_page) == (2, 8)
    assert len({part.split()[0] for part in dots(lab_page)}) == 7
