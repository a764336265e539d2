"""Text for people in lines of 80 columns."""

from __future__ import annotations

from typing import Final

from effaudit.printable import printable

WIDTH: Final = 80


def wrapped(label: str, text: str, indent: int | None = None) -> list[str]:
    """`text` behind a label, whole and harmless, on as many lines as it takes; those after the first are indented by
    `indent` (None: as wide as the label). A word too long for a line is cut, but for an address, which is to be copied.
    """
    from textwrap import wrap  # costs more than most reports take to print

    rest = " " * (len(label) if indent is None else indent)
    safe = printable(text, None)
    if safe.startswith("https://") and " " not in safe:
        return [label + safe]
    pieces = wrap(safe, WIDTH - max(len(label), len(rest)), break_on_hyphens=False) or [""]
    return [f"{rest if i else label}{piece}".rstrip() for i, piece in enumerate(pieces)]
