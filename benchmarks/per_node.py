"""What a node costs: load, shapes and pricing inside one process, for graphs of 100 to 200,000 nodes."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Failed, Figures, environment, last_line
from benchmarks.section import ROOT, Bench, Section, Target, spread

LIMIT_S = 15e-6
LARGEST_EXPONENT = 1.05  # 1 is linear; an n log n sort of everything would show as about 1.1
LINEAR_FROM = 1000  # below, what a call costs at all hides what a node costs
HEADER = ("nodes", "CPU s", "µs per node", "of which", "peak MB", "target", "")


@dataclass(frozen=True)
class Pass:
    """One process."""

    seconds: dict[str, float]
    rss_bytes: int

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


def per_node(bench: Bench) -> Section:
    warm_up = bench.model("chain-100")
    models = {size: bench.model(f"chain-{size}") for size in bench.sizes}
    passes: dict[int, list[Pass]] = {size: [] for size in bench.sizes}
    try:
        for _ in range(bench.repeats):
            for size, model in models.items():
                passes[size].append(_audit(model, warm_up))
    except Failed as failed:
        rows = [("all", str(failed), *[""] * 5)]
    else:
        rows = [*(_row(size, passes[size]) for size in bench.sizes), _linearity(passes)]
    notes = (
        "Chains of residual convolution and token blocks (15 nodes of 9 operators, weights of their own, one "
        "Reshape in two computed from Shape). CPU time inside one process, imports excluded; a new process "
        "for each round and size.",
    )
    return Section("Cost per node", notes, HEADER, tuple(rows))


def _audit(model: Path, warm_up: Path) -> Pass:
    command = [sys.executable, "-m", "benchmarks.phases", str(model), str(warm_up)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise Failed(last_line(done.stderr))
    return Pass(**json.loads(done.stdout))


def _row(size: int, passes: list[Pass]) -> tuple[str, ...]:
    totals = Figures(tuple(p.total for p in passes))
    phases = {phase: Figures(tuple(p.seconds[phase] for p in passes)) for phase in passes[0].seconds}
    shares = ", ".join(f"{phase} {f.median / size * 1e6:.1f}" for phase, f in phases.items())
    target = Target("≤ 15 µs", totals.median <= LIMIT_S * size)
    peak = max(p.rss_bytes for p in passes) / 1e6
    return (
        f"{size:,}",
        spread(totals, 1, 4),
        spread(totals, 1e6 / size, 1),
        shares,
        f"{peak:,.1f}",
        *target.cells(),
    )


def _linearity(passes: dict[int, list[Pass]]) -> tuple[str, ...]:
    """The slope of log(seconds) over log(nodes), by least squares."""
    points = [
        (math.log(size), math.log(Figures(tuple(p.total for p in many)).median))
        for size, many in passes.items()
        if size >= LINEAR_FROM
    ]
    if len(points) < 2:
        return ("growth", "needs two sizes of 1,000 nodes or more", *[""] * 5)
    mean_x, mean_y = (sum(column) / len(points) for column in zip(*points, strict=True))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    target = Target(f"linear: exponent ≤ {LARGEST_EXPONENT}", slope <= LARGEST_EXPONENT)
    return (f"growth from {LINEAR_FROM:,} nodes", f"time ~ nodes^{slope:.3f}", *[""] * 3, *target.cells())
