"""ONNX Runtime's mobile usability checker, run on a file as it is.

https://github.com/microsoft/onnxruntime/blob/main/tools/python/util/mobile_helpers/usability_checker.py
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import onnx
import onnxruntime
from onnx import shape_inference
from onnxruntime.tools.mobile_helpers import usability_checker

FOLDER = Path(usability_checker.__file__).parent
# The sets are the lists of this version; another may have others.
VERSION = "1.31.1"
IS_THAT_VERSION = onnxruntime.__version__ == VERSION
# The list of each shipped set, and the rank the checker goes up to for it.
LISTS = {
    "onnxruntime-nnapi": ("nnapi_supported_ops.md", None),
    "onnxruntime-coreml-neuralnetwork": ("coreml_supported_neuralnetwork_ops.md", 5),
    "onnxruntime-coreml-mlprogram": ("coreml_supported_mlprogram_ops.md", 5),
}


class Checked(NamedTuple):
    """What is said of a graph and the bodies in it: the number of nodes, and the nodes of each partition, a node by its
    outputs."""

    nodes: int
    partitions: frozenset[frozenset[tuple[str, ...]]]

    @property
    def taken(self) -> frozenset[tuple[str, ...]]:
        return frozenset(node for group in self.partitions for node in group)


def loaded(path: Path) -> onnx.ModelProto:
    """A model without its weights, with shapes as the checker infers them (its own class wants the weights' files)."""
    model = onnx.load(str(path), load_external_data=False)
    try:
        return shape_inference.infer_shapes(model, strict_mode=True)
    except shape_inference.InferenceError:
        return shape_inference.infer_shapes(model)  # an operator is wrong or not known, and its outputs stay open


def listed(name: str) -> set[str]:
    """The operators of the list of a shipped set, as the list writes them."""
    lines = (FOLDER / LISTS[name][0]).read_text(encoding="utf-8").splitlines()
    return {line.split("|")[1] for line in lines if line.startswith("|") and line.count("|") == 3} - {
        "Operator",
        "--------",
    }


def check(model: onnx.ModelProto, name: str, *, fixed: bool) -> Checked:
    """The checker's partitions for a shipped set; `fixed` is its `require_fixed_input_sizes`."""
    if name == "onnxruntime-nnapi":
        info = usability_checker.check_nnapi_partitions(model, fixed)
    else:
        info = usability_checker.check_coreml_partitions(model, fixed, LISTS[name][0])
    groups = [frozenset(tuple(node.output) for node in group) for group in info.supported_groups]
    assert len(groups) == info.num_partitions and sum(map(len, groups)) == info.num_supported_nodes
    return Checked(info.num_nodes, frozenset(groups))


def stated(model: onnx.ModelProto) -> Mapping[str, tuple[int, ...] | None]:
    """The shapes the checker sees: -1 for an open dim, None where nothing is stated. A tensor with a type and no shape
    is a scalar to it."""
    found: dict[str, tuple[int, ...] | None] = {}
    for graph in _graphs(model.graph):
        for constant in graph.initializer:
            found[constant.name] = tuple(constant.dims)
        for value in (*graph.input, *graph.output, *graph.value_info):
            dims = value.type.tensor_type.shape.dim
            known = value.type.HasField("tensor_type")
            found[value.name] = tuple(d.dim_value if d.dim_value > 0 else -1 for d in dims) if known else None
    return found


def shapeless(model: onnx.ModelProto) -> frozenset[str]:
    """The tensors with a type and no shape."""
    values = (v for g in _graphs(model.graph) for v in (*g.input, *g.output, *g.value_info))
    return frozenset(v.name for v in values if not v.type.tensor_type.HasField("shape"))


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)
