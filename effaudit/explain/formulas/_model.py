"""What a named formula is, and what calculating it gives."""

from __future__ import annotations

from typing import Final

import msgspec

# What an argument may be, and what to call it in a message.
KINDS: Final = {
    "count": "a whole number from 1",
    "whole": "a whole number from 0",
    "real": "a number",
    "positive": "a number above 0",
    "share": "a share such as 0.7 or 70%",
    "bytes": "a size such as 4096, 512KiB or 14GB",
    "seconds": "a time such as 0.1 or 100ms",
    "bits": "a number of bits such as 8, or a type such as int8 or float16",
    "flag": "yes or no",
    "choice": "one of the words",
    "counts": "a whole number, or one per axis such as 56x56",
    "wholes": "a whole number, or one per axis such as 1x1",
    "reals": "numbers such as 2,1,0",
}
VECTORS: Final = frozenset({"counts", "wholes", "reals"})


class Parameter(msgspec.Struct, frozen=True):
    """One argument of a formula.

    `default` is an expression of other parameters; without one the argument is required, unless it is `optional`: used
    only to calculate the default of another. A `derived` default is no choice: an argument that differs is refused.
    """

    name: str
    kind: str
    about: str
    example: str
    default: str = ""
    optional: bool = False
    derived: bool = False
    choices: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """The name inside expressions: `in_` where `in` is a word of the language."""
        return f"{self.name}_" if self.name in _RESERVED else self.name


_RESERVED: Final = frozenset({"in", "from", "lambda", "is", "or", "and", "not", "if", "else"})


class Formula(msgspec.Struct, frozen=True):
    """A named formula: `expression` over the parameters and the intermediate values `where`, in that order.

    `requires` lists conditions with what to say where they fail. `spread` names the parameter (`rank`, `layers`) that
    says over how many axes or layers a single number is repeated.
    """

    name: str
    expression: str
    parameters: tuple[Parameter, ...]
    unit: str
    about: str
    where: tuple[tuple[str, str], ...] = ()
    requires: tuple[tuple[str, str], ...] = ()
    mistakes: tuple[str, ...] = ()
    source: str = ""
    spread: str = ""

    @property
    def text(self) -> str:
        """The formula in symbols, intermediate values included."""
        from effaudit.explain.formulas._text import symbols

        defined = [f"{p.name} = {symbols(p.default)}" for p in self.parameters if p.derived]
        defined += [f"{name} = {symbols(expression)}" for name, expression in self.where]
        return "; ".join([symbols(self.expression), *defined])

    @property
    def example(self) -> dict[str, str]:
        """Arguments it can be calculated with: the required ones, and those whose default refers to an optional one;
        the first one where all have defaults."""
        needed = {p.name: p.example for p in self.parameters if not p.optional and not self._follows(p)}
        return needed or {p.name: p.example for p in self.parameters[:1]}

    def _follows(self, parameter: Parameter) -> bool:
        """Whether a parameter has a default that needs nothing optional."""
        from effaudit.explain.formulas._expression import names

        by_variable = {p.variable: p for p in self.parameters}
        pending, seen = [parameter], {parameter.name}
        while pending:
            one = pending.pop()
            if not one.default and one.optional:
                return False
            for name in names(one.default or "0"):
                other = by_variable.get(name)
                if other is not None and other.name not in seen:
                    seen.add(other.name)
                    pending.append(other)
        return bool(parameter.default)


class Argument(msgspec.Struct, frozen=True):
    """An argument as it was used; `origin` is given, default or derived."""

    name: str
    value: str
    origin: str


class Answer(msgspec.Struct, frozen=True):
    """A formula with its numbers put in.

    `substituted` evaluates to the value before a change of unit; `steps` are the intermediate values and that change.
    """

    name: str
    formula: str
    arguments: tuple[Argument, ...]
    value: int | float | str | bool
    unit: str
    substituted: str
    steps: tuple[str, ...]
    notes: tuple[str, ...]
    source: str
