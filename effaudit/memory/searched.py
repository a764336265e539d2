"""What takes a search or a view of its own: the order of nodes, patches, and the memory of sequences."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.graph import Graph
from effaudit.memory.asked import AUTO, Stage
from effaudit.memory.planned import Planned
from effaudit.memory.types import OrderReport, PatchReport
from effaudit.plan.order import Ordered, best_order
from effaudit.views.attends import attends

if TYPE_CHECKING:
    from effaudit.memory.sequences import CacheReport, ScoresReport
    from effaudit.plan.patches import Patched

LARGE: Final = 20_000  # nodes from which on a model is searched only where it is asked for
WORK: Final = {"low": 50_000, "normal": 200_000, "high": 2_000_000}  # nodes visited in a search for patches
OWN_PLANNER: Final = 20  # how much dearer a node is in that search where a runtime's own planner decides who shares
DEAREST: Final = 1.0  # of the model's MACs: patches that add more are shown only where they are asked for


class Searched(msgspec.Struct, frozen=True):
    """None where a model has nothing of the kind, it cannot be told, or nobody asked and the model is large."""

    ordered: Ordered | None
    patches: tuple[PatchReport, ...]
    kv_cache: CacheReport | None
    scores: ScoresReport | None

    @property
    def patched(self) -> PatchReport | None:
        """The best patches."""
        return self.patches[0] if self.patches else None

    @property
    def order(self) -> OrderReport | None:
        """The best order, where every size is a number."""
        found = self.ordered
        if found is None or found.peak is None:
            return None
        return OrderReport(found.peak, found.floor, found.proven, found.method, found.states)


def searched(audited: Audited, made: Planned) -> Searched:
    """Raises UsageError for a stage that cannot be run in patches."""
    asked = made.asked
    small = len(made.graph.nodes) <= LARGE
    kv_cache = scores = None
    if attends(audited):
        kv_cache, scores = _sequences(audited, made)
    return Searched(
        ordered=best_order(made.graph, made.flow, effort=asked.effort) if small or asked.reorder else None,
        patches=_patched(made) if small or asked.patch is not None else (),
        kv_cache=kv_cache,
        scores=scores,
    )


def _sequences(audited: Audited, made: Planned) -> tuple[CacheReport | None, ScoresReport | None]:
    """Of the file as written, whatever the runtime: there its attention can be found."""
    from effaudit.memory.sequences import cache_report, scores_report
    from effaudit.views.kv_cache import kv_cache
    from effaudit.views.score_memory import score_memory

    asked = made.asked.cache
    cache = kv_cache(audited, context=asked.context, batch=asked.batch, dtype=asked.dtype, window=asked.window)
    scores = score_memory(audited)
    caches = None if cache is None else cache_report(cache, asked.dtype)
    return caches, None if scores is None else scores_report(scores)


def _patched(made: Planned) -> tuple[PatchReport, ...]:
    """The stage asked for; or the best one, then one that takes fewer extra MACs, where they lower the peak and are not
    too dear."""
    from effaudit.plan.patches import best_patches

    wanted, live = made.asked.patch, made.liveness.live_bytes.value
    if live is None:
        if wanted is not None:
            raise UsageError(f"--patch: the sizes of tensors must be known: {made.need.why}")
        return ()
    if isinstance(wanted, Stage):
        return (_run(made, _tensor(made.graph, wanted.tensor), wanted.grid),)
    if wanted is None and made.runtime.sharing.storages is not None:
        return ()  # a planner of its own, that is to be asked for every tile: too slow where nobody wants it
    work = WORK[made.asked.effort] // (OWN_PLANNER if made.runtime.sharing.storages is not None else 1)
    search = partial(best_patches, made.graph, made.flow, sharing=made.runtime.sharing, work=work)
    found = search()
    if found.best is None:
        if wanted == AUTO:
            raise UsageError(f"--patch auto: {found.why}")
        return ()
    best = _run(made, found.best.stage, found.best.grid)
    if wanted == AUTO:
        return (best,)
    if not best.stage_macs or best.patched_bytes >= live:
        return ()
    cheap = search(budget=(live + best.patched_bytes) // 2).best
    both: tuple[PatchReport, ...] = (best,)
    if cheap is not None and cheap.extra_macs < best.extra_macs:
        both = (best, _run(made, cheap.stage, cheap.grid))
    return tuple(one for one in both if (one.extra_share or 0.0) <= DEAREST)


def _run(made: Planned, stage: str, grid: tuple[int, ...]) -> PatchReport:
    from effaudit.plan.patches import patched

    run = partial(patched, made.graph, made.flow, stage, grid, sharing=made.runtime.sharing)
    return _report(made.graph, run(feed="resident"), run(feed="streamed"))


def _tensor(graph: Graph, name: str) -> str:
    """A tensor by its name or by that of the node that makes it. Raises UsageError."""
    if name in graph.values:
        return name
    for node in graph.nodes:
        if node.name == name and node.outputs:
            return node.outputs[0]
    from effaudit.nearest import nearest

    near = nearest(name, [*graph.values, *(node.name for node in graph.nodes)])
    hint = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"--patch {name}: no tensor and no node of that name{hint}")


def _report(graph: Graph, resident: Patched, streamed: Patched) -> PatchReport:
    return PatchReport(
        stage=resident.stage,
        nodes=tuple(graph.nodes[i].label for i in resident.nodes),
        grid=resident.grid,
        tile=resident.tile,
        inputs=resident.inputs,
        stage_bytes=resident.stage_bytes,
        stage_streamed_bytes=streamed.stage_bytes,
        rest_bytes=resident.rest_bytes,
        patched_bytes=resident.patched_bytes,
        patched_streamed_bytes=streamed.patched_bytes,
        peak_node=resident.peak_node,
        stage_macs=resident.stage_macs,
        patched_macs=resident.patched_macs,
        unclipped_macs=resident.unclipped_macs,
        extra_macs=resident.extra_macs,
        ratio=_rounded(resident.ratio),
        extra_share=_rounded(resident.extra_share),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
