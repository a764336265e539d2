"""Why a node of the model has no time of its own."""

from __future__ import annotations

from collections.abc import Mapping

from effaudit.dataflow import Flow
from effaudit.graph import Graph
from effaudit.timing.attribute.families import LAYOUT
from effaudit.timing.attribute.side import Side, side_of

UNKNOWN = "no kernel is known to compute it"


def missing(
    original: Graph, optimized: Graph, known: Flow, fused: Mapping[int, str], timed: frozenset[int]
) -> dict[int, str]:
    """By node without seconds, the reason; `fused` are the reasons of those that are part of a kernel."""
    side = side_of(original)
    present = {name for node in optimized.nodes for name in node.outputs}
    return {
        i: fused.get(i) or _reason(i, side, known, present, optimized)
        for i in range(len(original.nodes))
        if i not in timed
    }


def _reason(i: int, side: Side, known: Flow, present: set[str], optimized: Graph) -> str:
    node = side.graph.nodes[i]
    if not known.live[i]:
        return "no output depends on it: it never runs"
    if any(name in optimized.constants for name in node.outputs):
        return "folded into a constant"
    if any(name in present for name in node.outputs if name):
        return "its kernel is not in the profile"
    twin = side.copy_of(i)
    if twin and node.op in ("Identity", "Dropout") and not node.domain:
        return f"removed: it gives what {twin} has"
    if twin:
        return f"merged with the equal node that gives {twin}"
    if side.folded(i):
        return "folded into constants"
    if node.op in LAYOUT:
        return "removed: no kernel needs its layout"
    return UNKNOWN
