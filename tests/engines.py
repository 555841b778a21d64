"""Three browser engines behind one small interface: Chromium, Firefox and WebKitGTK.

Playwright drives Chromium alone. The other two speak WebDriver: Firefox over a websocket (BiDi),
WebKit over HTTP, and both take the same description of what a hand does. Selenium would be nine
packages in place of the fifteen lines that ask here, and wants a geckodriver for Firefox.
"""

import base64
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from browser_path import find_firefox, find_webkit
from websocket import create_connection

WIDTH, HEIGHT = 1280, 800
KEYS = {"ArrowUp": "\ue013", "ArrowDown": "\ue015", "Home": "\ue011", "End": "\ue010"}
# Firefox is not to ask anybody anything: whatever is not this machine goes to a dead proxy.
PROFILE = {
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.no_proxies_on": "localhost,127.0.0.1",
    "ui.prefersReducedMotion": 1,
}


class Chromium:
    """Chromium, driven by Playwright."""

    def __init__(self, browser):
        self.heard = []
        self.page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.heard.append(str(error)))

    def _hear(self, message):
        if message.type in ("error", "warning"):
            self.heard.append(message.text)

    def open(self, url):
        self.page.goto("about:blank")
        self.heard.clear()
        self.page.goto(url)

    def evaluate(self, script):
        return self.page.evaluate(f"() => {{ {script} }}")

    def drag(self, *places):
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place)
        self.page.mouse.up()

    def press(self, key):
        self.page.keyboard.press(key)

    def resize(self, width, height):
        self.page.set_viewport_size({"width": width, "height": height})

    def screenshot(self, path):
        self.page.screenshot(path=path)

    def close(self):
        self.page.close()


class _Spoken:
    """A browser that is a program of its own and takes WebDriver's actions."""

    def __init__(self):
        found = self.find()
        self.programs = []
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        try:
            self.begin(found)
        except BaseException:
            _Spoken.close(self)
            raise

    def start(self, *command, **environment):
        """Start a program at home in our folder; return the file of what it prints."""
        printed = Path(self.folder.name, f"printed{len(self.programs)}")
        home = {"HOME": self.folder.name, "XDG_RUNTIME_DIR": self.folder.name}
        with printed.open("wb") as file:
            program = subprocess.Popen(
                command,
                env=os.environ | home | environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.programs.append(program)
        return printed

    def drag(self, *places):
        move = {"type": "pointerMove", "duration": 0, "origin": "viewport"}
        moves = [move | {"x": round(x), "y": round(y)} for x, y in places]
        down, up = ({"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp"))
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}}
        self.perform([mouse | {"actions": [moves[0], down, *moves[1:], up]}])

    def press(self, key):
        strokes = [{"type": kind, "value": KEYS[key]} for kind in ("keyDown", "keyUp")]
        self.perform([{"type": "key", "id": "keyboard", "actions": strokes}])

    def screenshot(self, path):
        Path(path).write_bytes(base64.b64decode(self.picture()))

    def close(self):
        for program in reversed(self.programs):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGTERM)
            program.wait(10)
        self.folder.cleanup()


class Firefox(_Spoken):
    """Firefox, which speaks WebDriver BiDi by itself."""

    find = staticmethod(find_firefox)

    def begin(self, found):
        self.heard = []
        lines = (f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in PROFILE.items())
        Path(self.folder.name, "user.js").write_text("".join(lines))
        options = ("--headless", "--no-remote", "--profile", self.folder.name)
        printed = self.start(found, *options, "--remote-debugging-port", "0")
        address = wait_for(lambda: re.search(r"BiDi listening on (\S+)", printed.read_text()))[1]
        self.socket = create_connection(f"{address}/session", suppress_origin=True, timeout=60)
        self.asked = 0
        self.ask("session.new", capabilities={})
        self.page = {"context": self.ask("browsingContext.getTree")["contexts"][0]["context"]}
        self.ask("session.subscribe", events=["log.entryAdded"])
        self.resize(WIDTH, HEIGHT)

    def ask(self, method, **parameters):
        self.asked += 1
        self.socket.send(json.dumps({"id": self.asked, "method": method, "params": parameters}))
        while (message := json.loads(self.socket.recv())).get("id") != self.asked:
            entry = message["params"]
            if entry.get("level") in ("error", "warn"):
                self.heard.append(entry["text"])
        assert message["type"] == "success", message
        return message["result"]

    def open(self, url):
        self.ask("browsingContext.navigate", **self.page, url="about:blank", wait="complete")
        self.heard.clear()
        self.ask("browsingContext.navigate", **self.page, url=url, wait="complete")

    def evaluate(self, script):
        script = f"JSON.stringify((() => {{ {script} }})() ?? null)"
        answer = self.ask(
            "script.evaluate", expression=script, target=self.page, awaitPromise=False
        )
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"])

    def perform(self, actions):
        self.ask("input.performActions", **self.page, actions=actions)

    def resize(self, width, height):
        viewport = {"width": width, "height": height}
        self.ask("browsingContext.setViewport", **self.page, viewport=viewport)

    def picture(self):
        return self.ask("browsingContext.captureScreenshot", **self.page)["data"]

    def close(self):
        self.socket.close()
        super().close()


class WebKit(_Spoken):
    """WebKitGTK in its MiniBrowser, on a screen that nobody sees.

    Its driver does not pass on what the console says: EAR in test_engines.py listens.
    """

    find = staticmethod(find_webkit)

    def begin(self, found):
        driver, browser, screen = found
        size = ("-screen", "0", "1600x1200x24")
        printed = self.start(screen, "-displayfd", "1", *size, "-nolisten", "tcp")
        display = wait_for(lambda: printed.read_text().strip())
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        alone = {"WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1", "GDK_BACKEND": "x11"}
        alone["WEBKIT_DISABLE_COMPOSITING_MODE"] = "1"  # nobody looks: half of its CPU
        self.start(driver, f"--port={port}", DISPLAY=f":{display}", **alone)
        self.address = f"http://localhost:{port}"
        wait_for(self.is_up)
        options = {"binary": browser, "args": ["--automation"]}
        wanted = {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}}
        self.address += f"/session/{self.ask('/session', wanted)['sessionId']}"
        self.resize(WIDTH, HEIGHT)

    def ask(self, path, content=None):
        data = content if content is None else json.dumps(content).encode()
        with urllib.request.urlopen(self.address + path, data, timeout=60) as answer:
            return json.load(answer)["value"]

    def is_up(self):
        with contextlib.suppress(OSError):
            return self.ask("/status")

    def open(self, url):
        self.ask("/url", {"url": "about:blank"})
        self.ask("/url", {"url": url})

    def evaluate(self, script):
        return self.ask("/execute/sync", {"script": script, "args": []})

    @property
    def heard(self):
        return self.evaluate("return window.heard")

    def perform(self, actions):
        self.ask("/actions", {"actions": actions})

    def resize(self, width, height):
        """Resize the page: the window is higher by its bar, and never narrower than that."""
        place = {"x": 0, "y": 0, "width": width}
        self.ask("/window/rect", place | {"height": height})
        bar = height - self.evaluate("return innerHeight")
        self.ask("/window/rect", place | {"height": height + bar})

    def picture(self):
        return self.ask("/screenshot")


ENGINES = {"Chromium": Chromium, "Firefox": Firefox, "WebKit": WebKit}


def wait_for(question, seconds=30):
    """Ask until the answer is one; return it."""
    end = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < end, "it does not answer"
        time.sleep(0.02)
    return answer
