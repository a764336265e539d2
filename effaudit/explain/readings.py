"""What a word may mean without a model: a figure, a named formula, a note, an operator, or several of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import msgspec

from effaudit.explain import figures, formulas, lookup
from effaudit.explain.lookup import Operator, Registry
from effaudit.explain.notes import RULES, Rule, explain_rule
from effaudit.explain.operator import (
    OperatorAnswer,
    OperatorCard,
    calculate_operator,
    card,
    takes_arguments,
)
from effaudit.nearest import nearest

Subject: TypeAlias = figures.Explanation | formulas.Formula | formulas.Answer | OperatorCard | OperatorAnswer | Rule
Arguments: TypeAlias = Mapping[str, str]
FIGURE: Final = "figure"
FORMULA: Final = "formula"
NOTE: Final = "note"
OPERATOR: Final = "operator"


class Reading(msgspec.Struct, frozen=True):
    """One thing a word may mean: what it is, its own name, whether it takes these arguments, and its explanation."""

    kind: str
    name: str
    takes: Callable[[Arguments], bool]
    explain: Callable[[Arguments], Subject]

    @property
    def counts(self) -> bool:
        """Whether it takes numbers at all."""
        return self.kind in (FORMULA, OPERATOR)


def readings(word: str, own: Registry) -> list[Reading]:
    """Everything a word may mean, the likeliest first: what has exactly this name, an operator in its exact spelling, a
    formula or figure under another of its names, an operator in another spelling."""
    formula, figure = formulas.named(word), figures.find(word)
    found: dict[tuple[str, str], Reading] = {}

    def add(reading: Reading) -> None:
        found.setdefault((reading.kind, reading.name), reading)

    if figure is not None and figure.name == word:
        add(_figure(figure))
    if formula is not None and formula.name == word:
        add(_named_formula(formula))
    if word in RULES:
        add(Reading(NOTE, word, _nothing, lambda _: explain_rule(word)))
    exact = lookup.known(word, own, exactly=True)
    if exact is not None:
        add(_operator(exact, own))
    if formula is not None:
        add(_named_formula(formula))
    if figure is not None:
        add(_figure(figure))
    other = exact or lookup.known(word, own) or (None if found else lookup.packaged(word))
    if other is not None:
        add(_operator(other, own))
    return list(found.values())


def near(word: str, own: Registry) -> list[str]:
    """Names much like a word that means nothing."""
    names = [*figures.figures(), *(formula.name for formula in formulas.formulas()), *RULES]
    return [*nearest(word.lower(), names), *lookup.near(word, own)][:3]


def _nothing(arguments: Arguments) -> bool:
    return not arguments


def _figure(figure: figures.Figure) -> Reading:
    return Reading(FIGURE, figure.name, _nothing, lambda _: figures.explain_figure(figure))


def _named_formula(formula: formulas.Formula) -> Reading:
    def explain(arguments: Arguments) -> Subject:
        return formulas.calculate(formula.name, arguments) if arguments else formula

    return Reading(FORMULA, formula.name, lambda given: formulas.takes_arguments(formula, given), explain)


def _operator(found: Operator, own: Registry) -> Reading:
    name = found.asked if found.axes else found.full_name

    def explain(arguments: Arguments) -> Subject:
        return calculate_operator(name, arguments, own) if arguments else card(found)

    return Reading(OPERATOR, name, lambda given: takes_arguments(found, given), explain)
