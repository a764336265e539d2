"""How often a loop runs: exact where its counter is linear, a range that holds the truth everywhere else."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, numpy_helper

from .models import audit, parse

MACS = 8 * 8  # of one iteration: a row of 8 by an 8 x 8 weight
CONSTANTS = {"zero": 0, "one": 1, "two": 2, "four": 4, "five": 5, "hundred": 100, "start": -50, "ten": 10}


def loop(next_i: str, condition: str, first: str = "zero", limit: str = "") -> ModelProto:
    """while `condition`(j): j = `next_i`(i), x = x @ w"""
    body = f"""body = b (int64 k, bool c, int64 i, float[1,8] s) => (bool d, int64 j, float[1,8] t)
        {{ {next_i} {condition} t = MatMul(s, w) }}"""
    model = parse(
        f"m (float[1,8] x, int64 fed) => (float[1,8] y) {{ last, y = Loop <{body}> ({limit}, yes, {first}, x) }}",
        w=(8, 8),
    )
    for name, value in CONSTANTS.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array(value), name))
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    return model


def iterations(model: ModelProto, fed: int = 0) -> int:
    """Counted by ONNX Runtime: the loop carries a counter of its own."""
    counted = onnx.ModelProto()
    counted.CopyFrom(model)
    (node,) = (n for n in counted.graph.node if n.op_type == "Loop")
    (body,) = (a.g for a in node.attribute if a.name == "body")
    scan = body.output.add()
    scan.CopyFrom(onnx.helper.make_tensor_value_info("k_out", onnx.TensorProto.INT64, []))
    body.node.append(onnx.helper.make_node("Identity", ["k"], ["k_out"]))
    node.output.append("steps")
    counted.graph.output.append(onnx.helper.make_tensor_value_info("steps", onnx.TensorProto.INT64, ["n"]))
    session = onnxruntime.InferenceSession(counted.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {"x": np.zeros((1, 8), np.float32), "fed": np.array(fed)}
    steps: np.ndarray = session.run(["steps"], feeds)[0]
    return len(steps)


LESS = "d = Less(j, hundred)"
EXACT = {
    "by-one": loop("j = Add(i, one)", LESS),
    "by-four": loop("j = Add(i, four)", LESS),
    "at-most": loop("j = Add(i, ten)", "d = LessOrEqual(j, hundred)"),
    "downwards": loop("j = Sub(i, two)", "d = Greater(j, start)", first="ten"),
    "the-other-way-round": loop("j = Add(i, five)", "d = Greater(hundred, j)"),
    "both": loop("j = Add(i, one)", "e = Less(j, hundred) f = Less(k, ten) d = And(e, f)"),
    "limited": loop("j = Add(i, one)", LESS, limit="ten"),
    "over-at-once": loop("j = Add(i, hundred)", LESS),
}
RANGES = {
    "doubling": loop("e = Mul(i, two) f = Add(i, one) j = Max(e, f)", LESS, first="start"),
    "now-and-then": loop("e = Mod(i, five) f = Div(e, four) g = Add(i, one) j = Add(g, f)", LESS),
    "two-steps-at-first": loop("e = Min(k, one) f = Add(i, one) j = Add(e, f)", LESS),
    "a-fed-limit": loop("j = Add(i, one)", "d = Identity(c)", limit="fed"),
    "a-fed-bound": loop("j = Add(i, one)", "d = Less(j, fed)"),
}


@pytest.mark.parametrize("name", EXACT)
def test_a_linear_counter_is_exact(name: str) -> None:
    assert audit(EXACT[name]).totals.macs == iterations(EXACT[name]) * MACS


@pytest.mark.parametrize("fed", [0, 1, 30])
@pytest.mark.parametrize("name", RANGES)
def test_anything_else_is_a_range_that_holds(name: str, fed: int) -> None:
    low, high = audit(RANGES[name]).totals.macs_bounds
    truth = iterations(RANGES[name], fed) * MACS
    assert low is not None and low <= truth and (high is None or truth <= high)
