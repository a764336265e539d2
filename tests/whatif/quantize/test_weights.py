"""Weights stored in other types: what is saved runs in ONNX Runtime near the floats, and says exactly what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization.quant_utils import quantize_data

from effaudit import whatif
from effaudit.audited import Audited, examine
from effaudit.errors import UsageError
from effaudit.graph import Graph
from effaudit.load.values import values
from effaudit.save import save_model
from effaudit.weights import PARAM, QUANTIZATION
from effaudit.whatif.types import Change
from tests.whatif.quantize.nets import FEEDS, convolutions, drawn, node, products, recurrent, without_weights
from tests.whatif.running import changed, model, run

Array = np.ndarray[Any, Any]


def rows(change: Change) -> dict[str, dict[str, Any]]:
    return {detail.name: dict(detail.figures) for detail in change.details}


def held(graph: Graph, name: str) -> Array:
    return values(graph.constants[name])


def loads(path: Path) -> dict[str, Array]:
    return {one.name: numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}


# What is asked, and how far the outputs may be off, relative to their norm.
STEPS = {
    "int8,weights-only": 0.02,
    "int8,weights-only,per-tensor": 0.03,
    "int8,weights-only,affine": 0.02,
    "uint8,weights-only,symmetric": 0.03,
    "int8,weights-only,group=16": 0.02,
    "int16,weights-only": 1e-4,
    "int4": 0.3,
    "int4,format=qdq,group=16": 0.3,
    "uint4,per-channel": 0.3,
    "int4,clip=mse,affine,group=16": 0.3,
    "fp8": 0.15,
    "fp8e5m2": 0.3,
    "fp16,weights-only": 1e-3,
    "bf16,weights-only": 1e-2,
    "fp16": 5e-3,
    "dynamic": 0.06,
    "dynamic,per-channel": 0.06,
}


@pytest.mark.parametrize("made", [convolutions, products, recurrent], ids=lambda made: made.__name__)
@pytest.mark.parametrize("step", STEPS)
def test_what_is_saved_runs_near_the_floats_and_is_audited_as_predicted(made: Any, step: str, tmp_path: Path) -> None:
    change, before, after, source, target = changed(tmp_path, made(), "quantize", step)
    for one, other in zip(run(source, FEEDS[made]), run(target, FEEDS[made]), strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        assert np.linalg.norm(one - other) <= STEPS[step] * np.linalg.norm(one)
    assert after.table.total("macs") == before.table.total("macs")
    assert same_figures(examine(target), after)
    sizes = rows(change).values()
    assert all(row["data_bytes"] < row["before_bytes"] for row in sizes)
    assert change.loss is not None and 0 <= change.loss < 0.05 and not change.retrain


def same_figures(one: Audited, other: Audited) -> bool:
    figures = [
        (
            a.table.total("macs"),
            a.table.total("ops"),
            a.memory.live_bytes,
            *map(a.weights.bytes_of, (PARAM, QUANTIZATION)),
        )
        for a in (one, other)
    ]
    assert figures[0] == figures[1]
    return True


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16"])
@pytest.mark.parametrize("mode", ["symmetric", "affine"])
def test_codes_and_scales_are_those_of_onnxruntime(kind: str, mode: str, tmp_path: Path) -> None:
    change, *_ = changed(tmp_path, convolutions(), "quantize", f"{kind},weights-only,per-tensor,{mode}")
    for name in ("w1", "w2", "w3", "w4", "w5"):
        weights = numpy_helper.to_array(next(i for i in convolutions().graph.initializer if i.name == name))
        zero, scale, codes = quantize_data(weights.ravel(), getattr(TensorProto, kind.upper()), mode == "symmetric")
        assert held(change.graph, f"{name}_scale") == scale and held(change.graph, f"{name}_zero_point") == zero
        np.testing.assert_array_equal(held(change.graph, f"{name}_quantized").ravel(), codes)
        row = rows(change)[name]
        back = (codes.astype(np.float64) - int(zero)) * float(scale)
        lost = np.abs(weights.ravel() - back)
        assert (row["scale"], row["zero_point"]) == (scale, zero)
        assert row["max_abs_error"] == pytest.approx(lost.max(), abs=1e-7)
        assert row["mse"] == pytest.approx((lost**2).mean(), rel=1e-3)
        assert row["sqnr_db"] == pytest.approx(10 * np.log10((weights**2).sum() / (lost**2).sum()), abs=0.01)


def test_channels_of_every_operator_are_its_outputs(tmp_path: Path) -> None:
    made = convolutions()
    change, *_ = changed(tmp_path, made, "quantize", "int8,weights-only")
    weights = {one.name: numpy_helper.to_array(one) for one in made.graph.initializer}
    for name, axis in {"w1": 0, "w2": 0, "w3": 0, "w4": 1, "w5": 0}.items():
        rest = tuple(i for i in range(weights[name].ndim) if i != axis)
        wanted = (np.abs(weights[name]).max(axis=rest).astype(np.float64) / 127).astype(np.float32)
        np.testing.assert_array_equal(held(change.graph, f"{name}_scale"), wanted)
    change, *_ = changed(tmp_path, products(), "quantize", "int8,weights-only")
    assert held(change.graph, "w1_scale").shape == (96,)
    assert held(change.graph, "w2_scale").shape == (40,)  # behind a Transpose: the rows of what is stored
    assert held(change.graph, "table_scale").shape == (50,)


def test_bytes_of_scales(tmp_path: Path) -> None:
    """The numbers of a course: 128 channels, 508 bytes of scales more per channel than per tensor."""
    nodes = [node("Conv", ["x", "w"], ["y"], "conv")]
    made = model(nodes, {"x": [1, 4, 4, 4]}, {"y": [1, 128, 2, 2]}, {"w": drawn(128, 4, 3, 3)})
    several = rows(changed(tmp_path, made, "quantize", "int8,weights-only")[0])["w"]
    one = rows(changed(tmp_path, made, "quantize", "int8,weights-only,per-tensor")[0])["w"]
    assert several["scale_bytes"] - one["scale_bytes"] == 508
    assert several["zero_point_bytes"] - one["zero_point_bytes"] == 127
    assert several["overhead_bytes"] == 128 * 4 + 128 and several["data_bytes"] == one["data_bytes"] == 128 * 4 * 9
    assert (several["scales"], several["scale"], one["scales"]) == (128, None, 1)


@pytest.mark.parametrize(
    ("step", "kept", "saved"),
    [("int8,weights-only", 4.0, 62.619648), ("int4,per-channel", 8.0, None), ("fp16,weights-only", 2.0, None)],
)
def test_sizes_are_exact_without_weights(step: str, kept: float, saved: float | None) -> None:
    """Of two layers of AlexNet, whose sample holds no weights."""
    audited = examine("sample:alexnet")
    change, after = whatif.apply(audited, whatif.parse("quantize", step))
    layers = [row for row in rows(change).values() if row["before_bytes"] in (4096 * 4096 * 4, 4096 * 1000 * 4)]
    assert len(layers) == 2
    before, data = (sum(row[key] for row in layers) for key in ("before_bytes", "data_bytes"))
    assert before / data == kept
    if saved is not None:
        assert (before - data) / 1e6 == pytest.approx(saved)
    assert all(row["mse"] is None and row["sqnr_db"] is None for row in rows(change).values())
    assert any("errors of" in note and "holds no weights" in note for note in change.notes)
    assert after.table.total("macs") == audited.table.total("macs") and change.loss is None


def test_four_bits_of_the_feed_forward_layers_of_an_encoder() -> None:
    change, _ = whatif.apply(examine("sample:bert-base"), whatif.parse("quantize", "int4,per-channel"))
    sizes = [row["data_bytes"] for row in rows(change).values() if row["before_bytes"] == 768 * 3072 * 4]
    biases = 12 * (3072 + 768) * 0.5  # the course counts them at 4 bits too; here they stay floats
    assert len(sizes) == 24 and (sum(sizes) + biases) / 2**20 == pytest.approx(27.02197265625)


def test_predicted_figures_without_weights_are_those_with(tmp_path: Path) -> None:
    for step in ("int4,affine", "int8,weights-only", "dynamic", "nf4", "fp16", "int3"):
        for made in (convolutions, products):
            onnx.save(made(), tmp_path / "whole.onnx")
            both = []
            for path in (tmp_path / "whole.onnx", without_weights(made(), tmp_path)):
                change, after = whatif.apply(examine(path), whatif.parse("quantize", step))
                sizes = {name: {k: v for k, v in row.items() if "bytes" in k} for name, row in rows(change).items()}
                both.append((sizes, after.memory.live_bytes, after.weights.bytes_of(PARAM, QUANTIZATION)))
            assert both[0] == both[1]


def test_a_width_that_onnx_lacks_is_audited_and_not_saved(tmp_path: Path) -> None:
    onnx.save(convolutions(), tmp_path / "m.onnx")
    audited = examine(tmp_path / "m.onnx")
    change, after = whatif.apply(audited, whatif.parse("quantize", "int3,per-channel"))
    assert any("no ONNX type of 3 bits; int4 is the next that can be saved" in note for note in change.notes)
    numels = {one.name: int(np.prod(one.dims)) for one in convolutions().graph.initializer}
    for name in ("w1", "w2", "w3", "w4", "w5"):
        assert rows(change)[name]["data_bytes"] == -(-numels[name] * 3 // 8)
    assert after.table.total("macs") == audited.table.total("macs") and change.retrain
    with pytest.raises(UsageError, match="cannot be saved: no ONNX type of 3 bits"):
        save_model(change.graph, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_nf4_is_saved_where_all_weights_are_products_of_its_own(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["a"], "one"), node("Gemm", ["a", "v", "c"], ["y"], "two", transB=1)]
    constants = {"w": drawn(64, 48), "v": drawn(32, 48, seed=1), "c": drawn(32, seed=2)}
    made = model(nodes, {"x": [3, 64]}, {"y": [3, 32]}, constants)
    change, before, after, source, target = changed(tmp_path, made, "quantize", "nf4,group=16")
    x = {"x": drawn(3, 64, seed=3)}
    one, other = run(source, x)[0], run(target, x)[0]
    assert np.linalg.norm(one - other) < 0.2 * np.linalg.norm(one)
    assert [n.op for n in change.graph.nodes] == ["MatMulBnb4", "MatMulBnb4", "Add"]
    assert loads(target)["w_Bnb4"].shape == (64 * 48 // 2,) and loads(target)["v_absmax"].shape == (32 * 48 // 16,)
    assert after.weights.params == before.weights.params
    back = numpy_helper.to_array(onnx.load(source).graph.initializer[0])
    assert rows(change)["w"]["max_abs_error"] < np.abs(back).max() * 0.16


def test_products_are_packed_and_shared_weights_stored_once(tmp_path: Path) -> None:
    change, before, _, _, target = changed(tmp_path, products(), "quantize", "int4,group=16")
    ops = [n.op for n in change.graph.nodes]
    assert ops.count("MatMulNBits") == 2  # `up` and `mix`; the other two are read through a Transpose
    assert ops.count("DequantizeLinear") == 2
    names = [one.name for one in onnx.load(target).graph.initializer]
    assert len([name for name in names if name.startswith("table")]) == 3 and "table" not in names
    assert before.weights.params == examine(target).weights.params


def test_tables_are_left_unless_named(tmp_path: Path) -> None:
    nodes = [node("Gather", ["t", "i"], ["a"], "embed"), node("MatMul", ["a", "w"], ["y"], "head")]
    made = model(
        nodes, {"i": [3]}, {"y": [3, 4]}, {"t": drawn(9, 16), "w": drawn(16, 4)}, types={"i": TensorProto.INT64}
    )
    change, *_ = changed(tmp_path, made, "quantize", "int8,weights-only")
    assert [(b.group, b.reason) for b in change.blocked] == [
        ("t", "a table that Gather looks up; nodes=embed quantizes it")
    ]
    assert set(rows(change)) == {"w"}
    change, _, _, source, target = changed(tmp_path, made, "quantize", "int8,weights-only,nodes=embed")
    assert set(rows(change)) == {"t"} and held(change.graph, "t_scale").shape == (9,)
    feed = {"i": np.array([1, 0, 8])}
    assert np.abs(run(source, feed)[0] - run(target, feed)[0]).max() < 0.05


@pytest.mark.parametrize("opset", [17, 21])
def test_tables_of_four_bits_are_looked_up_in_blocks(opset: int, tmp_path: Path) -> None:
    nodes = [node("Gather", ["t", "i"], ["y"], "embed")]
    made = model(nodes, {"i": [3]}, {"y": [3, 40]}, {"t": drawn(9, 40)}, opset=opset, types={"i": TensorProto.INT64})
    feed = {"i": np.array([1, 0, 8])}
    found = []
    for step in ("int4,affine,group=16,nodes=embed", "uint4,group=16,nodes=embed", "int4,group=16,nodes=*"):
        change, before, after, source, target = changed(tmp_path, made, "quantize", step)
        assert [n.op for n in change.graph.nodes] == ["GatherBlockQuantized"]
        assert rows(change)["t"]["data_bytes"] == 9 * 40 // 2 and rows(change)["t"]["scales"] == 9 * 3
        assert after.weights.params == before.weights.params == 360
        assert np.abs(run(source, feed)[0] - run(target, feed)[0]).max() <= rows(change)["t"]["max_abs_error"] + 1e-6
        found.append(run(target, feed)[0])
    change, _, _, _, target = changed(tmp_path, made, "quantize", "int4,affine,group=16,nodes=embed,format=qdq")
    assert [n.op for n in change.graph.nodes] == ["DequantizeLinear", "Gather"]
    np.testing.assert_array_equal(run(target, feed)[0], found[0])


def test_a_mixed_table_stores_each_node_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "mixed.yaml").write_text("head: float\nfirst: fp16,weights-only\n'*wise': int4,per-channel\n")
    step = f"int8,weights-only,table={tmp_path / 'mixed.yaml'}"
    change, _, _, source, target = changed(tmp_path, convolutions(), "quantize", step)
    assert {name: row["dtype"] for name, row in rows(change).items()} == {
        "w1": "float16",
        "w2": "int4",
        "w3": "int4",
        "w4": "int8",
    }
    x = FEEDS[convolutions]
    assert np.linalg.norm(run(source, x)[0] - run(target, x)[0]) < 0.3 * np.linalg.norm(run(source, x)[0])


def test_reasons_for_what_is_left(tmp_path: Path) -> None:
    nodes = [
        node("Mul", ["w", "g"], ["scaled"], "standardize"),
        node("MatMul", ["x", "scaled"], ["a"], "computed"),
        node("MatMul", ["a", "d"], ["b"], "plain"),
        node("Einsum", ["b", "e"], ["y"], "einsum", equation="ij,jk->ik"),
        node("MatMul", ["y", "o"], ["z"], "given"),
    ]
    constants = {
        "w": drawn(4, 4),
        "g": drawn(4, 1),
        "d": drawn(4, 4, seed=1),
        "e": drawn(4, 4, seed=2),
        "o": drawn(4, 4),
    }
    made = model(nodes, {"x": [4, 4]}, {"y": [4, 4], "o": [4, 4], "z": [4, 4]}, constants)
    change, *_ = changed(tmp_path, made, "quantize", "int8,weights-only")
    assert {b.group: b.reason for b in change.blocked} == {
        "w": "what MatMul reads is computed from it; fold constants first",
        "e": "Einsum is not quantized here",
        "o": "it is an output of the model",
    }
    assert set(rows(change)) == {"d"}
    with pytest.raises(UsageError, match="no weight that can be stored otherwise"):
        changed(tmp_path, made, "quantize", "int8,weights-only,nodes=einsum")
    with pytest.raises(UsageError, match="no node is named that would change"):
        changed(tmp_path, made, "quantize", "float")


def test_old_models_are_brought_forward_or_served_by_the_runtimes_own_operator(tmp_path: Path) -> None:
    for opset, step, domain, stated in (
        (12, "int8,weights-only", "com.microsoft", 12),
        (12, "int8,weights-only,per-tensor", "", 12),
        (12, "int4,per-channel", "com.microsoft", 12),
        (12, "fp8", "", 19),
        (17, "int4,group=16,format=qdq", "", 21),
    ):
        change, _, _, source, target = changed(tmp_path, convolutions(opset), "quantize", step)
        assert {n.domain for n in change.graph.nodes if n.op == "DequantizeLinear"} == {domain}, step
        assert change.graph.opsets[""] == stated
        x = FEEDS[convolutions]
        assert np.linalg.norm(run(source, x)[0] - run(target, x)[0]) < 0.3 * np.linalg.norm(run(source, x)[0])


def test_half_models_have_half_scales(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["y"], "head")]
    half = drawn(64, 8).astype(np.float16)
    made = model(nodes, {"x": [3, 64]}, {"y": [3, 8]}, {"w": half}, opset=21, dtype=TensorProto.FLOAT16)
    for step in ("int8,weights-only", "int4,group=16", "int8,weights-only,per-tensor"):
        _, _, _, source, target = changed(tmp_path, made, "quantize", step)
        scales = next(one for name, one in loads(target).items() if "_scale" in name)
        assert scales.dtype == np.float16
        x = {"x": drawn(3, 64, seed=1).astype(np.float16)}
        one, other = (run(path, x)[0].astype(np.float32) for path in (source, target))
        assert np.linalg.norm(one - other) < 0.2 * np.linalg.norm(one)
