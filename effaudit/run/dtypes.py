"""Which numpy type an input takes."""

from __future__ import annotations

from typing import Final

# https://onnxruntime.ai/docs/api/python/api_summary.html: types that an array of numpy's own can be fed for
FED: Final = frozenset("float32 float64 float16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool string".split())
