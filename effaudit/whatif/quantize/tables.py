"""Which rule each node is stored by: the arguments', a mixed table's, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from msgspec.structs import replace

from effaudit.errors import UsageError
from effaudit.graph import Node
from effaudit.nearest import did_you_mean
from effaudit.strict_yaml import decode
from effaudit.whatif.quantize.types import AS_IT_IS, FLOAT_AS_IT_IS, Arguments, Rule, parse, rule_of

_OF_THE_STEP = ("nodes", "skip", "table", "calibrate", "seed", "format", "sensitivity", "budget", "among")


def matches(name: str, patterns: str) -> bool:
    """True where one of the patterns (`*` and `?`, several with `|`) is the name."""
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns.split("|"))


def rules_of(nodes: Sequence[Node], arguments: Arguments) -> tuple[Rule, ...]:
    """The rule of each node, AS_IT_IS for those that stay as they are.

    Raises UsageError for a table that cannot be read, a scheme that is not known, and a pattern that no node has.
    """
    own = rule_of(arguments)
    labels = [node.label for node in nodes]
    table = read(arguments.table) if arguments.table else {}
    for pattern in (*arguments.nodes.split("|"), *arguments.skip.split("|"), *table):
        _known(pattern, labels)
    found = []
    for label in labels:
        rule = next((replace(rule, named=True) for pattern, rule in table.items() if matches(label, pattern)), own)
        if arguments.nodes:
            rule = replace(rule, named=True)
        if arguments.nodes and not matches(label, arguments.nodes):
            rule = AS_IT_IS
        if arguments.skip and matches(label, arguments.skip):
            rule = AS_IT_IS
        found.append(rule)
    return tuple(found)


def read(path: str) -> Mapping[str, Rule]:
    """The mixed table of a YAML file: pattern of node names -> scheme with its options, or `float`.

    Raises UsageError.
    """
    found = {}
    for pattern, written in decode(path, dict[str, str]).items():
        try:
            found[pattern] = entry(written)
        except UsageError as error:
            raise UsageError(f"{path}: {pattern!r}: {error}") from None
    if not found:
        raise UsageError(f"{path}: an empty table; expected lines such as '/conv1*': int8")
    return found


def entry(written: str) -> Rule:
    """The rule of a line of a table: a scheme with its options, or `float`. Raises UsageError."""
    if written == FLOAT_AS_IT_IS:
        return AS_IT_IS
    arguments = parse(written)
    for key in _OF_THE_STEP:
        if getattr(arguments, key):
            raise UsageError(f"{key}= goes with the whole step, not with a line of its table")
    return rule_of(arguments)


def _known(pattern: str, labels: Sequence[str]) -> None:
    if pattern and not any(matches(label, pattern) for label in labels):
        hint = did_you_mean(pattern, labels)
        raise UsageError(f"--quantize: no node has a name like {pattern!r}{hint}")
