"""Key/value caches and attention scores as a document has them: plain numbers, and formulas as text."""

from __future__ import annotations

import msgspec

from effaudit import dims
from effaudit.dims import Dim
from effaudit.quantity import Quantity
from effaudit.views.kv_cache import KVCache, KVLayer
from effaudit.views.score_memory import ScoreLayer, ScoreMemory


class CacheReport(msgspec.Struct, frozen=True):
    """The key/value cache of a model, as `effaudit.views.kv_cache.KVCache` says; None is unknown, `why` says why.
    `dtype` is the element type that was asked for, None where each layer has its own."""

    cached: bool
    dtype: str | None
    token_bytes: int | None
    token_bounds: list[int | None]
    batch: int | None
    tokens: int | None
    bytes: int | None
    bounds: list[int | None]
    state_bytes: int | None
    cross_token_bytes: int | None
    cross_bytes: int | None
    past_bytes: int | None
    present_bytes: int | None
    formula: str | None
    past_formula: str | None
    present_formula: str | None
    mha_ratio: float | None
    layers: tuple[KVLayer, ...]
    cross: tuple[KVLayer, ...]
    why: str | None


class ScoreReport(msgspec.Struct, frozen=True):
    """One attention, as `effaudit.views.score_memory.ScoreLayer` says."""

    where: str
    operator: str
    heads: int | None
    queries: int | None
    keys: int | None
    dtype: str
    scores_bytes: int | None
    scores_bounds: list[int | None]
    formula: str | None
    tensors: tuple[tuple[str, int | None], ...]
    workspace_bounds: list[int | None]
    flash: bool
    why: str | None


class ScoresReport(msgspec.Struct, frozen=True):
    """The attention scores of a model; `flash_live_bytes` is the peak where no kernel ever stores them."""

    scores_bytes: int | None
    tensors_bytes: int | None
    live_bytes: int | None
    workspace_live_bounds: list[int | None]
    flash_live_bytes: int | None
    peak_node: str
    flash_peak_node: str
    layers: tuple[ScoreReport, ...]
    why: str | None


def cache_report(found: KVCache, dtype: str | None) -> CacheReport:
    """The cache with formulas as text; `dtype` is the element type asked for in place of the model's own."""
    return CacheReport(
        cached=found.cached,
        dtype=dtype,
        token_bytes=found.token_bytes.value,
        token_bounds=found.token_bytes.bounds,
        batch=found.batch,
        tokens=found.tokens,
        bytes=found.bytes.value,
        bounds=found.bytes.bounds,
        state_bytes=found.state_bytes.value,
        cross_token_bytes=_value(found.cross_token_bytes),
        cross_bytes=_value(found.cross_bytes),
        past_bytes=_value(found.past_bytes),
        present_bytes=_value(found.present_bytes),
        formula=_text(found.formula),
        past_formula=_text(found.past_formula),
        present_formula=_text(found.present_formula),
        mha_ratio=found.mha_ratio,
        layers=found.layers,
        cross=found.cross,
        why=found.why or found.bytes.why or None,
    )


def scores_report(found: ScoreMemory) -> ScoresReport:
    """The scores with formulas as text."""
    return ScoresReport(
        scores_bytes=found.scores_bytes.value,
        tensors_bytes=found.tensors_bytes.value,
        live_bytes=found.live_bytes.value,
        workspace_live_bounds=found.workspace_live_bytes.bounds,
        flash_live_bytes=found.flash_live_bytes.value,
        peak_node=found.peak,
        flash_peak_node=found.flash_peak,
        layers=tuple(map(_layer, found.layers)),
        why=found.why or None,
    )


def _layer(row: ScoreLayer) -> ScoreReport:
    return ScoreReport(
        where=row.where,
        operator=row.operator,
        heads=row.heads,
        queries=row.queries,
        keys=row.keys,
        dtype=row.dtype,
        scores_bytes=row.scores_bytes.value,
        scores_bounds=row.scores_bytes.bounds,
        formula=_text(row.formula),
        tensors=row.tensors,
        workspace_bounds=row.workspace_bytes.bounds,
        flash=row.flash,
        why=row.why or None,
    )


def _value(quantity: Quantity | None) -> int | None:
    return None if quantity is None else quantity.value


def _text(dim: Dim | None) -> str | None:
    return None if dim is None else dims.text(dim)
