"""Why a model cannot fit: the least its memories need under the runtime's rules, in any order these allow."""

from __future__ import annotations

from effaudit.checks.subject import Subject
from effaudit.device.contiguous import largest_contiguous, total_size
from effaudit.estimate.demand import ARENA, Demand
from effaudit.plan.floor import Floor, floor, one_order_only
from effaudit.plan.order import Ordered
from effaudit.plan.storage import APART
from effaudit.units import human_bytes


def floor_of(subject: Subject, ordered: Ordered | None) -> Floor:
    """The least arena under the runtime's rules. `ordered` is the search for the best order, where one was made."""
    made = subject.planned
    if made.runtime.orders or one_order_only(made.graph, made.flow):
        rule = "the nodes run in one order only, and this much is alive in it"
        return Floor(made.need.least.floor, _peak(subject), rule)
    found = floor(made.graph, made.flow, made.runtime.sharing, inputs=made.runtime.inputs)
    if made.runtime.sharing == APART and ordered is not None and (ordered.floor or 0) > found.bytes:
        return Floor(
            ordered.floor or 0, found.node, "no order of the nodes keeps less alive, each tensor whole and apart"
        )
    return found


def _peak(subject: Subject) -> str:
    """The node where most is alive; "" where that is not known."""
    made = subject.planned
    steps = [node for node, runs in zip(made.graph.nodes, made.flow.live, strict=True) if runs]
    peak = made.liveness.peak
    return steps[peak.step].label if peak is not None and peak.step < len(steps) else ""


def proof(subject: Subject, least: Floor) -> str | None:
    """Every memory that cannot hold what it must, whatever the plan; None where that is proven of none."""
    found = [said for demand in subject.demands if (said := _of(demand, least))]
    return "; ".join(found) or None


def _of(demand: Demand, least: Floor) -> str:
    have, whole = total_size(demand.memory, "high"), largest_contiguous(demand.memory, "high")
    if have is None:
        return ""
    need, piece, what = _least(demand, least), _least(demand, least, together=True), _what(demand, least)
    if need > have:
        return _said(demand, f"{_both(need, have)} there", what)
    if whole is not None and piece > whole:
        one, other = _both(piece, whole).split(" at least, ")
        return _said(demand, f"{one} in one piece at least, {other} there", what)
    return ""


def _both(need: int, have: int) -> str:
    """Two sizes, to the byte where they round alike."""
    shown = human_bytes(need), human_bytes(have)
    one, other = shown if shown[0] != shown[1] else (f"{need:,} B", f"{have:,} B")
    return f"{one} at least, {other}"


def _said(demand: Demand, sizes: str, what: str) -> str:
    return f"{demand.memory.name}: {sizes}{what}"


def _least(demand: Demand, least: Floor, *, together: bool = False) -> int:
    items = [item for item in demand.items if not together or item.place == "piece"]
    return sum(min(item.bytes.low, least.bytes) if item.what == ARENA else item.bytes.low for item in items)


def _what(demand: Demand, least: Floor) -> str:
    if not any(item.what == ARENA for item in demand.items):
        return ""
    at = f" (at {least.node})" if least.node else ""
    return f"; no arena is below {human_bytes(least.bytes)}: {least.rule}{at}"
