"""Constants that are there twice, and nodes that compute the same from the same.

Two constants are one where type, shape and bytes are equal: told from where the bytes lie, else from a digest of the
first of them, else of all. In a model without weights, only those that lie in the same place. Nodes are one where
operator, attributes and inputs are equal; those that draw random numbers, that hold bodies, and calls of functions and
of operators nobody knows are left alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from itertools import islice
from typing import Final

from effaudit.audited import Audited
from effaudit.dataflow import is_random
from effaudit.graph import STRING, Constant, Node, Value
from effaudit.load.values import blocks
from effaudit.ops._registry import MICROSOFT, find
from effaudit.whatif.constants import missing, tensor
from effaudit.whatif.fold._model import Folded, Model, grouped
from effaudit.whatif.fold.identity import unchanged

FIRST: Final = 1 << 12  # elements by which most constants differ
_DRAWS: Final = frozenset("Sampling BeamSearch GreedySearch BiasDropout BitmaskDropout BitmaskBiasDropout".split())
_OVERRIDABLE: Final = 4  # from this IR version on, an initializer that is also an input may be replaced


def fold(audited: Audited, values: Mapping[str, Value]) -> Folded:
    """The model with each of them once. Raises LoadError where weights cannot be read."""
    model = Model(audited, values)
    aliases = _constants(model)
    saved = len(aliases)
    refused: list[tuple[Node, str]] = []
    nodes = _nodes(model, aliases, refused)
    note = f"{saved} constants and {nodes} nodes that were there before"
    return Folded(model.graph(), note, grouped(refused))


def _constants(model: Model) -> dict[str, str]:
    """Renames constants that are there before; gives the renamed and the names they have now."""
    raw = model.raw
    held = dict(raw.constants)
    for node in raw.nodes:
        for name in node.outputs[:1]:
            if (found := tensor(raw, name, {name: node})) is not None:
                held[name] = found
    aliases: dict[str, str] = {}
    for same in _equal({n: one for n, one in held.items() if _comparable(model, n, one)}):
        first = next((name for name in same if name in model.wiring.pinned), same[0])
        for name in same:
            if name != first and name not in model.wiring.pinned:
                aliases[name] = first
                model.draft.rename(name, first)
    return aliases


def _comparable(model: Model, name: str, constant: Constant) -> bool:
    overridable = model.raw.source.ir_version >= _OVERRIDABLE and name in model.raw.declared
    return not overridable and constant.place != "sparse" and constant.numel > 0


def _equal(held: Mapping[str, Constant]) -> list[list[str]]:
    """The names of constants with equal type, shape and elements, two or more in each list."""
    groups: list[list[str]] = [list(held)]
    for key in (_kind, _beginning, _whole):
        split: list[list[str]] = []
        for group in groups:
            found: dict[Hashable, list[str]] = {}
            for name in group:
                found.setdefault(key(held[name]), []).append(name)
            split += [names for names in found.values() if len(names) > 1]
        groups = split
    return groups


def _kind(constant: Constant) -> Hashable:
    return constant.encoding.dtype, constant.shape


def _beginning(constant: Constant) -> Hashable:
    return _digest(constant, 1)


def _whole(constant: Constant) -> Hashable:
    return _digest(constant, None)


def _digest(constant: Constant, most: int | None) -> Hashable:
    """Equal for equal elements; of the first `most` blocks only."""
    from hashlib import blake2b

    import numpy as np

    if constant.encoding is STRING:
        return constant.strings if constant.strings is not None else id(constant)
    if missing(constant):
        return constant.payload or id(constant)
    digest = blake2b(digest_size=32)
    parts = blocks(constant, FIRST) if most else blocks(constant)
    for part in islice(parts, most):
        digest.update(np.ascontiguousarray(part).data.cast("B"))
    return digest.digest()


def _nodes(model: Model, aliases: dict[str, str], refused: list[tuple[Node, str]]) -> int:
    """Takes out nodes that compute what one before does; gives how many."""
    seen: dict[Hashable, Node] = {}
    gone = 0
    for i, node in enumerate(model.raw.nodes):
        key = _signature(model, node, aliases)
        if key is None:
            continue
        first = seen.setdefault(key, node)
        if first is node:
            continue
        if not model.wiring.pinned.isdisjoint(node.outputs):
            refused.append((node, "it computes what another node does, and its output keeps its name"))
            continue
        for name, other in zip(node.outputs, first.outputs, strict=True):
            if name:
                aliases[name] = other
                model.draft.rename(name, other)
        model.draft.put(i)
        gone += 1
    return gone


def _signature(model: Model, node: Node, aliases: Mapping[str, str]) -> Hashable | None:
    """What two nodes that compute the same have in common; None for a node that is not compared."""
    if node.domain not in ("", MICROSOFT) or node.bodies or is_random(node) or node.op in {"Constant", *_DRAWS}:
        return None
    if any(key[:2] == (node.domain, node.op) for key in model.raw.functions) or not any(node.outputs):
        return None
    if find(node.domain, node.op) is None or (node.op == "Dropout" and unchanged(model, node) is None):
        return None
    attrs = tuple(sorted((name, _attribute(value)) for name, value in node.attrs.items()))
    inputs = tuple(aliases.get(name, name) for name in node.inputs)
    return node.domain, node.op, attrs, inputs, tuple(map(bool, node.outputs))


def _attribute(value: object) -> str:
    if isinstance(value, Constant):
        held = value.raw if value.raw is not None else id(value)
        return repr((value.encoding.dtype, value.shape, held))
    return repr(value)
