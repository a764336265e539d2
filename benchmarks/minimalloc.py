"""Offset planners on MiniMalloc's challenging instances and on real graphs."""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.section import ROOT, Bench, Section, Target
from effaudit.audited import Audited, examine
from effaudit.errors import EffauditError
from effaudit.plan import offsets
from effaudit.plan.lifetimes import Lifetime, lifetimes
from effaudit.plan.problem import Buffer, Plan, Problem
from effaudit.plan.storage import SHARED, shared
from effaudit.plan.verify import verify

SHARED_DATA = ROOT.parent / "shared"
INSTANCES = SHARED_DATA / "reference" / "minimalloc"
GRAPHS = (ROOT / "sample_models", SHARED_DATA / "corpus" / "models")
LARGEST_GAP = 0.05
LIMIT_S = 60.0
GRAPH_MEDIAN_S, GRAPH_LIMIT_S = 0.05, 2.0
HEADER = ("instance", "buffers", "floor", "size", "best greedy", "climb", "search", "proven", "CPU s", "target", "")


def minimalloc(bench: Bench) -> Section:
    paths = sorted(INSTANCES.glob("[A-K].*.csv"))
    rows = [_instance(path) for path in paths] or [("all", f"not in {INSTANCES}", *[""] * 9)]
    notes = (
        "The challenging instances of https://github.com/google/minimalloc and graphs of real networks (each as "
        "written, and with views and in-place outputs sharing storage). Planners in columns: arena over floor. CPU "
        "time of one process and one core, of `search` at high effort (graphs: of `best` at normal effort); one round, "
        "for plans are the same in each. Every plan is checked by the independent verifier.",
    )
    return Section("Offset planning", notes, HEADER, (*rows, _graphs()))


def _instance(path: Path) -> tuple[str, ...]:
    problem = _read(path)
    greedy = {name: _plan(problem, name)[0].arena for name in offsets.greedy()}
    climbed, _ = _plan(problem, "climb", "high")
    found, seconds = _plan(problem, "search", "high")
    target = Target(
        f"gap ≤ {LARGEST_GAP:.0%} in {LIMIT_S:.0f} s",
        found.arena <= (1 + LARGEST_GAP) * problem.floor and seconds <= LIMIT_S,
    )
    arenas = (greedy["size"], min(greedy.values()), climbed.arena, found.arena)
    return (
        path.name.partition(".")[0],
        str(len(problem.buffers)),
        f"{problem.floor:,}",
        *(f"{arena / problem.floor:.4f}" for arena in arenas),
        "yes" if found.proven else "no",
        f"{seconds:.1f}",
        *target.cells(),
    )


def _read(path: Path) -> Problem:
    with path.open(newline="") as file:
        rows = [Buffer(r["id"], int(r["lower"]), int(r["upper"]), int(r["size"])) for r in csv.DictReader(file)]
    return Problem(tuple(rows))


def _plan(problem: Problem, planner: str, effort: str = "normal") -> tuple[Plan, float]:
    start = time.process_time()
    plan = offsets.plan(problem, planner, effort)
    seconds = time.process_time() - start
    verify(problem, plan.offsets)
    return plan, seconds


def _graphs() -> tuple[str, ...]:
    plans = [_plan(problem, "best") for problem in _problems()]
    proven = sum(plan.proven for plan, _ in plans)
    seconds = [s for _, s in plans]
    median, slowest = statistics.median(seconds), max(seconds)
    met = proven == len(plans) and median <= GRAPH_MEDIAN_S and slowest <= GRAPH_LIMIT_S
    target = Target(f"all proven, median ≤ {GRAPH_MEDIAN_S * 1e3:.0f} ms, slowest ≤ {GRAPH_LIMIT_S:.0f} s", met)
    most = max(len(plan.problem.buffers) for plan, _ in plans)
    return (
        f"{len(plans)} problems of graphs",
        f"to {most:,}",
        *[""] * 5,
        f"{proven} of {len(plans)}",
        f"median {median:.4f}, slowest {slowest:.3f}",
        *target.cells(),
    )


def _problems() -> Iterator[Problem]:
    """Of every graph whose sizes are known, as written and with storage shared."""
    for path in sorted(p for folder in GRAPHS for p in folder.rglob("*.onnx")):
        try:
            audited = examine(path)
        except EffauditError:
            continue
        for found in _storages(audited):
            buffers = [Buffer(b.name, b.start, b.end, b.size) for b in found if isinstance(b.size, int)]
            if len(buffers) == len(found):
                yield Problem(tuple(buffers))


def _storages(audited: Audited) -> tuple[list[Lifetime], list[Lifetime]]:
    apart = lifetimes(audited.graph, audited.flow)
    return apart, shared(audited.graph, audited.flow, apart, SHARED)
