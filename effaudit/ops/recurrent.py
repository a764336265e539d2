"""Recurrent layers. MACs: steps x batch x directions x gates x hidden x (input + hidden), both matrices, every step."""

from __future__ import annotations

from typing import Any

from effaudit.dims import Dim
from effaudit.graph import Shape, Value
from effaudit.ops._inputs import agreed, ranked
from effaudit.ops._registry import Cost, cost, shape


class Layer:
    """The sizes of a recurrent layer, of whichever side of the node states them."""

    def __init__(self, x: Value, w: Value, r: Value, gates: int, direction: str, hidden_size: int | None, layout: int):
        if direction not in ("forward", "reverse", "bidirectional"):
            raise ValueError(f"direction {direction!r} is not one of forward, reverse, bidirectional")
        rows, weights, recurrent = ranked(x, "X", 3), ranked(w, "W", 3), ranked(r, "R", 3)
        self.layout = layout
        self.gates = gates
        self.steps, self.batch = (rows[1], rows[0]) if layout else rows[:2]
        self.directions = agreed("num_directions", 2 if direction == "bidirectional" else 1, weights[0], recurrent[0])
        self.hidden = agreed("hidden_size", *([hidden_size] if hidden_size else []), recurrent[2])
        self.input = agreed("input_size", rows[2], weights[2])
        agreed(f"{gates} x hidden_size", self.hidden * gates, weights[1], recurrent[1])

    @property
    def every_step(self) -> Shape:
        """The shape of Y."""
        if self.layout:
            return (self.batch, self.steps, self.directions, self.hidden)
        return (self.steps, self.directions, self.batch, self.hidden)

    @property
    def last_step(self) -> Shape:
        """The shape of Y_h and Y_c."""
        if self.layout:
            return (self.batch, self.directions, self.hidden)
        return (self.directions, self.batch, self.hidden)

    @property
    def units(self) -> Dim:
        """How often a hidden unit is updated. Sequences cut short by `sequence_lens` count in full, as padding does."""
        return self.steps * self.batch * self.directions * self.hidden

    def cost(self, per_unit: int) -> Cost:
        return Cost(self.units * self.gates * (self.input + self.hidden), self.units * per_unit)


@shape("RNN")
def rnn(
    x: Value,
    w: Value,
    r: Value,
    b: Value | None = None,
    sequence_lens: Value | None = None,
    initial_h: Value | None = None,
    *,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
) -> tuple[Value, ...]:
    """https://onnx.ai/onnx/operators/onnx__RNN.html"""
    layer = Layer(x, w, r, 1, direction, hidden_size, layout)
    return Value(x.encoding, layer.every_step), Value(x.encoding, layer.last_step)


@cost("RNN", kind="recurrent")
def rnn_cost(
    x: Value,
    w: Value,
    r: Value,
    b: Value | None = None,
    *rest: Any,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
) -> Cost:
    """macs = steps x batch x directions x hidden x (input + hidden);
    ops = steps x batch x directions x hidden x (2 (add the two products; activation) + 2 with biases)"""
    return Layer(x, w, r, 1, direction, hidden_size, layout).cost(2 + (2 if b is not None else 0))


@shape("GRU")
def gru(
    x: Value,
    w: Value,
    r: Value,
    b: Value | None = None,
    sequence_lens: Value | None = None,
    initial_h: Value | None = None,
    *,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
) -> tuple[Value, ...]:
    """https://onnx.ai/onnx/operators/onnx__GRU.html"""
    layer = Layer(x, w, r, 3, direction, hidden_size, layout)
    return Value(x.encoding, layer.every_step), Value(x.encoding, layer.last_step)


@cost("GRU", kind="recurrent")
def gru_cost(
    x: Value,
    w: Value,
    r: Value,
    b: Value | None = None,
    *rest: Any,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
) -> Cost:
    """macs = steps x batch x directions x 3 x hidden x (input + hidden);
    ops = steps x batch x directions x hidden x (11 (3 sums of products, 3 activations, the reset product, 4 to
    blend old and new state) + 6 with biases)"""
    return Layer(x, w, r, 3, direction, hidden_size, layout).cost(11 + (6 if b is not None else 0))


@shape("LSTM")
def lstm(
    x: Value,
    w: Value,
    r: Value,
    b: Value | None = None,
    sequence_lens: Value | None = None,
    initial_h: Value | None = None,
    initial_c: Value | None = None,
    p: Value | None = None,
    *,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
) -> tuple[Value, ...]:
    """https://onnx.ai/onnx/operators/onnx__LSTM.html"""
    layer = Layer(x, w, r, 4, direction, hidden_size, layout)
    last = Value(x.encoding, layer.last_step)
    return Value(x.encoding, layer.every_step), last, last


@cost("LSTM", kind="recurrent")
def lstm_cost(
    x: Value,
    w: Value,
    r: Value,
    b: Value | None = None,
    sequence_lens: Value | None = None,
    initial_h: Value | None = None,
    initial_c: Value | None = None,
    p: Value | None = None,
    *,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
) -> Cost:
    """macs = steps x batch x directions x 4 x hidden x (input + hidden);
    ops = steps x batch x directions x hidden x (13 (4 sums of products, 5 activations, 3 for the cell, 1 for the
    output) + 8 with biases, + 6 with peepholes)"""
    extra = (8 if b is not None else 0) + (6 if p is not None else 0)
    return Layer(x, w, r, 4, direction, hidden_size, layout).cost(13 + extra)
