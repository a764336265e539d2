"""Every attention layer with the cache tensors it reads, or would have to keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from effaudit.audited import Audited
from effaudit.views.attentions import Attended, Scope, Scopes, labelled
from effaudit.views.attentions import layers as every
from effaudit.views.kv_cache import operators
from effaudit.views.kv_cache.layout import Axes, Hints, described, head_size
from effaudit.views.kv_cache.named import caches_by_name, is_cross_name
from effaudit.views.kv_cache.slots import Slot, slots_of
from effaudit.views.kv_cache.types import BOTH, GQA, KEY, MHA, MQA, VALUE, CacheTensor, KVLayer
from effaudit.views.kv_cache.uncached import if_cached, state_layer
from effaudit.views.transformer.types import CROSS, SELF


def kv_layers(audited: Audited, found: Scopes) -> list[KVLayer]:
    """The layers in order, then those that only the names of inputs tell."""
    own = [(scope, layer, slots_of(scope, layer)) for scope, layer in every(found)]
    held = _Held(audited, own)
    made = [_layer(held, scope, layer, slots) for scope, layer, slots in own]
    taken = [slot.past for _, _, slots in own for slot in slots]
    return made + [_by_name(audited, past, present) for past, present in caches_by_name(audited.graph, taken)]


class _Held:
    """The caches of a model: how many roles each serves in, and which layer it was first met in."""

    def __init__(self, audited: Audited, own: Sequence[tuple[Scope, Attended, list[Slot]]]) -> None:
        self.audited = audited
        self.roles: Counter[str] = Counter()
        self.owner: dict[str, str] = {}
        for _, _, slots in own:
            for slot in slots:
                self.roles[slot.name] += 2 if slot.role == BOTH else 1

    def read(self, where: str, slot: Slot, hints: Hints) -> tuple[CacheTensor, Axes | None, str]:
        """The tensor of a slot as far as this layer's is, and what there is to say of it."""
        name, roles = slot.name, self.roles[slot.name]
        hints = msgspec.structs.replace(hints, axis=slot.axis, roles=roles)
        tensor, axes = described(self.audited, slot.past, slot.present, slot.role, hints)
        owner = self.owner.setdefault(name, where)
        if axes is None or tensor.elements is None:
            return tensor, axes, tensor.why
        if axes.parts == roles:  # every role has its part of a stack
            mine = tensor.elements * (2 if slot.role == BOTH else 1) // roles
            return msgspec.structs.replace(tensor, elements=mine), axes, ""
        if owner == where:
            return tensor, axes, ""
        why = f"{name} is the cache of {owner} too, and counted there"
        return msgspec.structs.replace(tensor, elements=0), axes, why


def _layer(held: _Held, scope: Scope, layer: Attended, slots: Sequence[Slot]) -> KVLayer:
    where, z, count = labelled(scope, layer), layer.sizes, len(layer.cores)
    heads = None if z.heads is None else z.heads * count
    kv_heads = None if z.kv_heads is None else z.kv_heads * count
    node = None if layer.cores[0].fused is None else scope.signal.nodes[layer.cores[0].fused]
    if node is not None and operators.state(node) is not None:
        return state_layer(scope, layer, where, (heads, kv_heads))
    window = None if node is None else operators.window(node)
    if not slots:
        tensors, sizes, why = if_cached(scope, layer, kv_heads)
        return _made(where, layer.relation, (heads, kv_heads), sizes, window, tensors, why)
    paged = node is not None and node.op in operators.PAGED
    packed = None if node is None else operators.packed_bits(node)
    hints = Hints(None, kv_heads, z.head_size, 1, paged, packed)
    read = [held.read(where, slot, hints) for slot in slots]
    attention = _relation(layer, slots)
    told = [axes.heads for _, axes, _ in read if axes is not None and axes.heads]
    key_size, value_size = (
        next(
            (n for t, axes, _ in read if t.role in (role, BOTH) and (n := head_size(t, axes)) is not None), z.head_size
        )
        for role in (KEY, VALUE)
    )
    why = "; ".join(dict.fromkeys(doubt for _, _, doubt in read if doubt))
    own = (heads, told[0] if told else kv_heads)
    return _made(where, attention, own, (key_size, value_size), window, tuple(t for t, _, _ in read), why)


def _relation(layer: Attended, slots: Sequence[Slot]) -> str:
    """A past that grows by the new tokens is of self attention, one that is only read comes from an encoder."""
    if any(slot.grows and slot.past for slot in slots):
        return SELF
    return layer.relation if any(slot.grows for slot in slots) else CROSS


def _made(
    where: str,
    attention: str,
    heads: tuple[int | None, int | None],
    sizes: tuple[int | None, int | None],
    window: int | None,
    tensors: tuple[CacheTensor, ...],
    why: str,
) -> KVLayer:
    bits = token_bits(tensors)
    each = None if bits is None else -(-bits // 8)
    cached = any(t.past or t.present for t in tensors)
    return KVLayer(where, attention, _kind(*heads), *heads, *sizes, window, cached, tensors, each, 0, why)


def token_bits(tensors: Sequence[CacheTensor], bits: int | None = None) -> int | None:
    """Bits of one token of one sequence; `bits` in place of the elements' own. None where one is not known."""
    if not tensors or any(t.elements is None for t in tensors):
        return None
    return sum((t.elements or 0) * (t.bits if bits is None else bits) for t in tensors)


def _kind(heads: int | None, kv_heads: int | None) -> str:
    if heads is None or kv_heads is None:
        return ""
    if heads == kv_heads:
        return MHA
    return MQA if kv_heads == 1 else GQA


def _by_name(audited: Audited, past: str, present: str) -> KVLayer:
    """A cache of which only the name is known."""
    tensor, axes = described(audited, past, present, BOTH, Hints(axis=_usual(audited, past, present), roles=None))
    heads = None if axes is None else axes.heads
    attention = CROSS if is_cross_name(past) else SELF
    why = tensor.why or "told by its name alone: no attention reads it unchanged"
    return _made(past, attention, (None, heads), (None, None), None, (tensor,), why)


def _usual(audited: Audited, past: str, present: str) -> int | None:
    """Axis 2 of a cache of four axes whose shape tells nothing else."""
    symbolic = audited.symbolic.values
    shape = symbolic[past].shape
    if shape is None or len(shape) != 4:
        return None
    other = symbolic[present].shape if present else None
    if other is not None and other != shape:
        return None
    return 2 if all(isinstance(dim, int) for dim in shape[1:]) else None
