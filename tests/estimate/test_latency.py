"""The model of latency: each term against the formula that it stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effaudit.device.types import Device, OpClass
from effaudit.estimate.latency import latency, setting
from effaudit.estimate.rates import padding, performance_of
from effaudit.estimate.types import NOTHING, Kernel, Latency
from effaudit.quantity import Quantity
from tests.profiles import MIB, device, document

CLOCK = 1e8
ERROR = {
    "median_ratio": 0.1,
    "interval_factor": 1.5,
    "coverage_ratio": 0.9,
    "rows_count": 10,
    "dataset": "test rows",
    "date": "2026-01-01",
}


def profile(*performance: dict[str, Any], speed: float | None = None, **engine: Any) -> dict[str, Any]:
    memory = {"name": "ram", "kind": "ram", "size_bytes": MIB, "holds": ["weights", "activations", "code"]}
    if speed:
        memory["read_bandwidth_byte_per_s"] = speed
    cpu = {"name": "cpu", "kind": "simd", "clock_hz": CLOCK, **engine}
    return document(engines=[cpu], memories=[memory], performance=list(performance))


def entry(dtype: str = "int8", **more: Any) -> dict[str, Any]:
    return {"engine": "cpu", "dtype": dtype, **more}


def exact(n: int) -> Quantity:
    return Quantity(n, n)


def kernel(
    macs: int = 0,
    op_class: OpClass = "conv",
    dtype: str = "int8",
    ops: int = 0,
    moved: int = 0,
    outputs: int = 0,
    channels: tuple[int | None, int | None] = (None, None),
) -> Kernel:
    parts = (exact(macs), exact(ops), NOTHING, exact(moved), NOTHING, exact(outputs))
    return Kernel(0, "node", "Conv", op_class, dtype, *parts, channels)


def of(on: Device, *kernels: Kernel) -> Latency:
    return latency(kernels, setting(on, on.runtimes[0], 0, 0))


@settings(max_examples=30)
@given(macs=st.integers(1, 10**9), rate=st.floats(0.01, 100), count=st.integers(1, 5))
def test_it_adds_up(tmp_path_factory: pytest.TempPathFactory, macs: int, rate: float, count: int) -> None:
    made = entry(rates={"conv": {"mac_per_cycle": rate}}, per_kernel_cycles=1000, per_inference_s=0.25)
    found = of(device(tmp_path_factory.mktemp("p"), profile(made)), *[kernel(macs)] * count)
    assert found.total.value == pytest.approx(0.25 + count * (macs / (rate * CLOCK) + 1000 / CLOCK))


def test_the_larger_of_arithmetic_and_bytes(tmp_path: Path) -> None:
    on = device(tmp_path, profile(entry(rates={"conv": {"mac_per_s": 1e6}}), speed=1e3))
    compute, memory = of(on, kernel(10**6, moved=10)).kernels[0], of(on, kernel(10, moved=10**4)).kernels[0]
    assert (compute.seconds, compute.limiter) == (pytest.approx(1.0), "compute")
    assert (memory.seconds, memory.limiter, memory.memory) == (pytest.approx(10.0), "memory", "ram")


def test_a_part_of_the_bandwidth(tmp_path: Path) -> None:
    on = device(tmp_path, profile(entry(rates={"conv": {"mac_per_s": 1e9}}, bandwidth_fraction=0.5), speed=1e3))
    assert of(on, kernel(1, moved=1000)).total.value == pytest.approx(2.0)


def test_every_output_costs(tmp_path: Path) -> None:
    rate = {"mac_per_cycle": 1, "per_output_cycles": 10}
    on = device(tmp_path, profile(entry(rates={"conv": rate})))
    assert of(on, kernel(100, outputs=5)).total.value == pytest.approx((100 + 50) / CLOCK)


def test_cores_share_the_work(tmp_path: Path) -> None:
    on = device(tmp_path, profile(entry(rates={"conv": {"mac_per_cycle": 1}}), cores=4))
    assert of(on, kernel(400)).total.value == pytest.approx(100 / CLOCK)


def test_a_fraction_of_the_peak(tmp_path: Path) -> None:
    on = device(
        tmp_path,
        profile(entry(rates={"conv": {"fraction_of_peak": 0.5}}), peaks={"int8": {"dense_mac_per_cycle": 2}}),
    )
    assert of(on, kernel(100)).total.value == pytest.approx(100 / CLOCK)
    assert of(on, kernel(100)).total.low <= 100 / CLOCK


@pytest.mark.parametrize(("channels", "factor"), [((16, 16), 1.0), ((17, 16), 32 / 17), ((3, 10), 16 / 3 * 16 / 10)])
def test_channels_fill_whole_groups(tmp_path: Path, channels: tuple[int, int], factor: float) -> None:
    groups = {"input_channels": 16, "output_channels": 16}
    on = device(tmp_path, profile(entry(), alignment=groups))
    assert padding(kernel(1, channels=channels), on.engines[0]) == pytest.approx(factor)


def test_a_class_runs_like_its_nearest(tmp_path: Path) -> None:
    on = device(tmp_path, profile(entry(rates={"conv": {"mac_per_s": 1e3}})))
    assert of(on, kernel(1000, "pointwise")).total.value == pytest.approx(1.0)
    assert of(on, kernel(1000, "fully_connected")).total.value is None


def test_no_rate_no_estimate_but_a_bound(tmp_path: Path) -> None:
    on = device(tmp_path, profile(peaks={"int8": {"dense_mac_per_cycle": 2}}))
    total = of(on, kernel(200)).total
    assert (total.value, total.high) == (None, None)
    assert total.low == pytest.approx(100 / CLOCK)
    assert "int8 on cpu" in total.basis


def test_an_interval_of_the_error(tmp_path: Path) -> None:
    made = entry(rates={"conv": {"mac_per_s": 1e3}}, prediction_error=ERROR)
    total = of(device(tmp_path, profile(made)), kernel(1000)).total
    assert (total.low, total.value, total.high) == (pytest.approx(1 / 1.5), pytest.approx(1), pytest.approx(1.5))
    assert "90%" in total.basis and "test rows" in total.basis


def test_an_error_that_nobody_knows_leaves_it_open_above(tmp_path: Path) -> None:
    total = of(device(tmp_path, profile(entry(rates={"conv": {"mac_per_s": 1e3}}))), kernel(1000)).total
    assert total.value == pytest.approx(1.0) and total.high is None


def test_work_that_is_a_range(tmp_path: Path) -> None:
    made = entry(rates={"conv": {"mac_per_s": 1e3}}, prediction_error=ERROR)
    on = device(tmp_path, profile(made))
    wide = Kernel(0, "n", "If", "conv", "int8", Quantity(100, 1000), NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)
    total = latency([wide], setting(on, on.runtimes[0], 0, 0)).total
    assert total.low == pytest.approx(0.1 / 1.5) and total.high == pytest.approx(1.5)


def test_the_nearest_entry_is_taken(tmp_path: Path) -> None:
    """Of this version, else of any version of the runtime, else of any runtime."""
    rates = {"conv": {"mac_per_s": 1e3}}
    made = [
        entry(runtime=runtime, version=version, rates=rates)
        for runtime, version in (("", ""), ("bare", ""), ("bare", "2"))
    ]
    on = device(tmp_path, profile(*made))
    runtimes = [{"name": "bare", "rules": "ideal", "engine": "cpu", "version": v} for v in ("", "2", "3")]
    runtimes += [{"name": "other", "rules": "ideal", "engine": "cpu"}]
    on = device(tmp_path, {**profile(*made), "runtimes": runtimes})
    found = [performance_of(on, runtime, "cpu", "int8") for runtime in on.runtimes]
    assert [(f.runtime, f.version) for f in found if f] == [("bare", ""), ("bare", "2"), ("bare", ""), ("", "")]
    assert performance_of(on, on.runtimes[0], "cpu", "float32") is None
    unsigned = performance_of(on, on.runtimes[0], "cpu", "uint8")
    assert unsigned is not None, "unsigned bytes run as signed ones do"


def test_an_engine_may_compute_in_another_type(tmp_path: Path) -> None:
    """Floats of 32 bits on an engine of 16: its rate, and half of the bytes."""
    made = entry("float16", rates={"conv": {"mac_per_s": 1e6}})
    whole = profile(made, speed=1e3)
    runtime = {"name": "bare", "rules": "ideal", "engine": "cpu", "computes": {"float32": "float16"}}
    on = device(tmp_path, {**whole, "runtimes": [runtime]})
    (one,) = of(on, kernel(10, dtype="float32", moved=1000)).kernels
    assert one.kernel.dtype == "float16" and one.kernel.moved.value == 500
    assert one.seconds == pytest.approx(0.5)
    assert of(device(tmp_path, whole), kernel(10, dtype="float32", moved=1000)).total.value is None


def test_rates_with_ends_bound_the_time(tmp_path: Path) -> None:
    """Nobody measured the error, but the profile says between what the rates lie."""
    rate = {"mac_per_s": {"value": 1e3, "low": 5e2, "high": 4e3}}
    made = entry(rates={"conv": rate}, per_kernel_s={"value": 0.1, "low": 0.0, "high": 0.4})
    total = of(device(tmp_path, profile(made)), kernel(1000)).total
    assert (total.low, total.value, total.high) == (pytest.approx(0.25), pytest.approx(1.1), pytest.approx(2.4))
    both = entry("int16", rates={"conv": {"mac_per_s": 1e3}}, prediction_error=ERROR)
    total = of(device(tmp_path, profile(made, both)), kernel(1000), kernel(1000, dtype="int16")).total
    assert (total.low, total.high) == (pytest.approx(0.25 + 1 / 1.5), pytest.approx(2.4 + 1.5))


def test_no_runtime_goes_below_the_bound(tmp_path: Path) -> None:
    """Products at the peak, or weights once: activations may stay on the chip, cached weights may stay in the cache."""
    whole = profile(speed=1e6, peaks={"int8": {"dense_mac_per_cycle": 1}})
    held = Kernel(0, "n", "Conv", "conv", "int8", exact(10), NOTHING, exact(1000), exact(10**6), exact(10**6), NOTHING)
    on = device(tmp_path, whole)
    read = setting(on, on.runtimes[0], 1000, 0, unique_bytes=1000)
    assert latency([held], read).total.low == pytest.approx(1000 / 1e6)
    cached = {**whole, "memories": [*whole["memories"], {"name": "l2", "kind": "cache", "size_bytes": 400}]}
    on = device(tmp_path, cached)
    read = setting(on, on.runtimes[0], 1000, 0, unique_bytes=1000)
    assert latency([held], read).total.low == pytest.approx(600 / 1e6)
    busy = Kernel(0, "n", "Conv", "conv", "int8", exact(10**9), NOTHING, exact(1000), NOTHING, NOTHING, NOTHING)
    assert latency([busy], read).total.low == pytest.approx(10)
