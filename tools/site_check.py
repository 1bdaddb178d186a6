"""Checks that the pages of a built site load nothing from another host.

Run it with ``python tools/site_check.py FOLDER``. What a reader follows, a link in the text, may
lead anywhere; scripts, styles, fonts, frames and pictures may not come from elsewhere.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

ELSEWHERE = re.compile(r"\s*(https?:)?//", re.IGNORECASE)
IN_CSS = re.compile(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)", re.IGNORECASE)
LOADED = ("href", "src", "srcset", "data", "poster", "xlink:href")
"""Attributes that load what they name, but for the ``href`` of an ``a``."""


class Loads(HTMLParser):
    """Collects the addresses elsewhere that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what a tag loads, and what its style does."""
        for name, value in attrs:
            if value and name in LOADED and tag != "a" and ELSEWHERE.match(value):
                self.found.append(value)
            if value and name == "style":
                self.found += IN_CSS.findall(value)

    def handle_data(self, data: str) -> None:
        """Take what a page's own styles load."""
        if self.cdata_elem == "style":
            self.found += IN_CSS.findall(data)


def loaded_from_elsewhere(folder: Path) -> Iterator[str]:
    """Yield a line for each address on another host that a page or a style in a folder loads."""
    pages = sorted(folder.rglob("*.html"))
    if not pages:
        raise FileNotFoundError(f"there is no page in {folder}")
    for path in [*pages, *sorted(folder.rglob("*.css"))]:
        text = path.read_text("utf-8")
        if path.suffix == ".css":
            found = IN_CSS.findall(text)
        else:
            loads = Loads()
            loads.feed(text)
            found = loads.found
        yield from (f"{path.relative_to(folder)} loads {address}" for address in found)


if __name__ == "__main__":
    sys.exit("\n".join(loaded_from_elsewhere(Path(sys.argv[1]))) or None)
