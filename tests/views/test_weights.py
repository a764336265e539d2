"""The weights view against plain numpy over whole tensors as onnx reads them, and against faults planted on purpose."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import msgspec
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from effaudit import operators
from effaudit.audited import Audited, examine
from effaudit.views.weights import TensorWeights, Values, WeightsReport, inspect
from effaudit.views.weights import slabs as slabs_module
from effaudit.views.weights.measure import CODES, DAMAGED, READ, Wanted, measure
from effaudit.views.weights.slabs import cut, slabs
from effaudit.weights import BUFFER, PARAM, QUANTIZATION

SAMPLES = "ad ad-int8 ic ic-int8 kws kws-int8 vww vww-int8 lstm unet dynamic control-flow".split()
FOLDER = Path(__file__).parents[2] / "sample_models"


# ---- writing models


def save(path: Path, nodes: list[Any], tensors: list[TensorProto], inputs: dict[str, Any], **options: Any) -> Path:
    made = [helper.make_tensor_value_info(n, t, dims) for n, (t, dims) in inputs.items()]
    outputs = [helper.make_empty_tensor_value_info(nodes[-1].output[0])]
    graph = helper.make_graph(nodes, "g", made, outputs, tensors)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path, **options)
    return path


def tensor(array: np.ndarray, name: str) -> TensorProto:
    return numpy_helper.from_array(array, name)


def report(path: Path) -> WeightsReport:
    return inspect(examine(path))


def conv(tmp_path: Path, w: np.ndarray, group: int = 1, op: str = "Conv", x: int = 0) -> TensorWeights:
    channels = x or (w.shape[1] * group if op == "Conv" else w.shape[0])
    side = [8] * (w.ndim - 2)
    node = helper.make_node(op, ["x", "w"], ["y"], name="layer", group=group)
    return one(save(tmp_path / "m.onnx", [node], [tensor(w, "w")], {"x": (TensorProto.FLOAT, [1, channels, *side])}))


def matmul(tmp_path: Path, w: np.ndarray) -> TensorWeights:
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="layer")
    kind = helper.np_dtype_to_tensor_dtype(w.dtype)
    dims = [*(1 for _ in w.shape[:-2]), 3, w.shape[-2]]
    return one(save(tmp_path / "m.onnx", [node], [tensor(w, "w")], {"x": (kind, dims)}))


def one(path: Path) -> TensorWeights:
    return named(report(path), "w")


def named(found: WeightsReport, name: str) -> TensorWeights:
    (match,) = [t for t in found.tensors if t.name == name]
    return match


def rules(found: WeightsReport) -> set[str]:
    return {f.rule for f in found.findings}


def random(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers, none of them zero."""
    made = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    made[made == 0] = 1
    return made


# ---- the oracle: plain numpy over the whole tensor


def close(found: float | None, want: float) -> bool:
    return found is not None and found == pytest.approx(want, rel=1e-9, abs=1e-300)


def check_values(v: Values, array: np.ndarray, zero: np.ndarray | int = 0) -> None:
    """Every figure of `v` against its definition, on the array as onnx reads it."""
    kind = array.dtype
    wide = array.astype(np.float64) if kind.kind in "fV" else array.astype(np.int64)
    finite = wide[np.isfinite(wide)]
    assert v.zeros == int((wide == zero).sum())
    assert v.nan == int(np.isnan(wide).sum())
    assert v.infinite == int(np.isinf(wide).sum())
    different = len(np.unique(wide))  # NaN counts once
    assert v.distinct == (different if different <= 256 else None)
    if not finite.size:
        assert (v.min, v.max, v.mean, v.std) == (None, None, None, None)
        return
    assert (v.min, v.max) == (finite.min(), finite.max())
    scale = np.abs(finite).max() or 1.0
    mean, std = finite.mean(), finite.std()
    assert v.mean == pytest.approx(mean, abs=1e-12 * scale)
    assert v.std == pytest.approx(std, rel=1e-9, abs=1e-12 * scale)
    rms = np.sqrt((finite.astype(np.float64) ** 2).mean())
    assert v.peak_to_rms is None if rms == 0 else v.peak_to_rms == pytest.approx(np.abs(finite).max() / rms)
    distance = np.abs(finite - mean)
    near = np.abs(distance - 6 * std) <= 1e-9 * scale
    if not near.any():
        assert v.outliers == int((distance > 6 * std).sum())
        assert v.outlier_share == pytest.approx(v.outliers / array.size)
    if kind.kind in "fV":
        tiny = float(ml_dtypes.finfo(kind).smallest_normal)
        assert v.denormals == int(((np.abs(finite) > 0) & (np.abs(finite) < tiny)).sum())
    else:
        assert v.denormals == 0
    if kind in (np.float32, np.float64, ml_dtypes.bfloat16):
        assert v.over_float16 == int((np.abs(finite) > 65504).sum())
        assert v.under_float16 == int(((np.abs(finite) > 0) & (np.abs(finite) < 2.0**-24)).sum())
    else:
        assert v.over_float16 is v.under_float16 is None
    narrower = {"float64": ["float32", "float16", "bfloat16"], "float32": ["float16", "bfloat16"]}.get(kind.name, [])
    with np.errstate(all="ignore"):
        holds = [n for n in narrower if (array.astype(ml_dtypes.bfloat16 if n == "bfloat16" else n) == array).all()]
    assert list(v.exact_in) == holds


def stored_arrays(path: Path) -> dict[str, np.ndarray]:
    """Every named tensor of a file, those of bodies included."""
    found = {}
    pending = [onnx.load(path).graph]
    while pending:
        graph = pending.pop()
        found.update((t.name, numpy_helper.to_array(t)) for t in graph.initializer)
        for node in graph.node:
            for attribute in node.attribute:
                if node.op_type == "Constant" and attribute.HasField("t"):
                    found[node.output[0]] = numpy_helper.to_array(attribute.t)
                if attribute.HasField("g"):
                    pending.append(attribute.g)
    return found


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_against_numpy(name: str) -> None:
    path = FOLDER / f"{name}.onnx"
    arrays = stored_arrays(path)
    found = report(path)
    points = {n.removesuffix("_zero_point"): a for n, a in arrays.items() if n.endswith("_zero_point")}
    checked = 0
    for t in found.tensors:
        array = arrays[t.name]
        assert (t.shape, t.bytes, t.elements) == (array.shape, array.nbytes, array.size)
        assert t.values is not None
        zero: Any = points.get(t.name.removesuffix("_quantized"), 0)
        if np.ndim(zero):
            zero = zero.reshape([-1] + [1] * (array.ndim - 1)) if zero.any() else 0
        if t.values.zeros_why is None:
            check_values(t.values, array, zero)
            checked += 1
    assert checked > 0.9 * len([t for t in found.tensors if t.role == PARAM])
    assert found.totals.read == found.totals.tensors == len(found.tensors)
    params = [arrays[t.name] for t in found.tensors if t.role == PARAM]
    assert found.totals.elements == sum(a.size for a in params)
    if not name.endswith("int8"):
        assert found.totals.zeros == sum(int((a == 0).sum()) for a in params)
        assert found.float_left is None
    else:
        assert found.float_left is not None and found.float_left.tensors == ()


@pytest.mark.parametrize("name", ["resnet50", "mobilenetv2", "alexnet"])
def test_samples_without_weights_have_reasons_and_no_zeros(name: str) -> None:
    found = report(FOLDER / f"{name}.onnx")
    assert all(t.values is None and t.channels is None for t in found.tensors)
    assert {t.missing for t in found.tensors} == {f"{name}.weights is not there"}
    n = len(found.tensors)
    assert found.totals.coverage == f"{n} of {n} tensors could not be read: {name}.weights is not there"
    assert found.unread[0].tensors == n
    figures = msgspec.to_builtins(found.totals)
    for key in "zeros zero_share nan infinite denormals dead_outputs dead_inputs duplicate_bytes".split():
        assert figures[key] is None
    assert found.totals.elements > 0


def test_a_report_is_json(tmp_path: Path) -> None:
    document = msgspec.json.decode(msgspec.json.encode(report(FOLDER / "kws.onnx")))
    assert document["tensors"][0]["values"]["zeros"] == 0


# ---- figures of any numbers in any type

FLOATS = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]
SPECIAL = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-40, 1e-7, 65504.0, 65520.0, 1e38, 1.0, -3.5]


@settings(max_examples=120)
@given(
    kind=st.sampled_from(FLOATS),
    size=st.sampled_from((1, 2, 300, 5000, 300_000)),
    seed=st.integers(0, 10**6),
    special=st.lists(st.sampled_from(SPECIAL), max_size=6),
    levels=st.sampled_from((0, 1, 2, 255, 256, 257)),
    shift=st.sampled_from((0.0, 1.0, 1e4)),
)
def test_any_float_tensor(
    tmp_path_factory: pytest.TempPathFactory,
    kind: Any,
    size: int,
    seed: int,
    special: list[float],
    levels: int,
    shift: float,
) -> None:
    """A bias: no channels, so these are the figures of the values alone."""
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        array = (rng.standard_normal(size) + shift).astype(kind)
        if levels:
            array = array[rng.integers(0, min(levels, size), size)]
        array[rng.integers(0, size, len(special))] = np.array(special).astype(kind)
    path = tmp_path_factory.mktemp("any") / "m.onnx"
    node = helper.make_node("PRelu", ["x", "w"], ["y"])
    code = helper.np_dtype_to_tensor_dtype(array.dtype)
    raw = TensorProto(name="w", data_type=code, dims=array.shape, raw_data=array.tobytes())
    found = one(save(path, [node], [raw], {"x": (code, [1, size])}))
    assert found.role == PARAM and found.values is not None
    check_values(found.values, array)


@settings(max_examples=60)
@given(
    kind=st.sampled_from((np.int8, np.uint8, "int4", "uint4")),
    shape=st.sampled_from(((5, 7), (64, 3), (300, 1000), (1, 9))),
    per=st.sampled_from(("none", "tensor", "axis 0", "axis 1", "block")),
    seed=st.integers(0, 10**6),
)
def test_codes_are_zero_at_their_zero_point(
    tmp_path_factory: pytest.TempPathFactory, kind: Any, shape: tuple[int, int], per: str, seed: int
) -> None:
    """DequantizeLinear of random codes: an element is zero where ONNX Runtime makes it 0.0."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(getattr(ml_dtypes, kind)) if isinstance(kind, str) else np.dtype(kind)
    code = helper.np_dtype_to_tensor_dtype(dtype)
    points = {
        "none": None,
        "tensor": (),
        "axis 0": shape[:1],
        "axis 1": shape[1:],
        "block": (-(-shape[0] // 3), shape[1]),
    }
    if kind == np.uint8 or kind == "uint4":
        low, high = 0, 15
    else:
        low, high = -8, 7
    codes = rng.integers(low, high + 1, shape).astype(dtype)
    dims = points[per]
    tensors = [helper.make_tensor("w", code, shape, codes.ravel().astype(int).tolist())]
    scale = np.full(dims or (), 0.5, np.float32)
    tensors.append(tensor(scale, "s"))
    inputs = ["w", "s"]
    if dims is not None:
        made = rng.integers(low, high + 1, dims)
        tensors.append(helper.make_tensor("z", code, dims, np.ravel(made).tolist()))
        inputs.append("z")
    attributes: dict[str, int] = {"axis": 1 if per == "axis 1" else 0}
    if per == "block":
        attributes["block_size"] = 3
    nodes = [
        helper.make_node("DequantizeLinear", inputs, ["d"], **attributes),
        helper.make_node("MatMul", ["x", "d"], ["y"], name="layer"),
    ]
    path = tmp_path_factory.mktemp("codes") / "m.onnx"
    found = one(save(path, nodes, tensors, {"x": (TensorProto.FLOAT, [2, shape[0]])}))
    live = dequantized(nodes[0], tensors) != 0
    assert found.values is not None and found.channels is not None
    assert found.values.zeros == int((~live).sum())
    assert (found.values.min, found.values.max) == (codes.astype(int).min(), codes.astype(int).max())
    assert found.channels.reader == "layer" and found.channels.spread is None
    assert found.channels.dead_outputs == int((~live.any(axis=0)).sum())
    assert found.channels.dead_inputs == int((~live.any(axis=1)).sum())
    assert found.dtype == (kind if isinstance(kind, str) else dtype.name)


def dequantized(node: Any, tensors: list[TensorProto]) -> np.ndarray:
    """What ONNX Runtime makes of constants and one DequantizeLinear."""
    graph = helper.make_graph([node], "g", [], [helper.make_tensor_value_info("d", TensorProto.FLOAT, None)], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {})[0]


# ---- channels


def channel_oracle(w: np.ndarray) -> tuple[int, int, int, float]:
    """(dead outputs, dead inputs, constant outputs, spread) of a weight brought to outputs x inputs x the rest."""
    rows = w.reshape(w.shape[0], -1)
    dead = (rows == 0).all(axis=1)
    constant = (rows == rows[:, :1]).all(axis=1) & ~dead & (rows.shape[1] > 1)
    reach = np.abs(rows).max(axis=1)[~dead]
    return int(dead.sum()), int((w == 0).all(axis=(0, 2)).sum()), int(constant.sum()), reach.max() / np.median(reach)


@pytest.mark.parametrize("group", [1, 2, 4])
@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("kernel", [(3, 3), (5,), (1, 1)])
def test_planted_channels_of_convolutions(tmp_path: Path, op: str, group: int, kernel: tuple[int, ...]) -> None:
    outs, ins = 8, 12
    size = int(np.prod(kernel))
    # the weight as one matrix per group: group x outputs x inputs x kernel
    full = random(group, outs // group, ins // group, size, seed=group)
    full[0, 1] = 0  # output channel 1
    full[-1, 0] = 0.25  # constant
    full[group - 1, :, 2] = 0  # an input channel of the last group; it also touches the constant one
    full[0, 0] *= 9
    planted = full.reshape(group, outs // group, ins // group, *kernel)
    if op == "Conv":
        w = planted.reshape(outs, ins // group, *kernel)
    else:
        w = np.swapaxes(planted, 1, 2).reshape(ins, outs // group, *kernel)
    c = conv(tmp_path, np.ascontiguousarray(w), group, op).channels
    assert c is not None
    assert (c.outputs, c.inputs) == (outs, ins)
    blocks = [channel_oracle(full[g]) for g in range(group)]
    assert c.dead_outputs == sum(b[0] for b in blocks) == 1
    assert c.dead_inputs == sum(b[1] for b in blocks) == 1
    assert c.constant_outputs == sum(b[2] for b in blocks)
    rows = full.reshape(outs, -1).astype(np.float64)
    reach = np.abs(rows).max(axis=1)
    assert close(c.spread, float(reach.max() / np.median(reach[reach > 0])))
    assert c.two_four is False and c.why is None


def test_depthwise_channels(tmp_path: Path) -> None:
    w = random(6, 1, 3, 3)
    w[4] = 0
    w[2] = -1.5
    c = conv(tmp_path, w, group=6).channels
    assert c is not None
    assert (c.outputs, c.dead_outputs, c.inputs, c.dead_inputs, c.constant_outputs) == (6, 1, 6, 1, 1)
    assert c.two_four is False  # one input per output: nothing to leave out


@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("through", ["", "Transpose", "Identity"])
def test_planted_channels_of_gemm(tmp_path: Path, turned: int, through: str) -> None:
    seen = random(6, 10)  # inputs x outputs
    seen[:, 3] = 0
    seen[:, 7] = 0
    seen[2] = 0
    w = seen.T if turned else seen
    w = w.T if through == "Transpose" else w
    nodes = [helper.make_node(through, ["w"], ["v"])] if through else []
    nodes.append(helper.make_node("Gemm", ["x", "v" if through else "w"], ["y"], name="layer", transB=turned))
    path = save(tmp_path / "m.onnx", nodes, [tensor(np.ascontiguousarray(w), "w")], {"x": (TensorProto.FLOAT, [1, 6])})
    c = one(path).channels
    assert c is not None
    assert (c.outputs, c.dead_outputs, c.inputs, c.dead_inputs) == (10, 2, 6, 1)


def test_channels_of_recurrent_and_batched_weights(tmp_path: Path) -> None:
    batched = random(2, 5, 7)
    batched[1, :, 6] = 0
    batched[0, 3, :] = 0
    c = matmul(tmp_path, batched).channels
    assert c is not None
    assert (c.outputs, c.dead_outputs, c.inputs, c.dead_inputs) == (14, 1, 10, 1)
    w, r = random(1, 16, 3), random(1, 16, 4)
    w[0, 5] = 0
    node = helper.make_node("LSTM", ["x", "w", "r"], ["y"], name="layer", hidden_size=4)
    path = save(tmp_path / "l.onnx", [node], [tensor(w, "w"), tensor(r, "r")], {"x": (TensorProto.FLOAT, [2, 1, 3])})
    c = one(path).channels
    assert c is not None and (c.outputs, c.dead_outputs, c.inputs) == (16, 1, 3)


def test_a_qlinearconv_has_its_own_zero_points(tmp_path: Path) -> None:
    codes = np.random.default_rng(3).integers(1, 100, (4, 3, 1, 1)).astype(np.uint8)
    points = np.array([5, 6, 7, 8], np.uint8)
    codes[2] = 7
    codes[3] = 0  # not its zero point
    scalar = {"xs": np.float32(1), "xz": np.uint8(0), "ys": np.float32(1), "yz": np.uint8(0)}
    tensors = [tensor(np.array(v), n) for n, v in scalar.items()]
    tensors += [tensor(codes, "w"), tensor(np.ones(4, np.float32), "ws"), tensor(points, "wz")]
    node = helper.make_node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"])
    found = one(save(tmp_path / "m.onnx", [node], tensors, {"x": (TensorProto.UINT8, [1, 3, 4, 4])}))
    assert found.input == "w" and found.values is not None and found.channels is not None
    assert found.values.zeros == int((codes == points.reshape(4, 1, 1, 1)).sum())
    assert found.channels.dead_outputs == 1


def test_no_channels_is_said_with_a_reason(tmp_path: Path) -> None:
    node = helper.make_node("Gather", ["w", "x"], ["y"])
    found = one(save(tmp_path / "m.onnx", [node], [tensor(random(9, 4), "w")], {"x": (TensorProto.INT64, [2])}))
    assert found.channels is None
    assert found.channels_why == "no channels are known for input data of Gather"
    nodes = [helper.make_node("Reshape", ["w", "to"], ["v"]), helper.make_node("MatMul", ["x", "v"], ["y"])]
    tensors = [tensor(random(36), "w"), tensor(np.array([6, 6]), "to")]
    found = one(save(tmp_path / "r.onnx", nodes, tensors, {"x": (TensorProto.FLOAT, [1, 6])}))
    assert found.channels_why == "it is reshaped before MatMul reads it"


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("spoil", [False, True])
def test_two_four(tmp_path: Path, axis: int, spoil: bool) -> None:
    """The pattern counts along the summed axis only: axis 1 of a Gemm weight with transB, axis 0 without."""
    w = random(64, 64)
    rng = np.random.default_rng(1)
    for row in w:
        for at in range(0, 64, 4):
            row[at + rng.permutation(4)[:2]] = 0
    if spoil:
        w[63, 60:64] = [0, 1, 1, 1]
    w = w if axis == 1 else np.ascontiguousarray(w.T)
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transB=axis)
    path = save(tmp_path / "m.onnx", [node], [tensor(w, "w")], {"x": (TensorProto.FLOAT, [1, 64])})
    found = report(path)
    assert found.tensors[0].channels is not None
    assert found.tensors[0].channels.two_four is not spoil
    assert ("two-four-sparse" in rules(found)) is not spoil
    assert "sparse-weights-stored-dense" in rules(found) or spoil
    other = helper.make_node("Gemm", ["x", "w"], ["y"], transB=1 - axis)
    wrong = one(save(tmp_path / "n.onnx", [other], [tensor(w, "w")], {"x": (TensorProto.FLOAT, [1, 64])}))
    assert wrong.channels is not None and wrong.channels.two_four is False


@settings(max_examples=80)
@given(
    dims=st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple),
    most=st.sampled_from((1, 4, 8, 16, 40, 1000)),
)
def test_slabs_are_boxes_in_order(tmp_path_factory: pytest.TempPathFactory, dims: tuple[int, ...], most: int) -> None:
    array = np.arange(1, np.prod(dims) + 1, dtype=np.float32).reshape(dims)
    node = helper.make_node("PRelu", ["x", "w"], ["y"])
    path = tmp_path_factory.mktemp("slabs") / "m.onnx"
    audited = examine(save(path, [node], [tensor(array, "w")], {"x": (TensorProto.FLOAT, dims)}))
    whole = np.zeros(dims, np.float32)
    patched = pytest.MonkeyPatch()
    patched.setattr(slabs_module, "cut", lambda d: cut(d, most))
    try:
        for origin, part in slabs(audited.graph.constants["w"], dims):
            assert part.size <= 4 * most
            where = tuple(slice(o, o + n) for o, n in zip(origin, part.shape, strict=True))
            assert not whole[where].any()
            whole[where] = part
    finally:
        patched.undo()
    np.testing.assert_array_equal(whole, array)


def test_channels_do_not_depend_on_how_a_tensor_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    w = random(12, 8, 3, 3)
    w[w < 0.3] = 0
    w[5] = 0
    w[:, 6] = 0
    whole = conv(tmp_path, w, group=2)
    for most in (4, 9, 30, 200):
        monkeypatch.setattr(slabs_module, "cut", lambda dims, most=most: cut(dims, most))
        parts = conv(tmp_path, w, group=2)
        assert parts.channels is not None and whole.channels is not None
        if (
            parts.channels.two_four is None
        ):  # groups of 4 inputs lie in several parts: half zeros or more, so it might be
            assert most < 4 * 9 and parts.channels.why == "its rows are too long to tell 2:4 sparsity"
            parts = msgspec.structs.replace(
                parts, channels=msgspec.structs.replace(parts.channels, two_four=False, why=None)
            )
        assert parts.channels == whole.channels
        assert parts.values is not None and whole.values is not None
        assert msgspec.structs.replace(parts.values, mean=0, std=0, peak_to_rms=0) == msgspec.structs.replace(
            whole.values, mean=0, std=0, peak_to_rms=0
        )
        assert close(parts.values.std, whole.values.std or 0)


# ---- what tensors are to each other


def chain(path: Path, weights: dict[str, np.ndarray], **options: Any) -> Path:
    """One MatMul per weight, side by side, summed up."""
    nodes, inputs = [], {}
    for i, (name, w) in enumerate(weights.items()):
        inputs[f"x{i}"] = (TensorProto.FLOAT, [1, w.shape[0]])
        nodes.append(helper.make_node("MatMul", [f"x{i}", name], [f"p{i}"], name=f"layer{i}"))
        nodes.append(helper.make_node("ReduceSum", [f"p{i}"], [f"s{i}"], keepdims=0))
    nodes.append(helper.make_node("Sum", [f"s{i}" for i in range(len(weights))], ["y"]))
    return save(path, nodes, [tensor(w, n) for n, w in weights.items()], inputs, **options)


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("rows", [3, 700])
def test_planted_duplicates(tmp_path: Path, external: bool, rows: int) -> None:
    base = random(rows, 500)
    near = base.copy()
    near[-1, -1] = np.nextafter(near[-1, -1], 9)
    weights = {
        "a": base,
        "near": near,
        "copy": base.copy(),
        "turned": np.ascontiguousarray(base.T),
        "near_turned": np.ascontiguousarray(random(rows, 500, seed=9).T),
        "other": random(rows, 500, seed=7),
    }
    options = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 0} if external else {}
    found = report(chain(tmp_path / "m.onnx", weights, **options))
    assert [(d.kind, d.names, d.wasted_bytes) for d in found.duplicates] == [
        ("same", ("a", "copy"), base.nbytes),
        ("transposed", ("a", "turned"), base.nbytes),
    ]
    assert found.totals.duplicate_bytes == 2 * base.nbytes
    assert "duplicate-weights" in rules(found)


def test_square_and_symmetric_matrices(tmp_path: Path) -> None:
    a = random(20, 20)
    symmetric = a + a.T
    weights = {"a": a, "turned": np.ascontiguousarray(a.T), "symmetric": symmetric, "noise": random(20, 20, seed=2)}
    found = report(chain(tmp_path / "m.onnx", weights))
    assert [(d.kind, d.names) for d in found.duplicates] == [("transposed", ("a", "turned"))]


def test_swapped_rows_are_no_transpose(tmp_path: Path) -> None:
    """The same elements in another order: sums of elements cannot tell them apart, position must."""
    a = random(8, 12)
    shuffled = np.ascontiguousarray(a.T)[::-1].copy()
    also = np.ascontiguousarray(a.T)[:, ::-1].copy()
    found = report(chain(tmp_path / "m.onnx", {"a": a, "b": shuffled, "c": also}))
    assert found.duplicates == ()


@settings(max_examples=100)
@given(
    rows=st.integers(2, 6),
    columns=st.integers(2, 6),
    data=st.data(),
    kind=st.sampled_from(("f4", "f2", "i1", "u1", "f8")),
)
def test_transposes_are_found_exactly(
    tmp_path_factory: pytest.TempPathFactory, rows: int, columns: int, data: Any, kind: str
) -> None:
    """Small matrices of two values, where chance makes many near misses."""
    flat = data.draw(st.lists(st.integers(0, 1), min_size=rows * columns, max_size=rows * columns))
    more = data.draw(st.lists(st.integers(0, 1), min_size=rows * columns, max_size=rows * columns))
    a, b = np.array(flat, kind).reshape(rows, columns), np.array(more, kind).reshape(columns, rows)
    nodes = [helper.make_node("Gather", [n, "x"], [f"{n}y"]) for n in "ab"]
    nodes = [*nodes, helper.make_node("Concat", ["ay", "by"], ["y"], axis=0)]
    nodes = [
        *nodes[:2],
        helper.make_node("Flatten", ["ay"], ["af"], axis=0),
        helper.make_node("Flatten", ["by"], ["bf"], axis=0),
    ]
    nodes.append(helper.make_node("Concat", ["af", "bf"], ["y"], axis=1))
    path = tmp_path_factory.mktemp("turn") / "m.onnx"
    found = report(save(path, nodes, [tensor(a, "a"), tensor(b, "b")], {"x": (TensorProto.INT64, [1])}))
    kinds = {d.kind for d in found.duplicates}
    assert ("transposed" in kinds) == (np.array_equal(a.T, b) and not (rows == columns and np.array_equal(a, b)))
    assert ("same" in kinds) == (rows == columns and np.array_equal(a, b))


def test_copies_at_one_place_of_the_file_waste_nothing(tmp_path: Path) -> None:
    w = random(40, 30)
    path = chain(
        tmp_path / "m.onnx", {"a": w, "b": w.copy()}, save_as_external_data=True, location="w.bin", size_threshold=0
    )
    model = onnx.load(path, load_external_data=False)
    for entry in (e for t in model.graph.initializer for e in t.external_data):
        if entry.key == "offset":
            entry.value = "0"
    path.write_bytes(model.SerializeToString())
    found = report(path)
    assert [(d.names, d.wasted_bytes) for d in found.duplicates] == [(("a", "b"), 0)]
    assert "duplicate-weights" not in rules(found)


def test_tied_tensors_list_their_readers(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["w", "x"], ["e"], name="embed"),
        helper.make_node("Transpose", ["w"], ["t"], name="turn", perm=[1, 0]),
        helper.make_node("MatMul", ["e", "t"], ["y"], name="head"),
    ]
    found = report(save(tmp_path / "m.onnx", nodes, [tensor(random(30, 8), "w")], {"x": (TensorProto.INT64, [5])}))
    assert [(t.name, t.readers) for t in found.tied] == [("w", ("embed", "head"))]
    c = found.tensors[0].channels
    assert c is not None and (c.reader, c.outputs, c.inputs) == ("head", 30, 8)


def test_floats_left_in_a_quantized_model(tmp_path: Path) -> None:
    scalars = {"s": np.float32(0.1), "z": np.int8(0)}
    tensors = [tensor(np.array(v), n) for n, v in scalars.items()]
    tensors += [tensor(np.ones((6, 6), np.int8), "codes"), tensor(random(6, 6), "late"), tensor(random(6, 4), "floats")]
    tensors += [tensor(random(4), "bias"), tensor(random(4, seed=2), "norm"), tensor(random(4, seed=3), "shift")]
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "s", "z"], ["d"]),
        helper.make_node("MatMul", ["x", "d"], ["a"], name="first"),
        helper.make_node("QuantizeLinear", ["late", "s", "z"], ["lq"]),
        helper.make_node("DequantizeLinear", ["lq", "s", "z"], ["ld"]),
        helper.make_node("MatMul", ["a", "ld"], ["b"], name="second"),
        helper.make_node("MatMul", ["b", "floats"], ["c"], name="third"),
        helper.make_node("Add", ["c", "bias"], ["e"], name="add"),
        helper.make_node("LayerNormalization", ["e", "norm", "shift"], ["y"], name="ln"),
    ]
    found = report(save(tmp_path / "m.onnx", nodes, tensors, {"x": (TensorProto.FLOAT, [1, 6])}))
    left = found.float_left
    assert left is not None
    assert [(t.name, t.reader, t.quantized_at_load) for t in left.tensors] == [
        ("late", "second", True),
        ("floats", "third", False),
    ]
    assert left.bytes == found.totals.float_left_bytes == 4 * (36 + 24)
    assert {a.what: a.names for a in left.apart} == {"bias": ("bias",), "norm": ("norm", "shift")}
    assert "float-left" in rules(found)


def test_operators_of_ones_own(tmp_path: Path) -> None:
    """A definition says that an operator multiplies by its weights, and which input holds their zero points."""
    (tmp_path / "ops.yaml").write_text(
        "schema: effaudit.operators/1\noperators:\n"
        "  - {op: 'acme::Dense', inputs: [x, w, bias?], outputs: [{shape: '(*x[:-1], w[1])', dtype: x}],\n"
        "     macs: 'numel(out) * x[-1]', ops: 0, kind: gemm}\n"
        "  - {op: 'acme::QDense', inputs: [x, w, w_scale, w_zero_point], macs: 'numel(out) * x[-1]', ops: 0,\n"
        "     outputs: [{shape: '(*x[:-1], w[1])', dtype: x}], kind: gemm, roles: {w_scale: quantization}}\n"
    )
    codes = np.full((6, 6), 7, np.int8)
    codes[0, 0] = 0
    tensors = [tensor(codes, "codes"), tensor(np.array(0.1, np.float32), "s"), tensor(np.array(7, np.int8), "z")]
    tensors += [tensor(random(6, 4), "floats"), tensor(random(1, 4), "shift")]
    nodes = [
        helper.make_node("QDense", ["x", "codes", "s", "z"], ["a"], domain="acme"),
        helper.make_node("Dense", ["a", "floats", "shift"], ["b"], domain="acme", name="own"),
        helper.make_node("QuantizeLinear", ["b", "s", "z"], ["y"]),
    ]
    path = save(tmp_path / "m.onnx", nodes, tensors, {"x": (TensorProto.FLOAT, [1, 6])})
    model = onnx.load(path)
    model.opset_import.append(helper.make_opsetid("acme", 1))
    onnx.save(model, path)
    found = inspect(examine(path, operators=operators.read(tmp_path / "ops.yaml")))
    assert named(found, "codes").values.zeros == 35  # type: ignore[union-attr]
    left = found.float_left
    assert left is not None
    assert [(t.name, t.reader) for t in left.tensors] == [("floats", "own")]
    assert {a.what: a.names for a in left.apart} == {"bias": ("shift",)}


def test_planted_faults_are_found(tmp_path: Path) -> None:
    nan = random(9, 9)
    nan[1, 1] = np.nan
    nan[1, 2] = -np.inf
    big = random(50, 9)
    big[0, 0] = 1e6
    big[:, 1] *= 1e-3
    levels = np.linspace(-1, 1, 200).astype(np.float32)
    clustered = levels[np.random.default_rng(0).integers(0, 200, (60, 70))]
    halves = random(60, 80).astype(np.float16).astype(np.float32)
    found = report(chain(tmp_path / "m.onnx", {"nan": nan, "big": big, "clustered": clustered, "halves": halves}))
    where = {f.rule: f.where for f in found.findings}
    assert where["weights-not-finite"] == ("nan",)
    assert where["float16-overflow"] == ("big",)
    assert where["uneven-channels"] == ("big",)
    assert where["clustered-weights"] == ("clustered",)
    assert where["wider-than-needed"] == ("halves",)
    assert (found.totals.nan, found.totals.infinite) == (1, 1)
    assert found.totals.lossless_16_bytes == halves.nbytes // 2
    assert named(found, "clustered").values.distinct == len(np.unique(clustered))  # type: ignore[union-attr]
    assert named(found, "nan").channels.spread is None  # type: ignore[union-attr]


def test_a_sound_model_has_no_findings(tmp_path: Path) -> None:
    found = report(chain(tmp_path / "m.onnx", {"a": random(30, 40), "b": random(40, 30, seed=1)}))
    assert found.findings == ()


@pytest.mark.parametrize("wrong", [0.0, -0.5, np.nan, np.inf])
def test_impossible_scales(tmp_path: Path, wrong: float) -> None:
    scale = np.array([0.5, wrong, 0.25], np.float32)
    tensors = [tensor(np.ones((4, 3), np.int8), "w"), tensor(scale, "s")]
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["d"], axis=1),
        helper.make_node("MatMul", ["x", "d"], ["y"]),
    ]
    found = report(save(tmp_path / "m.onnx", nodes, tensors, {"x": (TensorProto.FLOAT, [1, 4])}))
    assert {f.rule: f.where for f in found.findings}["bad-quantization"] == ("s",)
    assert named(found, "s").role == QUANTIZATION


def test_a_bias_has_no_zero_point_but_zero(tmp_path: Path) -> None:
    tensors = [tensor(np.ones(3, np.int32), "w"), tensor(np.array(0.5, np.float32), "s")]
    tensors.append(tensor(np.array(3, np.int32), "z"))
    nodes = [helper.make_node("DequantizeLinear", ["w", "s", "z"], ["d"]), helper.make_node("Add", ["x", "d"], ["y"])]
    found = report(save(tmp_path / "m.onnx", nodes, tensors, {"x": (TensorProto.FLOAT, [1, 3])}))
    assert {f.rule: f.where for f in found.findings}["bad-quantization"] == ("z",)


def test_packed_codes_have_a_reason(tmp_path: Path) -> None:
    tensors = [tensor(np.zeros((8, 1, 16), np.uint8), "w"), tensor(np.ones(8, np.float32), "s")]
    node = helper.make_node(
        "MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", K=32, N=8, bits=4, block_size=32
    )
    found = report(save(tmp_path / "m.onnx", [node], tensors, {"x": (TensorProto.FLOAT, [1, 32])}))
    t = named(found, "w")
    assert t.values is None and t.missing == "it holds packed codes, 2 to a byte"
    assert found.float_left is not None
    assert "unreadable-weights" not in rules(found)


def test_what_became_of_a_tensor_is_a_state(tmp_path: Path) -> None:
    path = chain(
        tmp_path / "m.onnx", {"a": random(40, 40)}, save_as_external_data=True, location="w.bin", size_threshold=0
    )
    (a,) = examine(path).weights.of(PARAM)
    nothing = Wanted(content=False, turned=False)
    assert measure(a.constant, None, 1, nothing).state == READ
    assert measure(a.constant, None, 2, nothing).state == CODES
    (tmp_path / "w.bin").write_bytes(b"")
    assert measure(a.constant, None, 1, nothing).state == DAMAGED


@pytest.mark.parametrize(("tensors", "words"), [(1, "the only tensor was read"), (2, "all 2 tensors were read")])
def test_coverage_in_words(tensors: int, words: str, tmp_path: Path) -> None:
    found = report(chain(tmp_path / "m.onnx", {f"w{i}": random(8, 8, seed=i) for i in range(tensors)}))
    assert found.totals.coverage == words


# ---- bodies and functions


def test_weights_of_bodies_and_functions(tmp_path: Path) -> None:
    w = random(5, 5)
    w[:, 2] = 0
    function = helper.make_function(
        "local", "F", ["x", "k"], ["y"], [helper.make_node("MatMul", ["x", "k"], ["y"], name="inner")],
        [helper.make_opsetid("", 21)],
    )  # fmt: skip
    body = helper.make_graph(
        [helper.make_node("MatMul", ["a", "v"], ["b"], name="branch")],
        "then", [], [helper.make_empty_tensor_value_info("b")],
        [tensor(random(5, 5, seed=4), "v")],
    )  # fmt: skip
    other = helper.make_graph(
        [helper.make_node("MatMul", ["a", "w"], ["b"], name="else")],
        "else", [], [helper.make_empty_tensor_value_info("b")],
    )  # fmt: skip
    nodes = [
        helper.make_node("F", ["x", "w"], ["a"], domain="local", name="call"),
        helper.make_node("If", ["c"], ["y"], name="if", then_branch=body, else_branch=other),
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 5]),
        helper.make_tensor_value_info("c", TensorProto.BOOL, []),
    ]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_empty_tensor_value_info("y")], [tensor(w, "w")])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=10)
    onnx.save(model, tmp_path / "m.onnx")
    found = report(tmp_path / "m.onnx")
    assert {t.name for t in found.tensors} == {"w", "v"}
    c = named(found, "w").channels
    assert c is not None and c.dead_outputs == 1
    assert named(found, "v").channels.reader == "branch"  # type: ignore[union-attr]
    assert [(t.name, t.readers) for t in found.tied] == [("w", ("inner", "else"))]


# ---- files that lie


def test_an_unreadable_tensor_leaves_the_others(tmp_path: Path) -> None:
    w = random(40, 40)
    path = chain(
        tmp_path / "m.onnx",
        {"a": w, "b": random(50, 40)},
        save_as_external_data=True,
        location="w.bin",
        size_threshold=0,
    )
    audited: Audited = examine(path)
    whole = (tmp_path / "w.bin").read_bytes()
    (tmp_path / "w.bin").write_bytes(whole[: len(whole) - 1])  # after the structure was read
    found = inspect(audited)
    assert named(found, "a").values is not None
    broken = named(found, "b")
    assert broken.values is None and "w.bin" in str(broken.missing)
    assert found.totals.coverage.startswith("1 of 2 tensors could not be read")
    assert found.totals.zeros == 0 and found.totals.zeros_of == w.size
    assert "unreadable-weights" in rules(found)


def test_tensors_over_each_other_are_not_read_for_hours(tmp_path: Path) -> None:
    """20 tensors at one place of a file of 8 MB: they are 160 MB to read, and could be 160 GB as well."""
    shape = (2000, 1000)
    (tmp_path / "w.bin").write_bytes(b"\0" * 8_000_000)
    tensors, nodes = [], []
    for i in range(20):
        t = TensorProto(name=f"w{i}", data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
        for key, value in {"location": "w.bin", "offset": "0", "length": "8000000"}.items():
            t.external_data.add(key=key, value=value)
        tensors.append(t)
        nodes.append(helper.make_node("MatMul", ["x", f"w{i}"], [f"y{i}"]))
    nodes.append(helper.make_node("Sum", [f"y{i}" for i in range(20)], ["y"]))
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2000])],
        [helper.make_empty_tensor_value_info("y")], tensors,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    found = report(tmp_path / "m.onnx")
    read = [t for t in found.tensors if t.values is not None]
    assert len(read) == (4 * 8_000_000 + 64 * 1024 * 1024) // 8_000_000
    assert found.unread[0].reason == "the tensors of its file lie over each other, more than 4 deep"
    assert "unreadable-weights" not in rules(found)  # none was tried


PEAK = """
import re, sys
from effaudit.audited import examine
from effaudit.views.weights import inspect
found = inspect(examine(sys.argv[1])).tensors[0]
# not getrusage: its peak includes that of the process this one was forked from
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
print(found.values.zeros, found.channels.dead_outputs, found.values.max, peak)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc")
def test_what_is_larger_than_memory_may_be_is_read_in_bounded_memory(tmp_path: Path) -> None:
    """One weight of 400 MB, all holes but its last element."""
    rows, columns = 1000, 100_000
    with (tmp_path / "w.bin").open("wb") as file:
        file.truncate(rows * columns * 4 - 4)
        file.seek(0, 2)
        file.write(np.float32(2.5).tobytes())
    w = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=(rows, columns), data_location=TensorProto.EXTERNAL)
    w.external_data.add(key="location", value="w.bin")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, rows])],
        [helper.make_empty_tensor_value_info("y")], [w],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path / "m.onnx")], capture_output=True, text=True, check=True
    )
    zeros, dead, highest, megabytes = done.stdout.split()
    assert (int(zeros), int(dead), float(highest)) == (rows * columns - 1, columns - 1, 2.5)
    assert int(megabytes) < 200


def test_roles_are_those_of_the_report() -> None:
    audited = examine("sample:vww")
    found = inspect(audited)
    for role in (PARAM, BUFFER, QUANTIZATION):
        assert sum(t.bytes for t in found.tensors if t.role == role) == audited.weights.bytes_of(role)
