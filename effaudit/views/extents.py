"""How large a tensor is, where that can be told: a graph may multiply open dims until no expression holds the product."""

from __future__ import annotations

from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.graph import Value


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
