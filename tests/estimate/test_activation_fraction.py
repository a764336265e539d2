"""The part of the activations that crosses their memory's interface: the rest costs no bandwidth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effaudit.device.types import Device
from effaudit.estimate.latency import latency, setting
from effaudit.estimate.types import Kernel
from effaudit.quantity import Quantity
from tests.profiles import MIB, device, document

SPEED = 1000  # B/s


def on(folder: Path, **entry: Any) -> Device:
    memory = {
        "name": "ram",
        "kind": "ram",
        "size_bytes": MIB,
        "read_bandwidth_byte_per_s": SPEED,
        "holds": ["weights", "activations", "code"],
    }
    cpu = {"name": "cpu", "kind": "simd", "clock_hz": 1e8}
    performance = {"engine": "cpu", "dtype": "int8", "rates": {"conv": {"mac_per_s": 1e9}}, **entry}
    return device(folder, document(engines=[cpu], memories=[memory], performance=[performance]))


def seconds(board: Device, weights: int, read: int, written: int) -> float | None:
    moved = [Quantity(n, n) for n in (weights, read, written)]
    kernel = Kernel(0, "node", "Conv", "conv", "int8", Quantity(1, 1), Quantity(0, 0), *moved, Quantity(1, 1))
    return latency([kernel], setting(board, board.runtimes[0], weights, read + written)).total.value


@settings(max_examples=30)
@given(
    fraction=st.floats(0, 1),
    weights=st.integers(1, 10**5),
    read=st.integers(0, 10**5),
    written=st.integers(0, 10**5),
)
def test_activations_count_by_their_fraction_and_weights_in_full(
    tmp_path_factory: pytest.TempPathFactory, fraction: float, weights: int, read: int, written: int
) -> None:
    board = on(tmp_path_factory.mktemp("p"), activation_fraction=fraction)
    assert seconds(board, weights, read, written) == pytest.approx((weights + fraction * (read + written)) / SPEED)


def test_all_of_them_where_none_is_stated(tmp_path: Path) -> None:
    assert seconds(on(tmp_path), 100, 200, 300) == pytest.approx(0.6)
