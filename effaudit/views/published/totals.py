"""The totals of a model that a published figure may be: operations, parameters, sizes, activations."""

from __future__ import annotations

from effaudit.quantity import Quantity
from effaudit.views.published.candidate import FIGURE, Count
from effaudit.views.published.figure import BYTES, COMPUTE, ELEMENTS, PARAMS
from effaudit.views.published.parts import Parts, total
from effaudit.weights import BUFFER, OTHER, PARAM, QUANTIZATION, UNUSED

_WIDTHS = (("fp32", 32), ("fp16", 16), ("int8", 8), ("int4", 4))


def totals(parts: Parts) -> list[Count]:
    """Every total, in the order they are preferred."""
    return [*_compute(parts), *_params(parts), *_sizes(parts), *_memory(parts), *_activations(parts)]


def _compute(parts: Parts) -> list[Count]:
    macs, ops = parts.macs, parts.ops
    found = _both("macs", macs, "multiply-accumulates")
    found += _both("2 x macs", _sum(2, macs, 0, ops), "a multiply and an add as two operations")
    found += _both("flops", _sum(2, macs, 1, ops), "2 x macs + ops")
    found += _both("macs + ops", _sum(1, macs, 1, ops), "multiply-accumulates and all other operations, one each")
    found += _both("ops", ops, "all operations that are no multiply-accumulates")
    return [
        Count(name, FIGURE, COMPUTE, value, words, parts.computing if "macs" in name else ())
        for name, value, words in found
    ]


def _sum(m: int, macs: Quantity, n: int, ops: Quantity) -> Quantity:
    high = None if macs.high is None or (n and ops.high is None) else m * macs.high + n * (ops.high or 0)
    return Quantity(m * macs.low + n * ops.low, high)


def _both(name: str, quantity: Quantity, words: str) -> list[tuple[str, int, str]]:
    """The number, or both its bounds."""
    if quantity.value is not None:
        return [(name, quantity.value, words)]
    found = [(f"{name}, at least", quantity.low, words)]
    if quantity.high is not None:
        found.append((f"{name}, at most", quantity.high, words))
    return found


def _params(parts: Parts) -> list[Count]:
    weights = parts.audited.weights
    named = [
        ("params", weights.params, "weights, biases, norm scales and shifts, embeddings"),
        ("params + buffers", weights.params + weights.buffers, "params, running means and variances"),
        ("constant elements", weights.constant_elements, "every element of every constant in the file"),
        ("params as stored", weights.params_stored, "elements of the params as the file stores them"),
    ]
    return [Count(name, FIGURE, PARAMS, value, words, parts.holding) for name, value, words in named]


def _sizes(parts: Parts) -> list[Count]:
    weights, found = parts.audited.weights, []
    for what, count in (("params", weights.params), ("params + buffers", weights.params + weights.buffers)):
        for name, bits in _WIDTHS:
            size = (count * bits + 7) // 8
            found.append(Count(f"{what} as {name}", FIGURE, BYTES, size, f"{what} x {bits} bits"))
    stored = weights.bytes_of(PARAM, BUFFER, QUANTIZATION)
    every = weights.bytes_of(PARAM, BUFFER, QUANTIZATION, OTHER, UNUSED)
    found.append(Count("weight bytes", FIGURE, BYTES, stored, "params, buffers, scales and zero points as stored"))
    found.append(Count("constant bytes", FIGURE, BYTES, every, "every constant as stored"))
    file = parts.audited.graph.source.file_bytes
    if file:
        found.append(Count("file bytes", FIGURE, BYTES, file, "the model file, external data apart"))
    return found


def _memory(parts: Parts) -> list[Count]:
    memory = parts.audited.memory
    named = (
        ("sum bytes", memory.sum_bytes, "all activations, no reuse"),
        ("largest in + out bytes", memory.max_in_out_bytes, "the largest inputs and outputs of one node"),
        ("live bytes", memory.live_bytes, "peak of the live activations in the file's order"),
        ("in-place bytes", memory.inplace_bytes, "the same with views shared and elementwise nodes in place"),
    )
    return [
        Count(label, FIGURE, BYTES, value, formula)
        for name, quantity, words in named
        for label, value, formula in _both(name, quantity, words)
    ]


def _activations(parts: Parts) -> list[Count]:
    made = [row.elements for row in parts.computing]
    found = []
    known = [size for size in made if size is not None]
    if made and len(known) == len(made):
        words = "elements of the outputs of all nodes that multiply and accumulate"
        found.append(Count("activations of products", FIGURE, ELEMENTS, sum(known), words))
    graph, varying = parts.audited.graph, parts.audited.flow.varying
    every = total(graph.values.get(name) for row in parts.rows for name in row.node.outputs if name in varying)
    if every is not None:
        words = "elements of the outputs of all nodes that run"
        found.append(Count("activations", FIGURE, ELEMENTS, every, words))
    return found
