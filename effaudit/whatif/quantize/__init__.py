"""Quantization: weights, and activations where asked, in integers of 2 to 16 bits or narrow floats.

Real numbers on the real weights: scales, zero points and errors come from the elements. What is saved runs in ONNX
Runtime; types that ONNX does not have are audited as if it had, and saving them is refused.
"""

from __future__ import annotations

from effaudit.audited import Audited, examined
from effaudit.errors import UsageError
from effaudit.whatif.quantize.tables import rules_of
from effaudit.whatif.quantize.types import AS_IT_IS, Arguments, Rule, parse, text
from effaudit.whatif.types import Change

__all__ = ["Arguments", "Rule", "parse", "quantized", "rewrite", "text"]


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model quantized as the arguments say. Raises UsageError where nothing can be, RunError where it must run and
    does not."""
    if arguments.budget is not None or arguments.sensitivity:
        from effaudit.whatif.quantize import asked

        return asked.rewrite(audited, arguments)
    return quantized(audited, rules_of(audited.raw.nodes, arguments), arguments)


def quantized(audited: Audited, rules: tuple[Rule, ...], arguments: Arguments) -> Change:
    """The model with each node stored by the rule of its index, whatever table they came from."""
    if not any(rule.weights for rule in rules):
        raise UsageError(f"{audited.name}: --quantize: no node is named that would change")
    static = tuple(rule if rule.static else AS_IT_IS for rule in rules)
    others = tuple(AS_IT_IS if rule.static else rule for rule in rules)
    if not any(rule.weights for rule in static):
        from effaudit.whatif.quantize import weights

        return weights.rewrite(audited, rules, f"quantize {text(arguments)}")
    if any(rule.weights for rule in others):
        return _both(audited, static, others, arguments)
    from effaudit.whatif.quantize import activations

    return activations.rewrite(audited, rules, arguments)


def _both(audited: Audited, static: tuple[Rule, ...], others: tuple[Rule, ...], arguments: Arguments) -> Change:
    """What needs no ranges of activations first; then the rest, whose nodes are still as they were."""
    from effaudit.whatif.quantize import activations, weights

    first = weights.rewrite(audited, others)
    by_outputs = {node.outputs: rule for node, rule in zip(audited.raw.nodes, static, strict=True) if rule.weights}
    between = examined(first.graph, audited.given)
    rules = tuple(by_outputs.get(node.outputs, AS_IT_IS) for node in first.graph.nodes)
    then = activations.rewrite(between, rules, arguments)
    done = {detail.name for detail in then.details}
    return Change(
        then.graph,
        notes=(*first.notes, *(note for note in then.notes if note not in first.notes)),
        blocked=(*(one for one in first.blocked if one.group not in done), *then.blocked),
        details=(*first.details, *then.details),
        loss=None if first.loss is None or then.loss is None else max(first.loss, then.loss),
        retrain=first.retrain or then.retrain,
    )
