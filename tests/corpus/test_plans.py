"""Real graphs: every plan is verified, and no plan of their tensors is smaller."""

from __future__ import annotations

import pytest

from effaudit.audited import examine
from effaudit.plan.arena import Rules, need
from effaudit.plan.offsets import plan
from effaudit.plan.problem import Problem
from effaudit.plan.storage import APART, SHARED
from effaudit.plan.verify import verify

from .score import folder, rows

CORPUS = folder()
pytestmark = pytest.mark.skipif(CORPUS is None, reason="the corpus is not beside this checkout")
ROWS = rows(CORPUS) if CORPUS is not None else []


def arena(problem: Problem) -> int:
    made = plan(problem)
    verify(problem, made.offsets)
    assert problem.floor <= made.floor <= made.arena <= sum(b.size for b in problem.buffers)
    assert made.proven
    return made.arena


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_arenas_are_proven_optimal(row: dict[str, str]) -> None:
    """As written, every tensor apart: the arena is what is alive at the peak, bodies included. Shared: never more."""
    assert CORPUS is not None
    audited = examine(CORPUS / "models" / row["file"])
    apart, shared = (need(audited.graph, audited.flow, Rules(sharing), arena) for sharing in (APART, SHARED))
    if apart.most is None or shared.most is None:
        assert apart.why
        return
    live = audited.memory.live_bytes
    one, other = arena(apart.most), arena(shared.most)
    assert other <= one
    if apart.exact and not audited.memory.body_live_bytes.high:
        assert one == live.value
