"""What nobody needs to compute: norms in the weights before them, constants computed ahead, nodes that change nothing,
tensors and nodes that are there twice, requantizations to the same scale. The outputs stay those of the model, but for
the rounding of folded weights.

Every kind has a module of its name, and they run in the order given. What a fold relies on is proven for every size
that the file admits, not only for those given or assumed.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

import msgspec
from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.load import infer
from effaudit.nearest import did_you_mean
from effaudit.units import human_bytes
from effaudit.whatif.fold._model import Folded, stored_bytes
from effaudit.whatif.spec import words_of
from effaudit.whatif.types import Blocked, Change, Detail

# As `all` runs them: constants computed ahead and nodes that are gone no longer stand between a norm and its weights.
KINDS: Final = ("constants", "identity", "bn", "duplicates", "qdq")
ALL: Final = "all"
OPTION: Final = "--fold"


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The kinds of folds, in the order in which they run."""

    kinds: tuple[str, ...] = KINDS


def parse(text: str) -> Arguments:
    """`bn,constants` or `all` -> Arguments. Raises UsageError for a kind that there is not, or one given twice."""
    words, pairs = words_of(text, OPTION)
    if pairs:
        raise UsageError(f"{OPTION} {text!r}: takes no {next(iter(pairs))}=; expected {', '.join(KINDS)} or {ALL}")
    return Arguments(KINDS) if words == [ALL] else _checked(Arguments(tuple(words)))


def text(arguments: Arguments) -> str:
    """The kinds as they are written behind the option."""
    return ALL if arguments.kinds == KINDS else ",".join(arguments.kinds)


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model without what the kinds fold away. Raises UsageError for kinds that there are not, LoadError where
    weights cannot be read."""
    _checked(arguments)
    given = audited.given
    open_ = not (given.dims or given.shapes or given.assumed)
    values = (audited.symbolic if open_ else infer(audited.raw)).values
    notes: list[str] = []
    blocked: list[Blocked] = []
    details: list[Detail] = []
    at = audited
    for kind in arguments.kinds:
        before = at.raw
        made: Folded = import_module(f"effaudit.whatif.fold.{kind}").fold(at, values)
        at = replace(at, raw=made.graph)
        notes.append(f"{kind}: {made.note}{_saved(stored_bytes(before) - stored_bytes(made.graph))}")
        blocked += made.blocked
        details += made.details
    graph = replace(at.raw, history=(*audited.raw.history, f"fold {text(arguments)}"))
    return Change(graph, tuple(notes), tuple(blocked), tuple(details))


def _saved(size: int) -> str:
    if not size:
        return ""
    return f"; {human_bytes(abs(size))} of constants {'less' if size > 0 else 'more'}"


def _checked(arguments: Arguments) -> Arguments:
    kinds = arguments.kinds
    for kind in kinds:
        if kind not in KINDS:
            hint = "" if kind == ALL else did_you_mean(kind.lower(), (*KINDS, ALL))
            raise UsageError(f"{OPTION} {kind!r}: expected some of {', '.join(KINDS)}, or {ALL} alone{hint}")
    if len(set(kinds)) < len(kinds) or not kinds:
        raise UsageError(f"{OPTION} {','.join(kinds)!r}: each kind once, of {', '.join(KINDS)}; or {ALL}")
    return arguments
