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
    monkeypatch.setattr(browser_path, "MINI_BROWSERS", "/no/browser/*")
    monkeypatch.setattr(browser_path, "_playwrights_own", lambda: "/no/browser/either")
    monkeypatch.setattr(browser_path.subprocess, "run", lambda *a, **k: commands.append(a[0]))
    return commands


def test_no_browser_fails_with_the_command_to_run(bare):
    with pytest.raises(browser_path.NoBrowser, match="make browsers"):
        browser_path.find_browser()
    with pytest.raises(SystemExit, match="make browsers"):
        browser_path.main([])
    assert bare == []


def test_each_engine_says_how_to_get_it(bare):
    with pytest.raises(browser_path.NoBrowser, match="firefox-esr"):
        browser_path.find_firefox()
    with pytest.raises(browser_path.NoBrowser, match="webkit2gtk-driver"):
        browser_path.find_webkit()


def test_chromium_is_installed_on_request_alone(bare, capsys):
    with pytest.raises(SystemExit, match="make browsers"):  # the stand-in installs nothing
        browser_path.main(["--install"])
    assert [command[1:] for command in bare] == [("-m", "playwright", "install", "chromium")]
    assert "firefox-esr webkit2gtk-driver xvfb" in capsys.readouterr().err


def test_root_gets_what_is_missing_by_name(bare, monkeypatch):
    here = {"apt-get", "firefox"}
    monkeypatch.setattr(browser_path.shutil, "which", lambda name: name if name in here else None)
    monkeypatch.setattr(browser_path.os, "geteuid", lambda: 0, raising=False)
    browser_path.install_browsers()
    update, install = bare
    assert update[:2] == ("apt-get", "update")
    assert install[:2] == ("apt-get", "install")
    assert install[-3:] == ("chromium", "webkit2gtk-driver", "xvfb")


def test_nothing_is_installed_where_all_is_there(bare, monkeypatch):
    monkeypatch.setattr(browser_path, "missing_packages", list)
    browser_path.install_browsers()
    assert bare == []


def test_a_named_browser_must_be_there(bare, monkeypatch, tmp_path):
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "chromium"))
    with pytest.raises(browser_path.NoBrowser, match="no such file"):
        browser_path.find_browser()
    (tmp_path / "chromium").touch()
    assert browser_path.find_browser() == str(tmp_path / "chromium")
