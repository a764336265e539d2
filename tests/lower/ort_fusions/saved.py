"""Graphs as ONNX Runtime really optimizes them, and what is compared of two graphs."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Hashable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto

from effaudit.audited import examined
from effaudit.estimate.work import kernels
from effaudit.graph import Graph
from effaudit.load import Given, read
from effaudit.lower.ort_fusions import Machine, optimized
from effaudit.timing.blocks import block_of, settled
from tests.lower.graphs import assert_sound, model, n

READ = "1.31."  # the versions whose optimizer the passes follow
same_version = pytest.mark.skipif(
    not onnxruntime.__version__.startswith(READ), reason=f"the passes are those of ONNX Runtime {READ}x"
)


def saved(path: str | Path, dims: Mapping[str, int] | None = None) -> Graph:
    """What ONNX Runtime saves of a model at its default options."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    for name, size in (dims or {}).items():
        options.add_free_dimension_override_by_name(name, size)
    with TemporaryDirectory() as folder:
        options.optimized_model_filepath = f"{folder}/optimized.onnx"
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return settled(examined(read(f"{folder}/optimized.onnx")).graph)


@cache
def this_machine() -> Machine:
    """The block of this processor, as a convolution of 8 channels shows it: its filters are filled up."""
    proto = model(n("Conv", "x w", "y"), inputs={"x": (1, 3, 8, 8)}, weights={"w": np.ones((8, 3, 3, 3), np.float32)})
    with TemporaryDirectory() as folder:
        Path(folder, "m.onnx").write_bytes(proto.SerializeToString())
        block = block_of(saved(f"{folder}/m.onnx"))
    return Machine(block, signed=platform.machine().lower() not in ("x86_64", "amd64", "i686"))


def ours(path: str | Path, dims: Mapping[str, int] | None = None) -> Graph:
    """What the passes make of it."""
    found = optimized(examined(read(str(path)), Given(dims=dict(dims or {}))).graph, this_machine())
    assert_sound(found)
    return found


def kinds(graph: Graph) -> Counter[Hashable]:
    """The kernels of a graph: operator, activation, inputs that are there, and the shapes of what it writes."""
    return Counter(
        (
            node.domain,
            node.op,
            str(node.attrs.get("activation", "")) if node.op not in ("LSTM", "GRU", "RNN") else "",
            sum(map(bool, node.inputs)),
            tuple(graph.values[name].shape for name in node.outputs if name),
        )
        for node in (graph.nodes[kernel.index] for kernel in kernels(graph))
    )


def operators(graph: Graph) -> list[str]:
    """The operators of its kernels, in order of their names."""
    return sorted(graph.nodes[kernel.index].op for kernel in kernels(graph))


def both(proto: ModelProto, dims: Mapping[str, int] | None = None) -> tuple[Graph, Graph]:
    """(what the passes make, what ONNX Runtime saves)."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "m.onnx")
        path.write_bytes(proto.SerializeToString())
        return ours(path, dims), saved(path, dims)


def assert_alike(proto: ModelProto) -> Graph:
    """The same kernels on both sides; what the passes made."""
    mine, real = both(proto)
    assert kinds(mine) == kinds(real)
    return mine
