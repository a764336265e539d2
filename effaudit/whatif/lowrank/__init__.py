"""Low rank: a convolution or a matrix product becomes two thinner ones, whose weights multiply to nearly the old ones.

The singular value decomposition gives the factors that lose least (Eckart and Young, 1936,
https://doi.org/10.1007/BF02288367). A Conv becomes one of as many filters as the rank, and a pointwise one behind it:
https://arxiv.org/abs/1505.06798 (section 3). A Gemm or MatMul becomes two products:
https://arxiv.org/abs/1404.0736. For each output position m x n multiplications become rank x (m + n).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.whatif.prune.arguments import percent
from effaudit.whatif.spec import only as only_known
from effaudit.whatif.spec import share, whole, words_of
from effaudit.whatif.types import Change

OPTION: Final = "--lowrank"
WAYS: Final = ("rank", "ratio", "energy")


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One of: `rank`, the same for all; `ratio`, a share of the full rank of each; `energy`, the share of the squared
    singular values that the rank of each keeps at least. `only` and `skip` are patterns of nodes or weights (`*` and
    `?`, several with `|`). Raises UsageError for what does not go together."""

    rank: int | None = None
    ratio: Fraction | None = None
    energy: Fraction | None = None
    only: str = ""
    skip: str = ""

    def __post_init__(self) -> None:
        given = [way for way in WAYS if getattr(self, way) is not None]
        if len(given) != 1:
            raise UsageError(f"{OPTION}: expected one of rank=16, ratio=50% and energy=99%")
        value = getattr(self, given[0])
        if value <= 0 or (given[0] != "rank" and value > 1):
            what = "a whole number from 1" if given[0] == "rank" else "a share above 0, up to 100%"
            raise UsageError(f"{OPTION}: {given[0]}={value}: expected {what}")

    def rank_of(self, full: int) -> int | None:
        """The rank for a matrix of full rank `full`, rounded up; None where its elements decide."""
        if self.rank is not None:
            return min(self.rank, full)
        return None if self.ratio is None else max(1, -int(-self.ratio * full // 1))


def parse(text: str) -> Arguments:
    """`ratio=50%,skip=head` and its kin -> arguments. Raises UsageError."""
    words, pairs = words_of(text, OPTION)
    if words:
        raise UsageError(f"{OPTION} {text!r}: expected rank=16, ratio=50% or energy=99%, then only= or skip=")
    only_known(pairs, Arguments.__struct_fields__, OPTION)
    return Arguments(
        rank=whole(pairs["rank"], f"{OPTION} rank") if "rank" in pairs else None,
        ratio=share(pairs["ratio"], f"{OPTION} ratio") if "ratio" in pairs else None,
        energy=share(pairs["energy"], f"{OPTION} energy") if "energy" in pairs else None,
        only=pairs.get("only", ""),
        skip=pairs.get("skip", ""),
    )


def text(arguments: Arguments) -> str:
    """The shortest text that parses to the arguments."""
    found = []
    for key in Arguments.__struct_fields__:
        value = getattr(arguments, key)
        if value not in (None, ""):
            found.append(f"{key}={percent(value) if isinstance(value, Fraction) else value}")
    return ",".join(found)


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model with products of lower rank. Raises UsageError where none can be, and where the energy of weights is
    asked for that are missing."""
    from effaudit.whatif.lowrank import factored

    return factored.rewrite(audited, arguments)
