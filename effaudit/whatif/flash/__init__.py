"""Attention without its scores: softmax(Q K^T) V, spelled out, becomes one operator whose kernel need not keep them.

FlashAttention, Dao et al., https://arxiv.org/abs/2205.14135, computes scores and probabilities a tile at a time. The
operator is Attention where the file's opset has it (23), else com.microsoft MultiHeadAttention.
"""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.whatif.spec import only as only_known
from effaudit.whatif.spec import words_of, written
from effaudit.whatif.types import Change

OPTION: Final = "--flash"
EXPECTED: Final = "expected all, only=PATTERN or skip=PATTERN"


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which attentions: all but for what `only` and `skip` say, patterns of their softmax (`*` and `?`, several with
    `|`)."""

    only: str = ""
    skip: str = ""


def parse(text: str) -> Arguments:
    """`all`, `only=layer.0*` or `skip=*cross*` -> arguments. Raises UsageError."""
    words, pairs = words_of(text, OPTION)
    only_known(pairs, Arguments.__struct_fields__, OPTION)
    if words not in ([], ["all"]) or (words and "only" in pairs):
        raise UsageError(f"{OPTION} {text!r}: {EXPECTED}")
    return Arguments(**pairs)


def text(arguments: Arguments) -> str:
    """The shortest text that parses to the arguments."""
    return written(arguments) or "all"


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model with attention in single operators. Raises UsageError where none can be."""
    from effaudit.whatif.flash.fused import rewrite as fuse

    return fuse(audited, arguments)
