"""The registry of coupling rules: what an operator makes of the axes of its inputs.

A rule is a function of a `Call`. It says which axes are the same (`unify`), which are parts of others (`total`,
`product`), which must keep their length (`fix`), and which attributes and settings follow a length. Rules lie in
`rules/`, one file per family of operators, and not in `ops/`: those files are imported by every report, which couples
nothing.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Final, TypeAlias

from effaudit.axes.call import Call

Rule: TypeAlias = Callable[[Call], None]
_RULES: Final[dict[tuple[str, str], Rule]] = {}


def couples(*ops: str, domain: str = "") -> Callable[[Rule], Rule]:
    """Registers the rule of operators. Raises ValueError where one has a rule already."""

    def register(rule: Rule) -> Rule:
        for op in ops:
            if (domain, op) in _RULES:
                raise ValueError(f"two coupling rules for {domain or 'ai.onnx'}::{op}")
            _RULES[domain, op] = rule
        return rule

    return register


def find(domain: str, op: str) -> Rule | None:
    """The rule of an operator, or None; imports the families when first asked."""
    if not _RULES:
        import effaudit.axes.rules as package

        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
    return _RULES.get((domain, op))
