"""Bytes of a matrix in the formats that leave zeros out, and the sparsity from which each is smaller than dense.

CSR: https://docs.scipy.org/doc/scipy/reference/generated/scipy.sparse.csr_matrix.html
Blocks (BSR): https://docs.scipy.org/doc/scipy/reference/generated/scipy.sparse.bsr_matrix.html
N:M with 2-bit indices: https://arxiv.org/abs/2104.08378
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import msgspec

POINTER_BITS: Final = 32
_WIDTHS: Final = (8, 16, 32)


class Sizes(msgspec.Struct, frozen=True):
    """Bytes of one tensor in each format; None where it does not hold what the format can store."""

    dense: int
    bitmap: int | None
    csr: int | None
    compressed: int | None = None
    bsr: int | None = None

    @property
    def smallest(self) -> str:
        """The name of the format that takes least; the simpler one where two take the same."""
        known = [
            (size, at) for at, name in enumerate(self.__struct_fields__) if (size := getattr(self, name)) is not None
        ]
        return self.__struct_fields__[min(known)[1]]


def dense_bytes(numel: int, bits: int) -> int:
    """Every element, packed."""
    return -(-numel * bits // 8)


def bitmap_bytes(numel: int, nonzeros: int, bits: int) -> int:
    """One bit per element says whether its value is stored."""
    return -(-numel // 8) + -(-nonzeros * bits // 8)


def index_bits(columns: int) -> int:
    """The least whole width, 8, 16 or 32 bits, that tells the columns apart."""
    return next((width for width in _WIDTHS if columns <= 1 << width), 64)


def csr_bytes(rows: int, columns: int, nonzeros: int, bits: int, index: int | None = None) -> int:
    """Compressed sparse rows: the values, their columns (`index` bits each; None: the least width), and rows + 1
    pointers of 32 bits to where each row starts."""
    width = index_bits(columns) if index is None else index
    return -(-nonzeros * bits // 8) + -(-nonzeros * width // 8) + POINTER_BITS // 8 * (rows + 1)


def compressed_bytes(groups: int, n: int, m: int, bits: int) -> int:
    """N values of every group of M and the place of each among them: 2:4 takes 4 bits of metadata per group."""
    return -(-groups * n * bits // 8) + -(-groups * n * place_bits(m) // 8)


def place_bits(m: int) -> int:
    """Bits that tell M places apart."""
    return (m - 1).bit_length()


def bsr_bytes(rows: int, columns: int, kept: int, tile: tuple[int, int], bits: int) -> int:
    """`kept` blocks of `tile` (rows, columns), those at an edge whole; a column index each (the least width), and one
    pointer of 32 bits per row of blocks and one more."""
    tall, wide = -(-rows // tile[0]), -(-columns // tile[1])
    values = -(-kept * tile[0] * tile[1] * bits // 8)
    return values + -(-kept * index_bits(wide) // 8) + POINTER_BITS // 8 * (tall + 1)


def bitmap_break_even(bits: int) -> Fraction:
    """The sparsity from which a bitmap is smaller than dense, bytes not rounded: one in `bits`."""
    return Fraction(1, bits)


def csr_break_even(rows: int, columns: int, bits: int, index: int | None = None) -> Fraction | None:
    """The sparsity at which CSR takes as much as dense, row pointers included, bytes not rounded; None where it always
    takes more: the pointers alone do."""
    numel = rows * columns
    left = numel * bits - POINTER_BITS * (rows + 1)
    if left <= 0:
        return None
    width = index_bits(columns) if index is None else index
    return 1 - Fraction(left, numel * (bits + width))


def compressed_ratio(n: int, m: int, bits: int) -> Fraction:
    """Stored over dense size of whole groups: 9/16 for 2:4 of 16 bits, 5/8 of 8 bits. Below 1 it is smaller."""
    return Fraction(n * (bits + place_bits(m)), m * bits)


def bsr_break_even(rows: int, columns: int, tile: tuple[int, int], bits: int) -> Fraction | None:
    """The share of zero blocks at which blocks take as much as dense; None where they always take more."""
    tall, wide = -(-rows // tile[0]), -(-columns // tile[1])
    left = rows * columns * bits - POINTER_BITS * (tall + 1)
    if left <= 0:
        return None
    return max(Fraction(0), 1 - Fraction(left, tall * wide * (tile[0] * tile[1] * bits + index_bits(wide))))
