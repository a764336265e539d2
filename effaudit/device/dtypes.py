"""The element types that a profile may name, and their kind."""

from __future__ import annotations

from typing import Final

from effaudit.graph import ENCODINGS

# https://onnx.ai/onnx/intro/concepts.html#element-type ; tfloat32 is stored as float32 and multiplied with 10 bits of
# mantissa (https://blogs.nvidia.com/blog/tensorfloat-32-precision-format/); int1: weights of some accelerators.
INTEGERS: Final = frozenset("int1 int2 uint2 int4 uint4 int8 uint8 int16 uint16 int32 uint32 int64 uint64 bool".split())
FLOATS: Final = frozenset(
    {e.dtype for e in ENCODINGS.values() if e.dtype.startswith(("float", "bfloat"))} | {"tfloat32"}
)
DTYPES: Final = INTEGERS | FLOATS

# Bits of an element where it is stored.
BITS: Final = {e.dtype: e.bits for e in ENCODINGS.values() if e.bits} | {"tfloat32": 32, "int1": 1}

# Types that share the kernels, and so the peak, of another where a profile does not state their own.
LIKE: Final = {"uint8": "int8", "uint4": "int4", "uint2": "int2", "uint16": "int16", "float8e5m2": "float8e4m3fn"}
