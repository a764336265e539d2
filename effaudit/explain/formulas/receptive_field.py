"""The receptive field of a stack of windows."""

from __future__ import annotations

from typing import Final

from effaudit.explain.formulas._model import Formula
from effaudit.explain.formulas._parameters import LAYERS, D, K, S, formula, named, optional

_SOURCE: Final = "https://distill.pub/2019/computing-receptive-fields"

FORMULAS: Final[tuple[Formula, ...]] = (
    formula(
        "receptive-field",
        "1 + sum(d * (k - 1) * jumps(s))",
        named(K, "k", "kernel size, or one per layer such as 7,3,3"),
        named(S, "s", "stride, or one per layer"),
        named(D, "d", "dilation, or one per layer"),
        optional(LAYERS, "1"),
        spread="layers",
        unit="px",
        about="Each layer adds d * (k - 1) positions of its input, apart by the product of the strides before it.",
        mistakes=(
            "layers * (k - 1) + 1 holds for stride 1 only; strides and pools before a layer multiply what it adds.",
        ),
        source=_SOURCE,
    ),
    formula(
        "receptive-field-stride",
        "prod(s)",
        named(S, "s", "stride, or one per layer"),
        optional(LAYERS, "1"),
        spread="layers",
        unit="px",
        about="How far apart in the input two neighboring outputs of the stack look.",
        source=_SOURCE,
    ),
)
