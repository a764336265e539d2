"""What the short forms have in common: reading their arguments by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from effaudit.dims import Dim
from effaudit.errors import UsageError
from effaudit.explain.arguments import dtype_of, flag, shape_of, size_of, whole
from effaudit.explain.call import Call, Operand
from effaudit.explain.lookup import Operator
from effaudit.graph import FLOAT, Encoding, Shape

DTYPE: Final = "dtype"


class Short(msgspec.Struct, frozen=True):
    """A short form: which operators take it, what its arguments mean, those it cannot do without (any one of each
    group), an example, and how the call is built."""

    ops: frozenset[str]
    keys: Mapping[str, str]
    needs: tuple[tuple[str, ...], ...]
    example: str
    build: Callable[[Operator, Given], Call]
    examples: Mapping[str, str] = {}

    def example_for(self, op: str) -> str:
        return self.examples.get(op, self.example)


class Given:
    """The arguments of a short form, read by name."""

    def __init__(self, arguments: Mapping[str, str], attrs: Mapping[str, Any]) -> None:
        self._arguments = arguments
        self.attrs = attrs

    def has(self, name: str) -> bool:
        return name in self._arguments

    def text(self, name: str, default: str = "") -> str:
        return self._arguments.get(name, default)

    def size(self, name: str, default: Dim = 1) -> Dim:
        """A number or the name of an open dim."""
        return size_of(self._arguments[name], name) if name in self._arguments else default

    def number(self, name: str, default: int = 1) -> int:
        """A number of 1 or more."""
        found = whole(self._arguments[name], name) if name in self._arguments else default
        if found < 1:
            raise UsageError(f"{name}: expected 1 or more, not {found}")
        return found

    def sizes(self, name: str) -> Shape | None:
        """One or more sizes: `56x56`."""
        return shape_of(self._arguments[name], name) if name in self._arguments else None

    def flag(self, name: str, default: bool = False) -> bool:
        return flag(self._arguments[name], name) if name in self._arguments else default

    @property
    def encoding(self) -> Encoding:
        return dtype_of(self._arguments[DTYPE], DTYPE) if DTYPE in self._arguments else FLOAT

    def data(self, *shape: Dim) -> Operand:
        """An activation of the form's element type."""
        return Operand(self.encoding, shape)

    def weight(self, *shape: Dim) -> Operand:
        """A weight of the form's element type."""
        return Operand(self.encoding, shape, True)


def divided(whole_: Dim, parts: Dim, what: str) -> Dim:
    """A share that must come out whole. Raises UsageError."""
    from effaudit import dims

    if isinstance(parts, int) and isinstance(whole_, int) and (parts < 1 or whole_ % parts):
        raise UsageError(f"{what}: {whole_} does not divide into {parts}")
    return dims.floordiv(whole_, parts)
