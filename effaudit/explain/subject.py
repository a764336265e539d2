"""What `effaudit explain WORDS` is about: a figure, a named formula, an operator, a finding, or a node of a model."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.explain import figures, formulas
from effaudit.explain.lookup import is_operator
from effaudit.explain.node import NodeExplanation, explain_node, find_node
from effaudit.explain.operator import OperatorAnswer, OperatorCard, calculate_operator, explain_operator
from effaudit.findings import RULES as OF_STRUCTURE
from effaudit.load.files import SAMPLE, SCHEMES
from effaudit.ops._registry import rules_for
from effaudit.printable import printable
from effaudit.views.weights.findings import RULES as OF_WEIGHTS


class Rule(msgspec.Struct, frozen=True):
    """A finding: what it means."""

    rule: str
    meaning: str


class Several(msgspec.Struct, frozen=True):
    """The nodes of one operator in a model."""

    model: str
    operator: OperatorCard
    nodes: tuple[NodeExplanation, ...]


Subject: TypeAlias = (
    figures.Explanation
    | formulas.Formula
    | formulas.Answer
    | OperatorCard
    | OperatorAnswer
    | NodeExplanation
    | Rule
    | Several
)
Examine: TypeAlias = Callable[[str], Audited]
RULES: Final = {**OF_STRUCTURE, **OF_WEIGHTS}
MAX_NODES: Final = 20  # of one operator that are explained


def is_model(word: str) -> bool:
    """True for a word that names a model rather than a figure, formula, operator or node."""
    return word == "-" or word.startswith((SAMPLE, *SCHEMES)) or word.endswith(".onnx") or os.path.isfile(word)


def explain(words: Sequence[str], arguments: Mapping[str, str], examine: Examine) -> Subject:
    """What is known of the subject that the words name, in the model they name, with the numbers of `arguments`.

    Raises UsageError where they name nothing, and whatever `examine` raises.
    """
    if not words:
        raise UsageError(
            "explain what? A figure (macs), a formula (conv-macs), an operator (Conv), or MODEL and a node"
        )
    if is_model(words[0]):
        return _in_model(words[0], words[1:], arguments, examine)
    if len(words) > 1:
        raise UsageError(f"{printable(words[0], 60)!r} is no model; written effaudit explain [MODEL] WHAT [NAME=VALUE]")
    return _without_model(words[0], arguments)


def _without_model(word: str, arguments: Mapping[str, str]) -> Subject:
    """A figure by its name, a formula, a finding, a figure by another of its labels, or an operator."""
    formula = _is_formula(word)
    found = figures.find(word)
    if found is not None and not arguments and (word == found.name or not formula):
        return figures.explain_figure(found)
    if formula:
        return formulas.calculate(word, arguments) if arguments else formulas.find(word)
    if word in RULES:
        return Rule(word, RULES[word])
    near = _near(word)
    if near and not is_operator(word):
        raise UsageError(f"{printable(word, 60)!r} is no figure, formula or operator{near}; a node needs its model")
    return calculate_operator(word, arguments) if arguments else explain_operator(word)


def _in_model(model: str, words: Sequence[str], arguments: Mapping[str, str], examine: Examine) -> Subject:
    if arguments:
        raise UsageError(f"{next(iter(arguments))}=...: the numbers come from the model; leave it or them out")
    if len(words) != 1:
        raise UsageError(f"explain what of {printable(model, 60)}? A figure such as macs, or a node (report --nodes)")
    (word,) = words
    found = figures.find(word)
    audited = examine(model)
    named = any(word in (node.name, *node.outputs) for node in audited.graph.nodes)
    if found is not None and not named:
        return figures.explain_figure(found, audited)
    if not named:
        same = [i for i, node in enumerate(audited.graph.nodes) if node.op.lower() == word.lower()]
        if same:
            return Several(model, explain_operator(audited.graph.nodes[same[0]].op), _nodes(audited, same[:MAX_NODES]))
    return _nodes(audited, [find_node(audited.graph, word)])[0]


def _nodes(audited: Audited, places: Sequence[int]) -> tuple[NodeExplanation, ...]:
    graph, rules = audited.graph, rules_for(audited.graph)
    return tuple(
        explain_node(graph, audited.table, i, weights=audited.weights, known=audited.flow, rules=rules) for i in places
    )


def _is_formula(word: str) -> bool:
    return any(formula.name == word.lower() for formula in formulas.formulas())


def _near(word: str) -> str:
    names = [*figures.figures(), *(formula.name for formula in formulas.formulas()), *RULES]
    close = difflib.get_close_matches(word.lower()[:100], names, 3, 0.6)
    return f"; did you mean {' or '.join(close)}?" if close else ""
