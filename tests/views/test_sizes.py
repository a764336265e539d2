"""Sizes at each width against the tensors themselves, and against published arithmetic."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from effaudit.load.files import resolve
from effaudit.report import audit


@pytest.mark.parametrize("name", ["ic", "kws", "ad", "vww"])
def test_against_the_tensors_of_the_file(name: str) -> None:
    """Matrices (two axes or more) at the width asked for, vectors at 32 bits below 16."""
    model = audit(f"sample:{name}")
    tensors = [numpy_helper.to_array(t) for t in onnx.load(resolve(f"sample:{name}")).graph.initializer]
    floats = [t for t in tensors if t.dtype == np.float32 and t.size > 1]
    matrices = sum(t.size for t in floats if t.ndim > 1)
    vectors = sum(t.size for t in floats if t.ndim <= 1)
    if matrices + vectors != model.totals.params + model.totals.buffers:
        pytest.skip("the file has constants that are no weights")
    expected = {"fp32": 4 * (matrices + vectors), "fp16": 2 * (matrices + vectors)}
    expected |= {f"int{bits}": (matrices * bits + 32 * vectors + 7) // 8 for bits in (8, 4, 2)}
    assert model.sizes == expected


def test_seven_billion_parameters() -> None:
    """s1-001, s1-002, s1-004: 28, 14 and 3.5 GB per 7 G parameters, within what the vectors keep."""
    model = audit("sample:decoder-7b")
    params = model.totals.params
    assert model.sizes["fp32"] == 4 * params
    assert model.sizes["fp16"] == 2 * params
    assert model.sizes["int4"] == pytest.approx(params / 2, rel=1e-3)


def test_mobilenet() -> None:
    """s0-194: a quarter at eight bits, but for biases, norms and their statistics, which stay as they are."""
    model = audit("sample:mobilenetv2")
    kept = sum(n.params for n in model.nodes if n.op == "BatchNormalization") + model.totals.buffers + 1000
    matrices = model.totals.params + model.totals.buffers - kept
    assert model.sizes["fp32"] == 4 * (matrices + kept) == model.totals.weight_bytes
    assert model.sizes["int8"] == matrices + 4 * kept
    assert model.sizes["int4"] == matrices // 2 + 4 * kept
