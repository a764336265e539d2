"""Separable: a convolution becomes a depthwise one, a window per channel, and a pointwise one that mixes the channels.

For each output position and filter k x in + in x out multiplications take the place of k x in x out: 1/out + 1/k of
them, k being the positions of the window. Howard et al., https://arxiv.org/abs/1704.04861 (section 3.1).

Where there are weights, each channel gets the window and the column of the pointwise weights whose product is nearest
to its slice of the old ones, the best matrix of rank 1 (Eckart and Young, https://doi.org/10.1007/BF02288367).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Final

import msgspec

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.graph import Constant, Node
from effaudit.whatif.draft import Draft
from effaudit.whatif.products import (
    NOT_FINITE,
    UNKNOWN,
    Product,
    first,
    held,
    lost,
    macs_said,
    named,
    products,
    relative,
    stored,
    together,
    window,
)
from effaudit.whatif.quantize.grid import Error
from effaudit.whatif.spec import only as only_known
from effaudit.whatif.spec import words_of, written
from effaudit.whatif.types import Change, Detail

if TYPE_CHECKING:
    import numpy as np

OPTION: Final = "--separable"
EVERY: Final = "all"
TABLE: Final = "separable convolutions"


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which convolutions: `only` and `skip` are patterns of nodes or weights (`*` and `?`, several with `|`)."""

    only: str = ""
    skip: str = ""


def parse(text: str) -> Arguments:
    """`all`, or `only=`, `skip=` -> arguments. Raises UsageError."""
    words, pairs = words_of(text, OPTION)
    only_known(pairs, Arguments.__struct_fields__, OPTION)
    if words not in ([], [EVERY]) or (words and "only" in pairs):
        raise UsageError(f"{OPTION} {text!r}: expected {EVERY}, only=PATTERN or skip=PATTERN")
    return Arguments(**pairs)


def text(arguments: Arguments) -> str:
    """The shortest text that parses to the arguments."""
    return written(arguments) or EVERY


class Parts(msgspec.Struct, frozen=True):
    """The names of the weights of both convolutions; what they lost is None where there are no weights."""

    depthwise: str
    pointwise: str
    lost: Error | None


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model with separable convolutions, where these take fewer MACs. Raises UsageError where none do."""
    draft = Draft(audited)
    found = products(audited, draft, ("Conv",), arguments.only, arguments.skip, OPTION)
    refused, made = list[tuple[Node, str]](), list[tuple[Product, Parts]]()
    known: dict[str, Parts | None] = {}
    for product in found.products:
        why = _unfit(product)
        name = product.weight.name
        if not why and name not in known:
            known[name] = _parts(draft, product)
        parts = None if why else known[name]
        if parts is None:
            refused.append((product.node, why or NOT_FINITE))
            continue
        draft.put(product.i, *_nodes(draft, product, parts))
        made.append((product, parts))
    blocked = found.blocked(refused)
    if not made:
        raise UsageError(f"{audited.name}: {OPTION}: no convolution takes fewer MACs as two{first(blocked)}")
    loss = together(one.lost for one in {parts.depthwise: parts for _, parts in made}.values())
    return Change(
        graph=draft.graph(f"separable {text(arguments)}"),
        notes=tuple(_notes([product for product, _ in made], len(found.products), loss)),
        blocked=blocked,
        details=tuple(_detail(product, parts) for product, parts in made),
        loss=loss,
        retrain=True,
    )


def sizes(product: Product) -> tuple[int, int]:
    """Multiplications per output position before and after."""
    out, channels = product.weight.shape[:2]
    positions = prod(product.weight.shape[2:])
    return out * channels * positions, channels * positions + channels * out


def _unfit(product: Product) -> str:
    """Why a convolution stays; "" where it becomes two."""
    if product.groups != 1:
        return f"it has {product.groups} groups of channels already"
    if prod(product.weight.shape[2:]) == 1:
        return "its window is a single position: it mixes channels alone"
    before, after = sizes(product)
    return "" if after < before else f"as two it takes {after:,} MACs per position, {before:,} as it is"


def _parts(draft: Draft, product: Product) -> Parts | None:
    """The weights of both, in the draft; None where the old ones are not finite."""
    import numpy as np

    weight = product.weight
    out, channels, *kernel = weight.shape
    depthwise = pointwise = slices = None
    if product.known:
        slices = held(weight).reshape(out, channels, -1).transpose(1, 0, 2)
        if not np.isfinite(slices).all():
            return None
        depthwise, pointwise = outer(slices)
        pointwise = pointwise.T
    deep = stored("", depthwise, weight, (channels, 1, *kernel))
    flat = stored("", pointwise, weight, (out, channels, *(1 for _ in kernel)))
    gone = None if slices is None else _lost(slices, deep, flat)
    return Parts(draft.add(f"{weight.name}.depthwise", deep), draft.add(f"{weight.name}.pointwise", flat), gone)


def outer(slices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(windows channels x positions, columns channels x out) whose outer products are nearest to `slices`, channels x
    out x positions, in float64. Each holds the square root of the singular value."""
    import numpy as np

    _, directions = np.linalg.eigh(slices.transpose(0, 2, 1) @ slices)
    windows = directions[..., -1]  # of the largest eigenvalue
    largest = np.take_along_axis(windows, np.abs(windows).argmax(axis=1)[:, None], axis=1)
    windows = windows * np.where(largest < 0, -1.0, 1.0)  # the sign is free: the same on every machine
    columns = np.einsum("cok,ck->co", slices, windows)
    root = np.sqrt(np.linalg.norm(columns, axis=1, keepdims=True))
    return windows * root, np.divide(columns, root, out=np.zeros_like(columns), where=root > 0)


def _lost(slices: np.ndarray, depthwise: Constant, pointwise: Constant) -> Error:
    channels = slices.shape[0]
    windows, columns = held(depthwise).reshape(channels, 1, -1), held(pointwise).reshape(-1, channels).T[..., None]
    return lost(slices, columns * windows)


def _nodes(draft: Draft, product: Product, parts: Parts) -> tuple[Node, Node]:
    """A window per channel with the strides and padding of the old convolution, and a pointwise one with its bias."""
    node, (_, channels, *kernel) = product.node, product.weight.shape
    between = draft.fresh(f"{node.outputs[0]}.depthwise")
    attrs = {**window(node), "group": channels}
    inputs = (between, parts.pointwise, *node.inputs[2:])
    flat = {"kernel_shape": tuple(1 for _ in kernel)}
    return (
        Node(named(node, "depthwise"), "", "Conv", (node.inputs[0], parts.depthwise), (between,), attrs),
        Node(named(node, "pointwise"), "", "Conv", inputs, node.outputs, flat),
    )


# ---- what is told
def _detail(product: Product, parts: Parts) -> Detail:
    before, after = sizes(product)
    macs = product.macs.value
    figures: Mapping[str, int | float | str | None] = {
        "error": relative(parts.lost),
        "max_abs_error": None if parts.lost is None else parts.lost.max_abs,
        "times_fewer": before / after,
        "weights_before": before,
        "weights_after": after,
        "macs_before": macs,
        "macs_after": None if macs is None else macs * after // before,
        "weight": product.weight.name,
    }
    return Detail(TABLE, product.node.label, figures)


def _notes(made: Sequence[Product], meant: int, loss: float | None) -> Iterator[str]:
    yield f"{len(made)} of {meant} convolutions are a depthwise and a pointwise one"
    yield from macs_said((product.macs for product in made), map(sizes, made))
    if loss is None:
        yield UNKNOWN
    yield "re-train: one window per channel is what a network trained with many does not have"
