"""Names much like one that is not known, as messages suggest them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

MAX_LETTERS: Final = 100  # of a word that are compared: the time grows with their square


def nearest(word: str, names: Iterable[str], most: int = 3, alike: float = 0.6) -> list[str]:
    """At most `most` of the names whose likeness to the word (0 to 1, that of difflib) is `alike` or more, the nearest
    first."""
    from difflib import get_close_matches  # only a mistake needs it

    return get_close_matches(word[:MAX_LETTERS], list(names), most, alike)


def suggested(names: Sequence[str]) -> str:
    """ "; did you mean a, b or c?", to follow what is wrong; "" where no name is near. The names are safe to show."""
    if not names:
        return ""
    *rest, last = names
    return f"; did you mean {', '.join(rest)}{' or ' if rest else ''}{last}?"


def did_you_mean(word: str, names: Iterable[str], most: int = 3, alike: float = 0.6) -> str:
    """The nearest names as a suggestion; "" where none is near."""
    return suggested(nearest(word, names, most, alike))
