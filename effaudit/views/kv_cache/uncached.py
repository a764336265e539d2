"""Attention without a cache per token: what one would take, and the states of linear attention."""

from __future__ import annotations

from typing import Final

from effaudit.views.attentions import Attended, Scope
from effaudit.views.kv_cache import operators
from effaudit.views.kv_cache.trace import handed, trace
from effaudit.views.kv_cache.types import KEY, STATE, VALUE, CacheTensor, KVLayer
from effaudit.views.transformer.fused import inside
from effaudit.views.transformer.signal import Signal
from effaudit.views.transformer.types import TOKENS

IN_A_LOOP: Final = "it runs in a loop: how its keys and values are kept from run to run cannot be told"
_NO_CACHE: Final = "it attends over channels: there is nothing to keep per token"


def if_cached(
    scope: Scope, layer: Attended, kv_heads: int | None
) -> tuple[tuple[CacheTensor, ...], tuple[int | None, int | None], str]:
    z = layer.sizes
    value_size = _value_size(scope, layer)
    if scope.repeated:
        return (), (z.head_size, value_size), IN_A_LOOP
    if z.over != TOKENS:
        return (), (z.head_size, value_size), _NO_CACHE
    if z.windows is not None and z.windows > 1:
        return (), (z.head_size, value_size), f"it attends within {z.windows} windows, each for itself"
    if kv_heads is None or z.head_size is None or value_size is None:
        return (), (z.head_size, value_size), "its key heads and their sizes cannot be told from the shapes"
    source = _operand(scope, layer)
    encoding = scope.signal.graph.values[source].encoding
    batch, kept = _batch_of(scope.signal, layer), "" if scope.path else source
    tensors = tuple(
        CacheTensor("", "", role, encoding.dtype, encoding.bits, kv_heads * size, z.kv_tokens, batch, "", kept)
        for role, size in ((KEY, z.head_size), (VALUE, value_size))
    )
    return tensors, (z.head_size, value_size), ""


def _operand(scope: Scope, layer: Attended) -> str:
    """The keys where they are a tensor, else what the operator makes of as many tokens."""
    core = layer.cores[0]
    return core.k[0] if core.k and core.k[0] else scope.signal.output(core.end)


def _batch_of(s: Signal, layer: Attended) -> int | None:
    """The sequences that attend: the elements of the queries over their heads, tokens and sizes."""
    z, core = layer.sizes, layer.cores[0]
    if core.fused is not None:
        return inside(s, core.fused).batch
    size, one = s.size(core.q[0]) if core.q else None, (z.heads or 0) * (z.tokens or 0) * (z.head_size or 0)
    return size // one if size and one and not size % one else None


def _value_size(scope: Scope, layer: Attended) -> int | None:
    """The elements of a value head: as many as the values have more of than the keys."""
    s, core, head = scope.signal, layer.cores[0], layer.sizes.head_size
    if core.fused is not None:
        out, heads = s.shape(s.output(core.fused)), layer.sizes.heads
        if not out or not heads:
            return head
        return out[-1] if len(out) == 4 else out[-1] // heads
    k, v = (s.size(names[0]) if names else None for names in (core.k, core.v))
    if head is None or not k or v is None or head * v % k:
        return None
    return head * v // k


def state_layer(scope: Scope, layer: Attended, where: str, heads: tuple[int | None, int | None]) -> KVLayer:
    """A linear attention: its state has batch x heads x key size x value size elements."""
    s, core = scope.signal, layer.cores[0]
    assert core.fused is not None
    node = s.nodes[core.fused]
    place = operators.state(node)
    name = node.outputs[place] if place is not None and place < len(node.outputs) else ""
    name = name or s.input(core.fused, 3)
    value = s.graph.values.get(name)
    shape = s.shape(name)
    if value is None or shape is None or len(shape) != 4 or not value.encoding.bits:
        why = "the size of the state it keeps is not known"
        return KVLayer(where, layer.relation, STATE, *heads, None, None, None, False, (), None, 0, why)
    size = -(-shape[1] * shape[2] * shape[3] * value.encoding.bits // 8)
    fed = s.input(core.fused, 3)
    origins = trace(scope, fed, past=True).origins if fed else ()
    past, present = origins[0].name if origins else "", next(iter(handed(scope, name)), "")
    tensor = CacheTensor(past, present, STATE, value.encoding.dtype, value.encoding.bits, 0, None, shape[0])
    why = "a state of fixed size: nothing is kept per token"
    sizes = shape[2], shape[3]
    cached = bool(past or present)
    return KVLayer(where, layer.relation, STATE, *heads, *sizes, None, cached, (tensor,), 0, size, why)
