"""Energies of operations and accesses at 45 nm, 0.9 V.

M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, pp. 10-14,
https://doi.org/10.1109/ISSCC.2014.6757323; int8 and int16 additions and the sizes between are read from QKeras' fit to
the same table (qtools/config_public.py, https://github.com/google/qkeras). Two to three orders below what a
microcontroller's board takes per MAC: for relative what-ifs, never for a battery.
"""

from __future__ import annotations

from typing import Final

ADD_PJ: Final = {"int8": 0.03, "int16": 0.05, "int32": 0.1, "float16": 0.4, "float32": 0.9}
MULTIPLY_PJ: Final = {"int8": 0.2, "int32": 3.1, "float16": 1.1, "float32": 3.7}
# Products of 8-bit integers are added up in 32 bits.
_ACCUMULATE: Final = {"int8": "int32", "uint8": "int32"}
_LIKE: Final = {"uint8": "int8", "bfloat16": "float16", "tfloat32": "float32"}

# Types that the table has no addition of -> the next that it has one of, which takes no less: as many bits or more, of
# the same kind. None of 64 bits.
WIDER: Final = {
    **dict.fromkeys(("bool", "int1", "int2", "uint2", "int4", "uint4"), "int8"),
    "uint16": "int16",
    "uint32": "int32",
    **dict.fromkeys(("float4e2m1", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz"), "float16"),
    "float8e8m0": "float16",
}

# Bytes of an array -> pJ of a 64-bit access. Two figures are printed for DRAM, 1300 and 2600.
SRAM_PJ_PER_64_BITS: Final = {8 * 1024: 10.0, 32 * 1024: 20.0, 1024 * 1024: 100.0}
DRAM_PJ_PER_64_BITS: Final = (1300.0, 2600.0)
WORD: Final = 8  # bytes of these accesses

# Han et al., NIPS 2015, table 1 (https://arxiv.org/abs/1506.02626): the same numbers per 32-bit word, relative to an
# addition of 32-bit integers.
RELATIVE: Final = {"register file": 10, "SRAM, 32 KB": 50, "DRAM": 6400}


def mac_pj(dtype: str) -> float | None:
    """Picojoules of a multiply-accumulate: float32 3.7 + 0.9 = 4.6, int8 0.2 + 0.1 = 0.3. None of a type that the table
    does not have."""
    name = _LIKE.get(dtype, dtype)
    multiply, add = MULTIPLY_PJ.get(name), ADD_PJ.get(_ACCUMULATE.get(name, name))
    return None if multiply is None or add is None else multiply + add


def add_pj(dtype: str) -> float | None:
    """Picojoules of an addition, which stands for any other operation."""
    return ADD_PJ.get(_LIKE.get(dtype, dtype))


def sram_pj_per_byte(size: int) -> float:
    """Picojoules per byte read of an array of so many bytes: that of the smallest array of the table that holds it (the
    largest one's, of more)."""
    fitting = [energy for held, energy in sorted(SRAM_PJ_PER_64_BITS.items()) if held >= size]
    return (fitting[0] if fitting else max(SRAM_PJ_PER_64_BITS.values())) / WORD


def dram_pj_per_byte() -> tuple[float, float]:
    """(least, most) picojoules per byte of DRAM."""
    low, high = DRAM_PJ_PER_64_BITS
    return low / WORD, high / WORD
