"""Formulas of random graphs, at random sizes, against the audit of those sizes."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, helper, numpy_helper

from effaudit.report import ModelReport

from .dags import dags
from .models import audit
from .sizes import evaluate

FORMULAS = {"macs": "macs", "ops": "ops", "read_bytes": "read_bytes", "write_bytes": "write_bytes"}


def agree(model: ModelProto, symbolic: ModelReport, sizes: dict[str, int]) -> None:
    """Every formula and output shape, at `sizes`, is the number of the bound model."""
    bound = audit(model, **sizes)
    assume(not bound.unpriced)  # some window does not fit
    formulas = symbolic.formulas
    assert formulas is not None
    for formula, figure in FORMULAS.items():
        text = formulas[formula]
        assert text is not None
        assert evaluate(text, sizes) == getattr(bound.totals, figure), (formula, text, sizes)
    live = formulas["live_bytes"]
    assert live is None or evaluate(live, sizes) == bound.memory.live_bytes, (live, sizes)
    for one, other in zip(symbolic.outputs, bound.outputs, strict=True):
        assert one.shape is not None
        assert tuple(evaluate(str(dim), sizes) for dim in one.shape) == other.shape


@settings(max_examples=60, deadline=None)
@given(dags(), st.integers(1, 50))
def test_any_batch(model: ModelProto, batch: int) -> None:
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    assume("w0" not in {name for node in model.graph.node for name in _joined(node)})
    agree(model, audit(model), {"N": batch})


def _joined(node: Any) -> list[str]:
    """The inputs whose batch must be that of the others: a weight of one image does not fit there."""
    return list(node.input) if node.op_type == "Concat" else []


# ---- chains of windows over images of any size
def _conv(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    k, p = draw(st.integers(1, 4)), draw(st.integers(0, 2))
    attrs = {"strides": [draw(st.integers(1, 3))] * 2, "dilations": [draw(st.integers(1, 2))] * 2}
    auto = draw(st.sampled_from(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    return "Conv", {"kernel_shape": [k, k], **attrs, **({"pads": [p] * 4} if auto == "NOTSET" else {"auto_pad": auto})}


def _pool(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    k = draw(st.integers(2, 4))
    pads = [draw(st.integers(0, k // 2)) for _ in range(4)]
    op = draw(st.sampled_from(["MaxPool", "AveragePool"]))
    attrs = {"strides": [draw(st.integers(1, 3))] * 2, "ceil_mode": draw(st.integers(0, 1))}
    return op, {"kernel_shape": [k, k], "pads": pads, **attrs}


def _transposed(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    k = draw(st.integers(1, 4))
    return "ConvTranspose", {"kernel_shape": [k, k], "strides": [draw(st.integers(1, 3))] * 2}


def _plain(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    return draw(st.sampled_from(["Relu", "Softmax"])), {}


@st.composite
def chains(draw: st.DrawFn) -> ModelProto:
    """Up to six layers of two channels over an N x 2 x H x W image."""
    nodes, weights, x = [], [], "x"
    for i in range(draw(st.integers(1, 6))):
        op, attrs = draw(st.sampled_from([_conv, _conv, _pool, _transposed, _plain]))(draw)
        inputs = [x]
        if op.startswith("Conv"):
            inputs.append(f"w{i}")
            weights.append(numpy_helper.from_array(np.ones((2, 2, *attrs["kernel_shape"]), np.float32), f"w{i}"))
        x = f"t{i}"
        nodes.append(helper.make_node(op, inputs, [x], **attrs))
    declared = helper.make_tensor_value_info("x", 1, ["N", 2, "H", "W"])
    graph = helper.make_graph(nodes, "chain", [declared], [helper.make_empty_tensor_value_info(x)], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


@settings(max_examples=80, deadline=None)
@given(chains(), st.integers(0, 10**6))
def test_any_image(model: ModelProto, seed: int) -> None:
    draw = random.Random(seed)
    symbolic = audit(model)
    for _ in range(3):
        agree(model, symbolic, {"N": draw.randint(1, 9), "H": draw.randint(20, 300), "W": draw.randint(20, 300)})
