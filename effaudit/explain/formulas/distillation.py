"""Softmax with temperature, and distillation losses."""

from __future__ import annotations

from typing import Final

from effaudit.explain.formulas._model import Formula, Parameter
from effaudit.explain.formulas._parameters import count, formula, positive, real, share, whole

_HINTON: Final = "https://arxiv.org/abs/1503.02531"
_TEMPERATURE: Final = positive("temperature", "temperature", "1", "1")

FORMULAS: Final[tuple[Formula, ...]] = (
    formula(
        "softmax",
        "item(exps, index) / sum(exps)",
        Parameter("logits", "reals", "logits", "2,1,0"),
        _TEMPERATURE,
        whole("index", "which probability, from 0", "0", "0"),
        where=(("exps", "exp((logits - max(logits)) / temperature)"),),
        unit="share",
        about="exp of the logits over their sum; the largest is subtracted first, which changes nothing.",
        source=_HINTON,
    ),
    formula(
        "kd-gradient-scale",
        "temperature ** 2",
        _TEMPERATURE,
        unit="x",
        about="Soft targets at a temperature have gradients smaller by its square, so their loss is multiplied by it.",
        source=_HINTON,
    ),
    formula(
        "kd-loss",
        "soft + hard",
        real("cross_entropy", "loss against the labels", "2.0"),
        real("kl", "divergence from the teacher", "1.5"),
        share("alpha", "weight of the teacher", "0.7"),
        _TEMPERATURE,
        where=(("soft", "alpha * temperature ** 2 * kl"), ("hard", "(1 - alpha) * cross_entropy")),
        unit="",
        about="The divergence from the teacher, times the square of the temperature, and the loss against the labels.",
        mistakes=("Without the square of the temperature the teacher's part fades as it rises.",),
        source=_HINTON,
    ),
    formula(
        "uniform-probability",
        "1 / classes",
        count("classes", "classes", "10"),
        unit="share",
        about="What a softmax tends to as the temperature rises.",
        source=_HINTON,
    ),
)
