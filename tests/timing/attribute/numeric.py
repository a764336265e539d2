"""The oracle: ONNX Runtime really runs both graphs with the compared tensors as outputs, and their elements are held
against one another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

BLOCKS = (8, 16)


@dataclass(frozen=True)
class Compared:
    """One pair of tensors: `how` they are equal ("equal", "blocked", "turned": the same elements in another order), or
    "" where they are not."""

    optimized: str
    original: str
    how: str


def optimize(model: Path, saved: Path) -> None:
    """ONNX Runtime's optimized graph of a model, as a file."""
    options = _options("ORT_ENABLE_ALL")
    options.optimized_model_filepath = str(saved)
    onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def compare(
    model: Path, saved: Path, pairs: Iterable[tuple[str, str]], feed: Mapping[str, Any], tolerance: float = 1e-3
) -> list[Compared]:
    """Each pair of (tensor of `saved`, tensor of `model`), really calculated."""
    wanted = list(dict.fromkeys(pairs))
    one = values(model, {theirs for _, theirs in wanted}, feed)
    two = values(saved, {mine for mine, _ in wanted}, feed)
    return [Compared(a, b, _how(two[a], one[b], tolerance)) for a, b in wanted if a in two and b in one]


def values(path: Path, names: Iterable[str], feed: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors of a model, run as it is written."""
    model = onnx.load(str(path))
    outputs = {o.name for o in model.graph.output}
    inputs = {i.name for i in model.graph.input}
    made = {o for node in model.graph.node for o in node.output}
    asked = sorted(set(names) & made)
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(n) for n in asked if n not in outputs)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), _options("ORT_DISABLE_ALL"), providers=["CPUExecutionProvider"]
    )
    found = session.run(asked, {name: value for name, value in feed.items() if name in inputs})
    return dict(zip(asked, found, strict=True))


def _options(level: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def _how(mine: Any, theirs: Any, tolerance: float) -> str:
    mine, theirs = np.asarray(mine), np.asarray(theirs)
    moved = 128 if (mine.dtype, theirs.dtype) == (np.uint8, np.int8) else 0  # int8 that ONNX Runtime made uint8
    a, b = mine.astype(np.float64) - moved, theirs.astype(np.float64)
    if a.shape == b.shape and _close(a, b, tolerance):
        return "equal"
    if a.ndim == b.ndim and a.ndim > 2:
        for block in BLOCKS:
            if a.shape[1] == -(-b.shape[1] // block) * block and _close(
                unblocked(a, block)[:, : b.shape[1]], b, tolerance
            ):
                return "blocked"
    if a.size == b.size and any(_close(x.reshape(b.shape), b, tolerance) for x in (a, *_turned(a, b.shape))):
        return "turned"
    return ""


def _turned(value: Any, shape: tuple[int, ...]) -> Iterator[Any]:
    """The value with its axes in every other order that gives `shape`."""
    for order in permutations(range(value.ndim)):
        if tuple(value.shape[axis] for axis in order) == shape:
            yield value.transpose(order)


def unblocked(value: Any, block: int) -> Any:
    """N x C/block x spatial x block, as ONNX Runtime's NCHWc kernels lay a tensor out, as N x C x spatial."""
    n, c, *spatial = value.shape
    parts = value.reshape(n, c // block, *spatial, block)
    return np.moveaxis(parts, -1, 2).reshape(value.shape)


def _close(a: Any, b: Any, tolerance: float) -> bool:
    scale = float(np.max(np.abs(b), initial=0.0)) or 1.0
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= tolerance * scale))
