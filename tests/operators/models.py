"""Small ONNX models with operators of the domain `acme`, and files that define them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import FunctionProto, NodeProto, TensorProto, helper, numpy_helper

from effaudit import load, operators
from effaudit.graph import Graph
from effaudit.table import CostTable, price

HEAD = "schema: effaudit.operators/1\noperators:\n"
DENSE = """\
  - op: acme::FusedDense
    inputs: [x, w, b?]
    outputs:
      - shape: (*x[:-1], w[1])
        dtype: x
    macs: numel(out) * x[-1]
    ops: numel(out) if b else 0
    kind: gemm
    source: https://acme.example/fused-dense
"""


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "acme", **attrs: Any) -> NodeProto:
    return helper.make_node(op, inputs, outputs, name=f"{op}_{outputs[0]}", domain=domain, **attrs)


def zeros(name: str, *shape: int, dtype: Any = np.float32) -> TensorProto:
    return numpy_helper.from_array(np.zeros(shape, dtype), name)


def save(
    path: Path,
    nodes: Sequence[NodeProto],
    inputs: dict[str, Sequence[int | str | None]],
    constants: Sequence[TensorProto] = (),
    outputs: Sequence[str] = ("y",),
    functions: Sequence[FunctionProto] = (),
) -> Path:
    """Writes a model whose inputs are float tensors."""
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    made = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph(nodes, "example", given, made, constants)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("acme", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=functions)
    path.write_bytes(model.SerializeToString())
    return path


def defined(folder: Path, text: str) -> operators.Operators:
    """The definitions of a file with this text behind its head."""
    path = folder / "ops.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    return operators.read(path)


def costs(path: Path, found: operators.Operators, **dims: int) -> tuple[Graph, CostTable]:
    graph = load.load(path, load.Given(dims), found)
    return graph, price(graph)
