"""Key/value caches and attention scores in a few lines."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from effaudit.memory.types import ModelMemory
from effaudit.render.screen import amount
from effaudit.units import human_bytes
from effaudit.wrapping import wrapped

if TYPE_CHECKING:
    from effaudit.memory.sequences import CacheReport
    from effaudit.views.kv_cache import KVLayer


def sequences(model: ModelMemory) -> list[str]:
    """Nothing of a model without attention."""
    lines = [] if model.kv_cache is None else _cache(model.kv_cache)
    scores = model.scores
    if scores is not None and scores.scores_bytes:
        words = f"attention scores {human_bytes(scores.scores_bytes)} in {len(scores.layers)} attentions"
        if scores.flash_live_bytes is not None and scores.live_bytes is not None:
            lowers = scores.flash_live_bytes < scores.live_bytes
            words += f"; live {human_bytes(scores.live_bytes)}, with kernels that never store them "
            words += human_bytes(scores.flash_live_bytes) if lowers else "no less: they are not at the peak"
        lines += wrapped("scores ", words)
    return lines


def _cache(found: CacheReport) -> list[str]:
    if found.token_bytes is None:
        return wrapped("cache  ", f"unknown: {found.why or ''}")
    token = amount(found.token_bytes, found.token_bounds, human_bytes)
    if not found.cached:
        return wrapped("cache  ", f"none in the file; one would take {token} a token")
    lines = wrapped("cache  ", f"{token} a token: {_kinds(found.layers, found.dtype)}")
    if found.bytes is not None and found.tokens is not None and found.batch is not None:
        size = f"{found.batch:,} x {found.tokens:,} tokens: {amount(found.bytes, found.bounds, human_bytes)}"
        formula = f"; in the file {found.formula}" if found.formula and len(found.formula) < 60 else ""
        lines += wrapped("       ", size + formula)
    if found.cross_bytes:
        lines += wrapped("       ", f"cross attention {human_bytes(found.cross_bytes)}")
    return lines


def _kinds(layers: Sequence[KVLayer], dtype: str | None) -> str:
    """Equal layers together: 32 layers of MHA, 32 heads of 128, float16."""
    known = [_kind(layer, dtype) for layer in layers]
    groups = [(len(list(group)), kind) for kind, group in groupby(known)]
    texts = [f"{count} layer{'s' if count > 1 else ''} of {kind}" for count, kind in groups[:3]]
    return "; ".join([*texts, *([f"+{len(groups) - 3} more kinds"] if len(groups) > 3 else [])])


def _kind(layer: KVLayer, asked: str | None) -> str:
    heads = "?" if layer.kv_heads is None else f"{layer.kv_heads:,}"
    size = "?" if layer.key_size is None else f"{layer.key_size:,}"
    dtype = asked or (layer.tensors[0].dtype if layer.tensors else "no type")
    window = "" if layer.window is None else f", window {layer.window:,}"
    cached = "" if layer.cached or not layer.tensors else ", not cached"
    return f"{layer.kind}, {heads} key heads of {size}, {dtype}{window}{cached}"
