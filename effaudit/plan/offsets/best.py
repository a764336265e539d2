"""The best plan that can be had: what is cheap first, until a plan meets the floor, which proves it."""

from __future__ import annotations

from effaudit.plan.offsets import _start, climb, search
from effaudit.plan.offsets._instance import instance
from effaudit.plan.problem import Plan, Problem


def solve(problem: Problem, effort: str = "normal") -> Plan:
    """The best of the greedy planners, hill climbing and search; `planner` names the one it is from.

    The floor is raised where the search proves that no plan is lower. Where very many buffers live together only the
    near-linear planners are tried.
    """
    compiled = instance(problem)
    found = _start.best(compiled)
    if found.height > compiled.floor and compiled.pairs <= _start.ALL_GREEDY:
        found = climb.climb(compiled, compiled.neighbours(), found, climb.STEPS[effort] // 4)
    done = search.improve(compiled, found, search.STEPS[effort])
    return compiled.plan(problem, done.start.offsets, f"best ({done.start.planner})", done.floor)
