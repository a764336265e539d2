"""The networks of a calibration: models that onnx takes for valid and ONNX Runtime runs, the same every time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from effaudit.calibrate import layers
from effaudit.calibrate.net import Net
from effaudit.calibrate.nets import fitted, unseen
from effaudit.dataflow import flow
from effaudit.graph import INT8
from effaudit.load import infer
from effaudit.save import save_model
from tests.calibrate.planted import weight_bytes

EVERY = [*fitted(), *unseen()]
RUN_BYTES = 1_000_000  # of weights: networks that a test runs


def session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("net", [net for net in EVERY if weight_bytes(net) <= RUN_BYTES], ids=lambda net: net.name)
def test_a_network_is_a_valid_model_of_the_shapes_that_it_states(net: Net, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    save_model(net.graph(), str(path))
    onnx.checker.check_model(str(path))
    made = session(path)
    stated = {name: value.shape for name, value in net.graph().declared.items()}
    assert {x.name: tuple(x.shape) for x in (*made.get_inputs(), *made.get_outputs())} == stated


@pytest.mark.parametrize("net", EVERY, ids=lambda net: net.name)
def test_every_shape_is_inferred_as_it_was_built(net: Net) -> None:
    raw = net.graph()
    graph = infer(raw)
    assert {name: graph.values[name].shape for name in raw.outputs} == {n: raw.declared[n].shape for n in raw.outputs}
    for node in graph.nodes:
        for name in node.outputs:
            shape = graph.values[name].shape
            assert shape is not None and all(type(dim) is int and dim > 0 for dim in shape), (node.name, shape)


@pytest.mark.parametrize("net", EVERY, ids=lambda net: net.name)
def test_everything_in_a_network_is_used(net: Net) -> None:
    graph = infer(net.graph())
    assert flow(graph).running == len(graph.nodes)
    read = {name for node in graph.nodes for name in node.inputs}
    assert set(graph.constants) <= read and set(graph.inputs) <= read


def test_no_two_networks_are_named_alike() -> None:
    assert not [name for name, count in Counter(net.name for net in EVERY).items() if count > 1]


def test_networks_that_estimates_are_held_against_are_not_among_those_fitted_to() -> None:
    def layout(net: Net) -> tuple[object, ...]:
        graph = net.graph()
        return tuple(
            (node.op, *(graph.constants[n].shape for n in node.inputs if n in graph.constants)) for node in graph.nodes
        ), tuple(graph.declared[name].shape for name in graph.inputs)

    assert not {layout(net) for net in fitted()} & {layout(net) for net in unseen()}


def test_the_file_is_the_same_every_time(tmp_path: Path) -> None:
    for i in range(2):
        net = next(net for net in fitted() if net.name.startswith("int8-images"))
        save_model(net.graph(), str(tmp_path / f"{i}.onnx"))
    assert (tmp_path / "0.onnx").read_bytes() == (tmp_path / "1.onnx").read_bytes()


def test_weights_are_drawn_when_they_are_read() -> None:
    net = Net("huge")
    x = net.input(1, 1 << 20)
    net.output(layers.linear(net, x, 1 << 20, bias=False))  # 4 TiB
    assert weight_bytes(net) == 4 << 40
    assert infer(net.graph()).values[net.graph().outputs[0]].shape == (1, 1 << 20)


def test_weights_keep_what_passes_through_them_as_large_as_it_was() -> None:
    net = Net("weights")
    drawn = [net.weight(300, 400), net.weight(300, 400), net.weight(1000, scale=0.1, shift=1.0)]
    read = [net.graph().constants[one.name].read for one in drawn]
    arrays = [make() for make in read if make is not None]
    assert [array.dtype for array in arrays] == [np.float32] * 3
    assert [array.std() for array in arrays] == pytest.approx([400**-0.5, 400**-0.5, 0.1], rel=0.1)
    assert arrays[2].mean() == pytest.approx(1.0, abs=0.02)
    assert not np.array_equal(arrays[0], arrays[1])
    assert np.array_equal(arrays[0], read[0]() if read[0] is not None else None)


def test_whole_weights_reach_both_ends() -> None:
    net = Net("codes")
    tensor = net.integers(INT8, -3, 2, 1000)
    made = net.graph().constants[tensor.name]
    assert made.read is not None
    assert (made.read().min(), made.read().max(), made.read().dtype) == (-3, 2, np.int8)


def test_a_constant_is_a_vector_or_a_scalar() -> None:
    net = Net("numbers")
    shapes = [net.numbers([3, 4]).shape, net.numbers([3]).shape, net.numbers([3], scalar=True).shape]
    assert shapes == [(2,), (1,), ()]
    made = [constant.read() for constant in net.graph().constants.values() if constant.read is not None]
    assert [array.shape for array in made] == shapes


@pytest.mark.parametrize("act", ["Relu", "SiLU", "Clip6", "PRelu", "HardSwish", ""])
def test_activations_are_what_they_are_called(act: str, tmp_path: Path) -> None:
    net = Net("act")
    x = net.input(2, 3, 4)
    net.output(net.node("Identity", [layers.activate(net, x, act)], x.shape))
    save_model(net.graph(), str(tmp_path / "m.onnx"))
    data = np.linspace(-8, 8, 24, dtype=np.float32).reshape(2, 3, 4)
    (found,) = session(tmp_path / "m.onnx").run(None, {x.name: data})
    slope = next((c.read() for c in net.graph().constants.values() if c.read is not None), None)
    wanted = {
        "Relu": lambda: np.maximum(data, 0),
        "SiLU": lambda: data / (1 + np.exp(-data)),
        "Clip6": lambda: np.clip(data, 0, 6),
        "PRelu": lambda: np.where(data < 0, data * slope, data),
        "HardSwish": lambda: data * np.clip(data / 6 + 0.5, 0, 1),
        "": lambda: data,
    }[act]()
    assert np.allclose(found, wanted, atol=1e-5)
