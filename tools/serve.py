"""Serve the built book on this machine, packed and policed as a good host would.

    python tools/serve.py [PORT]     serve _build/html and print the address
    python tools/serve.py --policy   print the content security policy, for your host's settings

The policy names no foreign origin. Inline scripts (the theme's choice of light or dark, before the
page is drawn) are allowed by their hashes, and a live lab is a module made from a blob.
"""

import base64
import gzip
import hashlib
import re
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

HTML = Path(__file__).parents[1] / "_build" / "html"
PACKED = {".html", ".css", ".js", ".svg", ".txt", ".json", ".inv"}
INLINE_SCRIPT = re.compile(r"<script(?![^>]*\b(?:src|type)=)[^>]*>(.*?)</script>", re.DOTALL)


def inline_hashes(folder):
    """Return the hashes of every inline script in the pages of `folder`."""
    scripts = {
        script
        for page in Path(folder).rglob("*.html")
        for script in INLINE_SCRIPT.findall(page.read_text(encoding="utf-8"))
    }
    digests = (hashlib.sha256(s.encode()).digest() for s in scripts)
    return sorted(f"'sha256-{base64.b64encode(d).decode()}'" for d in digests)


def policy(folder=HTML):
    """Return the content security policy under which every page of `folder` works."""
    scripts = " ".join(["'self'", "blob:", *inline_hashes(folder)])
    return (
        f"default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self'; connect-src 'self'; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


# A policy holds for the page that it comes with. With these it would be 500 bytes for nothing.
NO_PAGE = {".css", ".js", ".woff2"}


class Handler(SimpleHTTPRequestHandler):
    """Files of one folder with gzip and the policy."""

    protocol_version = "HTTP/1.1"
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".woff2": "font/woff2"}

    def __init__(self, *args, csp="", **kwargs):
        self.csp = csp
        super().__init__(*args, **kwargs)

    def end_headers(self):
        """Send the policy with every answer that can become a page, errors included."""
        if Path(self.path.split("?")[0]).suffix not in NO_PAGE:
            self.send_header("Content-Security-Policy", self.csp)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def send_head(self):
        """Answer with the packed file where the browser takes that."""
        path = Path(self.translate_path(self.path))
        accepts = "gzip" in self.headers.get("Accept-Encoding", "")
        if not (accepts and path.is_file() and path.suffix in PACKED):
            return super().send_head()
        packed = gzip.compress(path.read_bytes(), mtime=0)
        self.send_response(200)
        self.send_header("Content-Type", f"{self.guess_type(str(path))}; charset=utf-8")
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(packed)))
        self.end_headers()
        return BytesIO(packed)

    def log_message(self, *args):
        """Keep the terminal for the address alone."""


def server(folder=HTML, port=0):
    """Return a server of `folder` on this machine; port 0 takes a free one."""
    handler = partial(Handler, directory=str(folder), csp=policy(folder))
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


def main(arguments):
    """Serve until interrupted, or print the policy."""
    if not (HTML / "index.html").is_file():
        print("There is no book in _build/html yet. Make it with: make book", file=sys.stderr)
        return 1
    if arguments == ["--policy"]:
        print(f"Content-Security-Policy: {policy()}")
        return 0
    port = int(arguments[0]) if arguments else 8000
    try:
        book = server(port=port)
    except OSError as error:
        print(f"Port {port}: {error.strerror}. Try: make serve PORT={port + 1}", file=sys.stderr)
        return 1
    print(f"http://127.0.0.1:{book.server_port}/   (Ctrl+C stops)", flush=True)
    try:
        book.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        book.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
