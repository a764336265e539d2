"""`python -m benchmarks.phases MODEL WARM_UP`: the CPU seconds of every phase inside this process, as JSON.

The warm-up model pays for imports. A small model is audited many times over and the median kept, since one
pass is shorter than the noise.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from pathlib import Path

from benchmarks.adapter import in_process

ENOUGH_S = 0.5
MOST_PASSES = 50


def one_pass(path: Path) -> dict[str, float]:
    seconds = {}
    start = time.process_time()
    for phase in in_process(path):
        now = time.process_time()
        seconds[phase] = now - start
        start = time.process_time()
    return seconds


def main(model: str, warm_up: str) -> None:
    one_pass(Path(warm_up))
    passes: list[dict[str, float]] = []
    start = time.process_time()
    while not passes or (time.process_time() - start < ENOUGH_S and len(passes) < MOST_PASSES):
        passes.append(one_pass(Path(model)))
    medians = {phase: statistics.median(p[phase] for p in passes) for phase in passes[0]}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": medians, "rss_bytes": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:3])
