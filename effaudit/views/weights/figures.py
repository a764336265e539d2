"""The figures of one tensor's numbers, added up part by part in float64."""

from __future__ import annotations

from math import isfinite, sqrt
from typing import TYPE_CHECKING, Final

from effaudit.graph import Encoding
from effaudit.load.minifloat import is_minifloat, smallest_normal
from effaudit.load.values import BLOCK
from effaudit.views.weights.types import Values

if TYPE_CHECKING:
    import numpy as np

SIGMAS: Final = 6.0
MAX_DISTINCT: Final = 256  # what 8 bits tell apart
FLOAT16_MAX: Final = 65504.0
FLOAT16_MIN: Final = 2.0**-24  # the smallest subnormal
_SAMPLE: Final = 4096  # elements that tell of most tensors that they have more than 256 different values
# https://en.wikipedia.org/wiki/IEEE_754#Basic_and_interchange_formats; bfloat16 has the exponents of float32
_SMALLEST_NORMAL: Final = {"float64": 2.0**-1022, "float32": 2.0**-126, "bfloat16": 2.0**-126, "float16": 2.0**-14}
# format -> the narrower ones its numbers may fit exactly
_NARROWER: Final = {
    "float64": ("float32", "float16", "bfloat16"),
    "float32": ("float16", "bfloat16"),
}
_WIDE: Final = frozenset(("float64", "float32", "bfloat16"))


def is_float(dtype: str) -> bool:
    """True for floats of any width; complex numbers are none."""
    return dtype in _SMALLEST_NORMAL or is_minifloat(dtype)


class Figures:
    """Adds up parts; `values` is what came out.

    The mean and the squared deviations of parts are joined by the formula of Chan, Golub and LeVeque, which loses no
    digits to large means, https://doi.org/10.1080/00031305.1983.10483115
    """

    def __init__(self, encoding: Encoding) -> None:
        dtype = encoding.dtype
        self.dtype = dtype
        self.float = is_float(dtype)
        self.wide = dtype in _WIDE
        self.normal = 0.0
        if self.float:
            self.normal = _SMALLEST_NORMAL.get(dtype) or smallest_normal(dtype)
        self.low: float | int | None = None
        self.high: float | int | None = None
        self.count = self.zeros = self.nan = self.positive = self.negative = 0
        self.denormals = self.over = self.under = 0
        self.mean = self.squares = 0.0
        self.exact_in = list(_NARROWER.get(dtype, ()))
        self.known: np.ndarray | None = None
        self.many = False

    def add(self, part: np.ndarray, nonzero: np.ndarray | None) -> None:
        """One part; `nonzero` marks what does not stand for zero, None where that is not known."""
        import numpy as np

        if nonzero is not None:
            self.zeros += nonzero.size - int(np.count_nonzero(nonzero))
        flat = part.reshape(-1)
        with np.errstate(all="ignore"):
            for at in range(0, flat.size, BLOCK):
                self._add(flat[at : at + BLOCK])

    def _add(self, flat: np.ndarray) -> None:
        """Elements few enough that what is made of them stays in a processor's cache."""
        if self.float:
            flat = self._finite(flat)
        if not flat.size:
            return
        low, high = flat.min(), flat.max()
        different = flat[:1] if low == high else flat  # pruned weights have blocks of nothing but zeros
        self._range(low.item(), high.item())
        self._moments(flat)
        self._distinct(different)
        self.exact_in = [name for name in self.exact_in if _fits(different, name)]

    def _finite(self, flat: np.ndarray) -> np.ndarray:
        """Counts what only floats have; the finite elements."""
        import numpy as np

        finite = np.isfinite(flat)
        if not finite.all():
            self.nan += int(np.count_nonzero(np.isnan(flat)))
            self.positive += int(np.count_nonzero(flat == np.inf))
            self.negative += int(np.count_nonzero(flat == -np.inf))
            flat = flat[finite]
        size = np.abs(flat)
        if not size.size:
            return flat
        least = max(self.normal, FLOAT16_MIN if self.wide else 0.0)
        if size.min() < least:
            small = size[(size < least) & (size > 0)]
            self.denormals += int(np.count_nonzero(small < self.normal))
            self.under += int(np.count_nonzero(small < FLOAT16_MIN))
        if self.wide and size.max() > FLOAT16_MAX:
            self.over += int(np.count_nonzero(size > FLOAT16_MAX))
        return flat

    def _range(self, low: float | int, high: float | int) -> None:
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)

    def _moments(self, flat: np.ndarray) -> None:
        import numpy as np

        numbers = flat.astype(np.float64)
        mean = float(numbers.sum()) / numbers.size
        numbers -= mean
        squares = float(np.square(numbers, out=numbers).sum())
        total = self.count + flat.size
        step = mean - self.mean
        self.mean += step * flat.size / total
        self.squares += squares + step * step * self.count * flat.size / total
        self.count = total

    def _distinct(self, flat: np.ndarray) -> None:
        import numpy as np

        if self.many:
            return
        if self.known is None:
            self.known = np.unique(flat[:_SAMPLE])
        if self.known.size <= MAX_DISTINCT:
            nearest = np.minimum(np.searchsorted(self.known, flat), self.known.size - 1)
            new = flat[self.known[nearest] != flat]
            if new.size:
                more = np.unique(new[:_SAMPLE])
                more = more if more.size > MAX_DISTINCT else np.unique(new)
                self.known = np.union1d(self.known, more)
        self.many = self.known.size > MAX_DISTINCT

    @property
    def std(self) -> float:
        """Of the population of finite elements; 0 where there are none."""
        if not self.count or self.low == self.high:
            return 0.0
        return sqrt(max(self.squares, 0.0) / self.count) if isfinite(self.squares) else self.squares

    @property
    def may_have_outliers(self) -> bool:
        """True where an element may be further than `SIGMAS` from the mean: counting them takes another pass."""
        if self.low is None or self.high is None or not isfinite(self.std) or not self.std:
            return False
        return max(self.high - self.mean, self.mean - self.low) > SIGMAS * self.std

    def outliers(self, part: np.ndarray) -> int:
        """Elements of a part further than `SIGMAS` from the mean, once every part was added."""
        import numpy as np

        with np.errstate(all="ignore"):
            reach = SIGMAS * self.std
            low, high = float(part.min()), float(part.max())
            if high - self.mean <= reach and self.mean - low <= reach:
                return 0
            numbers = part.reshape(-1).astype(np.float64)
            numbers -= self.mean
            far = np.abs(numbers, out=numbers) > reach
            return int(np.count_nonzero(far & np.isfinite(numbers)))

    def values(self, total: int, zeros_why: str | None, outliers: int) -> Values:
        """The figures of a tensor of `total` elements."""
        std = self.std if self.count else None
        mean = self.mean if self.count else None
        known = isfinite(self.mean) and isfinite(self.std)
        if self.low is not None and self.low == self.high:
            mean = float(self.low)
        zeros = None if zeros_why else self.zeros
        kinds = sum(1 for n in (self.nan, self.positive, self.negative) if n)
        distinct = None if self.many else kinds + (0 if self.known is None else int(self.known.size))
        return Values(
            zeros=zeros,
            zero_share=None if zeros is None or not total else zeros / total,
            zeros_why=zeros_why,
            min=self.low,
            max=self.high,
            mean=mean if known else None,
            std=std if known else None,
            peak_to_rms=self._peak_to_rms() if known else None,
            outliers=outliers if known else None,
            outlier_share=outliers / total if total and known else None,
            nan=self.nan,
            infinite=self.positive + self.negative,
            denormals=self.denormals,
            distinct=distinct if distinct is None or distinct <= MAX_DISTINCT else None,
            exact_in=tuple(self.exact_in) if self.count and not self.nan else (),
            over_float16=self.over if self.wide else None,
            under_float16=self.under if self.wide else None,
        )

    def _peak_to_rms(self) -> float | None:
        if self.low is None or self.high is None:
            return None
        if self.low == self.high:
            return 1.0 if self.low else None
        rms = sqrt(self.squares / self.count + self.mean * self.mean)
        peak = max(abs(self.low), abs(self.high)) / rms if rms and isfinite(rms) else None
        return peak if peak is not None and isfinite(peak) else None


def _fits(flat: np.ndarray, name: str) -> bool:
    """True where every element is a number of a narrower format."""
    import numpy as np

    if name == "bfloat16":
        narrow = flat.astype(np.float32)
        low_half = narrow.view(np.uint32) & np.uint32(0xFFFF)
        return bool((narrow == flat).all() and not low_half.any())
    return bool((flat.astype(name) == flat).all())
