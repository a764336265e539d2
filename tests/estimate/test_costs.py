"""Seconds by measured costs: sums of terms, which costs a kernel takes, and what they say of a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from effaudit.device.types import Device
from effaudit.errors import UsageError
from effaudit.estimate.costs import cost_of, measured_by_kind, per_node_s
from effaudit.estimate.latency import latency
from effaudit.estimate.setting import Setting, setting
from effaudit.estimate.terms import TERMS
from effaudit.estimate.timing import timed
from effaudit.estimate.types import Kernel, Latency, Touch
from effaudit.quantity import Quantity
from tests.estimate.measured import ERROR, entry, host, kernel

KIND = {"kind": "conv", "launch_s": 2e-6, "mac_s": 1e-9}


def where(on: Device, renaming: int = 0) -> Setting:
    return replace(setting(on, on.runtimes[0], 0, 0), renaming=renaming)


def of(on: Device, *kernels: Kernel, renaming: int = 0) -> Latency:
    return latency(kernels, where(on, renaming))


def chosen(on: Device, one: Kernel, main: str = "float32") -> tuple[str, str] | None:
    """(element type, kind) of the costs that a kernel takes."""
    pair = cost_of(where(on), "cpu", one, main)
    return None if pair is None else (pair[0].dtype, pair[1].kind)


# ---- one kernel
def test_a_kernel_is_the_sum_of_its_terms(tmp_path: Path) -> None:
    costs = {term: 10.0**-i for i, term in enumerate(TERMS)}
    on = host(tmp_path, entry({"kind": "conv", **costs}, per_kernel_s=3.0), near=100, far=200)
    touches = (Touch("weight", 10, 400), Touch("read", 20, 150), Touch("write", 30, 50))
    one = kernel(macs=64, outputs=4, touches=touches, columns=8, runs=2, scratch=3, batches=5, steps=6, fed=7)
    found = timed(one, where(on), "float32")
    has = {"launch_s": 1, "mac_s": 64, "load_s": 8, "op_s": 0, "fed_s": 7, "output_s": 4, "run_s": 2, "scratch_s": 3}
    has |= {"batch_s": 5, "step_s": 6, "weight_byte_s": 10, "near_weight_byte_s": 7.5, "far_weight_byte_s": 5}
    has |= {"near_byte_s": 20 / 3, "far_byte_s": 0}
    bytes_ = [term for term in TERMS if "byte" in term]
    assert found.seconds == pytest.approx(3.0 + sum(has[term] * costs[term] for term in TERMS))
    assert found.overhead_s == pytest.approx(3.0 + 1.0)
    assert found.memory_s == pytest.approx(sum(has[term] * costs[term] for term in bytes_))
    assert found.compute_s == pytest.approx(
        sum(has[term] * costs[term] for term in TERMS if term not in (*bytes_, "launch_s"))
    )


@pytest.mark.parametrize(
    ("cost", "limiter"),
    [({"mac_s": 1.0}, "compute"), ({"far_byte_s": 1.0}, "memory"), ({"launch_s": 1e6}, "overhead")],
)
def test_what_takes_most_decides(tmp_path: Path, cost: dict[str, float], limiter: str) -> None:
    small = {"launch_s": 1e-6, "mac_s": 1e-6, "far_byte_s": 1e-6}
    on = host(tmp_path, entry({"kind": "conv", **small, **cost}))
    found = timed(kernel(macs=100, touches=(Touch("read", 100, None),)), where(on), "float32")
    assert found.limiter == limiter


def test_arithmetic_and_bytes_do_not_hide_each_other(tmp_path: Path) -> None:
    on = host(tmp_path, entry({"kind": "conv", "mac_s": 1.0, "far_byte_s": 1.0}))
    assert timed(kernel(macs=3, touches=(Touch("read", 4, None),)), where(on), "float32").seconds == pytest.approx(7.0)


# ---- which costs
def test_its_own_kind_then_the_nearest(tmp_path: Path) -> None:
    on = host(tmp_path, entry(KIND, {**KIND, "kind": "b"}, {**KIND, "kind": "c"}))
    assert chosen(on, kernel("conv")) == ("float32", "conv")
    assert chosen(on, kernel("unknown", like=("a", "b", "c"))) == ("float32", "b")
    assert chosen(on, kernel("unknown", like=("c", "b"))) == ("float32", "c")
    assert chosen(on, kernel("unknown", like=("a",))) is None
    assert chosen(on, replace(kernel(), pattern=None)) is None


def test_its_own_type_then_the_like_then_the_main_then_any(tmp_path: Path) -> None:
    types = ("float16", "float32", "uint8", "int8")
    on = host(tmp_path, *(entry(KIND, dtype=dtype) for dtype in types))
    for dtype in types:
        assert chosen(on, kernel(dtype=dtype)) == (dtype, "conv")
    no_int8 = host(tmp_path, *(entry(KIND, dtype=dtype) for dtype in types[:3]))
    assert chosen(no_int8, kernel(dtype="int8"), "float32") == ("uint8", "conv")
    assert chosen(no_int8, kernel(dtype="int64"), "float32") == ("float32", "conv")
    assert chosen(no_int8, kernel(dtype="int64"), "") == ("float16", "conv"), "the first that there is"


def test_a_like_kind_of_its_type_goes_before_its_kind_in_another(tmp_path: Path) -> None:
    on = host(tmp_path, entry({**KIND, "kind": "other"}, dtype="int8"), entry(KIND))
    assert chosen(on, kernel("conv", dtype="int8", like=("other",))) == ("int8", "other")
    assert chosen(on, kernel("conv", dtype="int8")) == ("float32", "conv")


def test_costs_are_those_of_the_runtime_that_is_asked_of(tmp_path: Path) -> None:
    plain = {"rules": "ideal", "engine": "cpu", "code_bytes": 0, "state_bytes": 0}
    runtimes = [{"name": name, **plain} for name in ("bare", "more")]
    on = host(tmp_path, {**entry(KIND), "runtime": "more"}, runtimes=runtimes)
    assert chosen(on, kernel()) is None and not measured_by_kind(on, on.runtimes[0])
    assert per_node_s(on, on.runtimes[0]) is None
    more = replace(where(on), runtime=on.runtimes[1])
    assert cost_of(more, "cpu", kernel(), "") is not None and measured_by_kind(on, on.runtimes[1])


def test_what_every_node_costs(tmp_path: Path) -> None:
    on = host(tmp_path, entry(KIND, per_kernel_s=1e-6))
    assert per_node_s(on, on.runtimes[0]) == 1e-6
    assert per_node_s(host(tmp_path, entry(KIND)), on.runtimes[0]) is None


# ---- a whole
@given(macs=st.lists(st.integers(0, 10**6), min_size=1, max_size=6), renaming=st.integers(0, 9))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_adds_up(tmp_path: Path, macs: list[int], renaming: int) -> None:
    on = host(tmp_path, entry(KIND, per_kernel_s=1e-6, per_inference_s=5e-6, prediction_error=ERROR))
    found = of(on, *(kernel(macs=n, index=i) for i, n in enumerate(macs)), renaming=renaming)
    wanted = 5e-6 + renaming * 1e-6 + sum(1e-6 + 2e-6 + n * 1e-9 for n in macs)
    assert found.total.value == pytest.approx(wanted)
    assert found.per_inference_s == pytest.approx(5e-6 + renaming * 1e-6)
    assert (found.total.low, found.total.high) == (pytest.approx(wanted / 1.5), pytest.approx(wanted * 1.5))


def test_an_error_is_that_of_costs_and_not_of_the_rates_beside_them(tmp_path: Path) -> None:
    rates = {"conv": {"mac_per_s": {"value": 1e9, "low": 5e8, "high": 2e9}}}
    on = host(tmp_path, entry(KIND, rates=rates, prediction_error=ERROR))
    by_cost, by_rate = of(on, kernel(macs=1000)).total, of(on, replace(kernel(macs=1000), pattern=None)).total
    assert "test rows" in by_cost.basis and "test rows" not in by_rate.basis
    assert by_rate.value == pytest.approx(1e-6)
    assert (by_rate.low, by_rate.high) == (pytest.approx(0.5e-6), pytest.approx(2e-6)), "the ends of the rates"


def test_costs_without_a_measured_error_are_open_above(tmp_path: Path) -> None:
    rates = {"conv": {"mac_per_s": {"value": 1e9, "low": 5e8, "high": 2e9}}}
    on = host(tmp_path, entry(KIND, rates=rates))
    assert of(on, kernel(macs=1000)).total.high is None


def test_kernels_of_types_that_the_profile_does_not_name(tmp_path: Path) -> None:
    """Nothing but integers, which have no products that would say which type is the main one."""
    on = host(tmp_path, entry(KIND, per_inference_s=5e-6, prediction_error=ERROR))
    found = of(on, kernel(dtype="int64"), kernel(dtype="bool", index=1)).total
    assert found.value == pytest.approx(5e-6 + 2 * 2e-6) and found.high == pytest.approx(1.5 * found.value)


def test_a_kind_that_nothing_is_like_leaves_the_whole_unknown(tmp_path: Path) -> None:
    on = host(tmp_path, entry(KIND))
    found = of(on, kernel(macs=5), kernel("strange", macs=5, index=1))
    assert found.total.value is None and [one.limiter for one in found.kernels] == ["overhead", "unknown"]


def test_work_that_nothing_bounds_is_not_estimated_by_costs(tmp_path: Path) -> None:
    on = host(tmp_path, entry(KIND, prediction_error=ERROR))
    endless = replace(kernel(macs=5), macs=Quantity(5, None, "a loop"))
    assert of(on, endless).total.value is None and of(on, endless).total.high is None


# ---- profiles that were not measured by kinds
def test_without_costs_patterns_change_nothing(tmp_path: Path) -> None:
    made: dict[str, Any] = {"engine": "cpu", "dtype": "float32", "rates": {"conv": {"mac_per_s": 1e6}}}
    on = host(tmp_path, {**made, "per_kernel_s": 1e-3, "per_inference_s": 0.1, "prediction_error": ERROR})
    with_pattern = [kernel(macs=1000, index=i) for i in range(3)]
    without = [replace(one, pattern=None) for one in with_pattern]
    one, two = of(on, *with_pattern, renaming=7), of(on, *without)
    assert one.total == two.total and one.per_inference_s == two.per_inference_s == 0.1
    assert one.total.value == pytest.approx(0.1 + 3 * (1e-3 + 1e-3))
    assert [x.seconds for x in one.kernels] == [x.seconds for x in two.kernels]


def test_a_kind_is_stated_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="conv"):
        host(tmp_path, entry(KIND, KIND))
