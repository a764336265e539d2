"""The optimum by constraint programming: Google OR-Tools' CP-SAT, an optional extra.

Rectangles that must not overlap (time x bytes, their times fixed), a cumulative constraint besides, and the least
height. One worker and a limit in CP-SAT's own deterministic time, so that a plan never depends on the machine.
https://developers.google.com/optimization/cp/cp_solver
"""

from __future__ import annotations

import importlib
from math import gcd
from typing import Any

from effaudit.errors import LimitError, UsageError
from effaudit.plan.offsets import _start
from effaudit.plan.offsets._instance import Instance, instance
from effaudit.plan.problem import Plan, Problem

SECONDS = {"low": 1.0, "normal": 10.0, "high": 60.0}  # deterministic time, about a second each
MAX_BUFFERS = 5_000
MAX_HEIGHT = 1 << 40  # in units of the greatest common divisor of the sizes; CP-SAT has 64-bit integers


def solve(problem: Problem, effort: str = "normal") -> Plan:
    """The plan, the best greedy one where CP-SAT finds no lower one; its floor is CP-SAT's bound.

    Raises UsageError where OR-Tools is not installed, LimitError past MAX_BUFFERS buffers or MAX_HEIGHT.
    """
    model = _ortools()
    compiled = instance(problem)
    if compiled.count > MAX_BUFFERS:
        raise LimitError(
            f"planner exact: {compiled.count} buffers, at most {MAX_BUFFERS} are planned; use the planner 'best'"
        )
    found = _start.best(compiled)
    floor = compiled.floor
    if found.height > floor:
        if found.height // gcd(*compiled.sizes) > MAX_HEIGHT:
            raise LimitError("planner exact: the sizes have too small a common divisor; use the planner 'best'")
        offsets, floor = _solve(model, compiled, found, SECONDS[effort])
        if offsets is not None:
            found = _start.Start(compiled.height(offsets), offsets, "exact")
    return compiled.plan(problem, found.offsets, "exact", floor)


def _ortools() -> Any:
    try:
        return importlib.import_module("ortools.sat.python.cp_model")
    except ImportError:
        raise UsageError("planner exact: OR-Tools is not installed; run: pip install 'effaudit[exact]'") from None


def _solve(cp_model: Any, compiled: Instance, start: _start.Start, limit: float) -> tuple[list[int] | None, int]:
    """Offsets by position (None where it found none), and a lower bound of the arena."""
    unit = gcd(*compiled.sizes)
    low, high = -(-compiled.floor // unit), start.height // unit
    model = cp_model.CpModel()
    height = model.new_int_var(low, high, "height")
    lives, places, offsets = [], [], []
    for i, size in enumerate(compiled.sizes):
        units = size // unit
        offset = model.new_int_var(0, high - units, f"offset{i}")
        model.add(offset + units <= height)
        model.add_hint(offset, start.offsets[i] // unit)
        first, last = compiled.first[i], compiled.last[i]
        lives.append(model.new_fixed_size_interval_var(first, last - first, f"life{i}"))
        places.append(model.new_fixed_size_interval_var(offset, units, f"place{i}"))
        offsets.append(offset)
    model.add_no_overlap_2d(lives, places)
    model.add_cumulative(lives, [size // unit for size in compiled.sizes], height)
    model.minimize(height)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_deterministic_time = limit
    status = solver.solve(model)
    bound = max(compiled.floor, round(solver.best_objective_bound) * unit)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None, bound
    return [solver.value(offset) * unit for offset in offsets], bound
