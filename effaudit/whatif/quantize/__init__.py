"""Quantization: weights, and activations where asked, in integers of 2 to 16 bits or narrow floats.

Real numbers on the real weights: scales, zero points and errors come from the elements. What is saved runs in ONNX
Runtime; types that ONNX does not have are audited as if it had, and saving them is refused.
"""

from __future__ import annotations

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.whatif.quantize.tables import rules_of
from effaudit.whatif.quantize.types import Arguments, Rule, parse, text
from effaudit.whatif.types import Change

__all__ = ["Arguments", "Rule", "parse", "quantized", "rewrite", "text"]


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model quantized as the arguments say. Raises UsageError where nothing can be."""
    return quantized(audited, rules_of(audited.raw.nodes, arguments), arguments)


def quantized(audited: Audited, rules: tuple[Rule, ...], arguments: Arguments) -> Change:
    """The model with each node stored by the rule of its index, whatever table they came from."""
    if not any(rule.weights for rule in rules):
        raise UsageError(f"{audited.name}: --quantize: no node is named that would change")
    if any(rule.static for rule in rules):
        from effaudit.whatif.quantize import activations

        return activations.rewrite(audited, rules, arguments)
    from effaudit.whatif.quantize import weights

    return weights.rewrite(audited, rules, text(arguments))
