"""What `effaudit explain WORDS` is about: a figure, formula, operator or note, alone or in a model, or a node."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.explain import figures, formulas
from effaudit.explain.catalogue import LIST, Catalogue
from effaudit.explain.find import find_node
from effaudit.explain.lookup import NONE, Registry
from effaudit.explain.node import NodeExplanation
from effaudit.explain.notes import RULES, Rule, explain_rule
from effaudit.explain.operator import OperatorAnswer, OperatorCard
from effaudit.explain.readings import Reading, near, readings
from effaudit.explain.several import Several, explain_nodes, nodes_of
from effaudit.load.files import SAMPLE, SCHEMES
from effaudit.nearest import suggested
from effaudit.printable import printable

Subject: TypeAlias = (
    figures.Explanation
    | formulas.Formula
    | formulas.Answer
    | OperatorCard
    | OperatorAnswer
    | NodeExplanation
    | Rule
    | Several
    | Catalogue
)
Examine: TypeAlias = Callable[[str], Audited]
COMMAND: Final = "effaudit explain"


class Explained(msgspec.Struct, frozen=True):
    """What was found, and the commands that explain what else has that name."""

    subject: Subject
    see_also: tuple[str, ...] = ()


def is_model(word: str) -> bool:
    """True for a word that names a model rather than a figure, formula, operator or node."""
    return word == "-" or word.startswith((SAMPLE, *SCHEMES)) or word.endswith(".onnx") or os.path.isfile(word)


def explain(words: Sequence[str], arguments: Mapping[str, str], examine: Examine, own: Registry = NONE) -> Explained:
    """What is known of the subject that the words name, in the model they name, with the numbers of `arguments`.

    `own` are the definitions of the user's operators. Raises UsageError where the words name nothing, and whatever
    `examine` raises.
    """
    if not words:
        raise UsageError(
            "explain what? A figure (macs), a formula (conv-macs), an operator (Conv), or MODEL and a node; "
            f"{COMMAND} {LIST} names all there is"
        )
    if is_model(words[0]):
        return _in_model(words[0], words[1:], arguments, examine)
    if len(words) > 1:
        raise UsageError(f"{printable(words[0], 60)!r} is no model; written {COMMAND} [MODEL] WHAT [NAME=VALUE]")
    return _without_model(words[0], arguments, own)


def _without_model(word: str, arguments: Mapping[str, str], own: Registry) -> Explained:
    """The first thing of that name that takes the arguments, if there are any."""
    found = readings(word, own)
    if not found:
        raise UsageError(
            f"{printable(word, 60)!r} is no figure, formula, operator or note"
            + (suggested(near(word, own)) or ";")
            + f" {COMMAND} {LIST} names all there is; "
            + ("an operator of your own needs --operators FILE, " if "::" in word else "")
            + f"a node needs its model: {COMMAND} MODEL NODE"
        )
    fitting = [one for one in found if one.takes(arguments)] if arguments else found
    counting = [one for one in found if one.counts]
    if not fitting and not counting:
        raise UsageError(
            f"{found[0].name} is a {found[0].kind}: it takes no numbers; with those of a model: "
            f"{COMMAND} MODEL {shlex.quote(found[0].name)}"
        )
    chosen = (fitting or counting)[0]
    return Explained(chosen.explain(arguments), _others(found, chosen))


def _others(found: Sequence[Reading], chosen: Reading) -> tuple[str, ...]:
    return tuple(f"{COMMAND} {shlex.quote(one.name)} (the {one.kind})" for one in found if one is not chosen)


def _in_model(model: str, words: Sequence[str], arguments: Mapping[str, str], examine: Examine) -> Explained:
    if arguments:
        raise UsageError(f"{next(iter(arguments))}=...: the numbers come from the model; leave it or them out")
    if len(words) != 1:
        nodes = f"effaudit report {printable(shlex.quote(model), 60)} --nodes"
        raise UsageError(
            f"explain what of {printable(model, 60)}? A figure such as macs, or a node, an operator or a note of it; "
            f"{nodes} lists the nodes"
        )
    (word,) = words
    audited = examine(model)
    if any(word in (node.name, *node.outputs) for node in audited.graph.nodes):
        return Explained(explain_nodes(audited, [find_node(audited.graph, word)])[0])
    figure, (places, exactly) = figures.find(word), nodes_of(audited.graph, word)
    several = f"{COMMAND} {printable(shlex.quote(model), 60)} {{}} (the {{}})"
    if figure is not None and not (exactly and word != figure.name):
        other = audited.graph.nodes[places[0]].op if places else ""
        also = (several.format(printable(shlex.quote(other), 60), "operator"),) if places and other != word else ()
        return Explained(figures.explain_figure(figure, audited), also)
    if word in RULES:
        return Explained(explain_rule(word, audited))
    if places:
        also = (several.format(figure.name, "figure"),) if figure is not None else ()
        return Explained(Several.of(audited, places), also)
    return Explained(explain_nodes(audited, [find_node(audited.graph, word, (*figures.figures(), *RULES))])[0])
