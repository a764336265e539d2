"""What the codes of floating-point formats of 8 bits and below stand for.

https://onnx.ai/onnx/technical/float8.html, https://onnx.ai/onnx/technical/float4.html; the exponent-only format and the
4-bit one: OCP Microscaling Formats 1.0, https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf
"""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np

# format -> (exponent bits, mantissa bits, bias)
_FORMATS: Final = {
    "float8e4m3fn": (4, 3, 7),
    "float8e4m3fnuz": (4, 3, 8),
    "float8e5m2": (5, 2, 15),
    "float8e5m2fnuz": (5, 2, 16),
    "float4e2m1": (2, 1, 1),
}
_EXPONENT_ONLY: Final = "float8e8m0"


def is_minifloat(dtype: str) -> bool:
    """True for the formats this module decodes."""
    return dtype in _FORMATS or dtype == _EXPONENT_ONLY


def smallest_normal(dtype: str) -> float:
    """The smallest positive normal number of a format; of the exponent-only one, which has no other, its smallest."""
    if dtype == _EXPONENT_ONLY:
        return 2.0**-127
    return float(2.0 ** (1 - _FORMATS[dtype][2]))


def numbers(dtype: str) -> np.ndarray:
    """float32 by code: what each code of the format stands for."""
    import numpy as np

    if dtype == _EXPONENT_ONLY:
        return np.array([2.0 ** (code - 127) for code in range(255)] + [nan], np.float32)
    exponent_bits, mantissa_bits, _ = _FORMATS[dtype]
    return np.array([_number(code, dtype) for code in range(2 << (exponent_bits + mantissa_bits))], np.float32)


def _number(code: int, dtype: str) -> float:
    exponent_bits, mantissa_bits, bias = _FORMATS[dtype]
    ones = (1 << mantissa_bits) - 1
    mantissa = code & ones
    top = (1 << exponent_bits) - 1
    exponent = (code >> mantissa_bits) & top
    negative = bool(code >> (exponent_bits + mantissa_bits))
    if dtype.endswith("fnuz") and negative and not exponent and not mantissa:
        return nan  # the code of minus zero
    if dtype == "float8e4m3fn" and exponent == top and mantissa == ones:
        return nan
    if dtype == "float8e5m2" and exponent == top:
        return nan if mantissa else -inf if negative else inf
    fraction = mantissa / (1 << mantissa_bits)
    size = fraction * 2.0 ** (1 - bias) if exponent == 0 else (1 + fraction) * 2.0 ** (exponent - bias)
    return -size if negative else size
