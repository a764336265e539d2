"""Packed matrices, against the kernels of onnxruntime that pack them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnxruntime.capi import _pybind_state as kernels

from effaudit.whatif.quantize import grid, nbits
from effaudit.whatif.quantize.nbits import bytes_of, fits, pack, pack_nf4
from effaudit.whatif.quantize.types import Rule

Array = np.ndarray[Any, Any]
SHAPES = ((64, 7), (100, 33), (44, 3))  # of whole bytes: what follows in a last one is by chance, as nothing reads it


def matrix(inner: int, width: int) -> Array:
    found = np.random.default_rng(inner).normal(size=(inner, width)).astype(np.float32)
    found[:, 0] = 0
    found[:, 1] = np.abs(found[:, 1])
    return found


def packed_by_onnxruntime(weights: Array, bits: int, group: int, symmetric: bool) -> tuple[Array, Array, Array]:
    inner, width = weights.shape
    blocks, each = -(-inner // group), 8 // bits
    data = np.zeros((width, blocks, group // each), np.uint8)
    scale = np.zeros((width, blocks), np.float32)
    zero = np.zeros((width, -(-blocks // each)), np.uint8)
    padded = np.pad(weights, ((0, blocks * group - inner), (0, 0)))
    pack = getattr(kernels, f"quantize_matmul_{bits}bits")
    pack(data, padded, scale, zero, group, width, inner, symmetric)
    return data, scale, zero


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_every_byte_is_that_of_onnxruntime(bits: int, symmetric: bool) -> None:
    for shape in SHAPES:
        weights = matrix(*shape)
        for group in (16, 32, 128):
            rule = Rule(f"int{bits}", granularity="block", group=group, symmetric=symmetric)
            found = pack(weights, rule)
            data, scale, zero = packed_by_onnxruntime(weights, bits, group, symmetric)
            np.testing.assert_array_equal(found.data, data)
            np.testing.assert_array_equal(found.scale, scale)
            if symmetric:
                assert found.zero is None
            else:
                np.testing.assert_array_equal(found.zero, zero)


def unpacked(found: nbits.Packed, bits: int, inner: int) -> Array:
    """The matrix that the bytes stand for, byte by byte."""
    width, blocks, size = found.data.shape
    each, ones = 8 // bits, (1 << bits) - 1
    back = np.zeros((blocks * size * each, width))
    for column in range(width):
        for block in range(blocks):
            middle = 1 << (bits - 1)
            if found.zero is not None:
                middle = int(found.zero[column, block // each]) >> (block % each * bits) & ones
            for i in range(size * each):
                code = int(found.data[column, block, i // each]) >> (i % each * bits) & ones
                back[block * size * each + i, column] = (code - middle) * float(found.scale[column, block])
    return back[:inner]


@pytest.mark.parametrize("clip", ["minmax", "percentile", "mse"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_the_error_is_that_of_the_bytes(symmetric: bool, clip: str) -> None:
    weights = matrix(45, 3)
    for bits in (2, 4, 8):
        rule = Rule(f"int{bits}", granularity="block", group=16, symmetric=symmetric, clip=clip)
        found = pack(weights, rule)
        lost = weights - unpacked(found, bits, 45)
        assert found.error.count == weights.size
        assert found.error.max_abs == pytest.approx(np.abs(lost).max(), abs=1e-6)
        assert found.error.noise == pytest.approx(np.square(lost).sum(), rel=1e-4)


def test_nf4_is_packed_as_by_onnxruntime() -> None:
    for shape in SHAPES:
        weights = matrix(*shape)
        for group in (16, 64):
            found = pack_nf4(weights, Rule("nf4", granularity="block", group=group))
            data = np.zeros((weights.size + 1) // 2, np.uint8)
            absmax = np.zeros(-(-weights.size // group), np.float32)
            kernels.quantize_matmul_bnb4(data, weights.T.copy(), absmax, group, 1, shape[1], shape[0])
            np.testing.assert_array_equal(found.data, data)
            np.testing.assert_array_equal(found.scale, absmax)


def test_what_is_packed_in_pieces_is_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = matrix(100, 33)
    rules = [Rule("int4", granularity="block", group=16, symmetric=False), Rule("nf4", granularity="block", group=16)]
    whole = [pack(weights, rules[0]), pack_nf4(weights, rules[1])]
    for module in (nbits, grid):
        monkeypatch.setattr(module, "PIECE", 256)
    for one, other in zip(whole, [pack(weights, rules[0]), pack_nf4(weights, rules[1])], strict=True):
        np.testing.assert_array_equal(one.data, other.data)
        np.testing.assert_array_equal(one.scale, other.scale)
        assert one.error.noise == pytest.approx(other.error.noise)


def test_sizes_of_blocks_that_fit() -> None:
    assert [group for group in (8, 15, 16, 24, 32, 100, 128, 4096) if fits(group)] == [16, 32, 128, 4096]


def test_codes_fill_bytes_from_below() -> None:
    assert bytes_of(np.array([[1, 2, 3]], np.uint8), 4, rest=8).tolist() == [[0x21, 0x83]]
    assert bytes_of(np.array([[1, 2, 3]], np.uint8), 2).tolist() == [[0b00111001]]
