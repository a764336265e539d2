"""Calculating a named formula from arguments given as text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from effaudit.errors import UsageError
from effaudit.explain.formulas._arguments import parse
from effaudit.explain.formulas._expression import evaluate, names
from effaudit.explain.formulas._model import VECTORS, Answer, Argument, Formula, Parameter
from effaudit.explain.formulas._numbers import MAX_AXES, Quantity, bounded, plain, shown
from effaudit.explain.formulas._registry import find
from effaudit.explain.formulas._text import substituted, symbols
from effaudit.explain.formulas._units import converted
from effaudit.nearest import did_you_mean
from effaudit.printable import printable

COMMAND: Final = "effaudit explain"
UNIT: Final = "unit"  # any formula: the answer in another unit
VERSUS: Final = "versus"  # any formula: the ratio to the same formula with these arguments changed


def calculate(name: str, arguments: Mapping[str, str]) -> Answer:
    """The answer of a formula, for arguments such as `{"cin": "64", "out": "56x56"}`.

    `unit` converts the answer; `versus` ("tokens=1024,d=512") divides it by that of the same formula with these
    arguments changed. Raises UsageError, in one line, for anything unknown, missing, impossible or too large.
    """
    formula = find(name)
    given = {_key(key): text for key, text in arguments.items()}
    unit, versus = given.pop(UNIT, ""), given.pop(VERSUS, "")
    try:
        found = _Calculation(formula, given)
        answer = found.answer(unit if not versus else "")
        return _ratio(formula, given, answer, found.value, unit, versus) if versus else answer
    except UsageError as error:
        raise UsageError(f"{formula.name}: {error}") from None


def takes_arguments(formula: Formula, arguments: Mapping[str, str]) -> bool:
    """Whether a formula has arguments of all these names."""
    known = {parameter.name for parameter in formula.parameters} | {UNIT, VERSUS}
    return all(_key(name) in known for name in arguments)


def _key(name: str) -> str:
    return name.strip().lower().replace("-", "_")


class _Calculation:
    """The values of one formula, in the order they are needed."""

    def __init__(self, formula: Formula, given: Mapping[str, str]) -> None:
        self.formula = formula
        self.given = given
        self.parameters = {parameter.variable: parameter for parameter in formula.parameters}
        self.values: dict[str, Quantity] = {}
        self.silent: set[str] = set()
        self.steps: list[str] = []
        self.notes: list[str] = []
        self.used: set[str] = set()
        self._parse()
        self._spread()
        self._fill()
        self._check()
        for name, expression in formula.where:
            self._step(name, expression)
        self.value = evaluate(formula.expression, self.values)

    def _parse(self) -> None:
        by_name = {parameter.name: parameter for parameter in self.formula.parameters}
        for key, text in self.given.items():
            if key not in by_name:
                raise UsageError(_unknown(self.formula, key, tuple(by_name)))
            self.values[by_name[key].variable] = parse(by_name[key], text)
        missing = [p for p in self.formula.parameters if self._lacks(p.variable)]
        needed = [p for p in missing if not p.optional and self._open(p)]
        if needed:
            raise UsageError(_missing(self.formula, self.given, needed, by_name))

    def _lacks(self, variable: str) -> bool:
        """Whether a parameter has no value and nothing to calculate one from."""
        if variable in self.values or variable not in self.parameters:
            return False
        default = self.parameters[variable].default
        return not default or any(self._lacks(name) for name in names(default))

    def _open(self, parameter: Parameter) -> bool:
        """Whether it is to be asked for: not where it follows from another that is asked for."""
        sources = [self.parameters[name] for name in names(parameter.default or "0")]
        return not parameter.default or any(p.optional and self._lacks(p.variable) for p in sources)

    def _spread(self) -> None:
        """Repeats single numbers over the axes (or layers) that the formula or the other arguments say."""
        spread = self.formula.spread
        if not spread:
            return
        vectors = {
            name: self.values[name] for name, p in self.parameters.items() if name in self.values and p.kind in VECTORS
        }
        lengths = {name: len(value) for name, value in vectors.items() if isinstance(value, tuple)}
        stated = self.values.get(spread)
        default = int(self.parameters[spread].default)
        counts = set(lengths.values()) | ({stated} if isinstance(stated, int) else set())
        if len(counts) > 1:
            told = [f"{name.removesuffix('_')} has {count}" for name, count in lengths.items()]
            told += [f"{spread} is {stated}"] if stated is not None else []
            raise UsageError(f"{', '.join(told)}: write one number for all, or the same number of them")
        size = counts.pop() if counts else default
        if size > MAX_AXES:
            raise UsageError(f"{spread} is at most {MAX_AXES}")
        self.values[spread] = size
        if not lengths and stated is None and default > 1 and vectors:
            self.notes.append(f"single numbers count for each of {default} axes; {spread}=1 for one axis")
        for name, value in vectors.items():
            self.values[name] = _repeated(value, size)

    def _fill(self) -> None:
        """Defaults, in the order in which they refer to one another."""
        for name, parameter in self.parameters.items():
            if name in self.values:
                self._compare(parameter)
            elif parameter.default:
                self._default(name)

    def _default(self, name: str) -> None:
        parameter = self.parameters[name]
        uses = names(parameter.default)
        for other in uses:
            if other not in self.values:
                self._default(other)
        if uses:
            self._step(name, parameter.default)
            return
        value = evaluate(parameter.default, self.values)
        size = self.values.get(self.formula.spread)
        if isinstance(size, int) and parameter.kind in VECTORS:
            value = _repeated(value, size)
        self.values[name] = value
        self.silent.add(name)

    def _compare(self, parameter: Parameter) -> None:
        """Refuses a value that contradicts the arguments it follows from."""
        if not parameter.derived or any(self._lacks(name) for name in names(parameter.default)):
            return
        for other in names(parameter.default):
            if other not in self.values:
                self._default(other)
        follows = evaluate(parameter.default, self.values)
        if follows != self.values[parameter.variable]:
            given = shown(self.values[parameter.variable])
            numbers = substituted(parameter.default, self.values)
            raise UsageError(f"{parameter.name}={given} is given, but {numbers} = {shown(follows)}")

    def _step(self, name: str, expression: str) -> None:
        value = evaluate(expression, self.values)
        parameter = self.parameters.get(name)
        if parameter is not None and not _possible(parameter, value):
            numbers = substituted(expression, self.values, self.silent)
            raise UsageError(f"{parameter.name} = {symbols(expression)} = {numbers} = {shown(value)} is not possible")
        label, symbolic = name.removesuffix("_"), symbols(expression)
        middle = [] if symbolic.isidentifier() else [substituted(expression, self.values, self.silent)]
        parts = [label, symbolic, *middle, shown(value)]
        self.steps.append(" = ".join(dict.fromkeys(parts)))
        self.values[name] = value

    def _check(self) -> None:
        for condition, why in self.formula.requires:
            if not evaluate(condition, self.values):
                raise UsageError(f"{why}: {substituted(condition, self.values)} does not hold")

    def answer(self, unit: str) -> Answer:
        """The answer, in its own unit or another."""
        formula = self.formula
        value, label = (self.value, formula.unit) if not unit else converted(self.value, formula.unit, unit)
        steps = list(self.steps)
        if unit:
            steps.append(f"{shown(self.value)} {formula.unit} = {shown(value)} {label}")
        return Answer(
            formula.name,
            formula.text,
            self._arguments(),
            plain(value),
            label,
            substituted(formula.expression, self.values, self.silent),
            tuple(steps),
            (*self.notes, *self._idle(), *formula.mistakes),
            formula.source,
        )

    def _arguments(self) -> tuple[Argument, ...]:
        """What was used: every given argument, and the defaults that the result depends on."""
        reached = self._reached()
        found = []
        for name, parameter in self.parameters.items():
            given = parameter.name in self.given
            if name in self.values and (given or name in reached):
                origin = "given" if given else "derived" if names(parameter.default) else "default"
                text = _written(self.values[name]) if not given else printable(self.given[parameter.name].strip(), 200)
                found.append(Argument(parameter.name, text, origin))
        return tuple(found)

    def _reached(self) -> set[str]:
        """The values that the result depends on."""
        sources = dict(self.formula.where)
        sources |= {n: p.default for n, p in self.parameters.items() if p.default and p.name not in self.given}
        pending = list(names(self.formula.expression))
        reached = {self.formula.spread} if self.formula.spread else set()
        while pending:
            name = pending.pop()
            if name not in reached:
                reached.add(name)
                pending += names(sources.get(name, "0"))
        return reached

    def _idle(self) -> tuple[str, ...]:
        """A line on given arguments that nothing used."""
        reached = self._reached()
        conditions = {name for condition, _ in self.formula.requires for name in names(condition)}
        idle = [p.name for n, p in self.parameters.items() if p.name in self.given and n not in reached | conditions]
        return (f"the result does not depend on {', '.join(idle)} here",) if idle else ()


def _repeated(value: Quantity, size: int) -> Quantity:
    return value if isinstance(value, (tuple, str)) else (value,) * size


def _possible(parameter: Parameter, value: Quantity) -> bool:
    low = {"count": 1, "counts": 1, "whole": 0, "wholes": 0}.get(parameter.kind)
    items = value if isinstance(value, tuple) else (value,)
    return low is None or all(isinstance(item, int) and item >= low for item in items)


def _written(value: Quantity) -> str:
    """A value as an argument: one number where all axes have the same."""
    if isinstance(value, tuple) and len(set(value)) == 1:
        value = value[0]
    return shown(value)


def _ratio(
    formula: Formula, given: Mapping[str, str], answer: Answer, value: Quantity, unit: str, versus: str
) -> Answer:
    """The answer divided by that with other arguments."""
    changes = dict(change.partition("=")[::2] for change in re.split(r"[,;\s]+(?=\w+=)", versus.strip()))
    other = _Calculation(formula, {**given, **{key.strip().lower(): text for key, text in changes.items()}})
    below = other.value
    if isinstance(value, (bool, str, tuple)) or isinstance(below, (bool, str, tuple)):
        raise UsageError("versus needs a formula whose answer is a number")
    if not below:
        raise UsageError(f"division by zero: with {printable(versus, 60)} the answer is 0")
    exact = not isinstance(value, float) and not isinstance(below, float)
    ratio, label = bounded(Fraction(value) / Fraction(below) if exact else value / below), "x"
    if unit:
        ratio, label = converted(ratio, "share", unit)
    second = other.answer("")
    steps = (
        *answer.steps,
        f"{answer.substituted} = {shown(value)} {formula.unit}",
        *second.steps,
        f"with {printable(versus, 100)}: {second.substituted} = {shown(below)} {formula.unit}",
    )
    return Answer(
        answer.name,
        answer.formula,
        answer.arguments,
        plain(ratio),
        label,
        f"{_atom(value)} / {_atom(below)}",
        tuple(dict.fromkeys(steps)),
        answer.notes,
        answer.source,
    )


def _atom(value: Quantity) -> str:
    text = shown(value)
    return f"({text})" if text.startswith("-") else text


def _unknown(formula: Formula, key: str, known: tuple[str, ...]) -> str:
    hint = did_you_mean(key, (*known, UNIT, VERSUS), most=1, alike=0.5)
    return f"no argument {printable(key, 40)!r}{hint or ';'} it takes {', '.join(known)}"


def _missing(
    formula: Formula, given: Mapping[str, str], missing: list[Parameter], known: Mapping[str, Parameter]
) -> str:
    """What is missing, and the whole command with example values for it."""
    wanted = []
    for parameter in missing:
        sources = [n.removesuffix("_") for n in names(parameter.default or "0") if n.removesuffix("_") not in given]
        absent = [name for name in sources if not known[name].default]
        wanted.append(f"{parameter.name} (or {', '.join(absent)})" if absent else parameter.name)
    parts = [f"{name}={text}" for name, text in given.items()]
    parts += [f"{parameter.name}={parameter.example}" for parameter in missing]
    command = " ".join(printable(shlex.quote(part), 100) for part in parts)
    return f"missing {', '.join(wanted)}; write, say: {COMMAND} {formula.name} {command}"
