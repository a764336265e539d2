"""The cache of a whole model: what one token takes, and what so many tokens of so many sequences take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from math import gcd
from typing import Final

from effaudit import dims
from effaudit.audited import Audited
from effaudit.dims import Dim
from effaudit.errors import Undecided, UsageError
from effaudit.graph import ENCODINGS, Graph
from effaudit.nearest import did_you_mean
from effaudit.printable import printable
from effaudit.quantity import Quantity, add, between
from effaudit.views.attentions import attentions
from effaudit.views.expressions import agrees, sizes_used, total_or_none
from effaudit.views.kv_cache.layers import kv_layers, token_bits
from effaudit.views.kv_cache.types import STATE, CacheTensor, KVCache, KVLayer
from effaudit.views.transformer.types import CROSS

_SHORT: Final = {"fp32": 32, "fp16": 16, "bf16": 16, "fp8": 8, "fp4": 4, "half": 16, "float": 32, "double": 64}
_WIDTHS: Final = {e.dtype: e.bits for e in ENCODINGS.values() if e.bits and e.dtype != "bool"} | _SHORT


def kv_cache(
    audited: Audited,
    *,
    context: int | None = None,
    batch: int | None = None,
    dtype: str | None = None,
    window: int | None = None,
) -> KVCache | None:
    """The cache of a model, None where it holds no attention.

    `context` tokens of `batch` sequences (None: those of the audited graph), with elements of `dtype` and a sliding
    window of `window` tokens in every layer in place of the model's own. 2 x layers x key heads x head size x tokens
    x batch x bytes: https://arxiv.org/abs/1911.02150; a window keeps its own length at most:
    https://arxiv.org/abs/2310.06825.

    Raises UsageError on a size below 1 or a dtype that is none.
    """
    for option, size in (("--context", context), ("--batch-size", batch), ("--kv-window", window)):
        if size is not None and size < 1:
            raise UsageError(f"{option}: {size}: expected a number of 1 or more")
    bits = None if dtype is None else bits_of(dtype)
    found = attentions(audited)
    if found is None:
        return None
    every = kv_layers(audited, found)
    if not every and not found.why:
        return None
    own = tuple(layer for layer in every if layer.attention != CROSS)
    cross = tuple(layer for layer in every if layer.attention == CROSS)
    cached = any(layer.cached for layer in own or cross)
    counted, counted_cross = ([x for x in row if x.cached] or row for row in (own, cross))
    sequences = batch or _agreed(t.batch for layer in every for t in layer.tensors)
    lost = "" if every else "; ".join(found.why)
    lengths = [_length(layer, context) for layer in counted if layer.kind != STATE]
    sums = _Sums(bits, window, lost)
    passed = _written(audited, every)
    past, present = (_formula(audited, every, side) for side in (_past, _present))
    return KVCache(
        layers=own,
        cross=cross,
        cached=cached,
        token_bytes=sums.token(counted),
        state_bytes=Quantity(sum(layer.state_bytes for layer in counted), sum(layer.state_bytes for layer in counted)),
        batch=sequences,
        tokens=_agreed(lengths),
        bytes=sums.total(counted, context, sequences),
        cross_token_bytes=sums.token(counted_cross) if counted_cross else None,
        cross_bytes=sums.total(counted_cross, None, sequences) if counted_cross else None,
        past_bytes=passed[0],
        present_bytes=passed[1],
        past_formula=past,
        present_formula=present,
        formula=(past or present) if cached else _if_cached(audited, counted),
        mha_ratio=_ratio(counted, bits),
        why="; ".join(found.why),
    )


def bits_of(dtype: str) -> int:
    """The bits of an element type by its ONNX or its usual short name. Raises UsageError on another."""
    width = _WIDTHS.get(dtype.lower())
    if width is None:
        near = did_you_mean(dtype.lower(), _WIDTHS)
        raise UsageError(f"--kv-dtype {printable(dtype, 40)!r}: no element type{near or '; write it like fp16, int8'}")
    return width


def _agreed(values: Iterable[int | None]) -> int | None:
    """The one value that all have; None where they differ or one is not known."""
    found = set(values)
    return found.pop() if len(found) == 1 else None


def _length(layer: KVLayer, context: int | None) -> int | None:
    """The tokens of a layer's cache before any window."""
    return context if context is not None else _agreed(t.tokens for t in layer.tensors)


class _Sums:
    """Adds up layers under one choice of element width and window; `lost` says why no layer was found."""

    def __init__(self, bits: int | None, window: int | None, lost: str) -> None:
        self.bits, self.window, self.lost = bits, window, lost

    def token(self, counted: Sequence[KVLayer]) -> Quantity:
        """Bytes of one token of one sequence."""
        return self._sum(counted, self._token)

    def total(self, counted: Sequence[KVLayer], context: int | None, batch: int | None) -> Quantity:
        """Bytes of `batch` sequences, states included."""

        def layer_bits(layer: KVLayer) -> int | str:
            if batch is None:
                return "the number of sequences cannot be told"
            token = self._token(layer)
            if isinstance(token, str) or layer.kind == STATE:
                return token if isinstance(token, str) else batch * layer.state_bytes * 8
            tokens = _length(layer, context)
            if tokens is None:
                return "the length of its cache cannot be told"
            reach = self.window or layer.window
            return token * batch * (tokens if reach is None else min(tokens, reach))

        return self._sum(counted, layer_bits)

    def _token(self, layer: KVLayer) -> int | str:
        if layer.kind == STATE:
            return 0 if layer.token_bytes is not None else layer.why
        known = token_bits(layer.tensors, self.bits)
        return layer.why or "the size of its keys and values cannot be told" if known is None else known

    def _sum(self, counted: Sequence[KVLayer], figure: Callable[[KVLayer], int | str]) -> Quantity:
        """The sum in bytes, rounded up once; at least that where a layer is not known."""
        total, why = 0, self.lost
        for layer in counted:
            found = figure(layer)
            if isinstance(found, str):
                why = why or f"{layer.where}: {found}"
            else:
                total += found
        low = -(-total // 8)
        return Quantity(low, None, why) if why else Quantity(low, low)


def _ratio(counted: Sequence[KVLayer], bits: int | None) -> float | None:
    """Bits per token with a key head per query head, over those there are; None where a layer's heads are not known."""
    own, full = 0, Fraction(0)
    for layer in counted:
        known = token_bits(layer.tensors, bits)
        if layer.kind == STATE:
            continue
        if known is None or not layer.heads or not layer.kv_heads:
            return None
        own += known
        full += Fraction(known * layer.heads, layer.kv_heads)
    return float(full / own) if own else None


# ---- as the file has it
def _past(tensor: CacheTensor) -> str:
    return tensor.past


def _present(tensor: CacheTensor) -> str:
    return tensor.present


def _names(every: Sequence[KVLayer], side: Callable[[CacheTensor], str]) -> list[str]:
    return [name for name in dict.fromkeys(side(t) for layer in every for t in layer.tensors) if name]


def _written(audited: Audited, every: Sequence[KVLayer]) -> tuple[Quantity | None, Quantity | None]:
    """The bytes of the inputs, and of the outputs, that hold a cache."""
    past, present = ([_bytes(audited.graph, name) for name in _names(every, side)] for side in (_past, _present))
    return add(past) if past else None, add(present) if present else None


def _bytes(graph: Graph, name: str) -> Quantity:
    size = _nbytes(graph, name)
    return Quantity(0, None, f"the size of {name} is not known") if size is None else between(size, size)


def _formula(audited: Audited, every: Sequence[KVLayer], side: Callable[[CacheTensor], str]) -> Dim | None:
    """The same in the open dims; only where it agrees with the number at the sizes audited."""
    names = _names(every, side)
    if not names or audited.symbolic is audited.graph:
        return None
    total = total_or_none([_nbytes(audited.symbolic, name) for name in names])
    number = total_or_none([_nbytes(audited.graph, name) for name in names])
    exact = total is not None and agrees(total, number if isinstance(number, int) else None, sizes_used(audited))
    return total if exact else None


def _if_cached(audited: Audited, counted: Sequence[KVLayer]) -> Dim | None:
    """What a cache would take, in the open dims: the keys of the graph are as many times batch x length."""
    if audited.symbolic is audited.graph:
        return None
    try:
        return _kept(audited, counted)
    except Undecided:  # more terms than an expression holds
        return None


def _kept(audited: Audited, counted: Sequence[KVLayer]) -> Dim | None:
    bits: list[Dim | None] = []
    number = 0
    for tensor in (t for layer in counted for t in layer.tensors):
        symbolic, numeric = (_numel(graph, tensor.source) for graph in (audited.symbolic, audited.graph))
        if None in (symbolic, tensor.elements, tensor.tokens, tensor.batch) or not isinstance(numeric, int):
            return None
        kept = (tensor.elements or 0) * (tensor.tokens or 0) * (tensor.batch or 0) * tensor.bits
        number += kept
        step = gcd(kept, numeric) or 1
        bits.append(dims.floordiv((symbolic or 0) * (kept // step), numeric // step) if numeric else 0)
    total = total_or_none(bits)
    whole = None if total is None else dims.ceildiv(total, 8)
    return whole if whole is not None and agrees(whole, -(-number // 8), sizes_used(audited)) else None


def _numel(graph: Graph, name: str) -> Dim | None:
    try:
        return graph.values[name].numel
    except (KeyError, TypeError, Undecided):
        return None


def _nbytes(graph: Graph, name: str) -> Dim | None:
    try:
        return graph.values[name].nbytes
    except (TypeError, Undecided):
        return None
