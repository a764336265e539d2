"""The graph with weights and activations stored in integers, their scales known before it runs."""

from __future__ import annotations

from collections.abc import Sequence

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.whatif.quantize.types import Arguments, Rule
from effaudit.whatif.types import Change


def rewrite(audited: Audited, rules: Sequence[Rule], arguments: Arguments) -> Change:
    """Weights and activations of each node stored by the rule of its index. Raises UsageError."""
    raise UsageError(f"{audited.name}: --quantize: activations are not built yet")
