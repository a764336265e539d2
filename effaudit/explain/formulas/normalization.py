"""Normalization layers."""

from __future__ import annotations

from typing import Final

from effaudit.explain.formulas._model import Formula
from effaudit.explain.formulas._parameters import BATCH, MODEL, ONE_LAYER, RANK, SIZE, TOKENS, C, count, flag, formula

_BATCHNORM: Final = "https://arxiv.org/abs/1502.03167"

FORMULAS: Final[tuple[Formula, ...]] = (
    formula(
        "batchnorm-params",
        "2 * c + (2 * c if running else 0)",
        C,
        flag("running", "whether to count the running mean and variance, which are not trained", "no"),
        unit="params",
        about="A scale and a shift per channel.",
        source=_BATCHNORM,
    ),
    formula(
        "batchnorm-inference-macs",
        "0 if folded else batch * c * prod(size)",
        C,
        SIZE,
        flag("folded", "whether it is folded into the convolution before it", "yes"),
        BATCH,
        RANK,
        spread="rank",
        unit="MACs",
        about="At inference a fixed scale and shift per channel: folded into the weights before it, it costs nothing.",
        mistakes=("Only a convolution or linear layer right before it can take it up.",),
        source=_BATCHNORM,
    ),
    formula(
        "layernorm-params",
        "layers * (d + (d if bias else 0))",
        MODEL,
        flag("bias", "whether there is a shift beside the scale", "yes"),
        ONE_LAYER,
        unit="params",
        about="A scale and a shift per feature; RMSNorm has the scale only (bias=no).",
        source="https://arxiv.org/abs/1607.06450",
    ),
    formula(
        "layernorm-ops",
        "layers * tokens * d * ops",
        TOKENS,
        MODEL,
        count("ops", "operations per element", "5", "5"),
        ONE_LAYER,
        unit="ops",
        about="About five operations per element: mean, centering, variance, scaling, gain.",
        mistakes=("An estimate by convention, and none of it MACs.",),
        source="https://arxiv.org/abs/1607.06450",
    ),
)
