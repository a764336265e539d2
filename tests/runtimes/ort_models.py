"""Models of a few nodes, the light nets of the onnx package, and random graphs, for ONNX Runtime to run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from effaudit.audited import examine
from effaudit.graph import Graph

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
SAMPLES = Path(__file__).parents[2] / "sample_models"


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Sequence[int | str]],
    outputs: Sequence[str],
    weights: dict[str, np.ndarray] | None = None,
    opset: int = 17,
    dtype: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A model whose outputs state no shape."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, dtype, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def single(
    op: str, shape: Sequence[int], weights: Sequence[np.ndarray | None] = (), opset: int = 17, **attrs: Any
) -> onnx.ModelProto:
    """One node; None stands for an input that is left out."""
    names = {f"w{i}": value for i, value in enumerate(weights) if value is not None}
    inputs = ["x", *("" if value is None else f"w{i}" for i, value in enumerate(weights))]
    return model([helper.make_node(op, inputs, ["y"], **attrs)], {"x": shape}, ["y"], names, opset)


def saved(made: onnx.ModelProto, folder: Path) -> tuple[Path, Graph]:
    """The file, and the graph with shapes."""
    path = folder / "model.onnx"
    onnx.save(made, path)
    return path, examine(path).graph
