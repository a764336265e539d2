"""The bytes of a cache at any batch and length, from the layers that the view of it found.

The same sums as `effaudit.views.kv_cache`, which follows the graph anew for every question.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from effaudit.audited import Audited
from effaudit.quantity import Quantity
from effaudit.views.kv_cache import KVCache, KVLayer, kv_cache
from effaudit.views.kv_cache.layers import token_bits
from effaudit.views.kv_cache.types import STATE

NOTHING = Quantity(0, 0)


def is_decoder(audited: Audited) -> bool:
    """True of a model that takes a cache of keys and values, or a state: it may be served."""
    found = kv_cache(audited)
    return found is not None and any(tensor.past for layer in found.layers for tensor in layer.tensors)


def cache_names(found: KVCache | None) -> frozenset[str]:
    """The inputs and outputs of the model that hold it."""
    layers = () if found is None else (*found.layers, *found.cross)
    return frozenset(name for layer in layers for t in layer.tensors for name in (t.past, t.present) if name)


def cache_bytes(found: KVCache | None, bits: int | None, batch: int, context: int) -> Quantity:
    """Keys, values and states of `batch` sequences of `context` tokens; elements of `bits`, or their own."""
    if found is None or not found.cached:
        return NOTHING
    return _sum(_counted(found.layers), found.why, bits, batch, context)


def token_bytes(found: KVCache | None, bits: int | None) -> Quantity:
    """One token of one sequence over all layers, states left out, rounded up once."""
    if found is None or not found.cached:
        return NOTHING
    kept = [layer for layer in _counted(found.layers) if layer.kind != STATE]
    plain = [msgspec.structs.replace(layer, window=None) for layer in kept]
    return _sum(plain, found.why, bits, 1, 1)


def cross_bytes(found: KVCache | None, bits: int | None, batch: int) -> Quantity:
    """The keys and values of `batch` sequences that come from an encoder, at its length in the graph audited."""
    if found is None or not found.cached or not found.cross:
        return NOTHING
    return _sum(_counted(found.cross), "", bits, batch, None)


def _counted(layers: Sequence[KVLayer]) -> Sequence[KVLayer]:
    return [layer for layer in layers if layer.cached]


def _sum(layers: Sequence[KVLayer], lost: str, bits: int | None, batch: int, context: int | None) -> Quantity:
    total, why = 0, lost
    for layer in layers:
        if layer.kind == STATE:
            total += batch * layer.state_bytes * 8
            why = why or ("" if layer.token_bytes is not None else f"{layer.where}: {layer.why}")
            continue
        token = token_bits(layer.tensors, bits)
        tokens = context if context is not None else _length(layer)
        if token is None or tokens is None:
            why = why or f"{layer.where}: {layer.why or 'the size of its keys and values cannot be told'}"
            continue
        total += token * batch * (tokens if layer.window is None else min(tokens, layer.window))
    low = -(-total // 8)
    return Quantity(low, None, why) if why else Quantity(low, low)


def _length(layer: KVLayer) -> int | None:
    found = {t.tokens for t in layer.tensors}
    return found.pop() if len(found) == 1 else None
