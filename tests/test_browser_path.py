"""Where there is no browser, whoever needs one hears what to run; nothing comes unasked."""

import browser_path
import pytest


@pytest.fixture
def bare(monkeypatch):
    """A machine without a browser; return the commands that would have been run."""
    commands = []
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(browser_path.shutil, "which", lambda name: None)
    monkeypatch.setattr(browser_path, "MAC", "/no/browser")
    monkeypatch.setattr(browser_path, "_playwrights_own", lambda: "/no/browser/either")
    monkeypatch.setattr(browser_path.subprocess, "run", lambda *a, **k: commands.append(a[0]))
    return commands


def test_no_browser_fails_with_the_command_to_run(bare):
    with pytest.raises(browser_path.NoBrowser, match="make browsers"):
        browser_path.find_browser()
    with pytest.raises(SystemExit, match="make browsers"):
        browser_path.main([])
    assert bare == []


def test_one_is_installed_on_request_alone(bare):
    with pytest.raises(browser_path.NoBrowser):  # the stand-in installs nothing
        browser_path.main(["--install"])
    assert bare[0][1:] == ("-m", "playwright", "install", "chromium")


def test_a_named_browser_must_be_there(bare, monkeypatch, tmp_path):
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "chromium"))
    with pytest.raises(browser_path.NoBrowser, match="no such file"):
        browser_path.find_browser()
    (tmp_path / "chromium").touch()
    assert browser_path.find_browser() == str(tmp_path / "chromium")
