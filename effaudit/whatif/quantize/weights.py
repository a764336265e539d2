"""The graph with its weights stored by rules, activations as they are or quantized at run time."""

from __future__ import annotations

from collections.abc import Sequence

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.whatif.quantize.types import Rule
from effaudit.whatif.types import Change


def rewrite(audited: Audited, rules: Sequence[Rule], step: str) -> Change:
    """Each node's weights stored by the rule of its index. Raises UsageError where none can be."""
    raise UsageError(f"{audited.name}: --quantize {step}: not built yet")
