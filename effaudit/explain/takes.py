"""What an operator takes: its inputs and attributes by name, as its rules or its definition in a file state them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from effaudit.operators.rules import Definition
from effaudit.operators.signature import inputs_of
from effaudit.ops._registry import Rules

NOTHING: Final[Mapping[str, tuple[type, ...]]] = {}


class Names(msgspec.Struct, frozen=True):
    """What an operator takes: `inputs` (the first `required` are needed), the stem of numbered variadic ones, and
    `attributes` with the types their rule states (none: anything), of which `needed` have no default. `free`: there may
    be other attributes, as a definition need not list them."""

    inputs: tuple[str, ...]
    required: int
    variadic: str
    attributes: Mapping[str, tuple[type, ...]]
    needed: tuple[str, ...]
    free: bool = False


def names_of(rules: Rules) -> Names:
    """What the rules of an operator take."""
    if isinstance(rules, Definition):
        return _defined(rules)
    takes = rules.shape_takes or rules.cost_takes
    if takes is None:
        return Names((), 0, "", {}, ())
    attributes = {name: takes.types.get(name, ()) for name in sorted(takes.keywords)}
    if rules.cost_takes is not None:
        for name in sorted(rules.cost_takes.keywords - attributes.keys()):
            attributes[name] = rules.cost_takes.types.get(name, ())
    rule = rules.shape or rules.cost
    code = rule.__code__  # type: ignore[union-attr]
    stem = code.co_varnames[code.co_argcount + code.co_kwonlyargcount] if takes.variadic else ""
    stated = getattr(rule, "__kwdefaults__", None) or {}
    needed = tuple(name for name in sorted(takes.keywords) if name not in stated)
    return Names(takes.inputs, takes.required, stem, attributes, needed)


def _defined(made: Definition) -> Names:
    """The inputs in the words of the file; attributes are those of the built-in rule it keeps, and any other."""
    inputs = inputs_of(made.inputs)
    required = next((i for i, name in enumerate(inputs.names) if name in inputs.optional), len(inputs.names))
    types: dict[str, tuple[type, ...]] = {}
    for takes in (made.cost_takes, made.shape_takes):
        if takes is not None:
            types |= {name: takes.types.get(name, ()) for name in sorted(takes.keywords)}
    return Names(inputs.names, required, inputs.rest, types, (), free=True)
