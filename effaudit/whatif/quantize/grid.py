"""Number grids, and tensors rounded to them: scales, zero points, codes and the error that is made.

A tensor comes as a matrix of one row per scale (`effaudit.whatif.quantize.rows`). r = scale * (q - zero), as ONNX
defines it: https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html. Rounding is to the nearest, halves to even. All
passes go over pieces of bounded size, so that a large tensor needs little beside itself and its codes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from effaudit.load.minifloat import is_minifloat, numbers

if TYPE_CHECKING:
    import numpy as np

PIECE: Final = 1 << 20  # elements in one pass

# The quantiles of a normal distribution that 4-bit NormalFloat has: QLoRA, https://arxiv.org/abs/2305.14314, appendix E
NF4: Final = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
_COARSE: Final = tuple(i / 20 for i in range(20, 0, -1))  # shares of the range that `mse` tries first
_FINE: Final = tuple(i / 200 for i in range(-8, 9, 2) if i)  # then, around the best of these


class Grid(msgspec.Struct, frozen=True):
    """The numbers that a type has: integers `low`..`high`, or the `levels` of a float or a code book, ascending."""

    dtype: str
    bits: int
    low: int = 0
    high: int = 0
    levels: tuple[float, ...] = ()

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return len(self.levels) if self.levels else self.high - self.low + 1

    @property
    def steps(self) -> int:
        """Intervals between them."""
        return self.count - 1

    @property
    def storage(self) -> str:
        """The numpy type that holds the codes, as `effaudit.load.values.values` gives them."""
        if self.levels:
            return "uint8" if self.dtype == "nf4" else "float32"
        return f"{'u' if self.low >= 0 else ''}int{8 if self.bits <= 8 else 16}"


class Error(msgspec.Struct, frozen=True):
    """What rounding did to a tensor: the largest difference, the sums of the squares of the differences (`noise`) and
    of the elements (`signal`), and their number."""

    max_abs: float = 0.0
    noise: float = 0.0
    signal: float = 0.0
    count: int = 0

    @property
    def mse(self) -> float:
        """The mean of the squared differences."""
        return self.noise / self.count if self.count else 0.0

    @property
    def share(self) -> float:
        """Noise over signal, 1 at the most."""
        return min(1.0, self.noise / self.signal) if self.signal else 0.0

    @property
    def sqnr_db(self) -> float | None:
        """Signal to noise, 10 log10(signal/noise); None where there is no noise, or nothing but."""
        if not (0 < self.noise < math.inf and self.signal > 0):
            return None
        return 10 * (math.log10(self.signal) - math.log10(self.noise))

    def __add__(self, other: Error) -> Error:
        return Error(
            max(self.max_abs, other.max_abs),
            self.noise + other.noise,
            self.signal + other.signal,
            self.count + other.count,
        )


def decibels(noise: float) -> float | None:
    """A share of noise as signal to noise: 0.001 -> 30."""
    return -10 * math.log10(noise) if 0 < noise < math.inf else None


def integers(bits: int, *, signed: bool, symmetric: bool) -> Grid:
    """Integers of a width. Symmetric signed ones leave out the lowest, so that zero lies in the middle."""
    if not signed:
        return Grid(f"uint{bits}", bits, 0, (1 << bits) - 1)
    half = 1 << (bits - 1)
    return Grid(f"int{bits}", bits, (1 - half) if symmetric else -half, half - 1)


def grid(dtype: str, *, symmetric: bool = True) -> Grid:
    """The grid of a type: "int4", "uint8", "float8e4m3fn", "float4e2m1", "nf4"."""
    if dtype == "nf4":
        return Grid(dtype, 4, levels=NF4)
    if is_minifloat(dtype):
        levels = sorted({float(x) for x in numbers(dtype) if math.isfinite(x)})
        return Grid(dtype, 8 if dtype.startswith("float8") else 4, levels=tuple(levels))
    bits = int(dtype.removeprefix("u").removeprefix("int"))
    return integers(bits, signed=not dtype.startswith("u"), symmetric=symmetric)


def ranges(
    rows: np.ndarray, to: Grid, *, symmetric: bool, clip: str = "minmax", percentile: float = 99.9
) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest number of each row that is to be kept, zero always between them.

    `clip` is "minmax"; "percentile": that share of the elements, in percent, lies inside; "mse": the share of the range
    whose rounded elements have the least squared error.
    """
    import numpy as np

    low = np.minimum(rows.min(axis=1, initial=0), 0)
    high = np.maximum(rows.max(axis=1, initial=0), 0)
    if clip == "percentile" and rows.shape[1]:
        low, high = _percentiles(rows, symmetric=symmetric or bool(to.levels), percentile=percentile)
    elif clip == "mse" and rows.shape[1]:
        kept = _least_squares(rows, low, high, to, symmetric=symmetric)
        low, high = low * kept, high * kept
    return low, high


def _percentiles(rows: np.ndarray, *, symmetric: bool, percentile: float) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    if symmetric:
        most = np.percentile(np.abs(rows), percentile, axis=1).astype(rows.dtype)
        return -most, most
    out = (100 - percentile) / 2
    low, high = np.percentile(rows, (out, 100 - out), axis=1).astype(rows.dtype)
    return np.minimum(low, 0), np.maximum(high, 0)


def _least_squares(rows: np.ndarray, low: np.ndarray, high: np.ndarray, to: Grid, *, symmetric: bool) -> np.ndarray:
    """The share of each row's range whose error is least, of those tried: all of it, shares of 5 %, then finer ones."""
    import numpy as np

    best = np.ones(len(rows), low.dtype)
    least = np.full(len(rows), np.inf)
    for shares in (_COARSE, _FINE):
        around = np.zeros_like(best) if shares is _COARSE else best.copy()
        for share in shares:
            kept = (around + share).astype(low.dtype)
            kept = np.where((kept > 0) & (kept <= 1), kept, 1)
            scale, zero = scales(low * kept, high * kept, to, symmetric=symmetric)
            noise = _noise(rows, scale, zero, to)
            better = noise < least
            best, least = np.where(better, kept, best), np.where(better, noise, least)
    return best


def _noise(rows: np.ndarray, scale: np.ndarray, zero: np.ndarray, to: Grid) -> np.ndarray:
    """The sum of squared differences of each row."""
    import numpy as np

    found = np.zeros(len(rows))
    for at, columns in pieces(rows.shape):
        part = rows[at, columns]
        back = decode(encode(part, scale[at], zero[at], to), scale[at], zero[at], to)
        found[at] += np.square(part.astype(np.float64) - back).sum(axis=1)
    return found


def scales(low: np.ndarray, high: np.ndarray, to: Grid, *, symmetric: bool) -> tuple[np.ndarray, np.ndarray]:
    """(float32 scales, int32 zero points) that map low..high, with zero between them, onto a grid.

    Zero maps to an integer exactly. Symmetric: the same range either side of zero, so the zero point is the middle.
    A range of nothing has scale 1 and zero point 0.
    """
    import numpy as np

    low64, high64 = np.asarray(low, np.float64), np.asarray(high, np.float64)
    most = np.maximum(-low64, high64)
    if to.levels:
        raw, zero = most / to.levels[-1], np.zeros(most.shape)
    elif symmetric:
        raw = 2 * most / to.steps
        zero = np.full(most.shape, np.round((to.low + to.high) / 2))
    else:
        raw = (high64 - low64) / to.steps
        zero = np.clip(np.round(to.low - low64 / np.where(raw > 0, raw, 1)), to.low, to.high)
    none = raw < np.finfo(np.float32).tiny
    return np.where(none, 1, raw).astype(np.float32), np.where(none, 0, zero).astype(np.int32)


def encode(rows: np.ndarray, scale: np.ndarray, zero: np.ndarray, to: Grid) -> np.ndarray:
    """The codes of the elements: integers; indices into the code book of nf4; the numbers themselves of other floats
    (float32, in units of the scale)."""
    import numpy as np

    found = np.empty(rows.shape, to.storage)
    for at, columns in pieces(rows.shape):
        units = rows[at, columns].astype(np.float32) / scale[at, None]
        if to.levels:
            found[at, columns] = _nearest(units, to)
        else:
            found[at, columns] = np.clip(np.round(units) + zero[at, None].astype(np.float32), to.low, to.high)
    return found


def decode(codes: np.ndarray, scale: np.ndarray, zero: np.ndarray, to: Grid) -> np.ndarray:
    """float32 numbers that the codes stand for."""
    import numpy as np

    if to.dtype == "nf4":
        units = np.array(NF4, np.float32)[codes]
    elif to.levels:
        units = codes
    else:
        units = (codes.astype(np.int32) - zero[:, None]).astype(np.float32)
    with np.errstate(over="ignore"):  # the largest float32, as masks hold it, may come back as infinity
        found: np.ndarray = units * scale[:, None]
    return found


def error(rows: np.ndarray, codes: np.ndarray, scale: np.ndarray, zero: np.ndarray, to: Grid) -> Error:
    """What is lost between the elements and what their codes stand for."""
    found = Error()
    for at, columns in pieces(rows.shape):
        found += difference(rows[at, columns], decode(codes[at, columns], scale[at], zero[at], to))
    return found


def difference(before: np.ndarray, after: np.ndarray) -> Error:
    """What is lost between two arrays of one shape."""
    import numpy as np

    if not before.size:
        return Error()
    exact = before.astype(np.float64)
    lost = exact - after
    return Error(float(np.abs(lost).max()), float(np.square(lost).sum()), float(np.square(exact).sum()), before.size)


def halved(array: np.ndarray, dtype: str) -> np.ndarray:
    """The elements rounded to float16 (as such) or bfloat16 (as float32); past the largest number, that number."""
    import numpy as np

    if dtype == "float16":
        limit = float(np.finfo(np.float16).max)
        half: np.ndarray = np.clip(array, -limit, limit).astype(np.float16)
        return half
    raw = np.ascontiguousarray(array, np.float32).view(np.uint32)
    odd = (raw >> 16) & 1  # halves go to even
    rounded = np.where(np.isnan(array), raw, raw + 0x7FFF + odd) & 0xFFFF0000
    found = rounded.astype(np.uint32).view(np.float32)
    most = np.uint32(0x7F7F0000).view(np.float32)
    saturated: np.ndarray = np.where(np.isinf(found) & np.isfinite(array), np.copysign(most, array), found)
    return saturated.astype(np.float32)


def pieces(shape: Sequence[int]) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of a matrix, at most PIECE elements at a time (one row of a wide one)."""
    height, width = shape
    if width > PIECE:
        yield from (
            (slice(row, row + 1), slice(at, at + PIECE)) for row in range(height) for at in range(0, width, PIECE)
        )
    elif width:
        step = PIECE // width
        yield from ((slice(row, row + step), slice(None)) for row in range(0, height, step))


def _nearest(units: np.ndarray, to: Grid) -> np.ndarray:
    """The nearest level of each number: its index in the code book of nf4, else itself; halfway, the even one."""
    import numpy as np

    levels = np.array(to.levels, np.float32)
    middles = ((levels[1:].astype(np.float64) + levels[:-1]) / 2).astype(np.float32)
    if to.dtype == "nf4":
        codes: np.ndarray = np.searchsorted(middles, units, side="left").astype(np.uint8)
        return codes
    upper = levels[len(levels) // 2 :]  # zero and above: the grid is the same either side
    middles = middles[len(levels) // 2 :]
    size = np.abs(units)
    index = np.searchsorted(middles, size, side="left")
    tie = middles[np.minimum(index, len(middles) - 1)] == size
    index += tie & (index % 2 == 1)
    found: np.ndarray = np.copysign(upper[np.minimum(index, len(upper) - 1)], units)
    return found
