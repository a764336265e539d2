"""What holds of every lowering: of real graphs, and of random ones with quantized pairs anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import NodeProto

from effaudit.audited import Audited, examine
from effaudit.dataflow import flow
from effaudit.graph import Graph
from effaudit.lower import qdq
from effaudit.plan.liveness import analyse
from effaudit.runtimes import find
from effaudit.table import price
from tests.lower.graphs import CORPUS, assert_sound, dq, loaded, model, n, ops, q

RUNTIMES = ("ideal", "tflm", "st-balanced", "tinyengine")
SAMPLES = (
    "ad-int8",
    "kws-int8",
    "ic-int8",
    "vww",
    "mobilenetv2",
    "unet",
    "bert-base",
    "lstm",
    "control-flow",
    "dynamic",
)
QUANTIZED = sorted(CORPUS.glob("*.q_qdq_*.onnx"))
FULLY = ("mlperftiny_ic_resnet8", "resnet18")  # of these nothing is left floating
# Every tenth file of the corpus here, all of them where EFFAUDIT_CORPUS is set.
REAL = sorted(CORPUS.glob("*.onnx"))[:: 1 if "EFFAUDIT_CORPUS" in os.environ else 10]
# A convolution of constants is computed ahead: 6,422,528 multiplications fewer at run time.
COMPUTED_AHEAD = {"xcit_nano_12_p8_224.ts.op17": 6_422_528}


def largest_pad(before: Graph, found: Graph) -> int:
    """The bytes of the largest padded copy that the runtime makes and the file does not: all it can add."""
    pads = [node for node in found.nodes if node.op == "Pad" and node.outputs[0] not in before.values]
    return max((found.values[node.outputs[0]].nbytes for node in pads), default=0)


def assert_lowered(audited: Audited, runtime: str) -> Graph:
    """Sound, the same when lowered again, no more alive but for padded copies, and the same multiplications."""
    lower = find(runtime).lower
    found = lower(audited.graph)
    assert_sound(found)
    again = lower(found)
    assert (again.nodes, again.inputs, again.outputs) == (found.nodes, found.inputs, found.outputs)
    before, after = audited.memory.live_bytes, analyse(found).live_bytes
    more = largest_pad(audited.graph, found)
    assert after.low <= before.low + more
    assert before.high is None or (after.high is not None and after.high <= before.high + more)
    macs, all_macs = price(found).total("macs"), audited.table.total("macs")
    name = Path(audited.name).stem
    assert all_macs.low - macs.low == COMPUTED_AHEAD.get(name, 0)
    assert name in COMPUTED_AHEAD or macs.high == all_macs.high
    return found


@pytest.mark.parametrize("name", SAMPLES)
def test_samples(name: str) -> None:
    audited = examine(f"sample:{name}")
    for runtime in RUNTIMES:
        assert_lowered(audited, runtime)


@pytest.mark.parametrize("path", REAL, ids=lambda p: p.stem)
def test_real_graphs(path: Path) -> None:
    audited = examine(path)
    for runtime in RUNTIMES:
        assert_lowered(audited, runtime)


@pytest.mark.parametrize("path", QUANTIZED, ids=lambda p: p.stem)
def test_quantized_graphs(path: Path) -> None:
    audited = examine(path)
    found = assert_lowered(audited, "tinyengine")
    assert_lowered(audited, "tflm")
    if path.name.startswith(FULLY):
        assert not {"QuantizeLinear", "DequantizeLinear"} & {*ops(found)}
        width = 2 if "a16w8" in path.name else 4
        assert analyse(found).live_bytes.value * width == audited.memory.live_bytes.value


@st.composite
def pairs_anywhere(draw: st.DrawFn) -> tuple[list[NodeProto], list[str]]:
    """A random graph of 1x4x6x6 tensors, with a pair of one of two scales behind some of them."""
    tensors = ["x"]
    nodes: list[NodeProto] = []

    def paired(name: str) -> str:
        scale = draw(st.sampled_from(["s z", "s2 z"]))
        nodes.extend((q(name, f"{name}_q", scale), dq(f"{name}_q", f"{name}_d", scale)))
        return f"{name}_d"

    if draw(st.booleans()):
        tensors = [paired("x")]
    for i in range(draw(st.integers(1, 12))):
        out = f"t{i}"
        a, b = (draw(st.sampled_from(tensors[-4:])) for _ in range(2))
        op = draw(st.sampled_from(["Relu", "Sqrt", "Add", "Mul", "Conv", "Identity", "Transpose", "MaxPool", "Clip"]))
        inputs = {"Add": f"{a} {b}", "Mul": f"{a} {b}", "Conv": f"{a} {draw(st.sampled_from(['k', 'kd']))}"}
        inputs["Clip"] = f"{a} zero six"
        attrs = {"Transpose": {"perm": [0, 1, 3, 2]}, "MaxPool": {"kernel_shape": [1, 1]}}
        nodes.append(n(op, inputs.get(op, a), out, **attrs.get(op, {})))
        tensors.append(paired(out) if draw(st.booleans()) else out)
    read = {name for node in nodes for name in node.input}
    ends = [name for node in nodes for name in node.output if name not in read]
    outputs = draw(st.lists(st.sampled_from([*ends, *tensors[1:]]), unique=True)) if len(tensors) > 1 else []
    return nodes, list(dict.fromkeys([*ends, *outputs]))


def in_both_types(found: Graph) -> int:
    """The bytes of quantized tensors that a floating and an integer node read: alive beside their twins, they can cost
    more than the file's conversions do."""
    known = flow(found)
    floating = {node.inputs[0] for node in found.nodes if qdq.is_dequantize(node)} & known.varying
    integer = {name for node in found.nodes if not qdq.is_dequantize(node) for name in node.inputs}
    return sum(found.values[name].nbytes for name in floating & (integer | {*found.outputs}))


@given(pairs_anywhere())
@settings(max_examples=150)
def test_random_graphs(built: tuple[list[NodeProto], list[str]]) -> None:
    nodes, outputs = built
    weights = {"k": np.ones((4, 4, 1, 1), np.float32), "kq": np.ones((4, 4, 1, 1), np.int8)}
    before = loaded(model(dq("kq", "kd", "s z"), *nodes, outputs=" ".join(outputs), weights=weights))
    found = qdq.fold(before)
    assert_sound(found)
    assert found.outputs == before.outputs
    again = qdq.fold(found)
    assert again.nodes == found.nodes
    assert price(found).total("macs") == price(before).total("macs")
    for runtime in ("ideal", "tflm"):
        lowered = find(runtime).lower(before)
        assert_sound(lowered)
        assert len(lowered.outputs) == len(before.outputs)
        assert find(runtime).lower(lowered).nodes == lowered.nodes
    assert analyse(found).live_bytes.low <= analyse(before).live_bytes.low + in_both_types(found)
    varying = flow(found).varying
    for node in found.nodes:
        if qdq.is_quantize(node):
            assert node.inputs[0] in varying
