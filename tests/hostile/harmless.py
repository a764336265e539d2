"""What makes a document of each format safe to open, whatever the names in it."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Final

# Control characters but tab and newline, C1, and the marks that turn the direction of text around.
FORBIDDEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]")
_NUMBER: Final = re.compile(r"-?[0-9.]+(e[-+]?[0-9]+)?(\.\.-?[0-9.]*)?")
_TAGS: Final = frozenset(("div", "p", "table", "tr", "th", "td", "h4"))
_SVG: Final = "{http://www.w3.org/2000/svg}"
_SHAPES: Final = frozenset(("svg", "title", "style", "rect", "text", "line", "polygon"))
_COMMAND: Final = re.compile(r"\\([a-zA-Z]+|.)")
_COMMANDS: Final = frozenset(
    ("begin", "end", "toprule", "midrule", "bottomrule", "textbackslash", "textasciitilde", "textasciicircum")
)


def text(document: str) -> None:
    found = FORBIDDEN.search(document)
    assert found is None, (
        f"prints {found[0]!r} as it is, near {document[max(0, found.start() - 40) : found.end() + 40]!r}"
    )


def as_json(document: str) -> None:
    assert document.isascii()
    json.loads(document)


def lines_of_json(document: str) -> None:
    assert document.isascii()
    for line in document.splitlines():
        json.loads(line)


def as_csv(document: str) -> None:
    csv.field_size_limit(1 << 24)
    rows = list(csv.reader(io.StringIO(document, newline=""), strict=True))
    assert len({len(row) for row in rows}) <= 1, "a name broke the rows apart"
    for row in rows:
        for cell in row:
            formula = len(cell) > 1 and cell[0] in "=+-@\t\r" and not _NUMBER.fullmatch(cell)
            assert not formula, f"a spreadsheet would compute {cell[:80]!r}"


def markdown(document: str) -> None:
    """No raw HTML, and in every table as many bars per row as in its heading."""
    bars = 0
    for line in document.splitlines():
        plain = re.sub(r"\\.", "", line)
        assert not re.search(r"<[a-zA-Z/!?]", plain), f"raw HTML: {line[:200]!r}"
        if not line.startswith("|"):
            bars = 0
        elif bars:
            assert plain.count("|") == bars, f"a name broke a row apart: {line[:200]!r}"
        else:
            bars = plain.count("|")


def latex(document: str) -> None:
    """Only the commands of a table; the special characters only as part of those."""
    for line in document.splitlines():
        if line.startswith("%"):
            continue
        names = [found[1] for found in _COMMAND.finditer(line)]
        strange = [name for name in names if name.isalpha() and name not in _COMMANDS]
        assert not strange, f"the commands {strange[:5]} in {line[:200]!r}"
        plain = _COMMAND.sub("", line)
        assert not re.search(r"[%$#_~^]", plain), f"special characters in {line[:200]!r}"


def html(document: str) -> None:
    strange: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            kept = tag in _TAGS and all(name in ("class", "style") for name, _ in attrs)
            strange.extend([] if kept else [tag])

        def handle_comment(self, data: str) -> None:
            strange.append(f"<!--{data[:40]}")

    Tags().feed(document)
    assert not strange, f"tags of a name's own: {strange[:5]}"


def svg(document: str) -> None:
    """XML of drawings and words alone: no scripts, links, handlers or images."""
    for element in ElementTree.fromstring(document).iter():
        assert element.tag.removeprefix(_SVG) in _SHAPES, f"an element of its own: {element.tag[:80]}"
        strange = [name for name in element.attrib if name.startswith("on") or "href" in name]
        assert not strange, f"attributes that act: {strange}"


RULES: Final[Mapping[str, Callable[[str], None]]] = {
    "text": text,
    "json": as_json,
    "jsonl": lines_of_json,
    "csv": as_csv,
    "markdown": markdown,
    "latex": latex,
    "html": html,
    "svg": svg,
}


def check(form: str, document: str) -> None:
    """Raises AssertionError where a document of a format ("csv", or "csv nodes") is not safe to open."""
    text(document)
    RULES[form.partition(" ")[0]](document)
