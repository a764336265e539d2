"""How a rule is called: a node's inputs and attributes as the arguments its signature names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from effaudit.graph import FLOAT, INT64, Node, Value
from effaudit.ops._registry import Signature

# What a rule raises on a node that breaks the operator's contract (a string where ints are due, too few dims, ...).
INVALID: Final = (ValueError, TypeError, IndexError, KeyError, ArithmeticError, AttributeError)


def arguments(node: Node, inputs: list[Value | None], takes: Signature) -> tuple[list[Value | None], Mapping[str, Any]]:
    """The positional and keyword arguments of a rule.

    Raises ValueError on more inputs than the operator has, a required one missing, or an attribute of another type.
    """
    attrs = node.attrs
    names = takes.inputs
    if attrs:
        if not attrs.keys() <= takes.keywords:
            moved = [k for k in attrs if k in names]
            if moved:
                inputs = _with_moved(inputs, attrs, moved, names)
            attrs = {k: v for k, v in attrs.items() if k in takes.keywords}
        for name, value in attrs.items():
            wanted = takes.types.get(name)
            if wanted is not None and type(value) is not wanted[0] and not isinstance(value, wanted):
                raise ValueError(f"attribute {name} has the wrong type")
            if type(value) is tuple and wanted is not None and not _holds(value, wanted):
                raise ValueError(f"attribute {name} has the wrong type")
    count = len(inputs)
    if count == len(names) and None not in inputs:
        return inputs, attrs
    if count > len(names) and not takes.variadic:
        if any(v is not None for v in inputs[len(names) :]):
            raise ValueError(f"{len(inputs)} inputs where it takes {len(names)} at most")
        inputs = inputs[: len(names)]
    if count < takes.required or None in inputs[: takes.required]:
        raise ValueError(f"{takes.required} inputs are needed: {', '.join(names[: takes.required])}")
    return inputs, attrs


def _with_moved(
    inputs: list[Value | None], attrs: Mapping[str, Any], moved: list[str], names: tuple[str, ...]
) -> list[Value | None]:
    """The inputs, with attributes that another version takes as inputs in their places."""
    inputs = list(inputs)
    for name in moved:
        at = names.index(name)
        inputs.extend([None] * (at + 1 - len(inputs)))
        if inputs[at] is None:
            inputs[at] = attribute_value(attrs[name])
    return inputs


def _holds(value: tuple[Any, ...], wanted: tuple[type, ...]) -> bool:
    """Whether a list attribute may be one (`tuple` comes first), and its elements are of the types behind."""
    return wanted[0] is tuple and all(type(element) in wanted for element in value)


def attribute_value(value: Any) -> Value:
    """An attribute as the constant input that other versions of the operator take."""
    items = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(x, (int, float)) for x in items):
        raise ValueError("an attribute has the wrong type")
    encoding = FLOAT if any(isinstance(x, float) for x in items) else INT64
    return Value(encoding, (len(items),) if isinstance(value, tuple) else (), tuple(items))
