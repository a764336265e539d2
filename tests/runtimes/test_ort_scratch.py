"""Workspaces of ONNX Runtime's kernels: what its allocator gave at the peak of one node, above that node's output."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from benchmarks.ort_profile import profile
from effaudit.runtimes import find
from tests.runtimes.ort_models import ones, saved, single

CHUNK = 256  # the allocator's grain (core/framework/bfc_arena.h)
SCALES = np.array([1, 1, 2, 2], np.float32)
GATES = (ones(1, 256, 16), ones(1, 256, 64))
BOTH = (ones(2, 256, 16), ones(2, 256, 64), ones(2, 512))

# model, buffers it may round up to CHUNK
CASES: dict[str, tuple[onnx.ModelProto, int]] = {
    "segment of columns": (single("Conv", (1, 8, 32, 32), [ones(16, 8, 3, 3)], pads=[1, 1, 1, 1]), 2),
    "strided pointwise": (single("Conv", (1, 8, 32, 32), [ones(16, 8, 1, 1)], strides=[2, 2]), 2),
    "SAME": (single("Conv", (1, 8, 32, 32), [ones(16, 8, 3, 3)], auto_pad="SAME_UPPER", strides=[2, 2]), 2),
    "pointwise": (single("Conv", (1, 8, 32, 32), [ones(16, 8, 1, 1)]), 2),
    "all columns": (single("Conv", (1, 64, 6, 6), [ones(128, 64, 3, 3)]), 2),
    "depthwise": (single("Conv", (1, 32, 32, 32), [ones(32, 1, 3, 3)], group=32, pads=[1, 1, 1, 1]), 2),
    "whole input": (single("Conv", (1, 32, 25, 5), [ones(32, 1, 25, 5)], group=32), 2),
    "1-D": (single("Conv", (1, 16, 400), [ones(32, 16, 5)]), 2),
    "3-D": (single("Conv", (1, 4, 8, 16, 16), [ones(8, 4, 3, 3, 3)]), 2),
    "transposed": (single("ConvTranspose", (1, 16, 16, 16), [ones(16, 8, 2, 2)], strides=[2, 2]), 2),
    "transposed, grouped": (single("ConvTranspose", (1, 16, 16, 16), [ones(16, 4, 3, 3)], group=2), 2),
    "LRN": (single("LRN", (1, 16, 16, 16), size=5), 3),
    "Softmax of an inner axis": (single("Softmax", (4, 8, 64), axis=1), 3),
    "LogSoftmax of an inner axis": (single("LogSoftmax", (4, 8, 64), axis=0), 3),
    "Softmax of the last axis": (single("Softmax", (4, 8, 64), axis=-1), 1),
    "Softmax before opset 13": (single("Softmax", (4, 8, 64), opset=11, axis=1), 1),
    "LSTM": (single("LSTM", (20, 2, 16), [*GATES, ones(1, 512)], hidden_size=64), 14),
    "LSTM, backwards": (single("LSTM", (20, 2, 16), GATES, hidden_size=64, direction="reverse"), 12),
    "LSTM, both": (single("LSTM", (20, 2, 16), BOTH, hidden_size=64, direction="bidirectional"), 26),
    "bilinear": (single("Resize", (1, 4, 64, 64), [None, SCALES], mode="linear"), 2),
    "nearest": (single("Resize", (1, 4, 64, 64), [None, SCALES], mode="nearest"), 1),
    "Gemm": (single("Gemm", (64, 64), [ones(64, 64)]), 1),
    "LayerNormalization": (single("LayerNormalization", (64, 64), [ones(64), ones(64)]), 1),
    "MaxPool": (single("MaxPool", (2, 8, 16, 16), kernel_shape=[2, 2]), 1),
}


@pytest.mark.parametrize("name", CASES)
def test_workspace(name: str, tmp_path: Path) -> None:
    made, buffers = CASES[name]
    path, graph = saved(made, tmp_path)
    measured = profile(path, "plain")
    scratch = find("ort-plain").scratch
    assert scratch is not None
    size = scratch(graph, graph.nodes[0]).value
    assert size is not None
    assert 0 <= measured.given - measured.peak - size < buffers * CHUNK


def test_what_is_not_followed_has_no_bound(tmp_path: Path) -> None:
    for made in (single("Einsum", (4, 16, 16), equation="bij->bji"), single("Hardmax", (64, 64), axis=0)):
        _, graph = saved(made, tmp_path)
        scratch = find("ort-plain").scratch
        assert scratch is not None
        found = scratch(graph, graph.nodes[0])
        assert found.high is None and found.why
