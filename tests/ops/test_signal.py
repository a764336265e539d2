"""Fourier transforms, windows and mel weights against runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from effaudit.errors import Undecided
from effaudit.ops.signal import fft_ops

from . import oracle
from .oracle import ALWAYS, check, random, scalar

REAL, COMPLEX = random(2, 10, 6, 1), random(2, 10, 6, 2)


@pytest.mark.parametrize("axis", [None, 0, 1, 2, -2, -3])
@pytest.mark.parametrize("length", [None, 4, 16])
@pytest.mark.parametrize(
    ("signal", "attrs"),
    [
        (REAL, {}),
        (COMPLEX, {}),
        (COMPLEX, {"inverse": 1}),
        (REAL, {"onesided": 1}),
    ],
    ids=["real", "complex", "inverse", "onesided"],
)
def test_dft(axis: int | None, length: int | None, signal: Any, attrs: dict[str, int]) -> None:
    size = None if length is None else scalar(length)
    by_input = [signal, size] if axis is None else [signal, size, scalar(axis)]  # "" as axis crashes ONNX Runtime 1.31
    check("DFT", by_input, attrs, opset=20, constant=[1, 2])
    by_attribute = attrs if axis is None else attrs | {"axis": axis}
    graph = check("DFT", [signal, size], by_attribute, opset=17, constant=[1])
    at = 1 if axis is None else axis % 4
    points = length or signal.shape[at]
    assert oracle.cost(graph).ops == 120 // signal.shape[at] * fft_ops(points)


def test_dft_back_to_a_real_signal() -> None:
    """One-sided and inverse: the length defaults to 2 (n - 1)."""
    check("DFT", [COMPLEX], {"inverse": 1, "onesided": 1}, opset=20, expected=[random(2, 10, 10, 1)])
    stated = [COMPLEX, scalar(11)]
    check("DFT", stated, {"inverse": 1, "onesided": 1}, opset=20, constant=[1], expected=[random(2, 10, 11, 1)])


def test_dft_of_what_is_fed() -> None:
    check("DFT", [REAL, scalar(8), scalar(1)], opset=20, unknown=ALWAYS)
    check("DFT", [REAL, None, scalar(1)], opset=20)
    graph = check("DFT", [REAL, scalar(8)], opset=20, unknown=ALWAYS)
    with pytest.raises(Undecided, match="the length of the transform"):
        oracle.cost(graph)


@pytest.mark.parametrize("onesided", [0, 1])
@pytest.mark.parametrize(("window", "length"), [(True, True), (True, False), (False, True)])
def test_stft(onesided: int, window: bool, length: bool) -> None:
    inputs = [random(2, 100, 1), scalar(7), random(16) if window else None, scalar(16) if length else None]
    graph = check("STFT", inputs, {"onesided": onesided}, constant=[1, 2, 3])
    assert oracle.cost(graph).ops == 2 * 13 * (5 * 16 * 4 + (16 if window else 0))
    check("STFT", inputs, {"onesided": onesided}, constant=[1, 3], tie=True)
    check("STFT", inputs, {"onesided": onesided}, constant=[1], unknown=ALWAYS)
    check("STFT", inputs, {"onesided": onesided}, unknown=ALWAYS)


def test_stft_of_the_whole_signal() -> None:
    check("STFT", [random(2, 8, 1), scalar(3)], constant=[1], expected=[random(2, 1, 5, 2)])


def test_stft_of_a_complex_signal() -> None:
    check("STFT", [random(1, 32, 2), scalar(4), random(8)], {"onesided": 0}, constant=[1, 2])


@pytest.mark.parametrize(("n", "ops"), [(1, 0), (2, 10), (8, 120), (9, 180), (1000, 50_000)])
def test_fft_ops(n: int, ops: int) -> None:
    assert fft_ops(n) == ops


@pytest.mark.parametrize("op", ["HannWindow", "HammingWindow", "BlackmanWindow"])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_windows(op: str, dtype: Any) -> None:
    graph = check(op, [scalar(10, dtype)], {"periodic": 0}, constant=True)
    assert oracle.cost(graph).ops == 10 * (8 if op == "BlackmanWindow" else 4)
    check(op, [scalar(10, dtype)], {"output_datatype": TensorProto.DOUBLE}, constant=True)
    check(op, [scalar(10, dtype)], unknown=ALWAYS)


def test_mel_weights() -> None:
    inputs = [scalar(8), scalar(16), scalar(8192), scalar(0, np.float32), scalar(4096, np.float32)]
    graph = check("MelWeightMatrix", inputs, constant=True)
    assert oracle.cost(graph).ops == 2 * 9 * 8
    check("MelWeightMatrix", inputs, {"output_datatype": TensorProto.DOUBLE}, constant=True)
    check("MelWeightMatrix", inputs, unknown=ALWAYS)


@pytest.mark.parametrize(
    ("op", "inputs", "attrs"),
    [
        ("DFT", [REAL, None, scalar(3)], {}),
        ("DFT", [REAL, None, scalar(4)], {}),
        ("STFT", [random(2, 100, 1), scalar(0), random(16)], {}),
        ("STFT", [random(2, 100, 1), scalar(1), random(16), scalar(8)], {}),
        ("HannWindow", [scalar(-1)], {}),
        ("HannWindow", [scalar(4)], {"output_datatype": 77}),
    ],
)
def test_invalid_nodes_are_unknown_with_the_reason(op: str, inputs: list[Any], attrs: dict[str, Any]) -> None:
    graph = oracle.infer(oracle.single_node(op, inputs, attrs, opset=20, constant=True))
    assert oracle.value(graph).why.startswith(f"invalid {op}")
