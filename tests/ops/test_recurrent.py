"""RNN, GRU and LSTM against runs; MACs and ops against loops that follow the specification's equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from effaudit import dims

from . import oracle
from .oracle import Array, check, random

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
STEPS, BATCH, INPUT, HIDDEN = 5, 2, 3, 4


def weights(op: str, directions: int) -> tuple[Array, Array, Array]:
    rows = GATES[op] * HIDDEN
    return random(directions, rows, INPUT), random(directions, rows, HIDDEN), random(directions, 2 * rows)


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("opset", [7, 14])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_directions(op: str, opset: int, direction: str) -> None:
    w, r, b = weights(op, 2 if direction == "bidirectional" else 1)
    attrs = {"direction": direction, "hidden_size": HIDDEN}
    outputs = 3 if op == "LSTM" else 2
    check(op, [random(STEPS, BATCH, INPUT), w, r, b], attrs, opset=opset, outputs=outputs, constant=[1, 2, 3])
    check(op, [random(STEPS, BATCH, INPUT), w, r], attrs, opset=opset, outputs=outputs)


@pytest.mark.parametrize(
    ("op", "outputs"),
    [(op, outputs) for op in GATES for outputs in ((True,), (False, True))]
    + [("LSTM", (True, False, True)), ("LSTM", (False, False, True))],
)
def test_omitted_outputs(op: str, outputs: tuple[bool, ...]) -> None:
    graph = check(
        op, [random(STEPS, BATCH, INPUT), *weights(op, 1)], {"hidden_size": HIDDEN}, opset=14, outputs=outputs
    )
    assert oracle.cost(graph).macs == STEPS * BATCH * GATES[op] * HIDDEN * (INPUT + HIDDEN)


@pytest.mark.parametrize("op", GATES)
def test_every_optional_input(op: str) -> None:
    w, r, b = weights(op, 2)
    lengths = np.array([5, 3], np.int32)
    start = random(2, BATCH, HIDDEN)
    inputs: list[Any] = [random(STEPS, BATCH, INPUT), w, r, None, lengths, start]
    if op == "LSTM":
        inputs += [start, random(2, 3 * HIDDEN)]
    attrs = {"hidden_size": HIDDEN, "direction": "bidirectional"}
    check(op, inputs, attrs, opset=14, outputs=3 if op == "LSTM" else 2)
    inputs[3] = b
    check(op, inputs, attrs, opset=14, outputs=2, tie=True)


@pytest.mark.parametrize("op", GATES)
def test_hidden_size_of_the_weights(op: str) -> None:
    """No runtime goes without `hidden_size`; a model may."""
    x, (w, r, b) = random(STEPS, BATCH, INPUT), weights(op, 1)
    made = [random(STEPS, 1, BATCH, HIDDEN), random(1, BATCH, HIDDEN)]
    check(op, [x, w, r, b], {}, opset=14, outputs=2, expected=made, constant=[1, 2, 3])


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_batch_first(op: str, direction: str) -> None:
    """Layout 1, which ONNX Runtime does not have: the shapes are the specification's."""
    n = 2 if direction == "bidirectional" else 1
    last = random(BATCH, n, HIDDEN)
    made = [random(BATCH, STEPS, n, HIDDEN), last, last][: 3 if op == "LSTM" else 2]
    inputs = [random(BATCH, STEPS, INPUT), *weights(op, n)]
    attrs = {"layout": 1, "direction": direction, "hidden_size": HIDDEN}
    graph = check(op, inputs, attrs, opset=14, outputs=len(made), expected=made, constant=[1, 2])
    assert oracle.cost(graph).macs == STEPS * BATCH * n * GATES[op] * HIDDEN * (INPUT + HIDDEN)


class Counter:
    """Counts the scalar operations of a layer that is computed one number at a time."""

    def __init__(self) -> None:
        self.macs = 0
        self.ops = 0

    def product(self, row: Array, vector: Array) -> float:
        self.macs += len(row)
        return sum(float(a) * float(b) for a, b in zip(row, vector, strict=True))

    def do(self, result: float, operations: int = 1) -> float:
        self.ops += operations
        return result


def gate(count: Counter, w: Array, r: Array, b: Array, x: Array, h: Array, extra: float | None = None) -> float:
    """An activated gate of one unit; `b` holds two biases or none, `extra` is a peephole."""
    total = count.do(count.product(w, x) + count.product(r, h))
    for bias in b:
        total = count.do(total + float(bias))
    if extra is not None:
        total = count.do(total + extra, 2)
    return count.do(float(np.tanh(total)))


def step(op: str, count: Counter, w: Array, r: Array, b: Array, x: Array, h: Array, c: Array, p: Array) -> None:
    """One unit after another; the equations of https://onnx.ai/onnx/operators/onnx__LSTM.html and its neighbours."""
    for u in range(HIDDEN):
        rows = [u + g * HIDDEN for g in range(GATES[op])]
        biases = [b[[row, row + GATES[op] * HIDDEN]] if b.size else b for row in rows]
        if op == "RNN":
            gate(count, w[u], r[u], biases[0], x, h)
        elif op == "GRU":
            z = gate(count, w[rows[0]], r[rows[0]], biases[0], x, h)
            reset = gate(count, w[rows[1]], r[rows[1]], biases[1], x, h)
            candidate = gate(count, w[rows[2]], r[rows[2]], biases[2], x, h)
            candidate = count.do(candidate * reset)
            count.do((1 - z) * candidate + z * float(h[u]), 4)
        else:
            peep = [float(p[u + g * HIDDEN]) * float(c[u]) if p.size else None for g in range(3)]
            i, f, o = (gate(count, w[rows[g]], r[rows[g]], biases[g], x, h, peep[g]) for g in range(3))
            cell = count.do(f * float(c[u]) + i * gate(count, w[rows[3]], r[rows[3]], biases[3], x, h), 3)
            count.do(o * float(np.tanh(cell)), 2)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("op", "peepholes"), [*((op, False) for op in GATES), ("LSTM", True)])
def test_counts_what_loops_do(op: str, directions: int, bias: bool, peepholes: bool) -> None:
    x, (w, r, b), p = random(STEPS, BATCH, INPUT), weights(op, directions), random(directions, 3 * HIDDEN)
    count, state = Counter(), np.zeros(HIDDEN)
    none = np.zeros(0)
    for t in range(STEPS):
        for n in range(BATCH):
            for d in range(directions):
                step(op, count, w[d], r[d], b[d] if bias else none, x[t, n], state, state, p[d] if peepholes else none)
    inputs: list[Any] = [x, w, r, b if bias else None]
    if peepholes:
        inputs += [None, None, None, p]
    attrs = {"hidden_size": HIDDEN, "direction": "bidirectional" if directions == 2 else "forward"}
    found = oracle.cost(check(op, inputs, attrs, opset=14))
    assert (found.macs, found.ops) == (count.macs, count.ops)


def test_the_cost_of_symbolic_sizes() -> None:
    model = oracle.single_node("LSTM", [random(STEPS, BATCH, INPUT), *weights("LSTM", 1)], {"hidden_size": HIDDEN}, 14)
    symbolic, _ = oracle.symbolised(model)
    found = oracle.cost(oracle.infer(symbolic)).macs
    names = {"d0": STEPS, "d1": BATCH, "d2": INPUT, "d5": INPUT, "d8": HIDDEN}
    assert dims.evaluate(found, names) == STEPS * BATCH * 4 * HIDDEN * (INPUT + HIDDEN)


@pytest.mark.parametrize("change", [{"direction": "up"}, {"hidden_size": 5}, {"direction": "bidirectional"}])
def test_invalid_nodes_are_unknown_with_the_reason(change: dict[str, Any]) -> None:
    model = oracle.single_node("GRU", [random(STEPS, BATCH, INPUT), *weights("GRU", 1)], change, 14)
    assert oracle.value(oracle.infer(model)).why.startswith("invalid GRU")
