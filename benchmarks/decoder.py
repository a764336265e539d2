"""A Llama decoder step with its key/value cache, spelled out operator by operator the way exporters write it.

No fused attention, every Reshape fed by Shape/Gather/Unsqueeze/Concat, norms and softmax in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

from onnx import TensorProto

from benchmarks.sketch import Sketch

FP16, FP32, INT64, BOOL = TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
END = 2**63 - 1  # "to the end" in a Slice


@dataclass(frozen=True)
class Config:
    """The defaults are Llama-2-7B: 6.74 billion parameters, 13.5 GB in float16."""

    layers: int = 32
    hidden: int = 4096
    heads: int = 32
    ffn: int = 11008
    vocab: int = 32000
    positions: int = 4096

    @property
    def head(self) -> int:
        return self.hidden // self.heads


@dataclass(frozen=True)
class Dims:
    """The sizes of one step; names where they are left open."""

    batch: int | str
    seq: int | str
    past: int | str

    @property
    def total(self) -> int | str:
        if isinstance(self.past, int) and isinstance(self.seq, int):
            return self.past + self.seq
        return f"{self.past} + {self.seq}"


STATIC = Dims(1, 1, 2047)
DYNAMIC = Dims("batch_size", "sequence_length", "past_sequence_length")


def decoder(config: Config, dims: Dims) -> Sketch:
    g = Sketch()
    ids = g.input("input_ids", INT64, [dims.batch, dims.seq])
    padding = g.input("attention_mask", INT64, [dims.batch, dims.total])
    positions = g.input("position_ids", INT64, [dims.batch, dims.seq])
    table = g.weight("model.embed_tokens.weight", (config.vocab, config.hidden), FP16)
    x = g.node("Gather", [table, ids], "/model/embed_tokens")
    mask = _mask(g, padding, positions)
    for index in range(config.layers):
        x = _layer(g, config, dims, index, x, mask, positions)
    x = _norm(g, x, config.hidden, "model.norm")
    logits = _linear(g, x, config.hidden, config.vocab, "lm_head")
    g.output(g.node("Cast", [logits], "/logits", to=FP32), "logits", FP32, [dims.batch, dims.seq, config.vocab])
    return g


def _layer(g: Sketch, c: Config, dims: Dims, index: int, x: str, mask: str, positions: str) -> str:
    name = f"model.layers.{index}"
    attended = _attention(g, c, dims, index, _norm(g, x, c.hidden, f"{name}.input_layernorm"), mask, positions)
    x = g.node("Add", [x, attended], f"/{name}/residual_attention")
    y = _norm(g, x, c.hidden, f"{name}.post_attention_layernorm")
    gate = _linear(g, y, c.hidden, c.ffn, f"{name}.mlp.gate_proj")
    gate = g.node("Mul", [gate, g.node("Sigmoid", [gate], f"/{name}/mlp/act")], f"/{name}/mlp/act")
    up = _linear(g, y, c.hidden, c.ffn, f"{name}.mlp.up_proj")
    down = _linear(g, g.node("Mul", [gate, up], f"/{name}/mlp"), c.ffn, c.hidden, f"{name}.mlp.down_proj")
    return g.node("Add", [x, down], f"/{name}/residual_mlp")


def _attention(g: Sketch, c: Config, dims: Dims, index: int, x: str, mask: str, positions: str) -> str:
    name = f"model.layers.{index}.self_attn"
    cache = [dims.batch, c.heads, dims.past, c.head]
    past_k = g.input(f"past_key_values.{index}.key", FP16, cache)
    past_v = g.input(f"past_key_values.{index}.value", FP16, cache)
    q, k, v = (
        _split_heads(g, c, _linear(g, x, c.hidden, c.hidden, f"{name}.{part}_proj"), f"/{name}/{part}")
        for part in "qkv"
    )
    cos, sin = _rotary_tables(g, c, past_k, k, positions, f"/{name}/rotary")
    q, k = (_rotate(g, t, cos, sin, f"/{name}/rotary_{part}") for part, t in (("q", q), ("k", k)))
    k = g.node("Concat", [past_k, k], f"/{name}/cache_k", axis=2)
    v = g.node("Concat", [past_v, v], f"/{name}/cache_v", axis=2)
    for part, t in (("key", k), ("value", v)):
        g.output(t, f"present.{index}.{part}", FP16, [dims.batch, c.heads, dims.total, c.head])
    scores = g.node("MatMul", [q, g.node("Transpose", [k], f"/{name}/k", perm=[0, 1, 3, 2])], f"/{name}/scores")
    scores = g.node("Div", [scores, g.scalar(c.head**0.5, FP16)], f"/{name}/scale")
    length = g.node("Unsqueeze", [_dim(g, k, 2, f"/{name}/kv"), g.integers(0)], f"/{name}/kv")
    window = g.node("Slice", [mask, g.integers(0), length, g.integers(3)], f"/{name}/mask")
    scores = g.node("Cast", [g.node("Add", [scores, window], f"/{name}/masked")], f"/{name}/wide", to=FP32)
    weights = g.node("Cast", [g.node("Softmax", [scores], f"/{name}/softmax", axis=-1)], f"/{name}/narrow", to=FP16)
    merged = _merge_heads(g, c, g.node("MatMul", [weights, v], f"/{name}/attend"), f"/{name}/merge")
    return _linear(g, merged, c.hidden, c.hidden, f"{name}.o_proj")


def _linear(g: Sketch, x: str, rows: int, columns: int, name: str) -> str:
    return g.node("MatMul", [x, g.weight(f"{name}.weight", (rows, columns), FP16)], f"/{name}")


def _norm(g: Sketch, x: str, hidden: int, name: str) -> str:
    x = g.node("Cast", [x], f"/{name}/wide", to=FP32)
    mean = g.node("ReduceMean", [g.node("Pow", [x, g.scalar(2.0)], f"/{name}")], f"/{name}", axes=[-1])
    root = g.node("Sqrt", [g.node("Add", [mean, g.scalar(1e-5)], f"/{name}")], f"/{name}")
    scaled = g.node("Mul", [x, g.node("Reciprocal", [root], f"/{name}")], f"/{name}/scaled")
    narrow = g.node("Cast", [scaled], f"/{name}/narrow", to=FP16)
    return g.node("Mul", [g.weight(f"{name}.weight", (hidden,), FP16), narrow], f"/{name}")


def _dim(g: Sketch, x: str, axis: int, name: str) -> str:
    shape = g.node("Shape", [x], f"{name}/dim{axis}")
    return g.node("Gather", [shape, g.scalar(axis, INT64)], f"{name}/dim{axis}")


def _reshape(g: Sketch, x: str, sizes: str, last: tuple[int, ...], name: str) -> str:
    """Reshape to (first two dims of `sizes`..., *last), the dims read off at run time."""
    leading = [g.node("Unsqueeze", [_dim(g, sizes, axis, name), g.integers(0)], f"{name}/dim{axis}") for axis in (0, 1)]
    shape = g.node("Concat", [*leading, g.integers(*last)], f"{name}/shape", axis=0)
    return g.node("Reshape", [x, shape], name)


def _split_heads(g: Sketch, c: Config, x: str, name: str) -> str:
    x = _reshape(g, x, x, (c.heads, c.head), name)
    return g.node("Transpose", [x], name, perm=[0, 2, 1, 3])


def _merge_heads(g: Sketch, c: Config, x: str, name: str) -> str:
    x = g.node("Transpose", [x], name, perm=[0, 2, 1, 3])
    return _reshape(g, x, x, (c.hidden,), name)


def _rotary_tables(g: Sketch, c: Config, past: str, k: str, positions: str, name: str) -> list[str]:
    """cos and sin of the positions of this step: [batch, 1, seq, head]."""
    length = g.node("Add", [_dim(g, past, 2, f"{name}/past"), _dim(g, k, 2, f"{name}/new")], f"{name}/length")
    end = g.node("Unsqueeze", [length, g.integers(0)], f"{name}/length")
    tables = []
    for part in ("cos", "sin"):
        cached = g.weight(f"model.rotary.{part}_cached", (c.positions, c.head), FP16)
        used = g.node("Slice", [cached, g.integers(0), end, g.integers(0)], f"{name}/{part}")
        picked = g.node("Gather", [used, positions], f"{name}/{part}")
        tables.append(g.node("Unsqueeze", [picked, g.integers(1)], f"{name}/{part}"))
    return tables


def _rotate(g: Sketch, x: str, cos: str, sin: str, name: str) -> str:
    """x * cos + rotate_half(x) * sin; the half is found as tracing leaves it: Shape, Div and two Casts."""
    half = g.node("Div", [_dim(g, x, 3, name), g.scalar(2, INT64)], f"{name}/half")
    half = g.node("Cast", [g.node("Cast", [half], f"{name}/half_0", to=INT64)], f"{name}/half_1", to=INT64)
    half = g.node("Unsqueeze", [half, g.integers(0)], f"{name}/half")
    low = g.node("Slice", [x, g.integers(0), half, g.integers(3)], f"{name}/low")
    high = g.node("Slice", [x, half, g.integers(END), g.integers(3)], f"{name}/high")
    turned = g.node("Concat", [g.node("Neg", [high], name), low], name, axis=-1)
    parts = [g.node("Mul", [x, cos], f"{name}/cos"), g.node("Mul", [turned, sin], f"{name}/sin")]
    return g.node("Add", parts, name)


def _mask(g: Sketch, padding: str, positions: str) -> str:
    """0 where a position may look, the lowest float16 where not: [batch, 1, seq, total]."""
    columns = g.node("Range", [g.scalar(0, INT64), _dim(g, padding, 1, "/mask"), g.scalar(1, INT64)], "/mask")
    rows = g.node("Unsqueeze", [positions, g.integers(1, 3)], "/mask/rows")
    future = g.node("Greater", [columns, rows], "/mask/future")
    padded = g.node("Not", [g.node("Cast", [padding], "/mask/padding", to=BOOL)], "/mask/padding")
    padded = g.node("Unsqueeze", [padded, g.integers(1, 2)], "/mask/padding")
    hidden = g.node("Or", [future, padded], "/mask")
    return g.node("Where", [hidden, g.scalar(-65504.0, FP16), g.scalar(0.0, FP16)], "/mask")
