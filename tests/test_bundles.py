"""The committed front ends are what their sources make."""

import gzip
import shutil

import bundle_labs
import pytest

from layernorm_book import widgets

LABS = [getattr(widgets, name) for name in widgets.__all__]


def test_the_bundles_were_made_from_the_files_that_are_here():
    assert bundle_labs.stale() == [], "run: make bundle"


def test_a_change_of_a_source_or_of_a_bundle_is_seen(tmp_path):
    copy = shutil.copytree(bundle_labs.WIDGETS, tmp_path / "widgets")
    for name in ("shared/bars.js", "bundled/lab.js"):
        (copy / name).write_text((copy / name).read_text(encoding="utf-8") + " ", encoding="utf-8")
    (copy / "new.css").touch()
    assert bundle_labs.stale(copy) == ["bundled/lab.js", "new.css", "shared/bars.js"]


@pytest.mark.skipif(not bundle_labs.node(), reason="no Node.js, or no bundler: make bundle")
def test_the_locked_bundler_makes_the_same_bytes(tmp_path):
    bundle_labs.bundle(tmp_path)
    committed = bundle_labs.WIDGETS / "bundled"
    assert {p.name for p in tmp_path.iterdir()} == {
        p.name for p in committed.iterdir() if p.name != bundle_labs.SUMS
    }
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (committed / path.name).read_bytes(), path.name


@pytest.mark.parametrize("lab", [*LABS, lambda: widgets.LayerNormLab(stage="statistics")])
def test_a_lab_weighs_less_than_twelve_kilobytes(lab):
    widget = lab()
    assert sum(len(gzip.compress(part.encode())) for part in (widget._esm, widget._css)) < 12_000


def test_a_lab_that_changes_its_stage_changes_its_front_end():
    lab, first = widgets.LayerNormLab(), widgets.LayerNormLab(stage="statistics")
    assert lab._esm != first._esm
    assert lab._css != first._css
    lab.stage = "statistics"
    assert (lab._esm, lab._css) == (first._esm, first._css)


def test_the_host_is_light():
    assert len(gzip.compress((bundle_labs.ROOT / "book/_static/widgets.js").read_bytes())) < 2_000


def test_the_lock_file_names_no_registry():
    lock = (bundle_labs.TOOL / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in lock
    assert lock.count('"integrity"') == lock.count('"node_modules/')
