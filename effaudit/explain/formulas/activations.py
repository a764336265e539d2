"""Activations: how large they are, and a few functions by value."""

from __future__ import annotations

from typing import Final

from effaudit.explain.formulas._model import Formula
from effaudit.explain.formulas._parameters import (
    BATCH,
    BITS,
    DECIMAL_OR_BINARY,
    RANK,
    SIZE,
    C,
    formula,
    optional,
    real,
)

_SIZE: Final = optional(SIZE, "1")

FORMULAS: Final[tuple[Formula, ...]] = (
    formula(
        "activation-elements",
        "batch * c * prod(size)",
        C,
        _SIZE,
        BATCH,
        RANK,
        spread="rank",
        unit="elements",
        about="The elements of one tensor of activations.",
    ),
    formula(
        "activation-bytes",
        "ceil(batch * c * prod(size) * bits / 8)",
        C,
        _SIZE,
        BITS,
        BATCH,
        RANK,
        spread="rank",
        unit="bytes",
        about="The bytes of one tensor of activations, elements packed.",
        mistakes=(DECIMAL_OR_BINARY,),
    ),
    formula(
        "relu-ops",
        "batch * c * prod(size)",
        C,
        _SIZE,
        BATCH,
        RANK,
        spread="rank",
        unit="comparisons",
        about="One comparison per element.",
        mistakes=("No MACs, but every element is read and written unless it is fused.",),
    ),
    formula(
        "hard-swish",
        "x * clip(x + 3, 0, 6) / 6",
        real("x", "the input", "1"),
        unit="",
        about="x * ReLU6(x + 3) / 6: 0 below -3, x above 3.",
        source="https://arxiv.org/abs/1905.02244",
    ),
    formula(
        "hard-sigmoid",
        "clip(x / 6 + 1 / 2, 0, 1)",
        real("x", "the input", "1"),
        unit="",
        about="ReLU6(x + 3) / 6, the gate of hard-swish and of its squeeze-and-excitation.",
        mistakes=("The ONNX operator's default slope is 0.2, not 1/6.",),
        source="https://arxiv.org/abs/1905.02244",
    ),
)
