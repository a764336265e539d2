"""Weights and activations in integers against onnxruntime's quantizer: its file and the what-if on the floats agree in
every node and every byte, and compute the same."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from effaudit import whatif
from effaudit.audited import Audited, examine
from effaudit.errors import UsageError
from effaudit.memory.asked import Asked
from effaudit.memory.model import describe
from effaudit.save import save_model
from effaudit.whatif.types import Change
from tests.whatif.quantize.nets import without_weights
from tests.whatif.quantize.static_nets import BUILT, mobilenet, perceptron, resnet
from tests.whatif.running import run

SAMPLES = Path(__file__).parents[3] / "sample_models"
TINY = ("kws", "vww", "ic", "ad", "unet")
NETS = (*TINY, *BUILT)
Feeds = Sequence[Mapping[str, np.ndarray]]


class Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: Feeds) -> None:
        self.feeds: Iterator[Mapping[str, np.ndarray]] = iter(feeds)

    def get_next(self) -> Any:
        return next(self.feeds, None)


@cache
def source(name: str) -> onnx.ModelProto:
    return BUILT[name]() if name in BUILT else onnx.load(SAMPLES / f"{name}.onnx")


def feeds(name: str) -> Feeds:
    draw = np.random.default_rng(3)
    found: dict[str, np.ndarray] = {}
    for value in source(name).graph.input:
        shape = [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
        if value.type.tensor_type.elem_type == onnx.TensorProto.INT64:
            found[value.name] = draw.integers(0, 20, shape)
        else:
            found[value.name] = draw.standard_normal(shape).astype(np.float32)
    return [found]


def figures(audited: Audited) -> dict[str, Any]:
    """Every figure that has to agree: nodes, MACs, bytes by role and type, memory as runtimes execute it."""
    tensors = audited.weights.tensors
    return {
        "operators": Counter((node.domain, node.op) for node in audited.graph.nodes),
        "macs": audited.table.total("macs"),
        "ops": audited.table.total("ops"),
        "constants": Counter((t.role, t.constant.encoding.dtype, t.constant.shape) for t in tensors),
        "bytes": sum(t.constant.nbytes for t in tensors),
        "live": audited.memory.live_bytes,
        **{name: lowered(audited, name) for name in ("ideal", "tflm", "ort")},
    }


def lowered(audited: Audited, runtime: str) -> Any:
    found = describe(audited, Asked(runtime=runtime)).memory
    return found.sum_bytes, found.live_bytes, found.inplace_bytes


def quantized(folder: Path, name: str, step: str, **options: Any) -> tuple[Change, Audited, Path, Path]:
    """(the change, the changed model, its file, onnxruntime's)."""
    given = folder / "given.onnx"
    onnx.save(source(name), given)
    np.savez(folder / "0.npz", **dict(feeds(name)[0]))  # type: ignore[arg-type]
    logging.disable(logging.WARNING)
    quantize_static(given, folder / "theirs.onnx", Reader(feeds(name)), **options)
    logging.disable(logging.NOTSET)
    change, changed = whatif.apply(examine(given), whatif.parse("quantize", f"{step},calibrate={folder}"))
    save_model(change.graph, folder / "ours.onnx")
    return change, changed, folder / "ours.onnx", folder / "theirs.onnx"


def constants(path: Path) -> dict[str, np.ndarray]:
    return {one.name: numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}


def agree(ours: Path, theirs: Path, name: str) -> None:
    """Every constant of one file is in the other under its name, and the outputs are the same."""
    one, other = constants(ours), constants(theirs)
    assert one.keys() == other.keys()
    for key, array in other.items():
        assert one[key].dtype == array.dtype and one[key].shape == array.shape, key
        # onnxruntime adds up float32 in other orders when it calibrates: the last bit of a range may differ.
        assert np.abs(one[key].astype(np.float64) - array).max(initial=0) <= (
            1 if array.dtype.kind in "iu" else 1e-6
        ), key
    for a, b in zip(run(ours, feeds(name)[0]), run(theirs, feeds(name)[0]), strict=True):
        assert np.linalg.norm(a - b) <= 0.01 * np.linalg.norm(b)


@pytest.mark.parametrize("name", NETS)
def test_pairs_are_those_of_onnxruntime(name: str, tmp_path: Path) -> None:
    change, changed, ours, theirs = quantized(tmp_path, name, "int8", per_channel=True)
    assert figures(changed) == figures(examine(theirs)) == figures(examine(ours))
    agree(ours, theirs, name)
    order = [[node.output[0] for node in onnx.load(file).graph.node] for file in (ours, theirs)]
    if name != "encoder":  # a bias that DequantizeLinear gives has another name here
        kept = [[out for out in outputs if out in set(order[0]) & set(order[1])] for outputs in order]
        assert kept[0] == kept[1]
    assert change.loss is not None and 0 < change.loss < 1e-4


@pytest.mark.parametrize("name", NETS)
def test_operators_are_those_of_onnxruntime(name: str, tmp_path: Path) -> None:
    step, options = "int8,format=qoperator", {"per_channel": True, "quant_format": QuantFormat.QOperator}
    _, changed, ours, theirs = quantized(tmp_path, name, step, **options)
    assert figures(changed) == figures(examine(theirs)) == figures(examine(ours))
    agree(ours, theirs, name)


OTHERS: dict[str, dict[str, Any]] = {
    "int8,per-tensor": {},
    "uint8": {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QUInt8},
    "int8,activations=uint8": {"activation_type": QuantType.QUInt8, "per_channel": True},
    "w8a16": {"activation_type": QuantType.QInt16, "per_channel": True},
    "int16": {"activation_type": QuantType.QInt16, "weight_type": QuantType.QInt16, "per_channel": True},
    "int8,symmetric": {"per_channel": True, "extra_options": {"ActivationSymmetric": True}},
    "uint8,format=qoperator": {
        "activation_type": QuantType.QUInt8,
        "weight_type": QuantType.QUInt8,
        "quant_format": QuantFormat.QOperator,
    },
}


@pytest.mark.parametrize("step", OTHERS)
def test_other_types_are_those_of_onnxruntime(step: str, tmp_path: Path) -> None:
    name = "pyramid"
    _, changed, ours, theirs = quantized(tmp_path, name, step, **OTHERS[step])
    wanted, found = figures(examine(theirs)), figures(changed)
    if "16" in step:  # onnxruntime brings the model to opset 21, whose own operators take 16 bits
        wanted["operators"] = Counter(op for _, op in wanted["operators"].elements())
        found["operators"] = Counter(op for _, op in found["operators"].elements())
    assert found == wanted
    agree(ours, theirs, name)


def written(folder: Path, made: onnx.ModelProto, step: str) -> tuple[Change, Audited]:
    onnx.save(made, folder / "made.onnx")
    return whatif.apply(examine(folder / "made.onnx"), whatif.parse("quantize", step))


def rows(change: Change, table: str) -> dict[str, Mapping[str, Any]]:
    return {row.name: row.figures for row in change.details if row.table == table}


def test_without_calibration_sizes_are_exact_and_saving_is_refused(tmp_path: Path) -> None:
    change, changed = written(tmp_path, resnet(), "int8")
    _, calibrated = written(tmp_path, resnet(), "int8,calibrate=random")
    assert figures(changed) == figures(calibrated)
    assert "no calibration data: add calibrate=DIR or calibrate=random" in change.notes[0]
    assert rows(change, "activations")["x"]["scale"] is None
    assert rows(change, "activations")["y"]["scale"] == pytest.approx(1 / 255)  # of a Softmax
    with pytest.raises(UsageError, match="no calibration data: add calibrate=DIR or calibrate=random"):
        save_model(change.graph, tmp_path / "refused.onnx")


def test_random_ranges_say_so(tmp_path: Path) -> None:
    change, changed = written(tmp_path, perceptron(), "int8,calibrate=random")
    assert "marked random: ranges come from random inputs" in change.notes
    assert {row["source"] for row in rows(change, "activations").values()} == {"random inputs"}
    assert "calibrate=random" in changed.graph.history[-1]
    again, _ = written(tmp_path, perceptron(), "int8,calibrate=random")
    other, _ = written(tmp_path, perceptron(), "int8,calibrate=random,seed=1")
    assert again.details == change.details != other.details


def test_structure_alone_is_sized_and_not_run(tmp_path: Path) -> None:
    path = without_weights(mobilenet(), tmp_path)
    change, changed = whatif.apply(examine(path), whatif.parse("quantize", "int8"))
    _, full = written(tmp_path, mobilenet(), "int8")
    assert figures(changed) == figures(full)
    assert change.loss is None
    with pytest.raises(UsageError, match=r"weightless.onnx: --quantize calibrate=random runs the model, .* structure"):
        whatif.apply(examine(path), whatif.parse("quantize", "int8,calibrate=random"))


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("w8a16,format=qoperator", "8 bits only"),
        ("w4a8,format=qoperator", "8 bits only"),
        ("nf4,activations=int8", "nf4 stores weights only"),
        ("int8,nodes=relu1", "no operator that qdq stores in integers"),
        ("int8,calibrate=nowhere", "nowhere: cannot be read"),
    ],
)
def test_refusals(step: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=why):
        written(tmp_path, resnet(), step)


def test_a_width_that_onnx_lacks_is_audited_and_not_saved(tmp_path: Path) -> None:
    change, changed = written(tmp_path, perceptron(), "w5a8,activations=int6,calibrate=random")
    sizes = Counter((t.role, t.constant.encoding.dtype) for t in changed.weights.tensors)
    assert sizes["param", "int5"] == 3
    assert next(t.constant.nbytes for t in changed.weights.tensors if t.constant.name == "w1_quantized") == 600 * 5 / 8
    assert any("cannot be saved: no ONNX type of 6 bits" in note for note in change.notes)
    with pytest.raises(UsageError, match=r"no ONNX type of [56] bits"):
        save_model(change.graph, tmp_path / "refused.onnx")


@pytest.mark.parametrize(
    ("step", "most"),
    [("w4a8", 0.5), ("int8,group=16", 0.03), ("int8,activations=fp8", 0.1), ("fp8,activations=fp8", 0.2)],
)
def test_other_widths_run(step: str, most: float, tmp_path: Path) -> None:
    made = perceptron()
    made.opset_import[0].version = 21
    feed = feeds("perceptron")[0]
    np.savez(tmp_path / "0.npz", x=feed["x"])
    change, _ = written(tmp_path, made, f"{step},calibrate={tmp_path}")
    save_model(change.graph, tmp_path / "ours.onnx")
    (wanted,), (found,) = run(tmp_path / "made.onnx", feed), run(tmp_path / "ours.onnx", feed)
    assert np.linalg.norm(found - wanted) < most * np.linalg.norm(wanted)
