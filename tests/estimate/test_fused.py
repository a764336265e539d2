"""Classes that a runtime puts into the kernels around them: no launch, and only a second operand is moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effaudit.device.types import Device, OpClass
from effaudit.errors import UsageError
from effaudit.estimate.latency import latency, setting
from effaudit.estimate.types import Kernel
from effaudit.quantity import Quantity
from tests.profiles import MIB, device, document

SPEED = 1000  # B/s
LAUNCH = 0.5  # s


def on(folder: Path, **entry: Any) -> Device:
    memory = {
        "name": "ram",
        "kind": "ram",
        "size_bytes": MIB,
        "read_bandwidth_byte_per_s": SPEED,
        "holds": ["weights", "activations", "code"],
    }
    cpu = {"name": "cpu", "kind": "simd", "clock_hz": 1e8}
    rates = {"conv": {"mac_per_s": 1e9}}
    performance = {"engine": "cpu", "dtype": "int8", "per_kernel_s": LAUNCH, "rates": rates, **entry}
    return device(folder, document(engines=[cpu], memories=[memory], performance=[performance]))


def kernel(op_class: OpClass, read: int, written: int, macs: int = 0) -> Kernel:
    numbers = [Quantity(n, n) for n in (macs, 0, 0, read, written, written)]
    return Kernel(0, "node", "Add", op_class, "int8", *numbers)


def seconds(board: Device, *kernels: Kernel) -> float | None:
    return latency([kernel("conv", 0, 0, macs=1), *kernels], setting(board, board.runtimes[0], 0, 0)).total.value


@settings(max_examples=30)
@given(read=st.integers(0, 10**5), written=st.integers(0, 10**5))
def test_only_a_second_operand_is_moved(tmp_path_factory: pytest.TempPathFactory, read: int, written: int) -> None:
    board = on(tmp_path_factory.mktemp("p"), fused=["elementwise"])
    expected = LAUNCH + max(read - written, 0) / SPEED
    assert seconds(board, kernel("elementwise", read, written)) == pytest.approx(expected)


def test_an_add_reads_its_other_operand_and_an_activation_nothing(tmp_path: Path) -> None:
    board = on(tmp_path, fused=["elementwise"])
    assert seconds(board, kernel("elementwise", 200, 100)) == pytest.approx(LAUNCH + 0.1)
    assert seconds(board, kernel("elementwise", 100, 100)) == pytest.approx(LAUNCH)


def test_other_classes_are_launched(tmp_path: Path) -> None:
    board = on(tmp_path, fused=["elementwise"])
    assert seconds(board, kernel("pooling", 200, 100)) == pytest.approx(2 * LAUNCH + 0.3)
    assert seconds(on(tmp_path), kernel("elementwise", 200, 100)) == pytest.approx(2 * LAUNCH + 0.3)


def test_kernels_with_products_are_launched_whatever_their_class(tmp_path: Path) -> None:
    board = on(tmp_path, fused=["conv", "elementwise"])
    assert seconds(board, kernel("conv", 200, 100, macs=1)) == pytest.approx(2 * LAUNCH + 0.3)


def test_the_bound_at_the_peaks_does_not_exceed_the_estimate(tmp_path: Path) -> None:
    board = on(tmp_path, fused=["elementwise"])
    total = latency(
        [kernel("conv", 0, 0, macs=1), kernel("elementwise", 200, 100)], setting(board, board.runtimes[0], 0, 0)
    ).total
    assert total.value is not None and total.low <= total.value


def test_an_unknown_class_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fused"):
        on(tmp_path, fused=["pointwise chains"])
