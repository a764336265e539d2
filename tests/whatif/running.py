"""Models made in a test, and what ONNX Runtime makes of them and of what a rewrite saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from effaudit import whatif
from effaudit.audited import Audited, examine
from effaudit.save import save_model
from effaudit.whatif.types import Change

Array = np.ndarray[Any, Any]


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[Any]],
    outputs: Mapping[str, Sequence[Any]],
    constants: Mapping[str, Array],
    opset: int = 17,
    dtype: int = TensorProto.FLOAT,
    types: Mapping[str, int] | None = None,
) -> onnx.ModelProto:
    """A model of nodes and initializers."""
    kinds = types or {}
    graph = helper.make_graph(
        list(nodes),
        "made",
        [helper.make_tensor_value_info(name, kinds.get(name, dtype), shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kinds.get(name, dtype), shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def run(path: Path, feeds: Mapping[str, Array]) -> list[Array]:
    """The outputs of a model, none of its nodes optimized away."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return list(ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, dict(feeds)))


def changed(
    folder: Path, source: onnx.ModelProto | Path, name: str, text: str
) -> tuple[Change, Audited, Audited, Path, Path]:
    """(the change, the model before, after, its file before, after)."""
    before = folder / "before.onnx"
    if isinstance(source, Path):
        before = source
    else:
        onnx.save(source, before)
    audited = examine(before)
    change, made = whatif.apply(audited, whatif.parse(name, text))
    after = folder / "after.onnx"
    save_model(change.graph, after)
    return change, audited, made, before, after


def same_outputs(before: Path, after: Path, feeds: Mapping[str, Array], tolerance: float = 1e-5) -> None:
    """The outputs of both files differ by no more than `tolerance` of the largest element."""
    for one, other in zip(run(before, feeds), run(after, feeds), strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        scale = max(1e-30, float(np.abs(one.astype(np.float64)).max()))
        assert float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max()) <= tolerance * scale
