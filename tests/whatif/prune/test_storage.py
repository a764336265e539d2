"""Sparse formats, against arrays that are really built."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from effaudit.whatif.prune import storage

CASES = [(7, 300, 0.4), (1, 5, 0.0), (40, 17, 0.9), (3, 256, 0.99), (2, 257, 0.5), (5, 70000, 0.95), (9, 4, 1.0)]
TYPES = [np.float32, np.float16, np.int8]


def drawn(rows: int, columns: int, zeros: float, dtype: type) -> np.ndarray:
    draw = np.random.default_rng(rows * columns)
    matrix = draw.integers(1, 100, (rows, columns)).astype(dtype)
    matrix[draw.random((rows, columns)) < zeros] = 0
    return matrix


def by_hand(matrix: np.ndarray) -> int:
    """Bytes of the three arrays of CSR."""
    values, places, pointers = [], [], [0]
    for row in matrix:
        places += [i for i, one in enumerate(row) if one]
        values += [one for one in row if one]
        pointers.append(len(values))
    index = np.min_scalar_type(matrix.shape[1] - 1)  # the least unsigned type
    arrays = np.array(values, matrix.dtype), np.array(places, index), np.array(pointers, np.uint32)
    return sum(array.nbytes for array in arrays)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_csr_and_bitmap(case: tuple[int, int, float], dtype: type) -> None:
    matrix = drawn(*case, dtype)
    rows, columns = matrix.shape
    nonzeros, bits = int(np.count_nonzero(matrix)), 8 * matrix.itemsize
    assert storage.csr_bytes(rows, columns, nonzeros, bits) == by_hand(matrix)
    bitmap = np.packbits(matrix != 0).nbytes + matrix[matrix != 0].nbytes
    assert storage.bitmap_bytes(matrix.size, nonzeros, bits) == bitmap
    assert storage.dense_bytes(matrix.size, bits) == matrix.nbytes


@pytest.mark.parametrize("tile", [(4, 1), (2, 3), (1, 8), (16, 16)], ids=str)
@pytest.mark.parametrize("case", CASES[:5], ids=str)
def test_blocks(case: tuple[int, int, float], tile: tuple[int, int]) -> None:
    matrix = drawn(*case, np.float32)
    (rows, columns), (tall, wide) = matrix.shape, tile
    kept, places, pointers = [], [], [0]
    for top in range(0, rows, tall):
        for left in range(0, columns, wide):
            whole = np.zeros(tile, matrix.dtype)
            part = matrix[top : top + tall, left : left + wide]
            whole[: part.shape[0], : part.shape[1]] = part
            if part.any():
                kept.append(whole)
                places.append(left // wide)
        pointers.append(len(kept))
    index = np.min_scalar_type(max(-(-columns // wide) - 1, 0))
    expected = sum(block.nbytes for block in kept) + np.array(places, index).nbytes + 4 * len(pointers)
    assert storage.bsr_bytes(rows, columns, len(kept), tile, 32) == expected


@pytest.mark.parametrize("bits, ratio", [(16, Fraction(9, 16)), (8, Fraction(5, 8)), (32, Fraction(17, 32))])
def test_two_of_four(bits: int, ratio: Fraction) -> None:
    """Two values and two places of two bits of every four."""
    assert storage.compressed_ratio(2, 4, bits) == ratio
    assert storage.compressed_bytes(1000, 2, 4, bits) == ratio * 4000 * bits / 8
    assert storage.compressed_bytes(1000, 2, 4, bits) - 1000 * 2 * bits // 8 == 500  # 4 bits per group


def test_other_patterns() -> None:
    assert storage.compressed_bytes(10, 1, 4, 8) == 10 + 3  # 20 bits of places
    assert storage.compressed_bytes(10, 4, 8, 8) == 40 + 15  # 3 bits each


@pytest.mark.parametrize("rows, columns", [(1000, 1000), (10, 100_000), (64, 27), (512, 512), (3, 250)])
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_csr_breaks_even(rows: int, columns: int, bits: int) -> None:
    """One zero more and it is smaller than dense; one less and it is larger."""
    even = storage.csr_break_even(rows, columns, bits)
    assert even is not None
    numel, dense = rows * columns, storage.dense_bytes(rows * columns, bits)
    zeros = even * numel
    above, below = int(zeros) + 1, -(-zeros.numerator // zeros.denominator) - 1
    assert storage.csr_bytes(rows, columns, numel - above, bits) < dense
    assert storage.csr_bytes(rows, columns, numel - below, bits) > dense
    if zeros.denominator == 1:
        assert storage.csr_bytes(rows, columns, numel - int(zeros), bits) == dense


def test_pointers_alone_may_be_too_many() -> None:
    """Depthwise kernels in 8 bits: nine weights a row, and a pointer of four bytes."""
    assert storage.csr_break_even(10, 3, 8) is None
    assert storage.csr_bytes(10, 3, 0, 8) > storage.dense_bytes(30, 8)
    assert storage.bsr_break_even(10, 3, (1, 1), 8) is None


@pytest.mark.parametrize("bits", [4, 8, 16, 32])
def test_bitmap_breaks_even(bits: int) -> None:
    numel = 32 * 100
    zeros = storage.bitmap_break_even(bits) * numel
    assert storage.bitmap_bytes(numel, numel - int(zeros), bits) == storage.dense_bytes(numel, bits)


@pytest.mark.parametrize("tile", [(4, 1), (8, 8)], ids=str)
def test_blocks_break_even(tile: tuple[int, int]) -> None:
    even = storage.bsr_break_even(64, 128, tile, 16)
    assert even is not None
    total, dense = 64 * 128 // tile[0] // tile[1], storage.dense_bytes(64 * 128, 16)
    assert storage.bsr_bytes(64, 128, total - int(even * total) - 1, tile, 16) < dense
    assert storage.bsr_bytes(64, 128, total - int(even * total) + 1, tile, 16) > dense


def test_smallest() -> None:
    assert storage.Sizes(10, 12, 14).smallest == "dense"
    assert storage.Sizes(10, 9, 9).smallest == "bitmap"
    assert storage.Sizes(10, None, None, 8, 7).smallest == "bsr"
