"""Models without weights made to run: random elements for the tensors that have none, and what an audit says of two
graphs, to be compared."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.graph import INTEGERS, Constant, Graph, Node
from effaudit.save import save_model
from effaudit.whatif.constants import literal, missing


def filled(graph: Graph) -> Graph:
    """The graph with random weights where it has none: the same for the same names and shapes."""
    constants = {name: _filled(constant) for name, constant in graph.constants.items()}
    return replace(graph, constants=constants, nodes=tuple(map(_node, graph.nodes)))


def _node(node: Node) -> Node:
    held = node.attrs.get("value")
    if not isinstance(held, Constant) or not missing(held):
        return node
    return replace(node, attrs={**node.attrs, "value": _filled(held)})


def _filled(constant: Constant) -> Constant:
    if not missing(constant):
        return constant
    draw = np.random.default_rng(zlib.crc32(constant.name.encode()))
    dtype = constant.encoding.dtype
    whole = dtype in INTEGERS or dtype == "bool"
    low, high = (0.0, 2.0) if whole else (0.01, 0.1)  # positive: a variance or a scale may be among them
    array = draw.uniform(low, high, constant.shape)
    kind = {"bfloat16": "float32", "int4": "int8", "uint4": "uint8"}.get(dtype, dtype)
    made = literal(constant.name, array.astype(kind), constant.encoding, constant.place)
    return replace(made, name=constant.name)


def ran(graph: Graph, sizes: dict[str, tuple[int, ...]], folder: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the outputs when ONNX Runtime runs the graph, filled, on inputs of these shapes."""
    path = folder / "ran.onnx"
    save_model(filled(graph), path)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feeds = {one.name: _fed(one.type, sizes[one.name]) for one in session.get_inputs()}
    found = session.run(None, feeds)
    names = [one.name for one in session.get_outputs()]
    return {name: tuple(array.shape) for name, array in zip(names, found, strict=True) if isinstance(array, np.ndarray)}


_TYPES = {"float": "float32", "double": "float64"}


def _fed(kind: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    name = kind.removeprefix("tensor(").removesuffix(")")
    dtype = np.dtype(_TYPES.get(name, name))
    if dtype.kind in "iub":
        return np.ones(shape, dtype)
    return np.random.default_rng(0).uniform(0, 1, shape).astype(dtype)


def numbers(audited: Audited) -> dict[str, object]:
    """Every number of an audit, by name."""
    graph, weights = audited.graph, audited.weights
    rows = tuple(
        (r.node.op, r.node.outputs, r.kind, str(r.low), str(r.high), r.why, r.live) for r in audited.table.rows
    )
    return {
        "rows": rows,
        "totals": tuple(str(audited.table.total(key)) for key in ("macs", "ops", "reads", "writes")),
        "params": weights.params,
        "buffers": weights.buffers,
        "elements": weights.constant_elements,
        "weight_bytes": sorted((t.role, t.constant.name, t.constant.nbytes, t.logical) for t in weights.tensors),
        "memory": str(audited.memory),
        "shapes": {name: str(value.shape) for name, value in graph.values.items()},
        "formulas": None if audited.formulas is None else str(audited.formulas.total("macs")),
    }
