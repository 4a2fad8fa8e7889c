"""HTML read strictly."""

from __future__ import annotations

import re
from html.parser import HTMLParser

COLOUR = re.compile(r"(?<![-\w])color\s*:|background|#[0-9a-f]{3}|rgb", re.IGNORECASE)


class Strict(HTMLParser):
    """Refuses what is not closed, and keeps the cells of each row."""

    def __init__(self):
        super().__init__()
        self.open, self.rows, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "br"), tag
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def parsed(text):
    parser = Strict()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    assert not COLOUR.search(text), "the notebook has colours of its own, dark or light"
    return parser
