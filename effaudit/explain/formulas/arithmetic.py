"""Sums, shares and ratios of figures that other formulas gave."""

from __future__ import annotations

from typing import Final

from effaudit.explain.formulas._model import Formula, Parameter
from effaudit.explain.formulas._parameters import formula, positive, real

FORMULAS: Final[tuple[Formula, ...]] = (
    formula(
        "total",
        "sum(values)",
        Parameter("values", "reals", "the figures", "105415200,223948800"),
        unit="",
        about="The sum of the figures.",
        mistakes=("Check that every layer is in it, and that all are in the same unit.",),
    ),
    formula(
        "share",
        "part / total",
        real("part", "part", "105415200"),
        positive("total", "whole", "724406816"),
        unit="share",
        about="A part of a whole; with unit=% in percent.",
    ),
    formula(
        "ratio",
        "a / b",
        real("a", "first figure", "25.6M"),
        real("b", "second figure", "3.4M"),
        unit="x",
        about="One figure over another.",
        mistakes=("Both in the same unit: MACs against MACs, FLOPs against FLOPs.",),
    ),
)
