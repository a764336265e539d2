"""Grouped queries: several key/value heads become one, which their query heads then share.

The projections of the new heads are the means of those they stand for, as Ainslie et al. start from
(https://arxiv.org/abs/2305.13245, section 2.1), who then train on. Query heads stay as they were; the cache of keys
and values shrinks with its heads.
"""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.whatif.spec import only as only_known
from effaudit.whatif.spec import whole, words_of, written
from effaudit.whatif.types import Change

OPTION: Final = "--gqa"
EXPECTED: Final = "expected kv_heads=N, or groups=4 for so many query heads on each"


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How many heads keys and values keep: `kv_heads`, or one for `groups` query heads. `only` and `skip` are patterns
    of the nodes that are the attention: its softmax, or the operator (`*` and `?`, several with `|`). Raises
    UsageError."""

    kv_heads: int = 0
    groups: int = 0
    only: str = ""
    skip: str = ""

    def __post_init__(self) -> None:
        if min(self.kv_heads, self.groups) < 0 or bool(self.kv_heads) == bool(self.groups):
            raise UsageError(f"{OPTION}: {EXPECTED}, one of them")


def parse(text: str) -> Arguments:
    """`kv_heads=2` or `groups=4`, with `only=` or `skip=` -> arguments. Raises UsageError."""
    words, pairs = words_of(text, OPTION)
    only_known(pairs, Arguments.__struct_fields__, OPTION)
    if words:
        raise UsageError(f"{OPTION} {text!r}: {EXPECTED}")
    sizes = {key: whole(pairs[key], f"{OPTION} {key}") for key in ("kv_heads", "groups") if key in pairs}
    return Arguments(**sizes, only=pairs.get("only", ""), skip=pairs.get("skip", ""))


def text(arguments: Arguments) -> str:
    """The shortest text that parses to the arguments."""
    return written(arguments)


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model with fewer heads of keys and values. Raises UsageError where no attention can have them."""
    from effaudit.whatif.gqa.merged import rewrite as merge

    return merge(audited, arguments)
