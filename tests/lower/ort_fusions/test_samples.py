"""Whole models: the passes make the kernels that ONNX Runtime saves, shape by shape."""

from __future__ import annotations

import pytest

from tests.lower.ort_fusions.saved import kinds, ours, same_version, saved
from tests.runtimes.ort_models import SAMPLES

FIXED = "ad ad-int8 ic ic-int8 kws kws-int8 vww vww-int8 unet dead-channels".split()
SIZES = {"batch": 2, "sequence": 16}


@same_version
@pytest.mark.parametrize("name", FIXED)
def test_a_sample_runs_as_onnx_runtime_saves_it(name: str) -> None:
    path = SAMPLES / f"{name}.onnx"
    assert kinds(ours(path)) == kinds(saved(path))


@same_version
@pytest.mark.parametrize("name", ["dynamic", "lstm"])
def test_so_does_one_whose_sizes_are_given(name: str) -> None:
    path = SAMPLES / f"{name}.onnx"
    assert kinds(ours(path, SIZES)) == kinds(saved(path, SIZES))
