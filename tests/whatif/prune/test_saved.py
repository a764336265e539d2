"""A pruned model as a file: ONNX Runtime computes with the zeros, and its audit is that of the what-if."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from onnx import helper, numpy_helper

from effaudit.audited import Audited, examine
from effaudit.errors import UsageError
from effaudit.report.model import totals_of
from effaudit.save import save_model
from effaudit.whatif import apply, parse
from effaudit.whatif.types import Change

from .weights import SHAPES, arrays, grid, model, pruned, put, run, saved

WAYS = ("sparsity=70%", "sparsity=30%,scope=layer", "2:4", "block=2x3,sparsity=50%")


@pytest.mark.parametrize("written", WAYS)
def test_runs_with_the_zeros(written: str, tmp_path: Path) -> None:
    made = model()
    _, audited = pruned(saved(made, tmp_path), written)
    save_model(audited.raw, tmp_path / "pruned.onnx")
    onnx.checker.check_model(str(tmp_path / "pruned.onnx"))
    by_hand = run(saved(put(made, arrays(audited.raw)), tmp_path, "by_hand.onnx"))
    found = run(tmp_path / "pruned.onnx")
    for one, other in zip(found, by_hand, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(found[0], run(tmp_path / "model.onnx")[0])
    again = examine(tmp_path / "pruned.onnx")
    assert figures(again) == figures(audited)


@pytest.mark.parametrize("written", ["sparsity=90%,storage=csr", "2:4,storage=compressed"])
def test_counted_sparse_and_saved_dense(written: str, tmp_path: Path) -> None:
    """Bytes of a format are of the audit alone: the file holds every zero."""
    change, audited = pruned(saved(model(), tmp_path), written)
    save_model(audited.raw, tmp_path / "pruned.onnx")
    again = examine(tmp_path / "pruned.onnx")
    for name, array in arrays(again.raw).items():
        np.testing.assert_array_equal(array, arrays(audited.raw)[name])
    stored = {detail.name: int(detail.figures["stored_bytes"] or 0) for detail in change.details}
    dense = sum(4 * int(np.prod(SHAPES[name])) for name in stored)
    assert again.weights.bytes_of("param") - audited.weights.bytes_of("param") == dense - sum(stored.values())
    assert any("ONNX Runtime stores and computes them dense" in note for note in change.notes)
    save_model(audited.raw, tmp_path / "large.onnx", inline_bytes=100)  # the weights in a file beside the model
    np.testing.assert_array_equal(run(tmp_path / "large.onnx")[0], run(tmp_path / "pruned.onnx")[0])


def figures(audited: Audited) -> tuple[object, ...]:
    return totals_of(audited), audited.memory, [(row.node.label, row.low, row.high) for row in audited.table.rows]


def test_zeros_alone_change_no_figure(tmp_path: Path) -> None:
    path = saved(model(), tmp_path)
    for written in WAYS:
        change, audited = pruned(path, written)
        assert figures(audited) == figures(examine(path))
        assert any("neither the dense size nor the MACs" in note for note in change.notes)


def test_zeros_stay_zero_when_quantized(tmp_path: Path) -> None:
    """The stack of two, saved: the codes of what was pruned are the zero point's."""
    _, thinned = pruned(saved(model(), tmp_path), "2:4,storage=compressed")
    _, small = apply(thinned, parse("quantize", "int8,weights-only"))
    save_model(small.raw, tmp_path / "small.onnx")
    assert np.isfinite(run(tmp_path / "small.onnx")[0]).all()
    before, checked = arrays(thinned.raw), []
    for tensor in onnx.load(tmp_path / "small.onnx").graph.initializer:
        name = tensor.name.removesuffix("_quantized")
        if name in before and tensor.data_type == onnx.TensorProto.INT8:
            codes = numpy_helper.to_array(tensor)
            assert codes.shape == before[name].shape
            assert not codes[before[name] == 0].any()
            checked.append(name)
    assert len(checked) >= 6 and "conv" in checked and "transB" in checked


def test_sizes_are_those_of_the_matrices(tmp_path: Path) -> None:
    """Of every weight, in every format, as stored by hand."""
    change, audited = pruned(saved(model(), tmp_path), "2:4,storage=smallest")
    left = 4 * (8 * 9 + 6 + 3)  # depthwise, a bias and a scale
    for detail in change.details:
        array, (rows, run_) = arrays(audited.raw)[detail.name], grid(detail.name)
        matrix = np.array([[array[index] for index in row] for row in rows])
        values = np.count_nonzero(matrix) * 4
        groups = len(rows) * (len(rows[0]) // run_) * -(-run_ // 4)
        expected = {
            "dense_bytes": matrix.nbytes,
            "bitmap_bytes": np.packbits(matrix != 0).nbytes + values,
            "csr_bytes": values + np.count_nonzero(matrix) + 4 * (len(rows) + 1),
            "compressed_bytes": groups * 8 + -(-groups * 4 // 8),
        }
        found = {name: detail.figures[name] for name in expected}
        assert found == expected
        least = min(expected.values())
        assert detail.figures["stored_bytes"] == least == found[f"{detail.figures['smallest']}_bytes"]
    assert audited.weights.bytes_of("param") == sum(int(d.figures["stored_bytes"] or 0) for d in change.details) + left


# ---- models without weights
def bare(path: Path) -> Audited:
    """The model, its weights in a file that is not there."""
    made = onnx.load(path)
    onnx.save(made, path, save_as_external_data=True, location="gone.bin", size_threshold=0, convert_attribute=True)
    (path.parent / "gone.bin").unlink()
    return examine(path)


def asked(audited: Audited, written: str) -> tuple[Change, Audited]:
    return apply(audited, parse("prune", written))


@pytest.mark.parametrize(
    "written",
    [
        "sparsity=90%,scope=layer,storage=csr",
        "2:4,storage=compressed",
        "block=1x1,sparsity=30%,scope=layer,storage=bsr",
    ],
)
def test_structure_alone_tells_sizes(written: str, tmp_path: Path) -> None:
    """No weight is zero before, so what the share says is what there is."""
    path = saved(model(), tmp_path)
    (tmp_path / "bare").mkdir()
    without = bare(saved(model(), tmp_path / "bare"))
    (change, audited), (expected, full) = asked(without, written), pruned(path, written)
    unknown = {"zeros_before", "saliency_removed"}
    for one, other in zip(change.details, expected.details, strict=True):
        assert {k: v for k, v in one.figures.items() if k not in unknown} == {
            k: v for k, v in other.figures.items() if k not in unknown
        }
        assert one.figures["zeros_before"] is None and one.figures["saliency_removed"] is None
    assert audited.weights.bytes_of("param") == full.weights.bytes_of("param")
    assert any("tensors are not known" in note for note in change.notes)
    assert change.loss is None and expected.loss > 0
    assert change.blocked == expected.blocked


def test_blocks_that_stay_are_told_by_structure_alone(tmp_path: Path) -> None:
    """Bytes of blocks are exact; the zeros are too where no block lies at an edge."""
    path = saved(model(), tmp_path)
    (tmp_path / "bare").mkdir()
    without = bare(saved(model(), tmp_path / "bare"))
    written = "block=2x3,sparsity=40%,scope=layer,storage=bsr"
    for one, other in zip(asked(without, written)[0].details, pruned(path, written)[0].details, strict=True):
        assert one.figures["stored_bytes"] == other.figures["stored_bytes"] == other.figures["bsr_bytes"]
        (rows, _), tall, wide = grid(one.name), 2, 3
        whole = len(rows) % tall == 0 == len(rows[0]) % wide
        assert one.figures["zeros_after"] == (other.figures["zeros_after"] if whole else None)


def test_what_structure_does_not_tell(tmp_path: Path) -> None:
    without = bare(saved(model(), tmp_path))
    change, _ = asked(without, "sparsity=50%")
    total = sum(int(np.prod(shape)) for shape in SHAPES.values())
    assert f"{round(total / 2):,} of the {total:,} weights are zero; their elements would tell which" in change.notes
    assert all(detail.figures["zeros_after"] is None for detail in change.details)
    with pytest.raises(UsageError, match="scope=layer tells without them"):
        asked(without, "sparsity=50%,storage=csr")
    with pytest.raises(UsageError, match="scope=layer tells without them"):
        asked(without, "block=4x1,sparsity=50%,storage=smallest")


def test_some_weights_missing(tmp_path: Path) -> None:
    """Those that are there are pruned alone; together they cannot be compared, and stay as they are."""
    path = saved(model(), tmp_path)
    whole = examine(path)
    gone = replace(whole.raw.constants["conv"], raw=None, payload=None, missing="not there")
    some = replace(whole, raw=replace(whole.raw, constants={**whole.raw.constants, "conv": gone}))
    tensors = tuple(replace(t, constant=gone) if t.constant.name == "conv" else t for t in whole.weights.tensors)
    some = replace(some, weights=replace(whole.weights, tensors=tensors))
    change, audited = asked(some, "sparsity=50%")
    assert all(detail.figures["zeros_after"] is None for detail in change.details)
    np.testing.assert_array_equal(arrays(audited.raw, ["left"])["left"], arrays(whole.raw, ["left"])["left"])
    change, audited = asked(some, "sparsity=50%,scope=layer")
    figures_of = {detail.name: detail.figures for detail in change.details}
    assert figures_of["conv"]["saliency_removed"] is None and figures_of["conv"]["zeros_after"] == 135
    assert figures_of["left"]["saliency_removed"] is not None
    assert np.count_nonzero(arrays(audited.raw, ["left"])["left"]) == 18


# ---- what is left alone
def test_left_alone_with_the_reason(tmp_path: Path) -> None:
    """Quantized weights, recurrent ones, those inside bodies; a table of embeddings that also makes the logits."""
    node, draw = helper.make_node, np.random.default_rng(0)

    def weight(name: str, *shape: int, dtype: type = np.float32) -> onnx.TensorProto:
        return numpy_helper.from_array((8 * draw.standard_normal(shape)).astype(dtype), name)

    inner = helper.make_graph(
        [node("MatMul", ["s", "inside"], ["t"])],
        "then",
        [],
        [helper.make_tensor_value_info("t", 1, [3, 1, 4])],
        [weight("inside", 4, 4)],
    )
    other = helper.make_graph(
        [node("Identity", ["s"], ["u"])], "else", [], [helper.make_tensor_value_info("u", 1, [3, 1, 4])]
    )
    nodes = [
        node("Gather", ["table", "ids"], ["a"]),
        node("LSTM", ["a", "W", "R"], ["b"], hidden_size=4),
        node("Squeeze", ["b", "one"], ["s"]),
        node("If", ["yes"], ["c"], then_branch=inner, else_branch=other),
        node("DequantizeLinear", ["Q", "scale"], ["q"]),
        node("MatMul", ["c", "q"], ["d"]),
        node("MatMul", ["d", "plain"], ["e"]),
        node("Transpose", ["table"], ["turned"], perm=[1, 0]),
        node("MatMul", ["e", "turned"], ["y"]),
    ]
    held = [weight("table", 9, 5), weight("W", 1, 16, 5), weight("R", 1, 16, 4), weight("plain", 4, 5)]
    held += [weight("Q", 4, 4, dtype=np.int8), numpy_helper.from_array(np.float32(0.1), "scale")]
    held += [numpy_helper.from_array(np.array([1], np.int64), "one")]
    inputs = [helper.make_tensor_value_info("ids", 7, [3, 1]), helper.make_tensor_value_info("yes", 9, [])]
    outputs = [helper.make_tensor_value_info("y", 1, [3, 1, 9])]
    graph = helper.make_graph(nodes, "kinds", inputs, outputs, held)
    path = saved(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), tmp_path, "kinds.onnx"
    )
    change, _ = pruned(path, "sparsity=50%")
    assert [detail.name for detail in change.details] == ["plain"]
    reasons = {one.group: one.reason for one in change.blocked}
    assert reasons.keys() == {"W", "R", "Q", "inside"}
    assert "LSTM" in reasons["W"] and "prune first" in reasons["Q"] and "body" in reasons["inside"]
    named = {detail.name for detail in pruned(path, "sparsity=50%,only=table|W")[0].details}
    assert named == {"table", "W"}
    with pytest.raises(UsageError, match="prune first, then quantize"):
        pruned(path, "sparsity=50%,only=Q")
