"""The inputs of a defined operator: which names formulas use, and which tensors of a node they stand for."""

from __future__ import annotations

import keyword
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from effaudit.graph import ENCODINGS, Value
from effaudit.operators.evaluation import Scope, Tensors
from effaudit.operators.formula import FUNCTIONS, Names

_RESERVED: Final = frozenset(("attrs", "out", "outs", *FUNCTIONS, *(e.dtype for e in ENCODINGS.values())))


class Inputs(msgspec.Struct, frozen=True):
    """Names in order, those that may be omitted, and the name of all inputs behind them ("": there are none)."""

    names: tuple[str, ...]
    optional: frozenset[str] = frozenset()
    rest: str = ""

    @property
    def in_shapes(self) -> Names:
        return Names(frozenset(self.names), frozenset((self.rest,) if self.rest else ()))

    @property
    def in_costs(self) -> Names:
        """The names that formulas of cost may use: `out` is the first output, `outs` are all."""
        known = self.in_shapes
        return Names(known.tensors | {"out"}, known.groups | {"outs"})

    def bind(self, values: Sequence[Value | None], attrs: Mapping[str, Any]) -> Scope:
        """The tensors of a node by name. Raises ValueError on a needed one that is missing, or on too many."""
        named = dict.fromkeys(self.names) | dict(zip(self.names, values, strict=False))
        extra = tuple(values[len(self.names) :])
        for name in self.names:
            if named[name] is None and name not in self.optional:
                raise ValueError(f"input {name} is not given")
        if not self.rest and any(value is not None for value in extra):
            raise ValueError(f"{len(values)} inputs where the definition has {len(self.names)}")
        return Scope(named, {self.rest: extra} if self.rest else {}, attrs)


def with_outputs(scope: Scope, outputs: Tensors) -> Scope:
    first = next((value for value in outputs if value is not None), None)
    return Scope({**scope.tensors, "out": first}, {**scope.groups, "outs": outputs}, scope.attrs)


def inputs_of(stated: Sequence[str]) -> Inputs:
    """The inputs a definition states. Raises ValueError, `[i]: what is wrong`."""
    names: list[str] = []
    optional: set[str] = set()
    rest = ""
    for i, text in enumerate(stated):
        name = text.rstrip("?*")
        mark = text[len(name) :]
        if rest:
            raise ValueError(f"[{i}]: nothing may follow {rest}*, which takes all inputs that are left")
        if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name) or len(mark) > 1:
            raise ValueError(f"[{i}]: {text[:60]!r} is no name (letters, digits and _; `?` optional, `*` any number)")
        if name in _RESERVED:
            raise ValueError(f"[{i}]: {name!r} means something else in formulas; give the input another name")
        if name in names:
            raise ValueError(f"[{i}]: {name!r} is there twice")
        if mark == "*":
            rest = name
            continue
        names.append(name)
        if mark == "?":
            optional.add(name)
    if rest in names:
        raise ValueError(f"[{len(stated) - 1}]: {rest!r} is there twice")
    return Inputs(tuple(names), frozenset(optional), rest)
