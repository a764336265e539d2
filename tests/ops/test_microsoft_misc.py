"""com.microsoft operators of no larger family: movement, sampling, tokens, recurrent layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from effaudit import dims
from effaudit.errors import Undecided
from effaudit.ops._registry import find
from tests.ops.microsoft_oracle import MS, schema_shapes
from tests.ops.oracle import ALWAYS, SYMBOLIC, check, cost, infer, ints, random, scalar, single_node, value

U8, I32, F32, I64 = np.uint8, np.int32, np.float32, np.int64


def i32(*values: int) -> Any:
    return np.array(values, I32)


def test_movement() -> None:
    x = random(2, 3, 4)
    check("SampleOp", [x], domain=MS)
    for axis in (0, 2, -1):
        check("ExpandDims", [x, np.array(axis, I32)], domain=MS, constant=[1])
    check("Trilu", [x], {"upper": 0}, domain=MS)
    check("UnfoldTensor", [x], {"dim": 1, "size": 2, "step": 1}, domain=MS)
    graph = check("UnfoldTensor", [random(2, 9)], {"size": 4, "step": 2}, domain=MS)
    assert value(graph).shape == (2, 3, 4)
    check("GatherND", [x, np.array([[0, 1], [1, 2]], I64)], domain=MS, unknown=SYMBOLIC)


def test_expand_dims_along_an_axis_that_is_fed() -> None:
    check("ExpandDims", [random(2, 3), np.array(1, I32)], domain=MS, unknown=ALWAYS)


@pytest.mark.parametrize("flat", [True, False])
def test_pad(flat: bool) -> None:
    pads = ints(1, 0, 2, 3) if flat else ints(1, 0, 2, 3)[None]
    graph = check("Pad", [random(2, 3), pads, random(1)], domain=MS, constant=[1])
    assert value(graph).shape == (5, 6)


@pytest.mark.parametrize(("bits", "dtype"), [(4, U8), (8, U8)])
def test_gather_block_quantized(bits: int, dtype: Any) -> None:
    table = random(9, 32 * bits // 8, dtype=dtype)
    inputs = [table, np.array([[1, 2, 3]], I64), random(9, 2)]
    graph = check("GatherBlockQuantized", inputs, {"bits": bits, "block_size": 16}, domain=MS, constant=[0, 2])
    assert value(graph).shape == (1, 3, 32)
    assert cost(graph).ops == 2 * 96
    assert cost(graph).reads == 96 * bits // 8 + 24


@pytest.mark.parametrize("known", [True, False])
def test_crop_and_resize(known: bool) -> None:
    inputs = [random(2, 3, 8, 8), random(4, 4), random(4, dtype=I32) % 2, i32(5, 6)]
    constant = [3] if known else []
    graph = check("CropAndResize", inputs, domain=MS, constant=constant, unknown="never" if known else ALWAYS)
    assert not known or cost(graph).ops == 11 * 4 * 3 * 5 * 6


@pytest.mark.parametrize(("mode", "each"), [("bilinear", 11), ("nearest", 0), ("bicubic", 47)])
def test_grid_sample(mode: str, each: int) -> None:
    graph = check("GridSample", [random(2, 3, 8, 8), random(2, 5, 6, 2)], {"mode": mode}, domain=MS)
    assert cost(graph).ops == each * 2 * 3 * 5 * 6


@pytest.mark.parametrize("dtype", [np.int64, np.float32])
@pytest.mark.parametrize("step", [None, 2])
def test_range(dtype: Any, step: int | None) -> None:
    inputs = [scalar(1, dtype), scalar(8, dtype), *([scalar(step, dtype)] if step else [])]
    check("Range", inputs, domain=MS, constant=True)


@pytest.mark.parametrize(("metric", "roots"), [("sqeuclidean", 0), ("euclidean", 1)])
def test_cdist(metric: str, roots: int) -> None:
    graph = check("CDist", [random(4, 3), random(5, 3)], {"metric": metric}, domain=MS)
    assert cost(graph).ops == 20 * (9 + roots)


def test_inverse() -> None:
    graph = check("Inverse", [random(3, 4, 4) + 4 * np.eye(4, dtype=F32)], domain=MS)
    assert cost(graph).ops == 3 * (2 * 64 - 16)


def test_murmur_hash() -> None:
    for positive in (0, 1):
        graph = check("MurmurHash3", [random(2, 3, dtype=I64)], {"positive": positive}, domain=MS)
        assert cost(graph).ops == 6 * (2 * 7 + 9)
    text = check("MurmurHash3", [np.array(["ab", "c"])], domain=MS)
    with pytest.raises(Undecided, match="strings"):
        cost(text)


def test_ngrams() -> None:
    ids = random(2, 6, dtype=I64)
    graph = check("NGramRepeatBlock", [ids, random(2, 9)], {"ngram_size": 3}, domain=MS)
    assert cost(graph).ops == 2 * 4 * 2
    sizes = [ids, ints(3, 5, 7), ints(11, 13, 17, 19)]
    attrs = {"max_ngram_size": 3, "n_head_per_ngram": 2, "pad_id": 0}
    graph = check("NGramHashMapping", sizes, attrs, domain=MS, outputs=2)
    assert cost(graph).ops == 12 * 5 + 48
    packed = [random(12, dtype=I64), *sizes[1:], i32(0, 5, 12)]
    graph = check("VarlenNGramHashMapping", packed, attrs, domain=MS, outputs=2)
    assert cost(graph).ops == 12 * 5 + 48


def test_sizes_that_values_decide() -> None:
    check("Unique", [np.array([2, 1, 1, 3, 4, 3], F32)], domain=MS, outputs=3, unknown=ALWAYS)
    graph = check("DynamicTimeWarping", [random(4, 6)], domain=MS, unknown=ALWAYS)
    assert dims.bounds(value(graph).shape[1]) == (6, 9)  # type: ignore[index]
    tokens = [np.array([1, 2, 3, 4], I64), np.array([1, 2], I64), scalar(0)]
    check("BifurcationDetector", tokens, domain=MS, outputs=2, unknown=ALWAYS)
    check("BifurcationDetector", [*tokens, np.array([1, 2, 9, 5, 1], I64)], domain=MS, outputs=2, unknown=ALWAYS)
    text = np.array(["a bc", "d"])
    attrs = {"mark": 0, "mincharnum": 1, "pad_value": "#", "separators": [" "]}
    check("Tokenizer", [text], attrs, domain=MS, unknown=ALWAYS)


# op, inputs, attributes, outputs: no CPU kernel, so against ONNX Runtime's own shape inference
INFERRED = [
    ("TorchEmbedding", [("float32", (30, 7)), ("int64", (5, 2))], {}, 1),
    ("IsAllFinite", [("float32", (2, 3)), ("float32", (8,))], {}, 1),
    ("RemovePadding", [("float32", (2, 5, 16)), ("int32", (2,))], {}, 4),
    ("RestorePadding", [("float32", (7, 16)), ("int32", (2, 5))], {}, 1),
    ("QuantizeBFP", [("float32", (4, 64))], {"bfp_type": 1}, 3),
]


@pytest.mark.parametrize(("op", "inputs", "attrs", "outputs"), INFERRED, ids=[case[0] for case in INFERRED])
def test_operators_without_a_kernel(op, inputs, attrs, outputs) -> None:  # type: ignore[no-untyped-def]
    found, graph = schema_shapes(op, inputs, attrs, outputs)
    for name, stated in found.items():
        shape = graph.values[name].shape
        assert shape is not None and len(shape) == len(stated)
        assert all(s in (-1, d) for d, s in zip(shape, stated, strict=True)), (name, shape, stated)


def test_operators_nobody_infers() -> None:
    made = infer(single_node("ComplexMul", [random(3, 1, 2), random(5, 2)], {}, 17, MS))
    assert (value(made).shape, cost(made).ops) == ((3, 5, 2), 90)
    made = infer(single_node("Rfft", [random(2, 3, 8)], {"signal_ndim": 1}, 17, MS))
    assert (value(made).shape, cost(made).ops) == ((2, 3, 5, 2), 6 * 5 * 8 * 3)
    made = infer(single_node("Irfft", [random(2, 3, 5, 2)], {"signal_ndim": 1}, 17, MS))
    assert (value(made).shape, cost(made).ops) == ((2, 3, 8), 6 * 5 * 8 * 3)
    stored = [random(80, dtype=U8), ints(4, 16), ints(16, 1)]
    made = infer(single_node("DequantizeBFP", stored, {"bfp_type": 1, "dtype": 10}, 17, MS, 1, [1, 2]))
    assert (value(made).shape, value(made).encoding.dtype) == ((4, 16), "float16")


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_dynamic_quantize_lstm(direction: str) -> None:
    two = 2 if direction == "bidirectional" else 1
    w, r = random(two, 3, 16, dtype=np.int8), random(two, 4, 16, dtype=np.int8)
    scales = [random(two), np.zeros(two, np.int8), random(two), np.zeros(two, np.int8)]
    inputs = [random(5, 2, 3), w, r, random(two, 32), None, None, None, None, *scales]
    attrs = {"hidden_size": 4, "direction": direction}
    graph = check("DynamicQuantizeLSTM", inputs, attrs, domain=MS, outputs=3, constant=[1, 2, 8, 9, 10, 11])
    assert cost(graph).macs == 5 * 2 * two * 4 * 4 * (3 + 4)


def test_attending_lstm() -> None:
    steps, batch, size, hidden, attend, memory, depth, out = 3, 2, 5, 4, 6, 7, 8, 4
    inputs = [random(steps, batch, size), random(1, 4 * hidden, size + out), random(1, 4 * hidden, hidden)]
    inputs += [random(1, 8 * hidden), None, None, None, None, random(1, hidden, attend), random(1, depth, attend)]
    inputs += [random(1, attend), random(batch, memory, depth), i32(7, 7), random(1, depth + hidden, out)]
    attrs = {"hidden_size": hidden, "activations": ["sigmoid", "tanh", "tanh"]}
    graph = check("AttnLSTM", inputs, attrs, domain=MS, outputs=3, constant=[1, 2, 3])
    gates = 4 * hidden * (size + out + hidden)
    per_step = gates + hidden * attend + memory * (attend + depth) + (depth + hidden) * out
    assert cost(graph).macs == steps * batch * per_step + batch * memory * depth * attend


def test_decoding_loops_have_a_shape_and_no_price() -> None:
    ids = random(2, 6, dtype=I32)
    inputs = [ids, i32(20), i32(1), i32(4), i32(3)]
    node = single_node("BeamSearch", inputs, {"eos_token_id": 1, "pad_token_id": 0}, 17, MS, 1, [1, 2, 3, 4])
    assert value(infer(node)).shape == (2, 3, 20)
    node = single_node("GreedySearch", inputs[:3], {"eos_token_id": 1, "pad_token_id": 0}, 17, MS, 1, [1])
    assert value(infer(node)).shape == (2, 20)
    for op in ("BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch"):
        rules = find(MS, op)
        assert rules is not None and "once per generated token" in rules.unpriced


def test_symbolic_padding_stays_bounded() -> None:
    model = single_node("RemovePadding", [random(2, 5, 16), i32(3, 4)], {}, 17, MS, 4)
    graph = infer(model)
    assert dims.bounds(value(graph).shape[0]) == (0, 10)  # type: ignore[index]
