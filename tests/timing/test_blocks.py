"""How large a block of channels is, read from the graph; what that settles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from effaudit.audited import examine
from effaudit.calibrate import layers
from effaudit.calibrate.net import Net
from effaudit.graph import Graph
from effaudit.ops._registry import NCHWC
from effaudit.save import save_model
from effaudit.timing.blocks import block_of, settled
from tests.laws.models import parse, written


def node(op: str, inputs: list[str], output: str, **attrs: object) -> onnx.NodeProto:
    return helper.make_node(op, inputs, [output], domain=NCHWC, **attrs)


def graph_of(nodes: list[onnx.NodeProto], shape: tuple[int, ...], **filters: int) -> Graph:
    """A graph in blocks; `filters` are output channels of weights of 1 x 1, all of 32 input channels."""
    weights = [numpy_helper.from_array(np.ones((n, 32, 1, 1), np.float32), name) for name, n in filters.items()]
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_empty_tensor_value_info(nodes[-1].output[0])],
        weights,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(NCHWC, 1)]
    with written(helper.make_model(made, ir_version=8, opset_imports=opsets)) as path:
        return examine(path).graph


def conv(source: str, weights: str, output: str) -> onnx.NodeProto:
    return node("Conv", [source, weights], output, kernel_shape=[1, 1])


@pytest.mark.parametrize(("filters", "block"), [((16, 32), 16), ((16, 24), 8), ((8,), 8), ((48,), 16)])
def test_filters_are_whole_blocks(filters: tuple[int, ...], block: int) -> None:
    nodes = [node("ReorderInput", ["x"], "a"), *(conv("a", f"w{i}", f"z{i}") for i in range(len(filters)))]
    made = graph_of(nodes, (1, 24, 5, 5), **{f"w{i}": n for i, n in enumerate(filters)})
    assert block_of(made) == block
    assert settled(made).values["a"].shape == (1, {8: 24, 16: 32}[block], 5, 5)


def test_what_is_made_of_it_is_settled_too() -> None:
    nodes = [
        node("ReorderInput", ["x"], "a"),
        node("MaxPool", ["a"], "b", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Concat", ["b", "b"], ["c"], axis=1),
        helper.make_node("Relu", ["c"], ["d"]),
        conv("b", "w", "z"),
    ]
    made = graph_of(nodes, (1, 24, 6, 6), w=16)
    assert type(made.values["b"].shape[1]) is not int  # type: ignore[index]
    after = settled(made)
    shapes = {name: after.values[name].shape for name in "abcdz"}
    assert shapes == {
        "a": (1, 32, 6, 6),
        "b": (1, 32, 3, 3),
        "c": (1, 64, 3, 3),
        "d": (1, 64, 3, 3),
        "z": (1, 16, 3, 3),
    }


def test_channels_may_come_last() -> None:
    made = graph_of([node("ReorderInput", ["x"], "a", channels_last=1), conv("a", "w", "z")], (1, 5, 6, 24), w=16)
    assert settled(made).values["a"].shape == (1, 32, 5, 6)


def test_a_graph_without_blocks_is_left_as_it_is() -> None:
    with written(parse("m (float[N,8] x) => (float[N,8] z) { z = Relu(x) }")) as path:
        graph = examine(path).graph
    assert block_of(graph) is None and settled(graph) is graph


@pytest.mark.parametrize("channels", [16, 24, 40])
def test_onnx_runtime_itself(channels: int, tmp_path: Path) -> None:
    """The optimized graph, whatever this processor makes of it: every shape is a number, and that which ran."""
    net = Net("net")
    x = net.input(1, channels, 6, 6)
    y = layers.pool(net, "MaxPool", layers.conv(net, x, channels, 3), 3, 2)
    net.output(layers.conv(net, layers.concat(net, [y, y], 1), 9, 1))
    save_model(net.graph(), str(tmp_path / "m.onnx"))
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "o.onnx")
    options.log_severity_level = 4
    ort.InferenceSession(str(tmp_path / "m.onnx"), options, providers=["CPUExecutionProvider"])
    graph = settled(examine(tmp_path / "o.onnx").graph)
    every = [name for one in graph.nodes for name in one.outputs if name]
    assert all(type(dim) is int for name in every for dim in graph.values[name].shape or (None,))
    block = block_of(graph)
    for one in graph.nodes:
        if one.domain == NCHWC and one.op != "ReorderOutput":
            assert block is not None and graph.values[one.outputs[0]].shape[1] % block == 0  # type: ignore
