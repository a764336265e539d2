"""Scaling networks up, and trends."""

from __future__ import annotations

from typing import Final

from effaudit.explain.formulas._model import Formula
from effaudit.explain.formulas._parameters import count, formula, positive, real

_EFFICIENTNET: Final = "https://arxiv.org/abs/1905.11946"
_BASE: Final = positive("base", "factor of one step", "1.1")
_PHI: Final = real("phi", "compound coefficient", "3")
_MODEST: Final = ("phi <= 100", "phi is at most 100")
_RELEASED: Final = "The released EfficientNets do not follow it exactly: B3 is 300 px, width 1.2, depth 1.4."

FORMULAS: Final[tuple[Formula, ...]] = (
    formula(
        "compound-scaling-factor",
        "base ** phi",
        _BASE,
        _PHI,
        requires=(_MODEST,),
        unit="x",
        about="Depth, width and resolution grow by 1.2, 1.1 and 1.15 per step.",
        mistakes=(_RELEASED,),
        source=_EFFICIENTNET,
    ),
    formula(
        "compound-scaled-size",
        "ceil(size * base ** phi)",
        count("size", "layers, channels or pixels of the base network", "224"),
        _BASE,
        _PHI,
        requires=(_MODEST,),
        unit="",
        about="A dimension of the base network after phi steps, rounded up.",
        mistakes=(_RELEASED, "Channels are rounded to multiples of 8 in the released networks."),
        source=_EFFICIENTNET,
    ),
    formula(
        "compound-scaling-macs",
        "(depth * width ** 2 * resolution ** 2) ** phi",
        positive("depth", "factor of depth", "1.2", "1.2"),
        positive("width", "factor of width", "1.1", "1.1"),
        positive("resolution", "factor of resolution", "1.15", "1.15"),
        _PHI,
        requires=(_MODEST,),
        unit="x",
        about="MACs are linear in depth and quadratic in width and resolution: about 2^phi.",
        source=_EFFICIENTNET,
    ),
    formula(
        "growth-gap",
        "demand / supply",
        positive("demand", "growth of demand over a period", "4"),
        positive("supply", "growth of supply over the same period", "2"),
        unit="x",
        about="By how much the gap between two trends widens per period.",
    ),
)
