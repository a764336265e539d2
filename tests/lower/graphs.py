"""Small graphs for the passes, and what must hold of every graph a pass returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, save

from effaudit.dataflow import reads
from effaudit.graph import Graph, Node
from effaudit.load import NOTHING_GIVEN, infer, read

CORPUS = Path(__file__).parents[2] / ".." / "shared" / "corpus" / "models"
ZERO = np.asarray(0, np.int8)
# Constants any graph may use: a weight and a bias for 4 channels, quantized and not, scales and zero points.
USUAL: Mapping[str, Any] = {
    "w": np.ones((4, 4, 3, 3), np.float32),
    "b": np.ones(4, np.float32),
    "wq": np.ones((4, 4, 3, 3), np.int8),
    "bq": np.ones(4, np.int32),
    "ws": np.full(4, 0.1, np.float32),
    "wz": np.zeros(4, np.int8),
    "bz": np.zeros(4, np.int32),
    "s": np.asarray(0.5, np.float32),
    "s2": np.asarray(0.25, np.float32),
    "z": ZERO,
    "z2": np.asarray(1, np.int8),
    "c4": np.ones((4, 1, 1), np.float32),
    "one": np.asarray(1.0, np.float32),
    "zero": np.asarray(0.0, np.float32),
    "six": np.asarray(6.0, np.float32),
    "seven": np.asarray(7.0, np.float32),
    "flat": np.asarray([1, -1], np.int64),
}


def n(op: str, inputs: str, outputs: str, domain: str = "", **attrs: Any) -> NodeProto:
    """A node; names parted by blanks, "-" for one that is absent. It is named after its first output."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(op, names, outputs.split(), name=f"n_{outputs.split()[0]}", domain=domain, **attrs)


def q(x: str, y: str, scale: str = "s z", domain: str = "") -> NodeProto:
    return n("QuantizeLinear", f"{x} {scale}", y, domain)


def dq(x: str, y: str, scale: str = "s z", domain: str = "", **attrs: Any) -> NodeProto:
    return n("DequantizeLinear", f"{x} {scale}", y, domain, **attrs)


WEIGHTS = (dq("wq", "wd", "ws wz", axis=0), dq("bq", "bd", "ws bz", axis=0))


def model(
    *nodes: NodeProto,
    outputs: str = "y",
    inputs: Mapping[str, Sequence[int]] | None = None,
    weights: Mapping[str, Any] | None = None,
    opset: int = 17,
    dtype: int = TensorProto.FLOAT,
) -> ModelProto:
    """A model of input x [1, 4, 6, 6] unless said otherwise, with those of the usual constants that it reads."""
    used = {name for node in nodes for name in node.input} | {
        name for node in nodes for a in node.attribute if a.g.node for inner in a.g.node for name in inner.input
    }
    constants = [numpy_helper.from_array(v, k) for k, v in {**USUAL, **(weights or {})}.items() if k in used]
    shapes = inputs or {"x": (1, 4, 6, 6)}
    given = [helper.make_tensor_value_info(k, dtype, v) for k, v in shapes.items()]
    wanted = [helper.make_empty_tensor_value_info(name) for name in outputs.split()]
    graph = helper.make_graph(list(nodes), "g", given, wanted, constants)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def graph(*nodes: NodeProto, **keywords: Any) -> Graph:
    """The same as a graph with inferred shapes."""
    return loaded(model(*nodes, **keywords))


def loaded(proto: ModelProto) -> Graph:
    with TemporaryDirectory() as folder:
        save(proto, f"{folder}/m.onnx")
        return infer(read(f"{folder}/m.onnx"), NOTHING_GIVEN)


def ops(found: Graph) -> list[str]:
    return [node.op for node in found.nodes]


def only(found: Graph, op: str) -> Node:
    (node,) = (node for node in found.nodes if node.op == op)
    return node


def dtypes(found: Graph, names: Sequence[str]) -> list[str]:
    return [found.values[name].encoding.dtype for name in names]


def dangling(found: Graph) -> list[str]:
    """What is read, or given as output, before anything makes it."""
    known = {"", *found.inputs, *found.constants, *found.captured}
    missing = []
    for node in found.nodes:
        missing += [name for name in reads(node) if name not in known]
        known.update(node.outputs)
    return missing + [name for name in found.outputs if name not in known]


def assert_sound(found: Graph) -> None:
    """In topological order, every tensor known, none made twice."""
    assert dangling(found) == []
    made = [name for node in found.nodes for name in node.outputs if name]
    assert len(made) == len(set(made))
    assert all(name in found.values for name in (*made, *found.inputs, *found.outputs))
