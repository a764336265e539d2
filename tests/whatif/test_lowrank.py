"""Products of low rank, against numpy's own decomposition and ONNX Runtime running both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from effaudit import whatif
from effaudit.audited import Audited, examine
from effaudit.errors import UsageError
from effaudit.load.values import values as elements
from effaudit.whatif.lowrank.factors import spectrum
from tests.whatif.running import Array, changed, model, run, same_outputs

RNG = np.random.default_rng(11)
SHAPE = [2, 6, 9, 9]


def drawn(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def product(
    op: str, weight: Array, *, bias: bool = False, shape: list[int] = SHAPE, opset: int = 17, **attrs: Any
) -> onnx.ModelProto:
    """x times stored weights."""
    held = {"w": weight} | (
        {"c": drawn(weight.shape[0 if op == "Conv" or attrs.get("transB") else -1])} if bias else {}
    )
    nodes = [helper.make_node(op, ["x", *held], ["y"], name="product", **attrs)]
    return model(nodes, {"x": shape}, {"y": [None] * len(shape)}, held, opset)


NETS: dict[str, Callable[[], onnx.ModelProto]] = {
    "conv": lambda: product("Conv", drawn(16, 6, 3, 3), bias=True, pads=[1, 0, 1, 2], strides=[2, 1], dilations=[1, 2]),
    "same": lambda: product("Conv", drawn(16, 6, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2], kernel_shape=[3, 3]),
    "conv-1d": lambda: product("Conv", drawn(12, 6, 5), shape=[1, 6, 20], group=1),
    "conv-3d": lambda: product("Conv", drawn(12, 2, 2, 3, 2), bias=True, shape=[1, 2, 4, 5, 6]),
    "pointwise": lambda: product("Conv", drawn(16, 12, 1, 1), shape=[1, 12, 5, 5]),
    "gemm": lambda: product("Gemm", drawn(12, 10), bias=True, shape=[4, 12], alpha=0.5, beta=2.0),
    "gemm-turned": lambda: product("Gemm", drawn(10, 12), bias=True, shape=[4, 12], transB=1, alpha=2.0),
    "gemm-both": lambda: product("Gemm", drawn(10, 12), shape=[12, 4], transA=1, transB=1),
    "gemm-old": lambda: product("Gemm", drawn(12, 10), bias=True, shape=[4, 12], opset=9),
    "matmul": lambda: product("MatMul", drawn(12, 10), shape=[2, 3, 12]),
    "vector": lambda: product("MatMul", drawn(12, 10), shape=[12]),
}


def shape_of(net: onnx.ModelProto) -> list[int]:
    return [d.dim_value for d in net.graph.input[0].type.tensor_type.shape.dim]


def truncated(weight: Array, rank: int) -> Array:
    """The nearest matrix of a rank, by numpy."""
    u, s, v = np.linalg.svd(weight.reshape(weight.shape[0], -1).astype(np.float64), full_matrices=False)
    made: Array = (u[:, :rank] * s[:rank]) @ v[:rank]
    return made.reshape(weight.shape)


def with_weight(net: onnx.ModelProto, weight: Array) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.ParseFromString(net.SerializeToString())
    next(t for t in copy.graph.initializer if t.name == "w").CopyFrom(onnx.numpy_helper.from_array(weight, "w"))
    return copy


def weight_of(net: onnx.ModelProto) -> Array:
    return onnx.numpy_helper.to_array(next(t for t in net.graph.initializer if t.name == "w"))


def same_audit(made: Audited, path: Path) -> None:
    """What was said of the rewritten model is what an audit of its file finds."""
    found = examine(path)
    for figure in ("macs", "ops", "reads", "writes"):
        assert found.table.total(figure) == made.table.total(figure)
    assert found.weights.params == made.weights.params
    assert found.weights.bytes_of("param") == made.weights.bytes_of("param")
    assert found.memory.live_bytes == made.memory.live_bytes


@pytest.mark.parametrize("name", NETS)
def test_the_network_is_the_one_with_the_truncated_weights(tmp_path: Path, name: str) -> None:
    net, rank = NETS[name](), 3
    change, before, made, _, after = changed(tmp_path, net, "lowrank", f"rank={rank}")
    weight = weight_of(net)
    nearest = truncated(weight, rank)
    wanted = tmp_path / "wanted.onnx"
    onnx.save(with_weight(net, nearest.astype(np.float32)), wanted)
    same_outputs(wanted, after, {"x": drawn(*shape_of(net))})
    same_audit(made, after)
    rows, columns = weight.shape[0], weight[0].size
    macs = before.table.total("macs").value
    assert macs is not None
    assert made.table.total("macs").value == macs * rank * (rows + columns) // (rows * columns)
    assert made.weights.params == before.weights.params - rows * columns + rank * (rows + columns)
    (row,) = change.details
    off = np.linalg.norm(weight - nearest) / np.linalg.norm(weight)
    assert row.figures["error"] == pytest.approx(off, rel=1e-5)
    assert row.figures["max_abs_error"] == pytest.approx(np.abs(weight - nearest).max(), rel=1e-4)
    assert row.figures["macs_after"] == made.table.total("macs").value
    assert change.loss == pytest.approx(off**2, rel=1e-5) and change.retrain
    assert row.figures["energy_share"] == pytest.approx(1 - off**2)


def test_the_rank_by_ratio_and_by_energy(tmp_path: Path) -> None:
    net = product("Conv", drawn(16, 6, 3, 3))
    squares = np.linalg.svd(weight_of(net).reshape(16, -1).astype(np.float64), compute_uv=False) ** 2
    shares = np.cumsum(squares) / squares.sum()
    for text, rank in (
        ("ratio=50%", 8),
        ("ratio=0.45", 8),  # rounded up
        ("ratio=1%", 1),
        (f"energy={shares[5] - 1e-6:.9f}", 6),
        (f"energy={shares[5] + 1e-6:.9f}", 7),
    ):
        change, *_ = changed(tmp_path, net, "lowrank", text)
        assert change.details[0].figures["rank"] == rank, text


def test_weights_of_low_rank_lose_nothing(tmp_path: Path) -> None:
    net = product("Conv", (drawn(20, 3) @ drawn(3, 54)).reshape(20, 6, 3, 3), bias=True)
    change, _, made, before, after = changed(tmp_path, net, "lowrank", "energy=100%")
    same_outputs(before, after, {"x": drawn(*SHAPE)})
    assert change.details[0].figures["rank"] == 3 and change.loss is not None
    assert change.loss < 1e-12 and not change.retrain
    assert [node.op for node in made.raw.nodes] == ["Conv", "Conv"]
    assert [node.name for node in made.raw.nodes] == ["product/first", "product/second"]


def test_zeros_stay_zeros(tmp_path: Path) -> None:
    net = product("MatMul", np.zeros((8, 8), np.float32), shape=[4, 8])
    change, _, _, before, after = changed(tmp_path, net, "lowrank", "energy=99%")
    assert change.loss == 0 and change.details[0].figures["rank"] == 1
    same_outputs(before, after, {"x": drawn(4, 8)})


def test_shared_weights_have_shared_factors(tmp_path: Path) -> None:
    """Tied weights, which one product reads as they are and one turned; an Add keeps the tensor as well."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Gemm", ["a", "w"], ["b"], transB=1),
        helper.make_node("Add", ["w", "b"], ["y"]),
    ]
    rank = 4
    net = model(nodes, {"x": [12, 12]}, {"y": [None] * 2}, {"w": drawn(12, 12)})
    change, _, made, _, after = changed(tmp_path, net, "lowrank", f"rank={rank}")
    x = drawn(12, 12)
    near = truncated(weight_of(net), rank)
    (found,) = run(after, {"x": x})
    assert found == pytest.approx(x @ near @ near.T + weight_of(net), abs=1e-4)
    assert len(change.details) == 2
    assert made.weights.constant_elements == 12 * 12 + 2 * rank * 12
    same_audit(made, after)
    alone = model(nodes[:2], {"x": [12, 12]}, {"b": [None] * 2}, {"w": weight_of(net)})
    _, _, made, _, _ = changed(tmp_path, alone, "lowrank", f"rank={rank}")
    assert made.weights.constant_elements == 2 * rank * 12


def test_weights_in_nodes_and_half_precision(tmp_path: Path) -> None:
    weight = drawn(10, 12).astype(np.float16)
    nodes = [
        helper.make_node("Constant", [], ["w"], value=onnx.numpy_helper.from_array(weight, "held")),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    net = model(nodes, {"x": [4, 10]}, {"y": [None] * 2}, {}, dtype=TensorProto.FLOAT16)
    change, _, made, _, after = changed(tmp_path, net, "lowrank", "rank=2")
    assert [node.op for node in made.raw.nodes] == ["MatMul", "MatMul"]
    left, right = (elements(made.raw.constants[name]) for name in made.raw.constants)
    assert left.dtype == np.float16
    off = np.linalg.norm(weight.astype(float) - left.astype(float) @ right.astype(float))
    assert change.details[0].figures["error"] == pytest.approx(off / np.linalg.norm(weight.astype(float)))
    assert run(after, {"x": drawn(4, 10).astype(np.float16)})[0].shape == (4, 12)


def test_what_saves_nothing_stays_and_says_why(tmp_path: Path) -> None:
    held = {"w": drawn(16, 6, 3, 3), "d": drawn(16, 1, 3, 3), "q": drawn(3, 2, 1, 1), "z": drawn(3, 16, 1, 1)}
    held["z"][0, 0] = np.nan
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="wide"),
        helper.make_node("Conv", ["a", "d"], ["b"], name="deep", group=16),
        helper.make_node("Conv", ["b", "z"], ["c"], name="odd"),
        helper.make_node("Mul", ["q", "s"], ["r"]),
        helper.make_node("Conv", ["t", "r"], ["e"], name="computed"),
        helper.make_node("MatMul", ["c", "c"], ["g"], name="fed"),
    ]
    net = model(
        nodes, {"x": SHAPE, "t": [1, 2, 5, 5]}, {"g": [None] * 4, "e": [None] * 4}, held | {"s": drawn(1)}, opset=17
    )
    change, *_ = changed(tmp_path, net, "lowrank", "rank=1")
    assert {one.group: one.reason.split(",")[0].split(":")[-1].strip() for one in change.blocked} == {
        "Conv 'deep'": "it has 16 groups of channels",
        "Conv 'odd'": "it holds NaN or infinity",
        "Conv 'computed'": "they are computed; --fold constants computes ahead what it can",
    }
    assert [row.name for row in change.details] == ["wide"]
    with pytest.raises(UsageError, match="rank 13 takes 910 MACs per position where 16 x 54 takes 864: it saves up to"):
        changed(tmp_path, net, "lowrank", "rank=13,only=wide")
    change, *_ = changed(tmp_path, net, "lowrank", "rank=12,only=wi*")  # 840
    assert change.details[0].figures["weights_after"] == 840
    with pytest.raises(UsageError, match="no Conv or Gemm or MatMul has a name like 'wife'"):
        changed(tmp_path, net, "lowrank", "rank=1,skip=wife")
    with pytest.raises(UsageError, match="no Conv or Gemm or MatMul with stored weights"):
        changed(tmp_path, net, "lowrank", "rank=1,only=computed")


def test_a_model_of_structure_only() -> None:
    net = examine("sample:mobilenetv2")
    change, made = whatif.apply(net, whatif.parse("lowrank", "ratio=25%"))
    assert change.loss is None and change.retrain and "not known" in " ".join(change.notes)
    assert all(row.figures["error"] is None and row.figures["energy_share"] is None for row in change.details)
    saved = sum(int(row.figures["macs_before"] or 0) - int(row.figures["macs_after"] or 0) for row in change.details)
    assert made.table.total("macs").low == net.table.total("macs").low - saved
    assert not any(value.invalid for value in made.graph.values.values())
    with pytest.raises(UsageError, match=r"energy=90% reads the weights, and .* has none: .*; rank= and ratio= do"):
        whatif.apply(net, whatif.parse("lowrank", "energy=90%"))


def test_the_spectrum_is_numpys() -> None:
    for shape in ((5, 9), (9, 5), (6, 6)):
        matrix = RNG.standard_normal(shape)
        found = spectrum(matrix)
        assert found.squares == pytest.approx(np.linalg.svd(matrix, compute_uv=False) ** 2)
        left, right = found.factors(min(shape))
        assert left @ right == pytest.approx(matrix)
        assert np.linalg.norm(left, axis=0) == pytest.approx(np.linalg.norm(right, axis=1))


@pytest.mark.parametrize("text", ["rank=4", "ratio=50%", "energy=99.5%,only=a*|b,skip=c"])
def test_the_text_of_arguments(text: str) -> None:
    step = whatif.parse("lowrank", text)
    assert whatif.text(step) == f"--lowrank {text}"


@pytest.mark.parametrize(
    "text", ["", "8", "rank=0", "rank=2,ratio=10%", "ratio=0", "ratio=120%", "energy=x", "only=a", "rank=2,k=3"]
)
def test_refused_arguments(text: str) -> None:
    with pytest.raises(UsageError, match="--lowrank"):
        whatif.parse("lowrank", text)
