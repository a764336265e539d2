"""Architecture search: spaces, costs and rewards."""

from __future__ import annotations

from typing import Final

from effaudit.explain.formulas._model import Formula, Parameter
from effaudit.explain.formulas._parameters import count, formula, positive, real, seconds, share

_MNASNET: Final = "https://arxiv.org/abs/1807.11626"
_PROXYLESS: Final = "https://arxiv.org/abs/1812.00332"
_CHOICES: Final = count("choices", "choices per layer", "7")
_LAYERS: Final = count("layers", "layers to choose for", "14")

FORMULAS: Final[tuple[Formula, ...]] = (
    formula(
        "search-space-size",
        "choices ** layers",
        _CHOICES,
        _LAYERS,
        unit="subnets",
        about="Every layer chooses on its own.",
    ),
    formula(
        "search-space-log10",
        "layers * log10(choices)",
        _CHOICES,
        _LAYERS,
        unit="",
        about="The decimal order of magnitude of the space.",
    ),
    formula(
        "search-cost-hours",
        "evaluations * hours",
        count("evaluations", "networks trained", "1000"),
        positive("hours", "GPU-hours each", "1"),
        unit="GPU-hours",
        about="A search that trains every candidate.",
    ),
    formula(
        "mnasnet-reward",
        "accuracy * (latency / target) ** w",
        share("accuracy", "accuracy", "0.75"),
        seconds("latency", "latency", "60ms"),
        seconds("target", "target latency", "80ms"),
        real("w", "exponent, below 0", "-0.07", "-0.07"),
        requires=(("latency > 0 and target > 0", "latency and target must be above 0"),),
        unit="",
        about="Faster than the target is rewarded, slower is punished.",
        mistakes=("The fraction is latency over target; inverted, it would reward slow networks.",),
        source=_MNASNET,
    ),
    formula(
        "expected-latency",
        "sum(probabilities * latencies)",
        Parameter("probabilities", "reals", "probability of each operation", "0.6,0.3,0.1"),
        Parameter("latencies", "reals", "latency of each operation in ms", "10,5,2"),
        unit="ms",
        about="A latency that is differentiable in the probabilities.",
        source=_PROXYLESS,
    ),
    formula(
        "latency-gradient",
        "p * (latency - expected)",
        share("p", "probability of the operation", "0.6"),
        positive("latency", "its latency in ms", "10"),
        positive("expected", "expected latency of the layer in ms", "7.7"),
        unit="ms",
        about="The derivative of the expected latency by the operation's logit, through the softmax.",
        mistakes=("p * (1 - p) * latency leaves out the other operations and is never negative.",),
        source=_PROXYLESS,
    ),
)
