"""Numbers of GPUs that tables on the web get wrong, in the profiles that ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from effaudit.device.dtypes import FLOATS
from effaudit.device.peaks import dense_flop_per_s, from_cycles, ridge
from effaudit.device.read import read_device
from effaudit.device.types import Device, Engine

PROFILES = Path(__file__).resolve().parents[2] / "device_profiles"
NAMES = sorted(path.stem for pattern in ("nvidia-*", "amd-*", "google-tpu-*") for path in PROFILES.glob(pattern))
MATRIX_UNITS = ("sm_7", "sm_8", "sm_9", "sm_10", "gfx94")  # Volta and later, CDNA


def device(name: str) -> Device:
    return read_device(PROFILES / f"{name}.yaml", lambda base, _: str(PROFILES / f"{base}.yaml"))


def ridge_of(name: str, dtype: str) -> float:
    found = device(name)
    value = ridge(found.engines[0], dtype, found.memories[0])
    assert value is not None
    return value


@pytest.mark.parametrize(
    ("name", "dtype", "flop_per_byte"),
    [
        ("nvidia-a100-80gb-sxm", "float16", 153.0),  # 312e12 / 2.039e12
        ("nvidia-a100-80gb-sxm", "float32", 9.56),
        ("nvidia-a100-80gb-sxm", "tfloat32", 76.5),
        ("nvidia-a100-40gb-sxm", "float16", 200.6),  # 312e12 / 1.555e12
        ("nvidia-a100-40gb-pcie", "float16", 200.6),
        ("nvidia-h100-sxm", "float16", 295.3),
    ],
)
def test_ridge_points(name: str, dtype: str, flop_per_byte: float) -> None:
    assert ridge_of(name, dtype) == pytest.approx(flop_per_byte, rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_sparse_is_twice_dense(name: str) -> None:
    for engine in device(name).engines:
        for dtype, peak in engine.peaks.items():
            sparse = peak.sparse_2_4_flop_per_s if dtype in FLOATS else peak.sparse_2_4_op_per_s
            if sparse is not None:
                assert sparse.value == pytest.approx(2 * (dense_flop_per_s(engine, dtype) or 0), rel=0.01)


def test_boards_with_sparse_tensor_cores_state_both() -> None:
    for name in NAMES:
        engine = device(name).engines[0]
        if engine.isa.startswith(("sm_8", "sm_9", "sm_10")):
            assert engine.peaks["float16"].sparse_2_4_flop_per_s is not None, name
            assert engine.peaks["int8"].sparse_2_4_op_per_s is not None, name


@pytest.mark.parametrize("name", NAMES)
def test_int8_is_twice_float16_on_matrix_units(name: str) -> None:
    engine = device(name).engines[0]
    if not engine.isa.startswith(MATRIX_UNITS) or "int8" not in engine.peaks or engine.peaks["int8"].note:
        return
    assert ratio(engine, "int8", "float16") == pytest.approx(2, rel=0.02)


def test_what_is_not_twice_float16_says_why() -> None:
    notes = {name: device(name).engines[0].peaks["int8"].note for name in ("nvidia-rtx-4090", "nvidia-v100-pcie")}
    assert "float32 sums" in notes["nvidia-rtx-4090"] and "DP4A" in notes["nvidia-v100-pcie"]
    assert ratio(device("nvidia-rtx-4090").engines[0], "int8", "float16") == pytest.approx(4)


def ratio(engine: Engine, one: str, other: str) -> float:
    first, second = dense_flop_per_s(engine, one), dense_flop_per_s(engine, other)
    assert first is not None and second is not None
    return first / second


def test_numbers_that_tables_mix_up() -> None:
    """Sparse for dense, another chip's TF32, another board's bandwidth."""
    h100 = device("nvidia-h100-sxm").engines[0]
    assert dense_flop_per_s(h100, "tfloat32") == 494.7e12
    assert dense_flop_per_s(h100, "float16") == 989.4e12
    assert dense_flop_per_s(device("nvidia-l4").engines[0], "int8") == 242.5e12
    assert dense_flop_per_s(device("amd-mi300x").engines[0], "float16") == 1307.4e12
    assert dense_flop_per_s(device("nvidia-v100-sxm2").engines[0], "float16") == 125e12
    assert dense_flop_per_s(device("nvidia-v100-pcie").engines[0], "float16") == 112e12
    bandwidths = {name: device(name).memories[0].read_bandwidth_byte_per_s for name in ("nvidia-l4", "nvidia-h100-sxm")}
    assert bandwidths["nvidia-l4"] is not None and bandwidths["nvidia-l4"].value == 300e9
    assert bandwidths["nvidia-h100-sxm"] is not None and bandwidths["nvidia-h100-sxm"].value == 3350e9


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("nvidia-")])
def test_peaks_follow_from_cores_and_clock(name: str) -> None:
    """Within 15 %: a peak stated for one clock, and the clock of another table."""
    engine = device(name).engines[0]
    for dtype, peak in engine.peaks.items():
        cycles = from_cycles(engine, peak)
        if cycles is not None:
            assert dense_flop_per_s(engine, dtype) == pytest.approx(cycles, rel=0.15), dtype


def test_memory_is_what_the_driver_reports() -> None:
    size = device("nvidia-a100-80gb-sxm").memories[0].size_bytes
    assert size is not None and (size.value, size.low) == (81920 * 2**20, 80_000_000_000)
    a100 = device("nvidia-a100-40gb-sxm")
    total, kept = a100.memories[0].size_bytes, a100.reserved[0].size_bytes
    assert total is not None and total.value is not None and kept.value is not None
    assert total.value - kept.value == 42405855232  # as CUDA reports it


@pytest.mark.parametrize("alias", ["a100", "h100", "t4"])
def test_short_names_are_of_one_profile(alias: str) -> None:
    assert sum(alias in device(name).aliases for name in NAMES) == 1
