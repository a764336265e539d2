"""The time of a network as a script would measure it that knows nothing of the program: `MODEL THREADS RUNS`.

Prints JSON: the median of the runs in seconds, and how many there were.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import numpy as np
import onnxruntime

WARM_S = 0.3
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}


def main(model: str, threads: int, runs: int) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feeds = {value.name: drawn(value.name, value.type, value.shape) for value in session.get_inputs()}
    start = time.perf_counter()
    warm = 0
    while warm < 3 or time.perf_counter() - start < WARM_S:
        session.run(None, feeds)
        warm += 1
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        session.run(None, feeds)
        times.append(time.perf_counter() - begin)
    print(json.dumps({"p50_s": statistics.median(times), "runs": len(times)}))


def drawn(name: str, kind: str, shape: list[int]) -> Any:
    """Floats of a normal distribution, small integers, masks of ones."""
    rng = np.random.default_rng(0)
    if TYPES[kind] is np.float32:
        return rng.standard_normal(shape, dtype=np.float32)
    return rng.integers(1 if "mask" in name else 0, 2, shape, dtype=TYPES[kind])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
