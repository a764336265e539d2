"""Adapters beside frozen weights, against numpy and ONNX Runtime; and the memory of training them, counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from effaudit import whatif
from effaudit.audited import Audited, examine
from effaudit.errors import UsageError
from effaudit.whatif.types import Change
from tests.whatif.running import Array, changed, model, run, same_outputs

RNG = np.random.default_rng(8)


def drawn(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def net() -> tuple[onnx.ModelProto, dict[str, Array]]:
    """A MatMul, a Gemm with a bias and a turned weight, and a MatMul of the first one's weights again."""
    held = {"w": drawn(32, 32), "g": drawn(24, 32), "c": drawn(24)}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="one"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "w"], ["d"], name="again"),
        helper.make_node("Gemm", ["d", "g", "c"], ["y"], name="two", transB=1, alpha=0.5),
    ]
    return model(nodes, {"x": [7, 32]}, {"y": [7, 24]}, held, opset=21), held


def products() -> tuple[onnx.ModelProto, dict[str, Array]]:
    """Two MatMul, and a bias between them."""
    held = {"w": drawn(32, 32), "g": drawn(32, 24), "c": drawn(32)}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="one"),
        helper.make_node("Add", ["a", "c"], ["b"]),
        helper.make_node("MatMul", ["b", "g"], ["y"], name="two"),
    ]
    return model(nodes, {"x": [7, 32]}, {"y": [7, 24]}, held, opset=21), held


def header(*shape: int, dtype: int = TensorProto.FLOAT16) -> onnx.ModelProto:
    """x @ w, the weights in a file that is not there."""
    weight = TensorProto(name="w", data_type=dtype, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "gone.bin"), ("offset", "0"), ("length", str(2 * shape[0] * shape[1]))):
        weight.external_data.add(key=key, value=value)
    x, y = (helper.make_tensor_value_info(n, dtype, [1, s]) for n, s in zip("xy", shape, strict=True))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], "made", [x], [y], [weight]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def asked(folder: Path, proto: onnx.ModelProto, text: str) -> tuple[Change, Audited, Audited]:
    path = folder / "given.onnx"
    path.write_bytes(proto.SerializeToString())
    audited = examine(path)
    change, made = whatif.apply(audited, whatif.parse("adapt", text))
    return change, audited, made


def parts(change: Change) -> dict[str, object]:
    return {row.name: row.figures["bytes"] for row in change.details if "bytes" in row.figures}


def test_outputs_are_those_of_the_frozen_weights_at_first(tmp_path: Path) -> None:
    proto, _ = net()
    change, before, made, old, new = changed(tmp_path, proto, "adapt", "lora,rank=4")
    same_outputs(old, new, {"x": drawn(7, 32)})
    added = 2 * 4 * (32 + 32) + 4 * (32 + 24)
    assert made.weights.params == before.weights.params + added
    assert made.table.total("macs").value == before.table.total("macs").value + 7 * added  # type: ignore[operator]
    assert change.loss == 0 and change.retrain
    found = examine(new)
    for figure in ("macs", "ops", "reads", "writes"):
        assert found.table.total(figure) == made.table.total(figure)
    assert found.memory.live_bytes == made.memory.live_bytes
    assert found.weights.params == made.weights.params


def test_trained_adapters_compute_the_update(tmp_path: Path) -> None:
    proto, held = net()
    *_, new = changed(tmp_path, proto, "adapt", "lora,rank=4,alpha=8,targets=two|one")
    trained, loaded = tmp_path / "trained.onnx", onnx.load(new)
    adapters = {}
    for tensor in loaded.graph.initializer:
        if tensor.name.endswith(".lora_B"):
            tensor.CopyFrom(numpy_helper.from_array(drawn(*tensor.dims), tensor.name))
        adapters[tensor.name] = numpy_helper.to_array(tensor)
    onnx.save(loaded, trained)
    x = drawn(7, 32)
    one = held["w"] + 2 * adapters["w.lora_A"] @ adapters["w.lora_B"]
    d = np.maximum(x @ one, 0) @ held["w"]
    y = 0.5 * d @ held["g"].T + held["c"] + 2 * d @ adapters["g.lora_A"] @ adapters["g.lora_B"]
    assert run(trained, {"x": x})[0] == pytest.approx(y, abs=1e-4 * float(np.abs(y).max()))
    assert np.abs(adapters["w.lora_A"]).max() <= 1 / np.sqrt(32) and adapters["w.lora_A"].std() > 0.05


@pytest.mark.parametrize(
    ("base", "data", "constants", "most"), [("nf4", 0.5, 4 / 64, 0.03), ("int8", 1, None, 1e-4), ("fp16", 2, 0, 1e-6)]
)
def test_frozen_weights_in_fewer_bits(
    tmp_path: Path, base: str, data: float, constants: float | None, most: float
) -> None:
    proto, held = products()
    change, before, made, old, new = changed(tmp_path, proto, "adapt", f"lora,rank=4,base={base},optimizer=sgd")
    numel = held["w"].size + held["g"].size
    found = parts(change)
    assert found["frozen weights with adapters"] == numel * data
    if constants is not None:
        assert found["their quantization constants"] == numel * constants
    adapters = 4 * (4 * (32 + 32) + 4 * (32 + 24))
    assert found["adapters"] == found["gradients of adapters"] == adapters and found["states of sgd"] == 0
    assert found["other frozen weights"] == held["c"].nbytes
    stored = found["frozen weights with adapters"] + found["their quantization constants"] + held["c"].nbytes  # type: ignore[operator]
    assert made.weights.bytes_of("param", "quantization") == stored + adapters
    assert found["total"] == stored + 2 * adapters
    assert change.loss is not None and 0 < change.loss < most
    same_outputs(old, new, {"x": drawn(7, 32)}, tolerance=0.3)
    (y,), (coarse,) = run(old, {"x": (x := drawn(7, 32))}), run(new, {"x": x})
    assert np.square(y - coarse).sum() / np.square(y).sum() < 6 * change.loss
    assert before.weights.params + adapters // 4 == made.weights.params


def test_constants_that_are_quantized_too(tmp_path: Path) -> None:
    change, *_ = asked(tmp_path, header(4096, 4096), "lora,rank=16,base=nf4,double")
    size = parts(change)["their quantization constants"]
    assert size == 4096 * 4096 // 64 + 4 * (4096 * 4096 // 64 // 256)
    assert size * 8 / 4096**2 == pytest.approx(0.127, abs=1e-3)  # type: ignore[operator]
    single, *_ = asked(tmp_path, header(4096, 4096), "lora,rank=16,base=nf4")
    assert parts(single)["their quantization constants"] == 4096 * 4096 // 64 * 2  # float16, as the weights


def test_worked_examples(tmp_path: Path) -> None:
    """A square matrix of 4096 with adapters of rank 16; and 7 G parameters in four bits beside 20 M adapters."""
    change, before, made = asked(tmp_path, header(4096, 4096), "lora,rank=16")
    row = next(row.figures for row in change.details if row.name == "product")
    assert row["base_params"] == before.weights.params == 16_777_216
    assert row["adapter_params"] == made.weights.params - before.weights.params == 16_777_216 // 128
    assert row["times_fewer"] == 128 and row["share"] == 2 * 16 / 4096 == 0.0078125
    large, *_ = asked(tmp_path, header(70_000, 100_000), "lora,rank=118,base=nf4")
    found = parts(large)
    assert found["frozen weights with adapters"] == 3.5e9 and found["adapters"] == 2 * 118 * 170_000
    assert round((3.5e9 + found["adapters"]) / 1e9, 2) == 3.54  # type: ignore[operator]
    assert found["states of adam"] == 8 * 118 * 170_000
    assert large.loss is None


def test_the_decoder_without_its_weights() -> None:
    audited = examine("sample:decoder-7b")
    change, made = whatif.apply(audited, whatif.parse("adapt", "lora,rank=8,targets=*q_proj*|*v_proj*"))
    assert made.weights.params - audited.weights.params == 64 * 8 * 2 * 4096 == 4_194_304
    assert parts(change)["frozen weights with adapters"] == 64 * 2 * 4096**2
    assert any("4.194 M trained beside 6.738 G" in note for note in change.notes)


def test_what_cannot_be_adapted_is_refused(tmp_path: Path) -> None:
    for text, why in (
        ("rank=4", "expected lora,rank=16"),
        ("lora", "expected lora,rank=16"),
        ("lora,rank=0", "a whole number from 1"),
        ("lora,rank=4,base=int3", "expected one of nf4, int8, fp16"),
        ("lora,rank=4,double", "add base=nf4"),
        ("lora,rank=4,optimizer=lion", "expected one of adam, sgd"),
        ("lora,rank=4,bse=nf4", "did you mean base"),
    ):
        with pytest.raises(UsageError, match=why):
            whatif.parse("adapt", text)
    proto, _ = net()
    with pytest.raises(UsageError, match="rank 24 is no lower than that of its weights, 24 x 32"):
        changed(tmp_path, proto, "adapt", "lora,rank=24,targets=two")
    with pytest.raises(UsageError, match="has a name like"):
        whatif.apply(examine("sample:ic"), whatif.parse("adapt", "lora,rank=4,targets=conv"))
    step = whatif.parse("adapt", "lora rank=4,base=nf4,double,optimizer=sgd,targets=a|b,alpha=8")
    assert whatif.text(step) == "--adapt lora,rank=4,alpha=8,base=nf4,optimizer=sgd,targets=a|b,double"
    assert whatif.parse("adapt", whatif.text(step).split()[1]) == step
