"""How large a tensor is, where that can be told: products of many open dims outgrow every expression."""

from __future__ import annotations

from typing import Final

from effaudit import dims
from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.graph import Value

MAX_TEXT: Final = 1_000  # characters of a dim


def written(dim: Dim) -> str:
    """A dim as text. Every node may repeat it: a very long expression is cut, as "..." at its end shows."""
    text = dims.text(dim)
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 3]}..."


def elements(value: Value | None) -> Dim | None:
    """The elements of a tensor; None where its rank is not known or the expression would be too large."""
    if value is None or (value.shape is None and value.extent is None):
        return None
    try:
        return value.numel
    except Undecided:
        return None


def nbytes(value: Value | None) -> Dim | None:
    """The bytes of a tensor; None as in `elements`, and where its elements have no fixed size."""
    if value is None or not value.encoding.bits or (value.shape is None and value.extent is None):
        return None
    try:
        return value.nbytes
    except Undecided:
        return None
