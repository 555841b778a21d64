"""A fault in the book fails its build, says where it is, and fails the next build too.

One small book is built five times: as it stands, twice with every fault in its prose, then with a
failing cell, at last with a wrong package. What each build printed is read many times.
"""

import re
import signal
import subprocess

import build_book
import nbformat
import pytest
from conftest import build, copy_tree
from forked_kernels import Kernel

PARITY = """from layernorm_book import LayerNorm, check_parity, layer_norm, layer_norm_backward

layer = check_parity(LayerNorm)
functions = check_parity(layer_norm, backward=layer_norm_backward)
assert layer.ok and functions.ok, f"{layer}\\nFunctions:\\n{functions}\""""
CODES = {
    "parity": PARITY,
    "plain": "width = 768\nassert width == 768, 'one short'",
}
RSQRT = r"(torch\.rsqrt|1 / np\.sqrt)\(var \+ (.*?eps\)?)\)"
PROSE_FAULTS = {  # what is written: what is complained of
    "See [nowhere](nowhere.md).": "nowhere",
    "See {cite}`nobody1999nothing`.": "nobody1999nothing",
    "See {ref}`no-such-label`.": "no-such-label",
    "```{figure} no-such.png\n```": "no-such.png",
    r"So $\frac{1$ it is.": "bad formula",
    'See <a href="notation.html#no-such-place">here</a>.': "notation.html#no-such-place",
    'See <a href="no-such-page.html">here</a>.': "no-such-page.html",
}


def write_chapter(tree, name, prose, code):
    cells = [
        nbformat.v4.new_markdown_cell(f"# {name}\n\n{prose}"),
        nbformat.v4.new_code_cell("ready = True"),
        nbformat.v4.new_code_cell(code),
    ]
    path = tree / "book" / f"{name}.ipynb"
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells)), encoding="utf-8")


def build_in_vain(tree):
    """Return what a build printed, having seen it fail and leave no book behind."""
    status, printed = build(tree)
    assert status != 0, printed
    assert not (tree / "_build" / "html").exists()
    return printed


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    """What each build printed, by its name; and the folder of pages of the first, kept aside."""
    tree = tmp_path_factory.mktemp("small_book")
    copy_tree(tree)
    listed = "".join(f"  - file: book/{name}\n" for name in CODES)
    (tree / "_toc.yml").write_text(f"format: jb-book\nroot: book/notation\nchapters:\n{listed}")
    for name, code in CODES.items():
        write_chapter(tree, name, "A chapter.", code)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOOK_URL", "https://book.example/")
        status, printed = build(tree)
    assert status == 0, printed
    found = {"as it stands": printed, "pages": (tree / "_build" / "html").rename(tree / "kept")}

    (tree / "_build" / "book.zip").touch()
    write_chapter(tree, "plain", "\n\n".join(PROSE_FAULTS), CODES["plain"])
    found["prose"], found["prose again"] = build_in_vain(tree), build_in_vain(tree)

    write_chapter(tree, "plain", "A chapter.", CODES["plain"].replace("== 768", "== 769"))
    found["cell"] = build_in_vain(tree)

    for file in ("layer.py", "reference.py"):
        source = tree / "src" / "layernorm_book" / file
        text = source.read_text(encoding="utf-8")
        broken = re.sub(RSQRT, lambda m: f"{m[1]}(var) / (1 + {m[2]} * {m[1]}(var))", text)
        assert broken != text
        source.write_text(broken, encoding="utf-8")
    found["package"] = build_in_vain(tree)
    return found


def test_a_kernel_that_does_not_end_in_time_is_ended():
    for end, signum in ((Kernel.terminate, signal.SIGTERM), (Kernel.kill, signal.SIGKILL)):
        with subprocess.Popen(("sleep", "60")) as program:
            kernel = Kernel(program.pid)
            assert kernel.poll() is None
            end(kernel)
            assert program.wait(10) == -signum


def test_a_sound_book_is_built(builds):
    assert {path.stem for path in (builds["pages"] / "book").glob("*.html")} > set(CODES)


def test_what_was_packed_before_a_build_is_there_after_it(builds):
    assert (builds["pages"].parent / "_build" / "book.zip").is_file()


@pytest.mark.parametrize(("arguments", "left"), [([], False), (["--links"], True)])
def test_to_ask_the_links_leaves_the_book_alone(tmp_path, monkeypatch, arguments, left):
    (tmp_path / "html").mkdir()
    monkeypatch.setattr(build_book, "BUILD", tmp_path)
    monkeypatch.setattr(build_book.run_notebooks, "run", lambda: (None, ["a chapter"]))
    assert build_book.main(arguments) == 1
    assert (tmp_path / "html").exists() == left


def test_a_known_address_gives_canonical_links_and_a_card(builds):
    text = (builds["pages"] / "book" / "plain.html").read_text(encoding="utf-8")
    assert '<link rel="canonical" href="https://book.example/book/plain.html"' in text
    assert 'property="og:image" content="https://book.example/_static/card.png"' in text
    assert (builds["pages"] / "_static" / "card.png").is_file()


@pytest.mark.parametrize("complaint", PROSE_FAULTS.values())
@pytest.mark.parametrize("name", ["prose", "prose again"])
def test_a_fault_in_the_prose_is_named_each_time(builds, name, complaint):
    warnings = re.findall(r"(?:WARNING|ERROR): .*", builds[name])
    assert any(complaint in line for line in warnings), warnings


@pytest.mark.parametrize("name", ["cell", "package"])
def test_a_failing_cell_is_named_each_time(builds, name):
    assert "Failed: book/plain.ipynb" in builds[name]
    assert "assert width == 769" in builds[name]
    assert "one short" in builds[name]


def test_a_parity_breach_is_named_with_its_case(builds):
    _, said = builds["package"].split("Failed: book/parity.ipynb")
    layer, functions = said.split("Failed: ")[0].split("\nFunctions:\n")
    for report in (layer, functions):
        assert re.search(r"n = 4, eps 0\.5.* FAILS", report)


@pytest.mark.parametrize(
    ("name", "count"),
    [("as it stands", 2), ("prose", 0), ("prose again", 0), ("cell", 1), ("package", 2)],
)
def test_only_what_changed_runs_again_and_never_too_little(builds, name, count):
    assert f"Running {count} of 2 notebooks" in builds[name]
