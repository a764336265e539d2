"""Seconds of a run among its kernels, and of a kernel among its nodes."""

from __future__ import annotations

from math import fsum

import pytest

from effaudit.graph import Node
from effaudit.run.timed_types import KernelRun
from effaudit.table import Price, Row
from effaudit.timing.attribute import parts, run_seconds


def kernel(seconds: float, calls: float = 1.0) -> KernelRun:
    return KernelRun("k", "Relu", "CPU", seconds, calls, (), ())


def row(op: str, macs: int = 0, moved: int = 0) -> Row:
    price = Price(macs, 0, moved, 0)
    return Row(Node(op, "", op, (), ("y",), {}), "other", price, price)


def test_what_passes_between_kernels_is_shared_in_proportion() -> None:
    assert run_seconds([kernel(1.0), kernel(3.0)], 5.0) == pytest.approx((1.25, 3.75))


def test_what_profiling_adds_is_taken_off_every_call() -> None:
    true = [5.0, 0.5, 1.0, 2.0]
    calls = [1.0, 1.0, 4.0, 10.0]
    slowed = [kernel(t + 0.7 * n, n) for t, n in zip(true, calls, strict=True)]
    assert run_seconds(slowed, fsum(true)) == pytest.approx(true)


def test_the_kernel_of_a_body_is_slowed_by_its_calls() -> None:
    true = [3.0, 1.0]
    slowed = [kernel(3.0 + 0.1 * (1 + 20)), kernel(1.0 + 0.1 * 20, 20.0)]
    assert run_seconds(slowed, fsum(true), (20.0, 0.0)) == pytest.approx(true)


@pytest.mark.parametrize("seconds", [1e-9, 0.3, 1.0, 2.5, 100.0])
def test_kernels_add_up_and_none_is_silent(seconds: float) -> None:
    found = run_seconds([kernel(1.0), kernel(1e-6), kernel(0.2, 7.0), kernel(0.8, 0.5)], seconds)
    assert fsum(found) == pytest.approx(seconds)
    assert min(found) > 0


def test_kernels_that_took_no_time_share_equally() -> None:
    assert run_seconds([kernel(0.0), kernel(0.0)], 3.0) == (1.5, 1.5)


def test_products_take_a_kernel_by_their_macs() -> None:
    assert parts([row("Conv", 300, 10), row("Relu", 0, 500), row("Conv", 100, 10)], "FusedConv") == (0.75, 0.0, 0.25)


def test_without_products_the_kernels_own_operator_goes_first() -> None:
    assert parts([row("Relu", 0, 90), row("QuantizeLinear", 0, 30)], "QuantizeLinear") == (0.0, 1.0)
    assert parts([row("DequantizeLinear", 0, 9), row("Add", 0, 30), row("Relu", 0, 9)], "QLinearAdd") == (0, 1, 0)


def test_then_those_that_calculate_by_bytes() -> None:
    assert parts([row("Cast", 0, 100), row("Erf", 0, 60), row("Mul", 0, 20)], "Gelu") == (0.0, 0.75, 0.25)


def test_then_all_alike() -> None:
    assert parts([row("Cast", 0, 30), row("Transpose", 0, 10)], "Gelu") == (0.75, 0.25)
    assert parts([row("Erf"), row("Mul")], "Gelu") == (0.5, 0.5)
