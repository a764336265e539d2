"""Decoders with a cache of keys and values, small enough to run, in the layouts that exporters use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, helper, numpy_helper

FLOAT, FLOAT16, INT64 = 1, 10, 7
MICROSOFT = "com.microsoft"
Dims = Sequence[int | str]


class Graph:
    """A graph under construction, with real weights; every method returns the name of what it makes."""

    def __init__(self, dtype: int = FLOAT) -> None:
        self.dtype = dtype
        self.numpy = helper.tensor_dtype_to_np_dtype(dtype)
        self.random = np.random.default_rng(0)
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []

    def input(self, name: str, dims: Dims, dtype: int | None = None) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, dtype or self.dtype, dims))
        return name

    def output(self, name: str, dtype: int | None = None) -> str:
        self.outputs.append(helper.make_tensor_value_info(name, dtype or self.dtype, None))
        return name

    def node(self, op: str, inputs: Sequence[str], outputs: Sequence[str] | str = "", **attrs: Any) -> str:
        made = [outputs] if isinstance(outputs, str) else list(outputs)
        made[0] = made[0] or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), made, name=f"n{len(self.nodes)}", **attrs))
        return made[0]

    def weight(self, *dims: int) -> str:
        return self._tensor((self.random.standard_normal(dims) * 0.1).astype(self.numpy), "w")

    def ints(self, *values: int) -> str:
        return self._tensor(np.array(values, np.int64), "c")

    def int32(self, value: Any) -> str:
        return self._tensor(np.array(value, np.int32), "c")

    def int8(self, value: int) -> str:
        return self._tensor(np.array(value, np.int8), "c")

    def number(self, value: float) -> str:
        return self._tensor(np.array(value, np.float32), "c")

    def _tensor(self, values: Any, kind: str) -> str:
        self.tensors.append(numpy_helper.from_array(values, f"{kind}{len(self.tensors)}"))
        return str(self.tensors[-1].name)

    def linear(self, x: str, cin: int, cout: int) -> str:
        return self.node("MatMul", [x, self.weight(cin, cout)])

    def split(self, x: str, heads: int, size: int, perm: Sequence[int] = (0, 2, 1, 3)) -> str:
        """batch x length x (heads x size) -> batch x heads x length x size."""
        y = self.node("Reshape", [x, self.ints(0, 0, heads, size)])
        return self.node("Transpose", [y], perm=list(perm))

    def merge(self, x: str, width: int) -> str:
        return self.node("Reshape", [self.node("Transpose", [x], perm=[0, 2, 1, 3]), self.ints(0, 0, width)])

    def repeat(self, x: str, heads: int, times: int, size: int) -> str:
        """Every key head for `times` query heads: batch x (heads x times) x length x size."""
        if times == 1:
            return x
        y = self.node("Tile", [self.node("Unsqueeze", [x, self.ints(2)]), self.ints(1, 1, times, 1, 1)])
        return self.node("Reshape", [y, self.ints(0, heads * times, -1, size)])

    def attend(self, q: str, k: str, v: str, *, transposed: bool = False) -> str:
        kt = k if transposed else self.node("Transpose", [k], perm=[0, 1, 3, 2])
        return self.node("MatMul", [self.node("Softmax", [self.node("MatMul", [q, kt])], axis=-1), v])

    def model(self, opset: int = 20) -> ModelProto:
        graph = helper.make_graph(self.nodes, "cache", self.inputs, self.outputs, self.tensors)
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def decoder(
    layers: int = 2,
    heads: int = 4,
    kv_heads: int = 2,
    size: int = 8,
    *,
    layout: str = "bhsd",
    dtype: int = FLOAT,
    names: str = "past_key_values.{}.{}",
    v_size: int | None = None,
    rotated: bool = False,
) -> ModelProto:
    """Layers of attention that concatenate their past (and turn it afterwards where `rotated`): `layout` "bhsd", "bhds"
    (keys transposed), "bshd", "combined" (2 x batch x heads x length x size) or "none" (no past is taken, the present
    is handed back)."""
    g, d, w = Graph(dtype), heads * size, v_size or size
    x = g.input("x", ["batch", "new", d])
    g.output("y")
    for i in range(layers):
        q = g.split(g.linear(x, d, d), heads, size)
        axes = (0, 1, 2, 3) if layout == "bshd" else (0, 2, 1, 3)
        k = g.split(g.linear(x, d, kv_heads * size), kv_heads, size, axes)
        v = g.split(g.linear(x, d, kv_heads * w), kv_heads, w, axes)
        k, v = _grown(g, i, (k, v), (kv_heads, size, w), layout, names)
        k = _turned(g, k, size) if rotated else k
        times = heads // kv_heads
        y = g.attend(q, g.repeat(k, kv_heads, times, size), g.repeat(v, kv_heads, times, w))
        last = "y" if i == layers - 1 else ""
        x = g.node("Add", [x, g.linear(g.merge(y, heads * w), heads * w, d)], last)
    return g.model()


def _turned(g: Graph, x: str, size: int) -> str:
    """x cos + rotate_half(x) sin, its factors constant here."""
    low, high = (g.node("Slice", [x, g.ints(a), g.ints(b), g.ints(3)]) for a, b in ((0, size // 2), (size // 2, size)))
    half = g.node("Concat", [g.node("Neg", [high]), low], axis=-1)
    return g.node("Add", [g.node("Mul", [x, g.weight(size)]), g.node("Mul", [half, g.weight(size)])])


def _grown(
    g: Graph, i: int, fresh: tuple[str, str], sizes: tuple[int, int, int], layout: str, names: str
) -> tuple[str, str]:
    """Keys and values with the past before them, as batch x heads x length x size."""
    (k, v), (heads, size, v_size) = fresh, sizes
    outs = [g.output(f"present.{i}.{part}") for part in (("kv",) if layout == "combined" else ("key", "value"))]
    if layout == "combined":
        past = g.input(names.format(i, "kv"), [2, "batch", heads, "past", size])
        grown = []
        for part, new in enumerate((k, v)):
            old = g.node("Gather", [past, g.int32(part)], axis=0)
            grown.append(g.node("Concat", [old, new], axis=2))
        stacked = [g.node("Unsqueeze", [part, g.ints(0)]) for part in grown]
        g.node("Concat", stacked, outs[0], axis=0)
        return grown[0], grown[1]
    if layout == "none":
        return g.node("Identity", [k], outs[0]), g.node("Identity", [v], outs[1])
    if layout == "bhds":
        past = g.input(names.format(i, "key"), ["batch", heads, size, "past"])
        k = g.node("Concat", [past, g.node("Transpose", [k], perm=[0, 1, 3, 2])], outs[0], axis=3)
        old = g.input(names.format(i, "value"), ["batch", heads, "past", v_size])
        return g.node("Transpose", [k], perm=[0, 1, 3, 2]), g.node("Concat", [old, v], outs[1], axis=2)
    axis = 1 if layout == "bshd" else 2
    shapes = [["batch", heads, "past", s] if axis == 2 else ["batch", "past", heads, s] for s in (size, v_size)]
    olds = [g.input(names.format(i, part), shape) for part, shape in zip(("key", "value"), shapes, strict=True)]
    made = [g.node("Concat", [a, b], out, axis=axis) for a, b, out in zip(olds, (k, v), outs, strict=True)]
    if axis == 1:
        made = [g.node("Transpose", [m], perm=[0, 2, 1, 3]) for m in made]
    return made[0], made[1]


def seq_to_seq(layers: int = 2, heads: int = 4, size: int = 8) -> ModelProto:
    """A decoder step of an encoder-decoder: a growing cache of its own, and the encoder's keys and values as given."""
    g, d = Graph(), heads * size
    x = g.input("x", ["batch", "new", d])
    g.output("y")
    for i in range(layers):
        q, k, v = (g.split(g.linear(x, d, d), heads, size) for _ in "qkv")
        k, v = _grown(g, i, (k, v), (heads, size, size), "bhsd", "past_key_values.{}.decoder.{}")
        x = g.node("Add", [x, g.linear(g.merge(g.attend(q, k, v), d), d, d)])
        shape = ["batch", heads, "encoder_length", size]
        ek, ev = (g.input(f"past_key_values.{i}.encoder.{part}", shape) for part in ("key", "value"))
        q = g.split(g.linear(x, d, d), heads, size)
        last = "y" if i == layers - 1 else ""
        x = g.node("Add", [x, g.linear(g.merge(g.attend(q, ek, ev), d), d, d)], last)
    return g.model()


def grouped(
    heads: int = 4, kv_heads: int = 2, size: int = 8, *, window: int = -1, packed_bits: int = 0, layers: int = 1
) -> ModelProto:
    """com.microsoft GroupQueryAttention over a shared buffer; with `packed_bits` 4, of 2 elements a byte."""
    g, d = Graph(), heads * size
    x = g.input("x", ["batch", 1, d])
    lengths, total = g.input("seqlens_k", ["batch"], 6), g.input("total_sequence_length", [], 6)
    g.output("y")
    for i in range(layers):
        width = size * packed_bits // 8 if packed_bits else size
        kind = 2 if packed_bits else FLOAT
        pasts = [
            g.input(f"past_key_values.{i}.{p}", ["batch", kv_heads, "past", width], kind) for p in ("key", "value")
        ]
        outs = [g.output(f"present.{i}.{p}", kind) for p in ("key", "value")]
        parts = [g.linear(x, d, n * size) for n in (heads, kv_heads, kv_heads)]
        attrs: dict[str, Any] = {"num_heads": heads, "kv_num_heads": kv_heads, "local_window_size": window}
        inputs = [*parts, *pasts, lengths, total]
        if packed_bits:
            attrs |= {"kv_cache_bit_width": packed_bits, "k_quant_type": "PER_TENSOR", "v_quant_type": "PER_TENSOR"}
            inputs += ["", "", "", "", "", g.weight(1), g.weight(1)]
        y = g.node("GroupQueryAttention", inputs, [f"attended{i}", *outs], domain=MICROSOFT, **attrs)
        x = g.node("Add", [x, g.linear(y, d, d)], "y" if i == layers - 1 else "")
    return g.model()


def fused(operator: str, heads: int = 4, kv_heads: int = 4, size: int = 8, **attrs: Any) -> ModelProto:
    """One fused operator with past and present: ONNX "Attention", or com.microsoft "MultiHeadAttention" and
    "PackedAttention" (its own Attention, with projections and keys and values in one tensor)."""
    g, d = Graph(), heads * size
    x = g.input("x", ["batch", "new", d])
    g.output("y")
    if operator == "PackedAttention":
        past = g.input("past_0", [2, "batch", heads, "past", size])
        inputs = [x, g.weight(d, 3 * d), g.weight(3 * d), "", past]
        g.node("Attention", inputs, ["y", g.output("present_0")], domain=MICROSOFT, num_heads=heads)
        return g.model()
    parts = [g.linear(x, d, n * size) for n in (heads, kv_heads, kv_heads)]
    pasts = [g.input(f"past.0.{p}", ["batch", kv_heads, "past", size]) for p in ("key", "value")]
    outs = [g.output(f"present.0.{p}") for p in ("key", "value")]
    if operator == "Attention":
        attrs |= {"q_num_heads": heads, "kv_num_heads": kv_heads}
        g.node("Attention", [*parts, "", *pasts], ["y", *outs], **attrs)
        return g.model(25)
    g.node(operator, [*parts, "", "", "", *pasts], ["y", *outs], domain=MICROSOFT, num_heads=heads)
    return g.model()


def static(operator: str, heads: int = 4, size: int = 8, capacity: int = 64) -> ModelProto:
    """A cache of fixed capacity that one new token is written into: "ScatterND", "ScatterElements", "TensorScatter"."""
    g, d = Graph(), heads * size
    x = g.input("x", [1, 1, d])
    g.output("y")
    at = g.input("at", [1], INT64)
    q, *fresh = (g.split(g.linear(x, d, d), heads, size) for _ in "qkv")
    made = []
    for part, new in zip(("key", "value"), fresh, strict=True):
        past = g.input(f"cache_{part}", [1, heads, capacity, size])
        out = g.output(f"new_{part}")
        if operator == "TensorScatter":
            made.append(g.node("TensorScatter", [past, new, at], out, axis=2))
        elif operator == "ScatterElements":
            where = g.node("Expand", [g.node("Reshape", [at, g.ints(1, 1, 1, 1)]), g.ints(1, heads, 1, size)])
            made.append(g.node("ScatterElements", [past, where, new], out, axis=2))
        else:
            rows = g.node("Transpose", [past], perm=[2, 0, 1, 3])
            put = g.node("Transpose", [new], perm=[2, 0, 1, 3])
            grown = g.node("ScatterND", [rows, g.node("Reshape", [at, g.ints(1, 1)]), put])
            made.append(g.node("Transpose", [grown], out, perm=[1, 2, 0, 3]))
    g.node("MatMul", [g.merge(g.attend(q, *made), d), g.weight(d, d)], "y")
    return g.model(24)


def _model(nodes: Sequence[Any], inner: ModelProto, inputs: Sequence[Any], outputs: Sequence[str], **rest: Any) -> Any:
    made = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "outer", inputs, made)
    return helper.make_model(graph, opset_imports=inner.opset_import, ir_version=10, **rest)


def merged(layers: int = 2, cached_branch: str = "then_branch") -> ModelProto:
    """A decoder exported once with its cache and once without, behind an If: the branches read the model's inputs."""
    cached, first = decoder(layers), decoder(layers, layout="none")
    branches = {}
    for name in ("then_branch", "else_branch"):
        model = cached if name == cached_branch else first
        g = model.graph
        branches[name] = helper.make_graph(g.node, name, [], g.output, g.initializer)
    inner = [o.name for o in cached.graph.output]
    use = helper.make_tensor_value_info("use_cache_branch", 9, [])
    outputs = [f"out.{name}" for name in inner]
    node = helper.make_node("If", ["use_cache_branch"], outputs, name="choice", **branches)
    return _model([node], cached, [*cached.graph.input, use], outputs)


def called() -> ModelProto:
    """A decoder whose one layer is a call of a model-local function."""
    inner = decoder(1)
    g = inner.graph
    weights = [helper.make_node("Constant", [], [t.name], value=t) for t in g.initializer]
    names, outs = [i.name for i in g.input], [o.name for o in g.output]
    body = helper.make_function("local", "layer", names, outs, [*weights, *g.node], inner.opset_import)
    outputs = [f"out.{name}" for name in outs]
    node = helper.make_node("layer", names, outputs, domain="local", name="call")
    model = _model([node], inner, g.input, outputs, functions=[body])
    model.opset_import.append(helper.make_opsetid("local", 1))
    return model


def eight_bits(heads: int = 4, size: int = 8) -> ModelProto:
    """A cache of int8 elements that one scale turns into numbers and back."""
    g, d = Graph(), heads * size
    x = g.input("x", ["batch", "new", d])
    g.output("y")
    q, *fresh = (g.split(g.linear(x, d, d), heads, size) for _ in "qkv")
    grown = []
    for part, new in zip(("key", "value"), fresh, strict=True):
        past = g.input(f"past.0.{part}", ["batch", heads, "past", size], 3)
        scale, zero = g.number(0.05), g.int8(0)
        old = g.node("DequantizeLinear", [past, scale, zero])
        grown.append(g.node("Concat", [old, new], axis=2))
        g.node("QuantizeLinear", [grown[-1], scale, zero], g.output(f"present.0.{part}", 3))
    g.node("MatMul", [g.merge(g.attend(q, *grown), d), g.weight(d, d)], "y")
    return g.model()


def stacked(layers: int = 3, heads: int = 4, size: int = 8) -> ModelProto:
    """The keys of all layers in one input, the values in another: layers x batch x heads x past x size."""
    g, d = Graph(), heads * size
    x = g.input("x", ["batch", "new", d])
    pasts = [g.input(f"{p}_cache", [layers, "batch", heads, "past", size]) for p in ("key", "value")]
    g.output("y")
    grown: list[list[str]] = [[], []]
    for i in range(layers):
        q, *fresh = (g.split(g.linear(x, d, d), heads, size) for _ in "qkv")
        for part, (past, new) in enumerate(zip(pasts, fresh, strict=True)):
            old = g.node("Gather", [past, g.int32(i)], axis=0)
            grown[part].append(g.node("Concat", [old, new], axis=2))
        y = g.merge(g.attend(q, grown[0][i], grown[1][i]), d)
        x = g.node("Add", [x, g.linear(y, d, d)], "y" if i == layers - 1 else "")
    for part, name in enumerate(("new_key_cache", "new_value_cache")):
        g.node("Concat", [g.node("Unsqueeze", [t, g.ints(0)]) for t in grown[part]], g.output(name), axis=0)
    return g.model()


def shared_by_layers(heads: int = 4, size: int = 8) -> ModelProto:
    """Two layers that read one cache: the second has queries alone, https://arxiv.org/abs/2405.12981."""
    g, d = Graph(), heads * size
    x = g.input("x", ["batch", "new", d])
    q, k, v = (g.split(g.linear(x, d, d), heads, size) for _ in "qkv")
    g.output("y")
    k, v = _grown(g, 0, (k, v), (heads, size, size), "bhsd", "past.{}.{}")
    x = g.node("Add", [x, g.linear(g.merge(g.attend(q, k, v), d), d, d)])
    q = g.split(g.linear(x, d, d), heads, size)
    g.node("Add", [x, g.linear(g.merge(g.attend(q, k, v), d), d, d)], "y")
    return g.model()


def latent(rank: int = 16, heads: int = 4, size: int = 8) -> ModelProto:
    """Keys and values made anew from a cache of latents, as in https://arxiv.org/abs/2405.04434."""
    g, d = Graph(), heads * size
    x = g.input("x", ["batch", "new", d])
    g.output("y")
    past = g.input("past_key_values.0.latent", ["batch", "past_length", rank])
    grown = g.node("Concat", [past, g.linear(x, d, rank)], g.output("present.0.latent"), axis=1)
    q = g.split(g.linear(x, d, d), heads, size)
    k, v = (g.split(g.linear(grown, rank, d), heads, size) for _ in "kv")
    g.node("Add", [x, g.linear(g.merge(g.attend(q, k, v), d), d, d)], "y")
    return g.model()
