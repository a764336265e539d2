"""The graph with weights and activations stored in integers, their scales known before it runs."""

from __future__ import annotations

from collections.abc import Sequence

from effaudit.audited import Audited
from effaudit.whatif.quantize import qdq
from effaudit.whatif.quantize.coding import Span
from effaudit.whatif.quantize.marks import ACTIVATION, marks
from effaudit.whatif.quantize.types import Arguments, Rule
from effaudit.whatif.types import Change

UNCALIBRATED = "no calibration data: add calibrate=DIR or calibrate=random"


def rewrite(audited: Audited, rules: Sequence[Rule], arguments: Arguments) -> Change:
    """Weights and activations of each node stored by the rule of its index. Raises UsageError."""
    found = marks(audited.raw, audited.graph.values, rules)
    spans: dict[str, Span] = {
        name: UNCALIBRATED for name, mark in found.tensors.items() if mark.kind == ACTIVATION and not mark.like
    }
    written = qdq.write(audited, rules, found, spans)
    return Change(written.graph)
