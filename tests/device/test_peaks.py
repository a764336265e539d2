"""Dense peaks and ridge points, against published figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from effaudit.device.peaks import dense_flop_per_s, peak_of, ridge
from effaudit.device.types import Engine, Fact, Peak

from .profiles import BOARD, GPU, changed, device


def fact(value: float | None, unit: str = "1") -> Fact:
    return Fact(value, unit, "s", "vendor", note="n")


def test_an_a100(tmp_path: Path) -> None:
    """A100 80 GB SXM: 312 TFLOP/s of dense float16 and 2,039 GB/s, so 153 FLOP/B; tfloat32 half of that:
    https://www.nvidia.com/content/dam/en-zz/Solutions/Data-Center/a100/pdf/nvidia-a100-datasheet-nvidia-us-2188504-web.pdf
    """
    gpu = device(tmp_path, GPU)
    (engine,), (hbm,) = gpu.engines, gpu.memories
    found = {dtype: ridge(engine, dtype, hbm) for dtype in engine.peaks}
    assert found["float16"] == found["bfloat16"] == pytest.approx(153.0, abs=0.05)
    assert found["tfloat32"] == pytest.approx(76.5, abs=0.05)
    assert found["int8"] == pytest.approx(306.0, abs=0.1)
    assert ridge(engine, "float32", hbm) is None


def test_sparse_peaks_are_never_the_peak(tmp_path: Path) -> None:
    text = changed(GPU, "float16: {dense_flop_per_s: 312e12, sparse", "float16: {sparse")
    (engine,) = device(tmp_path, text).engines
    assert dense_flop_per_s(engine, "float16") is None


def test_cycles_times_cores_times_clock(tmp_path: Path) -> None:
    text = changed(BOARD, "cores: 1", "cores: 2")
    (engine,) = device(tmp_path, text).engines
    assert dense_flop_per_s(engine, "int8") == 2 * 2 * 2 * 100e6


def test_without_cores_there_is_one() -> None:
    peak = Peak(dense_mac_per_cycle=fact(4))
    assert dense_flop_per_s(Engine("e", "simd", clock_hz=fact(1e9), peaks={"int8": peak}), "int8") == 8e9


def test_what_is_not_known() -> None:
    stated, cycles = Peak(dense_op_per_s=fact(None)), Peak(dense_mac_per_cycle=fact(4))
    assert dense_flop_per_s(Engine("e", "simd", peaks={"int8": cycles}), "int8") is None
    assert dense_flop_per_s(Engine("e", "simd", clock_hz=fact(None), peaks={"int8": cycles}), "int8") is None
    assert dense_flop_per_s(Engine("e", "simd", peaks={"int8": stated}), "int8") is None
    assert dense_flop_per_s(Engine("e", "simd"), "int8") is None


def test_types_that_share_kernels() -> None:
    one, own = Peak(dense_op_per_s=fact(1)), Peak(dense_op_per_s=fact(2))
    assert peak_of(Engine("e", "npu", peaks={"int8": one}), "uint8") is one
    assert peak_of(Engine("e", "npu", peaks={"int8": one, "uint8": own}), "uint8") is own
    assert peak_of(Engine("e", "npu", peaks={"uint8": own}), "int8") is None
    assert peak_of(Engine("e", "npu", peaks={"int8": one}), "float16") is None
