"""Pooling: sizes and operations."""

from __future__ import annotations

from typing import Final

from effaudit.explain.formulas._model import Formula, Parameter
from effaudit.explain.formulas._parameters import BATCH, IN, RANK, SIZE, C, D, K, P, formula, optional

_ONNX: Final = "https://onnx.ai/onnx/operators/onnx__MaxPool.html"
_STRIDE: Final = Parameter("s", "counts", "stride", "2", "k")
_OUT: Final = Parameter(
    "out", "counts", "output size", "28x28", "floor((in_ + 2 * p - d * (k - 1) - 1) / s) + 1", derived=True
)
_CEIL: Final = "With ceil_mode the division is rounded up, and a window may hang over the end."

FORMULAS: Final[tuple[Formula, ...]] = (
    formula(
        "pool-output-size",
        "floor((in_ + 2 * p - d * (k - 1) - 1) / s) + 1",
        IN,
        K,
        _STRIDE,
        P,
        D,
        requires=(("min(in_ + 2 * p - d * (k - 1)) >= 1", "the window must fit into the padded input"),),
        unit="px",
        about="As for a convolution; the stride is that of the window unless given (ONNX itself defaults to 1).",
        mistakes=(_CEIL,),
        source=_ONNX,
    ),
    formula(
        "pool-output-elements",
        "batch * c * prod(out)",
        C,
        K,
        _OUT,
        optional(IN),
        _STRIDE,
        P,
        D,
        BATCH,
        RANK,
        spread="rank",
        unit="elements",
        about="Pooling keeps the channels.",
        mistakes=(_CEIL,),
        source=_ONNX,
    ),
    formula(
        "pool-ops",
        "batch * c * prod(out) * prod(k)",
        C,
        K,
        _OUT,
        optional(IN),
        _STRIDE,
        P,
        D,
        BATCH,
        RANK,
        spread="rank",
        unit="ops",
        about="One operation per element of a window: comparisons, or additions and one division.",
        mistakes=("Pooling has no MACs.",),
    ),
    formula(
        "global-pool-elements",
        "batch * c",
        C,
        BATCH,
        unit="elements",
        about="Global pooling leaves one value per channel, whatever the size.",
    ),
    formula(
        "global-pool-ops",
        "batch * c * (prod(size) + 1)",
        C,
        SIZE,
        BATCH,
        RANK,
        spread="rank",
        unit="ops",
        about="An average adds prod(size) elements to 0 and divides once, for each channel.",
    ),
)
