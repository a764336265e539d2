"""Reports of several models -> candidates for the front of accuracy and cost."""

from __future__ import annotations

from collections.abc import Sequence

from effaudit.report.types import ModelReport
from effaudit.views.pareto import Candidate, Comparing, Pareto, pareto

Estimate = tuple[float | None, float, float | None]  # seconds, and their bounds
UNKNOWN: Estimate = (None, 0.0, None)


def compared(
    models: Sequence[ModelReport], asked: Comparing, latencies: Sequence[Estimate] = (), device: str | None = None
) -> Pareto:
    """The models by accuracy and cost; `latencies` are theirs on the `device`, where there is one."""
    each = latencies or [UNKNOWN] * len(models)
    found = [_candidate(model, asked, seconds) for model, seconds in zip(models, each, strict=True)]
    return pareto(found, asked, device)


def _candidate(model: ModelReport, asked: Comparing, latency: Estimate) -> Candidate:
    seconds, low, high = latency
    return Candidate(
        model=model.path,
        accuracy=asked.accuracies.get(model.path),
        params=model.totals.params,
        macs=model.totals.macs,
        macs_bounds=model.totals.macs_bounds,
        weight_bytes=model.totals.weight_bytes,
        live_bytes=model.memory.live_bytes,
        live_bounds=model.memory.live_bounds,
        latency_s=seconds,
        latency_bounds=[low, high],
    )
