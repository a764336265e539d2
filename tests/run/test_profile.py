"""What is made of a profile: on files whose every microsecond is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from effaudit.run._failure import Failure
from effaudit.run._profile import middle_mean, read_profile
from effaudit.run._timing import EVENTS, profiled_runs

SHAPES = {"input_type_shape": [{"float": [1, 3]}, {"seq": "?"}], "output_type_shape": [{"float": [1, 4]}]}


def kernel(name: str, ts: int, dur: int, op: str = "Conv", used: int | None = None, more: int = 0, **args: Any) -> Any:
    memory = {} if used is None else {"mem_bytes_requested_in_use": str(used), "mem_requested_in_use_delta": str(more)}
    found = {"op_name": op, "provider": "CPUExecutionProvider", "node_index": "0", **SHAPES, **memory, **args}
    return {"cat": "Node", "ts": ts, "dur": dur, "name": f"{name}_kernel_time", "args": found}


def session(name: str, ts: int, dur: int) -> Any:
    return {"cat": "Session", "ts": ts, "dur": dur, "name": name, "args": {}}


def run_of(ts: int, dur: int, *inner: Any) -> list[Any]:
    return [*inner, session("SequentialExecutor::Execute", ts, dur), session("model_run", ts, dur)]


def profile(tmp_path: Path, *events: Any, cpu: bool = True) -> dict[str, Any]:
    path = tmp_path / "profile.json"
    path.write_text("[\n" + ",\n".join(map(json.dumps, events)) + "\n]\n")
    return read_profile(str(path), cpu=cpu)


def test_the_first_run_is_dropped_and_half_a_microsecond_added(tmp_path: Path) -> None:
    events = [session("model_loading_uri", 0, 5)]
    for i, dur in enumerate((900, 10, 12, 14)):
        events += run_of(1000 * i, dur + 5, kernel("a", 1000 * i, dur), kernel("b", 1000 * i + dur, 0, op="Relu"))
    found = profile(tmp_path, *events)
    assert (found["runs"], found["seconds"]) == (3, pytest.approx(17e-6))
    a, b = found["kernels"]
    assert (a["name"], a["op"], a["calls"], a["index"]) == ("a", "Conv", 1.0, 0)
    assert (a["seconds"], b["seconds"]) == (pytest.approx(12.5e-6), pytest.approx(0.5e-6))
    assert (a["input_shapes"], a["output_shapes"]) == ([[1, 3]], [[1, 4]])


def test_a_loop_has_what_its_body_does_not(tmp_path: Path) -> None:
    """Two trips of 40, in each an If of 20 with a kernel of 10, in a Loop of 100 that stands between two kernels."""

    def one(at: int) -> list[Any]:
        trips = []
        for begin in (at + 10, at + 50):
            trips += [
                kernel("inner", begin + 10, 10),
                session("SequentialExecutor::Execute", begin + 9, 12),
                kernel("if", begin + 5, 20, op="If"),
                session("SequentialExecutor::Execute", begin, 40),
            ]
        return run_of(
            at,
            130,
            kernel("before", at, 5),
            *trips,
            kernel("loop", at + 5, 100, op="Loop"),
            kernel("after", at + 105, 7),
        )

    found = {k["name"]: k for k in profile(tmp_path, *one(0), *one(1000), *one(2000))["kernels"]}
    assert {name: k["calls"] for name, k in found.items()} == {"before": 1, "inner": 2, "if": 2, "loop": 1, "after": 1}
    microseconds = {name: k["seconds"] * 1e6 - k["calls"] / 2 for name, k in found.items()}
    assert microseconds == pytest.approx({"before": 5, "inner": 20, "if": 20, "loop": 60, "after": 7})


def test_kernels_of_one_name_in_two_places(tmp_path: Path) -> None:
    one = [kernel("a", 0, 10), kernel("a", 20, 4, node_index="7"), kernel("a", 30, 6, provider="CUDAExecutionProvider")]
    found = profile(tmp_path, *run_of(0, 50, *one), *run_of(0, 50, *one))["kernels"]
    assert [(k["index"], k["provider"][:4]) for k in found] == [(0, "CPUE"), (7, "CPUE"), (0, "CUDA")]


def test_the_peak_is_above_what_was_there_when_the_run_began(tmp_path: Path) -> None:
    def one(base: int) -> list[Any]:
        return run_of(0, 50, kernel("a", 0, 9, used=base + 64, more=64), kernel("b", 9, 9, used=base + 16, more=-48))

    assert profile(tmp_path, *one(9000), *one(100), *one(100))["peak_bytes"] == 64
    none = profile(tmp_path, *run_of(0, 9, kernel("a", 0, 9)), *run_of(0, 9, kernel("a", 0, 9)))
    assert none["peak_bytes"] is None and "1.31" in none["peak_why"]
    gpu = profile(tmp_path, *one(9000), *one(100), cpu=False)
    assert gpu["peak_bytes"] is None and "CPU's allocator alone" in gpu["peak_why"]


def test_a_kernel_that_some_runs_do_not_call(tmp_path: Path) -> None:
    """A branch: its seconds are those of an average run."""
    runs = [run_of(0, 9, kernel("a", 0, 3), *([kernel("b", 3, 4)] if i % 2 else [])) for i in range(9)]
    found = {k["name"]: k for k in profile(tmp_path, *(event for run in runs for event in run))["kernels"]}
    assert found["b"]["calls"] == 0.5 and found["b"]["seconds"] == pytest.approx(2.25e-6)


def test_what_is_no_profile(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no whole run"):
        profile(tmp_path, *run_of(0, 9, kernel("a", 0, 3)), kernel("a", 10, 3))
    (tmp_path / "p.json").write_text('[\n{"cat" : "Node","name" : "a"b"}\n]')
    with pytest.raises(Failure, match="line 2 of its profile cannot be read"):
        read_profile(str(tmp_path / "p.json"), cpu=True)


def test_the_mean_of_the_middle_half() -> None:
    assert middle_mean([3.0]) == 3 and middle_mean([1.0, 2.0]) == 1.5
    assert middle_mean([100.0, 1.0, 2.0, 4.0, 0.0]) == pytest.approx(7 / 3)


def test_a_profile_is_kept_small() -> None:
    few = {"profiled": 10, "nodes": 100, "loops": False, "profiled_s": 60.0}
    assert profiled_runs(few, 1.0) == 10
    assert profiled_runs({**few, "nodes": EVENTS // 4}, 1.0) == 3
    assert profiled_runs({**few, "nodes": EVENTS * 4}, 1.0) == 1
    assert profiled_runs({**few, "loops": True}, 1.0) == 1
    assert profiled_runs({**few, "loops": True}, 1e-4) == 10
