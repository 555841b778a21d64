"""README shows what the book and the judge really give today."""

import re

import picture
from conftest import ROOT
from PIL import Image

from layernorm_book import check_parity

README = (ROOT / "README.md").read_text(encoding="utf-8")


def layer_norm(x, normalized_shape, weight, bias, eps):
    dims = tuple(range(-len(normalized_shape), 0))
    mean = x.mean(dims, keepdim=True)
    return (x - mean) / (x.std(dims, keepdim=True) + eps) * weight + bias


def test_the_report_is_what_the_judge_says_of_that_layer():
    assert "`(x - mean) / (x.std(dims, keepdim=True) + eps)`" in README
    shown = re.search(r"```text\n(.*?)\n```", README, re.DOTALL)[1]
    assert str(check_parity(layer_norm)).startswith(shown + "\n")
    assert shown.count("see: chapter") == 2


def test_every_chapter_has_its_row():
    listed = re.findall(
        r"^  +- file: (book/\d\d\w+)$", (ROOT / "_toc.yml").read_text(), re.MULTILINE
    )
    assert re.findall(r"\]\((book/\d\d\w+)\.ipynb\)", README) == listed
    assert re.findall(r"blob/main/(book/\d\d\w+)\.ipynb", README) == listed


def test_the_picture_shows_the_lab_and_the_report_of_today():
    with Image.open(picture.PICTURE) as shown:
        assert shown.info["comment"].decode() == picture.digest(), "stale: run make picture"
        assert shown.n_frames > 20  # it moves
    assert picture.PICTURE.stat().st_size < 2e6
    assert f"]({picture.PICTURE.relative_to(ROOT)})" in README
