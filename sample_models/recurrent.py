"""Samples whose work repeats: LSTM operators, and the bodies of If, Loop and Scan."""

from __future__ import annotations

import math

import numpy as np
from _builder import Net
from _layers import dim, dims, gemm, he, lecun, linear
from onnx import GraphProto, ModelProto

# ---- lstm: a sequence tagger after Huang et al., https://arxiv.org/abs/1508.01991 (without the CRF)
VOCAB, EMBED, HIDDEN, TAGS, LAYERS = 800, 32, 48, 17, 2


def lstm() -> ModelProto:
    net = Net("lstm", "Tagger: embedding, two bidirectional LSTM layers, linear layer")
    ids = net.input("input_ids", ["batch", "sequence"], np.int64)
    table = net.weight("embedding.weight", (VOCAB, EMBED), 1.0)
    x = net.node("Gather", [table, ids], "embedding", axis=0)
    x = net.node("Transpose", [x], "lstm", perm=[1, 0, 2])  # batch first -> sequence first
    zeros = _zero_state(net, x)
    width = EMBED
    for layer in range(LAYERS):
        x = _bidirectional(net, x, zeros, layer, width)
        width = 2 * HIDDEN
    x = net.node("Transpose", [x], "lstm", perm=[1, 0, 2])
    linear(net, x, "tagger", (width, TAGS), output="logits")
    net.output("logits", ["batch", "sequence", TAGS])
    return net.model()


def _zero_state(net: Net, x: str) -> str:
    shape = dims(net, [2 * LAYERS, dim(net, x, 1, "lstm"), HIDDEN], "lstm")
    return net.node("Expand", [net.constant(np.zeros((1, 1, 1))), shape], "lstm")


def _bidirectional(net: Net, x: str, zeros: str, layer: int, width: int) -> str:
    at = "lstm"
    state = net.node("Slice", [zeros, net.ints(2 * layer), net.ints(2 * layer + 2), net.ints(0)], at)
    w = net.weight(f"lstm.weight_ih_l{layer}", (2, 4 * HIDDEN, width), lecun(width))
    r = net.weight(f"lstm.weight_hh_l{layer}", (2, 4 * HIDDEN, HIDDEN), 1 / math.sqrt(HIDDEN))
    b = net.weight(f"lstm.bias_l{layer}", (2, 8 * HIDDEN), 1 / math.sqrt(HIDDEN))
    y = net.node("LSTM", [x, w, r, b, "", state, state], at, direction="bidirectional", hidden_size=HIDDEN)
    y = net.node("Transpose", [y], at, perm=[0, 2, 1, 3])  # [sequence, batch, directions, hidden]
    return net.node("Reshape", [y, net.ints(0, 0, -1)], at)


# ---- control-flow: a recurrent cell, a branch chosen by the caller, a fixed number of refinement steps
FEATURES, STATE, WIDE, STEPS, CLASSES = 32, 64, 256, 4, 10


def control_flow() -> ModelProto:
    net = Net("control-flow", "Scan over time, If accurate, Loop of four refinements")
    x = net.input("input", ["sequence", "batch", FEATURES])
    accurate = net.input("accurate", [], np.bool_)
    shape = dims(net, [dim(net, x, 1, "cell"), STATE], "cell")
    zeros = net.node("Expand", [net.constant(np.zeros((1, 1))), shape], "cell")
    h = net.node("Scan", [zeros, x], "cell", body=_cell(net), num_scan_inputs=1)
    branches = {"then_branch": _accurate(net, h), "else_branch": _fast(net, h)}
    h = net.node("If", [accurate], "mix", **branches)
    trips, always = net.constant(STEPS, np.int64), net.constant(True, np.bool_)
    h = net.node("Loop", [trips, always, h], "refine", body=_refine(net))
    gemm(net, h, "head", (STATE, CLASSES), output="logits")
    net.output("logits", ["batch", CLASSES])
    return net.model()


def _cell(net: Net) -> GraphProto:
    """One step of an Elman network."""
    body = net.subgraph("cell")
    h, x = body.input("h", ["batch", STATE]), body.input("x_t", ["batch", FEATURES])
    wx = net.weight("cell.weight_ih", (FEATURES, STATE), lecun(FEATURES))
    wh = net.weight("cell.weight_hh", (STATE, STATE), 1 / math.sqrt(STATE))
    update, recur = body.node("MatMul", [x, wx], "cell/ih"), body.node("MatMul", [h, wh], "cell/hh")
    total = body.node("Add", [update, recur], "cell")
    total = body.node("Add", [total, net.weight("cell.bias", (STATE,), 0.1)], "cell")
    body.node("Tanh", [total], "cell", output="h_next")
    body.output("h_next", ["batch", STATE])
    return body.graph()


def _accurate(net: Net, h: str) -> GraphProto:
    body = net.subgraph("accurate")
    y = body.node("MatMul", [h, net.weight("mix.up.weight", (STATE, WIDE), he(STATE))], "mix/accurate/up")
    y = body.node("Relu", [y], "mix/accurate")
    down = net.weight("mix.down.weight", (WIDE, STATE), lecun(WIDE))
    body.node("MatMul", [y, down], "mix/accurate/down", output="accurate_out")
    body.output("accurate_out", ["batch", STATE])
    return body.graph()


def _fast(net: Net, h: str) -> GraphProto:
    body = net.subgraph("fast")
    weight = net.weight("mix.fast.weight", (STATE, STATE), lecun(STATE))
    body.node("MatMul", [h, weight], "mix/fast", output="fast_out")
    body.output("fast_out", ["batch", STATE])
    return body.graph()


def _refine(net: Net) -> GraphProto:
    body = net.subgraph("refine")
    body.input("step", [], np.int64)
    go_on, h = body.input("go_on", [], np.bool_), body.input("h_in", ["batch", STATE])
    at = "refine/body"
    weight = net.weight("refine.weight", (STATE, STATE), 1 / math.sqrt(STATE))
    y = body.node("Add", [body.node("MatMul", [h, weight], at), net.weight("refine.bias", (STATE,), 0.1)], at)
    y = body.node("Tanh", [y], at)
    body.node("Identity", [go_on], at, output="go_on_out")
    body.node("Add", [h, y], at, output="h_out")
    body.output("go_on_out", [], np.bool_)
    body.output("h_out", ["batch", STATE])
    return body.graph()
