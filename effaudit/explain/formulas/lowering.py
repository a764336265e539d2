"""Convolutions computed as matrix products: im2col and Winograd."""

from __future__ import annotations

from typing import Final

from effaudit.explain.formulas._model import Formula
from effaudit.explain.formulas._parameters import BITS, CIN, IN, OUT, RANK, WINDOW, D, K, P, S, count, formula

_WINOGRAD: Final = "https://arxiv.org/abs/1509.09308"
_TILE: Final = count("m", "output tile size", "2")
_FILTER: Final = count("r", "filter size", "3")

FORMULAS: Final[tuple[Formula, ...]] = (
    formula(
        "im2col-elements",
        "cin * prod(k) * prod(out)",
        CIN,
        K,
        *WINDOW,
        RANK,
        spread="rank",
        unit="elements",
        about="The matrix of patches has one column per output position, with the cin * prod(k) inputs it sees.",
        source="https://hal.inria.fr/inria-00112631",
    ),
    formula(
        "im2col-bytes",
        "cin * prod(k) * prod(out) * bits / 8",
        CIN,
        K,
        *WINDOW,
        BITS,
        RANK,
        spread="rank",
        unit="bytes",
        about="The buffer of im2col-elements, for one image.",
    ),
    formula(
        "im2col-expansion",
        "prod(k) * prod(out) / prod(in_)",
        K,
        IN,
        OUT,
        S,
        P,
        D,
        RANK,
        spread="rank",
        unit="x",
        about="The matrix of patches over the input: with stride 1 and same padding, prod(k).",
    ),
    formula(
        "winograd-multiplications",
        "(m + r - 1) ** 2",
        _TILE,
        _FILTER,
        unit="multiplications",
        about="F(m x m, r x r) needs one multiplication per input position of a tile, for each pair of channels.",
        mistakes=("For stride 1 only; the transforms' additions are not counted.",),
        source=_WINOGRAD,
    ),
    formula(
        "winograd-reduction",
        "(m * r) ** 2 / (m + r - 1) ** 2",
        _TILE,
        _FILTER,
        unit="x",
        about="Multiplications of the direct convolution of a tile, m^2 * r^2, over those of F(m x m, r x r).",
        mistakes=("Multiplications only: the transforms and the loss of precision are not in it.",),
        source=_WINOGRAD,
    ),
)
