"""Where activations can be divided channel by channel: tensors that products with stored weights read, and the norm
whose scale takes the factors in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.graph import Constant, Node
from effaudit.lower._rewrite import Wiring
from effaudit.whatif.draft import Draft
from effaudit.whatif.products import Product

# Norms by (domain, operator): the inputs that scale and shift what comes out.
NORMS: Final = {
    ("", "LayerNormalization"): (1, 2),
    ("", "RMSNormalization"): (1,),
    ("", "SimplifiedLayerNormalization"): (1,),
    ("com.microsoft", "SkipLayerNormalization"): (2, 3),
    ("com.microsoft", "SkipSimplifiedLayerNormalization"): (2,),
}
NO_NORM: Final = "no scale of a norm that it alone reads lies before it; `insert` puts a Mul there"


class Site(msgspec.Struct, frozen=True):
    """A tensor of `channels` on its last axis, the products that read it, and the constants that take the factors in:
    (node, input) of each; none: a Mul is put before the products."""

    name: str
    channels: int
    products: tuple[Product, ...]
    scales: tuple[tuple[int, int], ...]


def sites(
    audited: Audited, draft: Draft, products: Sequence[Product], *, insert: bool
) -> tuple[list[Site], list[tuple[Node, str]]]:
    """The tensors that are smoothed, in the order of the graph, and the products of which none is."""
    wiring = Wiring(audited.graph)
    read: dict[str, list[Product]] = {}
    blocked: list[tuple[Node, str]] = []
    for product in products:
        if why := _unfit(audited, product):
            blocked.append((product.node, why))
        else:
            read.setdefault(product.node.inputs[0], []).append(product)
    found = []
    for name, readers in read.items():
        channels = readers[0].weight.shape[1 if readers[0].node.attrs.get("transB", 0) else 0]
        scales = _scales(wiring, draft, name, channels, {p.i for p in readers})
        if not scales and not insert:
            blocked += [(product.node, NO_NORM) for product in readers]
            continue
        if why := _elsewhere(wiring, readers):
            blocked += [(product.node, why) for product in readers]
            continue
        found.append(Site(name, channels, tuple(readers), scales))
    return found, blocked


def _unfit(audited: Audited, product: Product) -> str:
    """Why what a product reads cannot be divided; "" where it can."""
    if len(product.weight.shape) != 2:
        return f"its weights have {len(product.weight.shape)} axes: no single matrix"
    if product.node.attrs.get("transA", 0):
        return "it turns what it reads"
    name = product.node.inputs[0]
    if name not in audited.flow.varying:
        return "it reads no activations"
    shape = audited.graph.values[name].shape
    return "" if shape else "the shape of what it reads is not known"


def _elsewhere(wiring: Wiring, readers: Sequence[Product]) -> str:
    """Why the weights of products cannot be multiplied: something else reads them."""
    own = {product.i for product in readers}
    turned: dict[str, object] = {}
    for product in readers:
        name = product.node.inputs[1]
        if turned.setdefault(name, product.node.attrs.get("transB", 0)) != product.node.attrs.get("transB", 0):
            return f"its weights {name!r} are read in two ways"
        other = next((j for j in wiring.readers.get(name, ()) if j not in own), None)
        if other is not None or name in wiring.pinned:
            return f"its weights {name!r} are read elsewhere too"
    return ""


def _scales(wiring: Wiring, draft: Draft, name: str, channels: int, readers: set[int]) -> tuple[tuple[int, int], ...]:
    """The constants that scale and shift a tensor, so that dividing them divides it; none where there are none, or
    where something else reads what they make."""
    nodes = wiring.graph.nodes
    i = wiring.maker.get(name)
    if i is None or name in wiring.pinned or not readers.issuperset(wiring.readers.get(name, ())):
        return ()
    node, found = nodes[i], list[tuple[int, int]]()
    if (node.domain, node.op) in NORMS:
        places = NORMS[node.domain, node.op]
        found = [(i, slot) for slot in places if slot < len(node.inputs) and node.inputs[slot]]
        rank = len(wiring.graph.values[name].shape or ())
        if node.outputs[0] != name or node.attrs.get("axis", -1) not in (-1, rank - 1):
            return ()
    elif node.op in ("Mul", "Add") and not node.domain:
        if node.op == "Add":
            slot = _vector(draft, node, channels)
            before = "" if slot is None else node.inputs[1 - slot]
            j = wiring.maker.get(before, -1)
            if slot is None or j < 0 or wiring.only_reader(before) != i or nodes[j].op != "Mul":
                return ()
            found, i, node = [(i, slot)], j, nodes[j]
        slot = _vector(draft, node, channels)
        if slot is None or node.domain:
            return ()
        found.append((i, slot))
    if any(_fixed(draft, nodes[i].inputs[slot], channels) is None for i, slot in found):
        return ()
    return tuple(found)


def _vector(draft: Draft, node: Node, channels: int) -> int | None:
    """The input of a Mul or Add that is a constant with a number for each channel."""
    return next((slot for slot, name in enumerate(node.inputs) if _fixed(draft, name, channels) is not None), None)


def _fixed(draft: Draft, name: str, channels: int) -> Constant | None:
    constant = draft.constant(name)
    if constant is None or constant.numel != channels or constant.shape[-1:] != (channels,):
        return None
    return constant if constant.encoding.dtype in ("float32", "float16", "float64", "bfloat16") else None
