"""A fault in the book fails its build, says where it is, and fails the next build too."""

import nbformat
import pytest
from conftest import build

PARITY = """from layernorm_book import LayerNorm, check_parity

check_parity(LayerNorm).raise_for_failure()"""


def write_chapter(tree, *, prose="A chapter.", code=PARITY):
    cells = [
        nbformat.v4.new_markdown_cell(f"# Chapter\n\n{prose}"),
        nbformat.v4.new_code_cell("ready = True"),
        nbformat.v4.new_code_cell(code),
    ]
    path = tree / "book" / "chapter.ipynb"
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells)), encoding="utf-8")


def build_twice(tree):
    """Return what both builds printed, having seen both fail and leave no book behind."""
    for _ in range(2):
        status, printed = build(tree)
        assert status != 0, printed
        assert not (tree / "_build" / "html").exists()
    return printed


def test_the_small_book_builds_as_it_stands(small_book):
    write_chapter(small_book)
    status, printed = build(small_book)
    assert status == 0, printed
    assert (small_book / "_build" / "html" / "book" / "chapter.html").is_file()


def test_a_failing_cell_fails_the_build_and_is_named(small_book):
    write_chapter(small_book, code="width = 768\nassert width == 769, 'one short'")
    printed = build_twice(small_book)
    assert "chapter.ipynb" in printed
    assert "assert width == 769" in printed
    assert "one short" in printed


@pytest.mark.parametrize("file", ["layer.py", "reference.py"])
def test_a_parity_breach_fails_the_build_and_names_the_case(small_book, file):
    right, wrong = {
        "layer.py": ("torch.rsqrt(var + self.eps)", "1 / (torch.sqrt(var) + self.eps)"),
        "reference.py": ("np.sqrt(var + float(eps))", "(np.sqrt(var) + float(eps))"),
    }[file]
    source = small_book / "src" / "layernorm_book" / file
    text = source.read_text(encoding="utf-8")
    assert right in text
    source.write_text(text.replace(right, wrong), encoding="utf-8")
    reference = PARITY.replace("(LayerNorm)", "(layer_norm, backward=layer_norm_backward)")
    reference = reference.replace("LayerNorm", "layer_norm, layer_norm_backward")
    write_chapter(small_book, code=PARITY if file == "layer.py" else reference)
    printed = build_twice(small_book)
    assert "chapter.ipynb" in printed
    assert "n = 4, eps 0.5" in printed


@pytest.mark.parametrize(
    ("prose", "complaint"),
    [
        pytest.param("See [nowhere](nowhere.md).", "nowhere", id="page"),
        pytest.param("See {cite}`nobody1999nothing`.", "nobody1999nothing", id="citation"),
        pytest.param("See {ref}`no-such-label`.", "no-such-label", id="label"),
        pytest.param("```{figure} no-such.png\n```", "no-such.png", id="picture"),
    ],
)
def test_a_broken_reference_fails_the_build_and_is_named(small_book, prose, complaint):
    write_chapter(small_book, prose=prose, code="ready")
    assert complaint in build_twice(small_book)
