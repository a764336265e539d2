"""com.microsoft recurrent layers: weights quantized at run time, and an LSTM that attends to a memory.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Sequence

from effaudit.dims import Dim
from effaudit.graph import Value
from effaudit.ops._inputs import agreed, given, ranked
from effaudit.ops._registry import MICROSOFT, Cost, cost, numel, shape
from effaudit.ops.quantize import QUANTIZE, RANGE

UNIT = 13  # of an LSTM per hidden unit: 4 sums of products, 5 activations, 3 for the cell, 1 for the output
BIASES = 8
PEEPHOLES = 6
SOFTMAX = 5


class _Quantized:
    """The sizes of a DynamicQuantizeLSTM, whose weights lie input-major (D x input x 4H, D x H x 4H)."""

    def __init__(self, x: Value, w: Value, r: Value, direction: str) -> None:
        self.steps, self.batch, given_input = ranked(x, "X", 3)
        weights, recurrent = ranked(w, "W", 3), ranked(r, "R", 3)
        stated = 2 if direction == "bidirectional" else 1
        self.directions = agreed("num_directions", stated, weights[0], recurrent[0])
        self.input = agreed("input_size", given_input, weights[1])
        self.hidden = recurrent[1]

    @property
    def units(self) -> Dim:
        return self.steps * self.batch * self.directions * self.hidden


@shape("DynamicQuantizeLSTM", domain=MICROSOFT)
def dynamic_quantize_lstm(
    x: Value,
    w: Value,
    r: Value,
    b: Value | None = None,
    sequence_lens: Value | None = None,
    initial_h: Value | None = None,
    initial_c: Value | None = None,
    p: Value | None = None,
    w_scale: Value | None = None,
    w_zero_point: Value | None = None,
    r_scale: Value | None = None,
    r_zero_point: Value | None = None,
    *,
    activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None,
    activations: Sequence[str] | None = None,
    clip: float = 0.0,
    direction: str = "forward",
    hidden_size: int | None = None,
    input_forget: int = 0,
) -> tuple[Value, Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.DynamicQuantizeLSTM"""
    q = _Quantized(x, w, r, direction)
    last = Value(x.encoding, (q.directions, q.batch, q.hidden))
    return Value(x.encoding, (q.steps, q.directions, q.batch, q.hidden)), last, last


@cost("DynamicQuantizeLSTM", domain=MICROSOFT, kind="recurrent")
def dynamic_quantize_lstm_cost(
    x: Value,
    w: Value,
    r: Value,
    b: Value | None = None,
    sequence_lens: Value | None = None,
    initial_h: Value | None = None,
    initial_c: Value | None = None,
    p: Value | None = None,
    *rest: Value | None,
    direction: str = "forward",
) -> Cost:
    """macs = steps x batch x directions x 4 x hidden x (input + hidden);
    ops = steps x batch x directions x hidden x (13 as of LSTM + 8 with biases, + 6 with peepholes, + 8 to rescale the
    products, + 5 to quantize the state), + 5 x numel(X) x directions to quantize the input"""
    q = _Quantized(x, w, r, direction)
    dynamic = RANGE + QUANTIZE
    per_unit = UNIT + BIASES * given(b) + PEEPHOLES * given(p) + 8 + dynamic
    return Cost(q.units * 4 * (q.input + q.hidden), q.units * per_unit + dynamic * x.numel * q.directions)


class _Attending:
    """The sizes of an AttnLSTM: an LSTM over its input and its attention, and a memory it attends to."""

    def __init__(self, x: Value, w: Value, r: Value, direction: str) -> None:
        self.steps, self.batch, _ = ranked(x, "X", 3)
        weights, recurrent = ranked(w, "W", 3), ranked(r, "R", 3)
        stated = 2 if direction == "bidirectional" else 1
        self.directions = agreed("num_directions", stated, weights[0], recurrent[0])
        self.gates, self.input, self.hidden = weights[1], weights[2], recurrent[2]

    @property
    def rounds(self) -> Dim:
        return self.steps * self.batch * self.directions


@shape("AttnLSTM", domain=MICROSOFT)
def attn_lstm(
    x: Value,
    w: Value,
    r: Value,
    b: Value | None = None,
    sequence_lens: Value | None = None,
    initial_h: Value | None = None,
    initial_c: Value | None = None,
    p: Value | None = None,
    qw: Value | None = None,
    mw: Value | None = None,
    v: Value | None = None,
    m: Value | None = None,
    memory_seq_lens: Value | None = None,
    aw: Value | None = None,
    *,
    activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None,
    activations: Sequence[str] | None = None,
    clip: float = 0.0,
    direction: str = "forward",
    hidden_size: int | None = None,
    input_forget: int = 0,
) -> tuple[Value, Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.AttnLSTM"""
    a = _Attending(x, w, r, direction)
    last = Value(x.encoding, (a.directions, a.batch, a.hidden))
    return Value(x.encoding, (a.steps, a.directions, a.batch, a.hidden)), last, last


@cost("AttnLSTM", domain=MICROSOFT, kind="recurrent")
def attn_lstm_cost(
    x: Value,
    w: Value,
    r: Value,
    b: Value | None = None,
    sequence_lens: Value | None = None,
    initial_h: Value | None = None,
    initial_c: Value | None = None,
    p: Value | None = None,
    qw: Value | None = None,
    mw: Value | None = None,
    v: Value | None = None,
    m: Value | None = None,
    memory_seq_lens: Value | None = None,
    aw: Value | None = None,
    *,
    direction: str = "forward",
) -> Cost:
    """macs = rounds x (4 x hidden x (input + attention + hidden) + numel(QW)/D + memory x (attention size + depth)
    + numel(AW)/D) + D x B x memory x numel(MW)/D, rounds = steps x batch x D;
    ops = rounds x (hidden x (13 + 8 with biases, + 6 with peepholes) + memory x (2 x attention size + 5 softmax))"""
    a = _Attending(x, w, r, direction)
    query, keys = ranked(qw, "QW", 3), ranked(mw, "MW", 3)
    _, memory, depth = ranked(m, "M", 3)
    attend = keys[2]
    per_round = a.gates * (a.input + a.hidden) + numel(query[1:]) + memory * (attend + depth)
    if aw is not None:
        per_round = per_round + numel(ranked(aw, "AW", 3)[1:])
    once = a.directions * a.batch * memory * depth * attend
    units = a.hidden * (UNIT + BIASES * given(b) + PEEPHOLES * given(p))
    return Cost(a.rounds * per_round + once, a.rounds * (units + memory * (2 * attend + SOFTMAX)))
