"""Group: a convolution reads its channels in groups, each filter those of one group alone: 1/groups of the MACs.

Filters and channels are grouped in the order they have; the weights between different groups are dropped. Krizhevsky
et al., https://papers.nips.cc/paper/4824; nothing mixes the groups afterwards unless the network does, as a shuffle
would: https://arxiv.org/abs/1707.01083.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.graph import Node
from effaudit.whatif.draft import Draft
from effaudit.whatif.products import (
    NOT_FINITE,
    UNKNOWN,
    Product,
    first,
    held,
    macs_said,
    products,
    stored,
    together,
)
from effaudit.whatif.quantize.grid import Error
from effaudit.whatif.spec import only as only_known
from effaudit.whatif.spec import whole, words_of, written
from effaudit.whatif.types import Change, Detail

if TYPE_CHECKING:
    import numpy as np

OPTION: Final = "--group"
TABLE: Final = "grouped convolutions"


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How many `groups` a convolution has then; `only` and `skip` are patterns of nodes or weights (`*` and `?`,
    several with `|`). Raises UsageError for fewer than 2."""

    groups: int
    only: str = ""
    skip: str = ""

    def __post_init__(self) -> None:
        if self.groups < 2:
            raise UsageError(f"{OPTION}: groups={self.groups}: expected a whole number from 2")


def parse(text: str) -> Arguments:
    """`groups=4`, with `only=` or `skip=` -> arguments. Raises UsageError."""
    words, pairs = words_of(text, OPTION)
    only_known(pairs, Arguments.__struct_fields__, OPTION)
    if words or "groups" not in pairs:
        raise UsageError(f"{OPTION} {text!r}: expected groups=4, then only=PATTERN or skip=PATTERN")
    count = whole(pairs["groups"], f"{OPTION} groups", 2)
    return Arguments(count, pairs.get("only", ""), pairs.get("skip", ""))


def text(arguments: Arguments) -> str:
    """The shortest text that parses to the arguments."""
    return written(arguments)


class Grouped(msgspec.Struct, frozen=True):
    """The name of a weight without what lies between groups, and what that was; None where there are no weights."""

    weight: str
    lost: Error | None


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model with grouped convolutions. Raises UsageError where no convolution can be."""
    draft, groups = Draft(audited), arguments.groups
    found = products(audited, draft, ("Conv",), arguments.only, arguments.skip, OPTION)
    refused, made = list[tuple[Node, str]](), list[tuple[Product, Grouped]]()
    known: dict[tuple[str, int], Grouped | None] = {}
    for product in found.products:
        why, key = _unfit(product, groups), (product.weight.name, product.groups)
        if not why and key not in known:
            known[key] = _grouped(draft, product, groups)
        one = None if why else known[key]
        if one is None:
            refused.append((product.node, why or NOT_FINITE))
            continue
        draft.put(product.i, _node(product, one, groups))
        made.append((product, one))
    blocked = found.blocked(refused)
    if not made:
        raise UsageError(f"{audited.name}: {OPTION}: no convolution can have {groups} groups{first(blocked)}")
    loss = together(one.lost for one in {one.weight: one for _, one in made}.values())
    return Change(
        graph=draft.graph(f"group {text(arguments)}"),
        notes=tuple(_notes([product for product, _ in made], len(found.products), groups, loss)),
        blocked=blocked,
        details=tuple(_detail(product, one, groups) for product, one in made),
        loss=loss,
        retrain=True,
    )


def _unfit(product: Product, groups: int) -> str:
    """Why a convolution does not get so many groups; "" where it does."""
    out, each = product.weight.shape[:2]
    channels, has = each * product.groups, product.groups
    if has == groups:
        return f"it has {groups} groups already"
    if groups % has:
        return f"its {has} groups do not divide into {groups}"
    wrong = [f"{count} {what}" for count, what in ((channels, "channels"), (out, "filters")) if count % groups]
    return f"its {' and '.join(wrong)} do not divide into {groups} groups" if wrong else ""


def _grouped(draft: Draft, product: Product, groups: int) -> Grouped | None:
    """The weight of the groups, in the draft; None where the old one is not finite."""
    import numpy as np

    weight, parts = product.weight, groups // product.groups
    out, each, *kernel = weight.shape
    kept, gone = None, None
    if product.known:
        whole = held(weight)
        if not np.isfinite(whole).all():
            return None
        kept = diagonal(whole, product.groups, groups)
        signal = float(np.vdot(whole, whole))
        noise = max(signal - float(np.vdot(kept, kept)), 0.0)
        gone = Error(0.0, noise, signal, whole.size)
    new = stored("", kept, weight, (out, each // parts, *kernel))
    return Grouped(draft.add(f"{weight.name}.grouped", new), gone)


def diagonal(weight: np.ndarray, before: int, after: int) -> np.ndarray:
    """The blocks of a weight of `before` groups that `after` groups, a multiple, leave: out x in / after x kernel."""
    import numpy as np

    parts = after // before
    out, each, *kernel = weight.shape
    split = weight.reshape(before, parts, out // after, parts, each // parts, *kernel)
    along = np.arange(parts)
    return split[:, along, :, along].swapaxes(0, 1).reshape(out, each // parts, *kernel)


def _node(product: Product, one: Grouped, groups: int) -> Node:
    node = product.node
    inputs = (node.inputs[0], one.weight, *node.inputs[2:])
    return msgspec.structs.replace(node, inputs=inputs, attrs={**node.attrs, "group": groups})


# ---- what is told
def _detail(product: Product, one: Grouped, groups: int) -> Detail:
    before, parts, macs = product.weight.numel, groups // product.groups, product.macs.value
    figures: Mapping[str, int | float | str | None] = {
        "saliency_removed": None if one.lost is None else one.lost.share,
        "groups_before": product.groups,
        "groups_after": groups,
        "weights_before": before,
        "weights_after": before // parts,
        "macs_before": macs,
        "macs_after": None if macs is None else macs // parts,
        "weight": product.weight.name,
    }
    return Detail(TABLE, product.node.label, figures)


def _notes(made: Sequence[Product], meant: int, groups: int, loss: float | None) -> Iterator[str]:
    yield f"{len(made)} of {meant} convolutions read their channels in {groups} groups"
    yield from macs_said((product.macs for product in made), ((groups, product.groups) for product in made))
    if loss is None:
        yield UNKNOWN
    yield "re-train: the weights between groups are gone, and nothing mixes the groups but what mixed them before"
