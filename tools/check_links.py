"""Ask every address outside the book whether it still answers; exit 1 where one does not.

It reads the built pages and needs the network, so it runs on a schedule and not in the build. An
address that refuses robots (401, 403, 429) counts as there.
"""

import re
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path

HTML = Path(__file__).parents[1] / "_build" / "html"
REFUSES_ROBOTS = (401, 403, 429)


def addresses(folder):
    """Return every address outside the book that a page links to, once."""
    found = set()
    for page in folder.rglob("*.html"):
        links = re.findall(r'href="(https?://[^"#]+)', page.read_text(encoding="utf-8"))
        found.update(map(unescape, links))
    return sorted(found)


def problem(address):
    """Return what is wrong with an address, or None where it answers."""
    request = urllib.request.Request(address, headers={"User-Agent": "Mozilla/5.0"})
    try:
        with urllib.request.urlopen(request, timeout=30):
            return None
    except urllib.error.HTTPError as error:
        return None if error.code in REFUSES_ROBOTS else f"{address}: {error.code}"
    except OSError as error:
        return f"{address}: {error}"


def main():
    """Check them side by side, and list those that do not answer."""
    found = addresses(HTML)
    if not found:
        sys.exit(f"No links found in {HTML}: build the book first (make book).")
    with ThreadPoolExecutor(8) as pool:
        problems = [p for p in pool.map(problem, found) if p]
    print("\n".join(problems) or f"{len(found)} addresses answer")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
