"""The memory that a run needs, and what is free: figures of made-up machines, and one real process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from effaudit.audited import examine
from effaudit.errors import RunError
from effaudit.quantity import Quantity
from effaudit.run.cgroups import memory_left
from effaudit.run.guard import RUNTIME_BYTES, free_bytes, guard, needed_bytes
from effaudit.run.process import Limits, workplace
from effaudit.run.timed import timed
from effaudit.run.timed_types import Schedule
from tests.laws.models import parse
from tests.save.models import written

MIB = 1 << 20
GIB = 1 << 30


def machine(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = "MemTotal:       16000000 kB\nMemFree:          100000 kB\nMemAvailable:    8000000 kB\n"


def group(root: Path, folder: str, files: dict[str, str]) -> None:
    place = root / "sys/fs/cgroup" / folder
    place.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (place / name).write_text(f"{text}\n")


def test_what_linux_says_is_available(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) is None
    assert free_bytes(machine(tmp_path, proc__meminfo=MEMINFO)) == 8_000_000 * 1024
    assert free_bytes(machine(tmp_path, proc__meminfo="MemAvailable: none\n")) is None


def test_what_a_container_leaves(tmp_path: Path) -> None:
    """Version 2: the least over the groups, of which files that nobody uses are no part."""
    machine(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="0::/a/b\n")
    group(tmp_path, "a/b", {"memory.max": "max", "memory.current": str(GIB), "memory.stat": "inactive_file 5"})
    assert memory_left(tmp_path) is None
    group(tmp_path, "a", {"memory.max": str(4 * GIB), "memory.current": str(3 * GIB)})
    assert memory_left(tmp_path) == GIB == free_bytes(tmp_path)
    group(tmp_path, "a", {"memory.stat": f"anon 1\ninactive_file {2 * GIB}"})
    assert memory_left(tmp_path) == 3 * GIB
    group(tmp_path, "a", {"memory.max": str(64 * GIB)})
    assert free_bytes(tmp_path) == 8_000_000 * 1024


def test_what_an_older_container_leaves(tmp_path: Path) -> None:
    machine(tmp_path, proc__self__cgroup="4:memory:/box\n1:cpu:/\n")
    group(tmp_path, "memory/box", {"memory.limit_in_bytes": str(2 * GIB), "memory.usage_in_bytes": str(3 * GIB)})
    group(tmp_path, "memory", {"memory.limit_in_bytes": "9223372036854771712", "memory.usage_in_bytes": "1"})
    assert memory_left(tmp_path) == 0
    stat = f"inactive_file 1\ntotal_inactive_file {2 * GIB}"
    group(tmp_path, "memory/box", {"memory.stat": stat})
    assert memory_left(tmp_path) == GIB


def test_a_refusal_says_both_figures_and_what_to_do() -> None:
    guard("m.onnx", 3 * GIB, Limits(), 3 * GIB)
    guard("m.onnx", 3 * GIB, Limits(), None)
    guard("m.onnx", 3 * GIB, Limits(memory_bytes=3 * GIB), 1)
    with pytest.raises(RunError) as caught:
        guard("m.onnx", 3 * GIB, Limits(), 2 * GIB)
    text = (
        "m.onnx: running it needs about 3.000 GiB of memory, 2.000 GiB are free; take smaller sizes (--dim), or run it"
    )
    assert str(caught.value) == f"{text} all the same with --memory 3072MiB"
    with pytest.raises(RunError, match=r"more than the limit of 1.000 GiB; give it --memory 3073MiB"):
        guard("m.onnx", 3 * GIB + 1, Limits(memory_bytes=GIB), 99 * GIB)


def test_what_a_graph_needs(tmp_path: Path) -> None:
    """Weights and a quarter, filters three times, activations once; those that are not known do not count."""
    model = parse(
        "m (float[1,8,32,32] x) => (float[1,8,32,32] y, float[1,8,32,16] z) { y = Conv(x, w) z = MatMul(x, v) }",
        w=(8, 8, 1, 1),
        v=(32, 16),
    )
    audited = examine(written(tmp_path / "m.onnx", model))
    filters, weights = 8 * 8 * 4, 32 * 16 * 4
    least = RUNTIME_BYTES + 3 * filters + weights * 5 // 4
    assert needed_bytes(audited.graph, Quantity(1000, 2000)) == least + 1000
    assert needed_bytes(audited.graph, Quantity(0, None)) == least


def test_it_is_about_what_a_process_takes(tmp_path: Path) -> None:
    """64 MiB of weights: neither half of what is needed nor twice as much is predicted."""
    model = parse("m (float[1,4096] x) => (float[1,4096] y) { y = MatMul(x, w) }", w=(4096, 4096))
    path = written(tmp_path / "m.onnx", model)
    audited = examine(path)
    with workplace() as folder:
        schedule = Schedule(runs=3, warmup=0, profiled=0)
        found = timed(path, {"x": np.ones((1, 4096), np.float32)}, schedule, folder=folder)
    if found.rss_bytes is not None:
        needed = needed_bytes(audited.graph, audited.memory.live_bytes)
        assert needed / 2 < found.rss_bytes < needed * 2 and found.rss_bytes > 64 * MIB
