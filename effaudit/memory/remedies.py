"""What would lower an arena: each change is really made and planned again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.memory.asked import Asked
from effaudit.memory.planned import Planned, laid_out, planned
from effaudit.memory.searched import LARGE, Searched
from effaudit.memory.types import PatchReport, Remedy
from effaudit.plan.offsets import plan
from effaudit.plan.order import apply_order
from effaudit.plan.storage import APART
from effaudit.runtimes import DEFAULT

FLOATS: Final = frozenset(("float32", "float64", "float16", "bfloat16"))
LEAST: Final = 0.005  # a change that saves less is not worth a line


def remedies(audited: Audited, made: Planned, found: Searched) -> tuple[Remedy, ...]:
    """The changes that save something, the largest first; none where the arena is not known exactly, or the model is
    large."""
    before = made.arena.value
    if not before or made.plan is None or len(made.graph.nodes) > LARGE:
        return ()
    tried = [*_planner(made), *_variants(audited, made), *_order(made, found), *_flash(made, found)]
    if made.asked.patch is None:
        tried += [_patches(one) for one in found.patches]
    worth = [one for one in tried if one.arena_bytes < before * (1 - LEAST)]
    ranked = sorted(worth, key=lambda one: one.arena_bytes)
    return tuple(msgspec.structs.replace(one, saves=round(1 - one.arena_bytes / before, 6)) for one in ranked)


def _planner(made: Planned) -> Iterator[Remedy]:
    """The same buffers, laid out better."""
    if made.plan is None or made.plan.proven or (made.asked.planner or made.runtime.planner) == "best":
        return
    best = plan(made.plan.problem, "best", made.asked.effort)
    proof = ", the least there is" if best.proven else ""
    yield Remedy(f"a better layout of the same buffers{proof}", best.arena, 0.0, "", "--planner best")


def _variants(audited: Audited, made: Planned) -> Iterator[Remedy]:
    """The same model under other options."""
    asked, runtime = made.asked, made.runtime
    if asked.pin_inputs:
        yield _planned(audited, msgspec.structs.replace(asked, pin_inputs=False), "inputs reused once read", "", "")
    if asked.quantize is None and _is_float(made):
        other = msgspec.structs.replace(asked, quantize="int8")
        yield _planned(audited, other, "int8 activations", "accuracy to be checked", "--quantize int8")
    if runtime.name == DEFAULT and runtime.sharing == APART:
        other = msgspec.structs.replace(asked, runtime="ideal")
        what = "nodes fused, views and element-wise operators in place"
        yield _planned(audited, other, what, "a runtime that does so", "--runtime ideal")


def _planned(audited: Audited, asked: Asked, what: str, cost: str, option: str) -> Remedy:
    return Remedy(what, planned(audited.graph, asked).arena.low, 0.0, cost, option)


def _is_float(made: Planned) -> bool:
    peak = made.liveness.peak
    return peak is not None and any(made.graph.values[name].encoding.dtype in FLOATS for name, _ in peak.alive[:1])


def _order(made: Planned, found: Searched) -> Iterator[Remedy]:
    if made.asked.reorder or made.runtime.orders or found.ordered is None or found.ordered.method == "given":
        return
    other = laid_out(apply_order(made.graph, found.ordered.order), made.asked)
    proof = ", the best there is" if found.ordered.proven else ""
    yield Remedy(f"another order of the nodes{proof}", other.arena.low, 0.0, "", "--reorder --save PATH")


def _patches(found: PatchReport) -> Remedy:
    grid = "x".join(map(str, found.grid))
    extra = "" if found.extra_share is None else f"{100 * found.extra_share:.1f} % more MACs"
    count = len(found.nodes)
    what = f"the first {count:,} nodes in {grid} patches" if count != 1 else f"the first node in {grid} patches"
    return Remedy(what, found.patched_bytes, 0.0, extra, f"--patch {shlex.quote(f'{found.stage}:{grid}')}")


def _flash(made: Planned, found: Searched) -> Iterator[Remedy]:
    """Attention in one kernel. Its liveness: no runtime here has that kernel, so nothing is laid out."""
    scores = found.scores
    if scores is None or scores.flash_live_bytes is None or made.runtime.name != DEFAULT or made.asked.quantize:
        return
    yield Remedy(
        "attention in one kernel that never stores its scores (live bytes)", scores.flash_live_bytes, 0, "", ""
    )
