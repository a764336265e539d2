"""Patch-based inference: one tile of the image at a time."""

from __future__ import annotations

from typing import Final

from effaudit.explain.formulas._model import Formula
from effaudit.explain.formulas._parameters import CIN, COUT, count, formula

_MCUNET: Final = "https://arxiv.org/abs/2110.15352"
_IN: Final = count("in", "image side", "56")
_PATCHES: Final = count("patches", "patches per side", "4")
_K: Final = count("k", "kernel size", "3", "3")
_WHOLE: Final = ("in_ % patches == 0", "the patches must divide the image")

FORMULAS: Final[tuple[Formula, ...]] = (
    formula(
        "patch-size",
        "in_ / patches",
        _IN,
        _PATCHES,
        requires=(_WHOLE,),
        unit="px",
        about="The side of a patch of the output.",
        source=_MCUNET,
    ),
    formula(
        "patch-input-size",
        "in_ / patches + k - 1",
        _IN,
        _PATCHES,
        _K,
        requires=(_WHOLE,),
        unit="px",
        about="The side of the input that a patch needs at stride 1: patches overlap by the halo k - 1.",
        source=_MCUNET,
    ),
    formula(
        "patch-ideal-reduction",
        "patches ** 2",
        _PATCHES,
        unit="x",
        about="How much smaller a tile is than the image.",
        mistakes=("Without the halo, and without the whole output, which must still be stored.",),
        source=_MCUNET,
    ),
    formula(
        "patch-memory-reduction",
        "(cin * in_ ** 2 + cout * in_ ** 2) / (cin * (tile + k - 1) ** 2 + cout * tile ** 2)",
        CIN,
        COUT,
        _IN,
        _PATCHES,
        _K,
        where=(("tile", "in_ / patches"),),
        requires=(_WHOLE,),
        unit="x",
        about="Input and output of a stride-1 layer, whole over one tile with its halo.",
        mistakes=("A whole network gains less: the output of the patched stage stays in memory.",),
        source=_MCUNET,
    ),
)
