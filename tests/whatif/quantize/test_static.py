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
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from effaudit import whatif
from effaudit.audited import Audited, examine
from effaudit.errors import UsageError
from effaudit.memory.asked import Asked
from effaudit.memory.model import describe
from effaudit.run import Deviation
from effaudit.save import save_model
from effaudit.whatif.types import Change
from tests.corpus.score import folder
from tests.whatif.quantize.nets import without_weights
from tests.whatif.quantize.static_nets import BUILT, mobilenet, perceptron, resnet
from tests.whatif.running import changed, model, run, same_outputs

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


def noise(given: Path, changed: Path, name: str) -> float:
    """Noise over signal of the outputs, the mean of all of them."""
    pairs = zip(run(given, feeds(name)[0]), run(changed, feeds(name)[0]), strict=True)
    shares = [np.square(a - b, dtype=np.float64).sum() / np.square(a, dtype=np.float64).sum() for a, b in pairs]
    return float(np.mean(shares))


@pytest.mark.parametrize("name", NETS)
def test_pairs_are_those_of_onnxruntime(name: str, tmp_path: Path) -> None:
    change, changed, ours, theirs = quantized(tmp_path, name, "int8", per_channel=True)
    assert figures(changed) == figures(examine(theirs)) == figures(examine(ours))
    agree(ours, theirs, name)
    order = [[node.output[0] for node in onnx.load(file).graph.node] for file in (ours, theirs)]
    if name != "encoder":  # a bias that DequantizeLinear gives has another name here
        kept = [[out for out in outputs if out in set(order[0]) & set(order[1])] for outputs in order]
        assert kept[0] == kept[1]
    assert change.loss == pytest.approx(noise(tmp_path / "given.onnx", ours, name), rel=1e-3)
    assert change.loss is not None and 0 < change.loss < 0.05


@pytest.mark.parametrize("name", [*(name for name in NETS if name != "vww"), "lstm"])
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


def test_what_does_not_run_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("effaudit.run.deviations", lambda *_: [Deviation({}, {}, "no kernel of this type")])
    change, _ = written(tmp_path, perceptron(), "int8,calibrate=random")
    assert change.loss is None
    assert change.notes[-1] == (
        "the quantized model did not run, so what its outputs lose is not known: no kernel of this type"
    )


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


def test_a_second_quantization_names_its_nodes_apart(tmp_path: Path) -> None:
    _, once = whatif.apply(
        examine(SAMPLES / "kws.onnx"), whatif.parse("quantize", "int8,calibrate=random,nodes=*conv*")
    )
    save_model(once.raw, tmp_path / "once.onnx")
    second, _ = whatif.apply(examine(tmp_path / "once.onnx"), whatif.parse("quantize", "int8,calibrate=random"))
    assert any("come from integers already, and are quantized once more" in note for note in second.notes)
    save_model(second.graph, tmp_path / "twice.onnx")
    names = [node.name for node in onnx.load(tmp_path / "twice.onnx").graph.node]
    assert len(set(names)) == len(names)
    (before,), (after,) = (run(tmp_path / file, feeds("kws")[0]) for file in ("once.onnx", "twice.onnx"))
    assert np.abs(after - before).max() < 0.1 * np.abs(before).max()


# Files that onnxruntime wrote of models whose floats are in the corpus too; both hold structure only.
WRITTEN = {
    "lenet5.ts.op17.q_qdq_int8": "int8",
    "lenet5.ts.op17.q_qop_u8": "int8,per-tensor,activations=uint8,format=qoperator",
    "mlperftiny_ic_resnet8.ts.op17.q_qdq_int8": "int8",
    "mlperftiny_ic_resnet8.ts.op17.q_qdq_a16w8": "int8,per-tensor,activations=uint16",
    "mlperftiny_ic_resnet8.ts.op17.q_qop_u8": "int8,per-tensor,activations=uint8,format=qoperator",
    "resnet18.ts.op17.q_qdq_int8": "int8",
    "resnet18.ts.op17.q_qop_u8": "int8,per-tensor,activations=uint8,format=qoperator",
}


@pytest.mark.parametrize("name", WRITTEN)
def test_files_of_the_corpus_are_predicted_from_their_floats(name: str) -> None:
    if (corpus := folder()) is None:
        pytest.skip("the corpus is not there")
    models = corpus / "models"
    _, changed = whatif.apply(
        examine(models / f"{name.rsplit('.', 1)[0]}.onnx"), whatif.parse("quantize", WRITTEN[name])
    )
    wanted, found = figures(examine(models / f"{name}.onnx")), figures(changed)
    for one in (wanted, found):  # the domain of operators of 16 bits, as above
        one["operators"] = Counter(op for _, op in one["operators"].elements())
    assert found == wanted


def test_arithmetic_on_shapes_stays_exact(tmp_path: Path) -> None:
    """Floats that sizes are made of are not quantized; a Shape reads what lies in integers."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Shape", ["a"], ["s"]),
        helper.make_node("Cast", ["s"], ["f"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "half"], ["h"], "halved"),
        helper.make_node("Cast", ["h"], ["i"], to=onnx.TensorProto.INT64),
        helper.make_node("Slice", ["a", "zero", "i"], ["y"], "slice"),
    ]
    weights = {"w": np.ones((2, 2, 3, 3), np.float32), "half": np.array([1, 1, 0.5, 0.5], np.float32)}
    made = model(nodes, {"x": [1, 2, 6, 6]}, {"y": [1, 2, 3, 3]}, {**weights, "zero": np.zeros(4, np.int64)})
    change, changed = written(tmp_path, made, "int8,calibrate=random")
    assert changed.graph.values["y"].shape == (1, 2, 3, 3)
    assert "f" not in rows(change, "activations") and "a" in rows(change, "activations")
    shape = next(node for node in changed.graph.nodes if node.op == "Shape")
    assert shape.inputs == ("a_DequantizeLinear_Output",)
    save_model(change.graph, tmp_path / "ours.onnx")
    assert run(tmp_path / "ours.onnx", {"x": np.ones((1, 2, 6, 6), np.float32)})[0].shape == (1, 2, 3, 3)


def test_types_meet_through_a_second_pair(tmp_path: Path) -> None:
    """A tensor whose nodes name different types is converted once for all that want the other."""
    (tmp_path / "mixed.yaml").write_text("'conv*': int8\n'relu*': int8\nshortcut: w8a16\nadd: w8a16\n")
    change, changed = written(tmp_path, resnet(), f"table={tmp_path / 'mixed.yaml'},calibrate=random")
    types: dict[str, set[str]] = {"int8": set(), "int16": set()}
    for node in changed.graph.nodes:
        if node.op == "QuantizeLinear":
            types[changed.graph.values[node.outputs[0]].encoding.dtype].add(node.name.removesuffix("_QuantizeLinear"))
    # The shortcut reads relu1, and the sum reads conv3, in 16 bits; relu3 stores the sum in 8.
    assert types == {"int8": {"x", "ar", "cr", "d", "er", "m", "fr"}, "int16": {"ar_convert", "d_convert", "s"}}
    save_model(change.graph, tmp_path / "ours.onnx")
    feed = {"x": np.random.default_rng(0).standard_normal((1, 4, 12, 12)).astype(np.float32)}
    (wanted,), (found,) = run(tmp_path / "made.onnx", feed), run(tmp_path / "ours.onnx", feed)
    assert np.abs(found - wanted).max() < 0.05


def test_a_small_scale_leaves_room_for_the_bias(tmp_path: Path) -> None:
    """A bias far larger than its weights' products would not fit int32: the weight's scale is raised for it."""
    name = "perceptron"
    made = perceptron()
    tiny = next(one for one in made.graph.initializer if one.name == "w1")
    tiny.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tiny) * np.float32(1e-12), "w1"))
    feed = feeds(name)[0]
    np.savez(tmp_path / "0.npz", x=feed["x"])
    change, _ = written(tmp_path, made, f"int8,calibrate={tmp_path}")
    save_model(change.graph, tmp_path / "ours.onnx")
    quantize_static(tmp_path / "made.onnx", tmp_path / "theirs.onnx", Reader([feed]), per_channel=True)
    one, other = constants(tmp_path / "ours.onnx"), constants(tmp_path / "theirs.onnx")
    assert np.allclose(one["w1_scale"], other["w1_scale"], rtol=1e-5)
    assert one["w1_scale"].max() > 10 * np.abs(numpy_helper.to_array(tiny)).max()
    assert np.abs(one["b1_quantized"].astype(np.int64)).max() < 2**31 - 1


def test_infinities_and_masks_are_told(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "product"),
        helper.make_node("Add", ["a", "mask"], ["y"], "masked"),
    ]
    constants_ = {"w": np.eye(3, dtype=np.float32), "mask": np.array([0, -np.inf, 0], np.float32)}
    change, _ = written(tmp_path, model(nodes, {"x": [2, 3]}, {"y": [2, 3]}, constants_), "int8,calibrate=random")
    assert [(one.group, one.reason) for one in change.blocked] == [
        ("mask", "it holds infinities, for which no scale is")
    ]
    constants_["mask"][1] = np.finfo(np.float32).min
    change, _ = written(tmp_path, model(nodes, {"x": [2, 3]}, {"y": [2, 3]}, constants_), "int8,calibrate=random")
    assert any("'mask' holds numbers beyond 1e+30" in note for note in change.notes)
    assert change.loss is not None and change.loss < 1e-4


def test_bodies_read_floats_beside_integers(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    stated = helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, None)
    body = helper.make_graph([helper.make_node("Relu", ["c"], ["out"])], "body", [], [stated])
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("If", ["which"], ["y"], then_branch=body, else_branch=body),
    ]
    built = model(
        nodes,
        {"x": [1, 3, 4, 4], "which": []},
        {"y": [1, 2, 4, 4]},
        {"w": draw.standard_normal((2, 3, 1, 1)).astype(np.float32)},
        types={"which": onnx.TensorProto.BOOL},
    )
    *_, before, after = changed(tmp_path, built, "quantize", "int8,format=qoperator,calibrate=random")
    fed = {"x": draw.standard_normal((1, 3, 4, 4)).astype(np.float32), "which": np.array(True)}
    same_outputs(before, after, fed, 0.1)


def test_integer_operators_take_no_half_floats(tmp_path: Path) -> None:
    half = onnx.TensorProto.FLOAT16
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    built = model(
        [node], {"x": [1, 3, 4, 4]}, {"y": [1, 2, 4, 4]}, {"w": np.ones((2, 3, 1, 1), np.float16)}, dtype=half
    )
    onnx.save(built, tmp_path / "half.onnx")
    with pytest.raises(UsageError, match="operators for float32 only"):
        whatif.apply(examine(tmp_path / "half.onnx"), whatif.parse("quantize", "int8,format=qoperator"))
