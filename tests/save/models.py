"""Saved graphs beside the ones they were made from: what must be equal."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from msgspec.structs import replace

from effaudit.graph import Constant, Graph, Node
from effaudit.render.json import render
from effaudit.report import audit, report
from effaudit.save.same import same_graph
from effaudit.tables.table import Shown

# what tells one file from another that holds the same model
_OF_A_FILE = ("path", "file_bytes", "read_bytes", "producer")


def header(constant: Constant) -> Constant:
    """What the file says of a tensor, wherever its elements lie."""
    return replace(constant, location="", missing="", raw=None, payload=None, read=None)


def headers(graph: Graph) -> Graph:
    """The graph with the headers of its tensors alone."""
    return replace(
        graph,
        nodes=tuple(
            replace(
                node,
                attrs={k: header(v) if isinstance(v, Constant) else v for k, v in node.attrs.items()},
                bodies={k: headers(body) for k, body in node.bodies.items()},
            )
            for node in graph.nodes
        ),
        constants={name: header(constant) for name, constant in graph.constants.items()},
    )


def check_equal(found: Graph, wanted: Graph) -> None:
    """Equal nodes, bodies, headers of constants, declared types, opsets and functions."""
    assert same_graph(headers(found), headers(wanted))
    assert found.opsets == wanted.opsets
    assert list(found.functions) == list(wanted.functions)
    assert found.captured == wanted.captured


def document(path: str | Path) -> dict[str, Any]:
    """The report of a file, less what tells it from another file of the same model."""
    text = "".join(render(report([audit(path)]), Shown()))
    built = json.loads(re.sub(r"\S+ is not there", "X is not there", text))["models"][0]
    return {key: value for key, value in built.items() if key not in _OF_A_FILE}


def renamed(graph: Graph) -> Graph:
    """Every node changed (its name), and so written anew."""
    nodes = tuple(replace(node, name=f"{node.name}'{i}") for i, node in enumerate(graph.nodes))
    return replace(graph, nodes=nodes, history=("renamed",))


def added(graph: Graph, *nodes: Node, **constants: Constant) -> Graph:
    return replace(graph, nodes=(*nodes, *graph.nodes), constants={**graph.constants, **constants}, history=("added",))


def run(path: str | Path, feeds: dict[str, np.ndarray] | None = None, seed: int = 0) -> list[np.ndarray]:
    """What ONNX Runtime computes, unoptimized; from numbers drawn once for all where none are given."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    if feeds is None:
        draw = np.random.default_rng(seed)
        feeds = {i.name: draw.standard_normal(i.shape).astype(np.float32) for i in session.get_inputs()}
    return list(session.run(None, feeds))


def written(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path
