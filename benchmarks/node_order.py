"""The order of nodes: what the least `live_bytes` of any order saves, whether it is proven, and what finding it costs.

`python -m benchmarks.node_order MODEL` orders one model and prints the figures as JSON.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import Failed, environment, last_line
from benchmarks.section import ROOT, Bench, Section, Target

LIMIT_S = 2.0
SHUFFLENET = "backend/test/data/light/light_shufflenet.onnx"
SHUFFLENET_BYTES = 2_885_120  # by a dynamic program over all orders, written apart from this one
SEEDS = range(8)
LONG = "chain-100000"
HEADER = ("model", "nodes", "as given", "best order", "gain", "floor", "found by", "states", "CPU s", "target", "")


def node_order(bench: Bench) -> Section:
    """RandWire networks, the ShuffleNet of the onnx package, and a chain of 100,000 nodes."""
    models = [("light_shufflenet", _of_onnx(SHUFFLENET))]
    models += [(f"randwire-{seed}", bench.model(f"randwire-{seed}")) for seed in SEEDS]
    models.append((LONG, bench.model(LONG)))
    rows = [_row(name, path, bench.repeats) for name, path in models]
    notes = (
        "`live_bytes` of the file's order and of the best one found at effort normal; CPU time of the search alone, "
        "median of the rounds. RandWire: WS(32, 4, 0.75), small regime, float32, one image.",
    )
    return Section("Order of nodes", notes, HEADER, tuple(rows))


def _of_onnx(path: str) -> Path | None:
    """A file of the onnx package, which need not be imported for it."""
    spec = importlib.util.find_spec("onnx")
    places = spec.submodule_search_locations if spec else None
    found = Path(places[0]) / path if places else None
    return found if found and found.exists() else None


def _row(name: str, path: Path | None, repeats: int) -> tuple[str, ...]:
    blank = [""] * (len(HEADER) - 2)
    if path is None:
        return (name, "not measured: the onnx package has no such file", *blank)
    try:
        runs = [_ordered(path) for _ in range(repeats)]
    except Failed as failed:
        return (name, str(failed), *blank)
    found = runs[0]
    seconds = statistics.median(run["seconds"] for run in runs)
    target = Target(f"≤ {LIMIT_S:g} s", seconds <= LIMIT_S)
    if name == "light_shufflenet":
        exact = found["peak"] == found["floor"] == SHUFFLENET_BYTES
        target = Target.joined(Target(f"{SHUFFLENET_BYTES:,} proven", exact), target)
    return (
        name,
        f"{found['nodes']:,}",
        f"{found['given']:,}",
        f"{found['peak']:,}",
        f"{1 - found['peak'] / found['given']:.1%}",
        "proven" if found["peak"] == found["floor"] else f"{found['floor']:,}",
        found["method"],
        f"{found['states']:,}",
        f"{seconds:.2f}",
        *target.cells(),
    )


def _ordered(path: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.node_order", str(path)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise Failed(last_line(done.stderr))
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def main(model: str) -> None:
    from effaudit.audited import examine
    from effaudit.plan.order import best_order

    audited = examine(model)
    start = time.process_time()
    found = best_order(audited.graph, audited.flow)
    seconds = time.process_time() - start
    figures = {"nodes": len(found.order), "given": audited.memory.live_bytes.value, "seconds": seconds}
    figures |= {name: getattr(found, name) for name in ("peak", "floor", "method", "states")}
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1])
