"""Codebook: the weights of a tensor share few values, and an index into their table is stored for each.

k-means of the weights, Han et al., https://arxiv.org/abs/1510.00149 (section 3). Of n weights and k entries that is
ceil(n x ceil(log2 k) / 8) bytes of indices and k entries in the type of the weights. Operators read the weights as they
were: what a lookup costs depends on the kernel.
"""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.whatif.spec import only as only_known
from effaudit.whatif.spec import whole, words_of, written
from effaudit.whatif.types import Change

OPTION: Final = "--codebook"
EXPECTED: Final = "expected k=16 or bits=4"
MOST: Final = 1 << 16  # entries: an index of more bits is no smaller than a half-precision weight


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The entries of each table: `k`, or 2 to the power of `bits`. `only` and `skip` are patterns of tensors or of the
    nodes that read them (`*` and `?`, several with `|`). Raises UsageError."""

    k: int = 0
    bits: int = 0
    only: str = ""
    skip: str = ""

    def __post_init__(self) -> None:
        if bool(self.k) == bool(self.bits):
            raise UsageError(f"{OPTION}: {EXPECTED}, one of them")
        if not 0 <= self.bits <= 16 or self.entries not in range(2, MOST + 1):
            given = f"bits={self.bits}" if self.bits else f"k={self.k}"
            raise UsageError(f"{OPTION}: {given}: expected 2 to {MOST:,} entries")

    @property
    def entries(self) -> int:
        """Entries of each table."""
        return self.k or 1 << self.bits

    @property
    def index_bits(self) -> int:
        """The width of an index: ceil(log2 k)."""
        return (self.entries - 1).bit_length()


def parse(text: str) -> Arguments:
    """`k=16` or `bits=4`, with `only=` or `skip=` -> arguments. Raises UsageError."""
    words, pairs = words_of(text, OPTION)
    only_known(pairs, Arguments.__struct_fields__, OPTION)
    if words:
        raise UsageError(f"{OPTION} {text!r}: {EXPECTED}, then only= or skip=")
    sizes = {key: whole(pairs[key], f"{OPTION} {key}") for key in ("k", "bits") if key in pairs}
    return Arguments(**sizes, only=pairs.get("only", ""), skip=pairs.get("skip", ""))


def text(arguments: Arguments) -> str:
    """The shortest text that parses to the arguments."""
    return written(arguments)


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model with shared weights. Raises UsageError where no tensor takes fewer bytes so."""
    from effaudit.whatif.codebook import shared

    return shared.rewrite(audited, arguments)
