"""Every change that is said to lower the arena does so, by as much, when it is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from effaudit.load import Given
from effaudit.memory import Asked, ModelMemory, Stage, plan_memory
from effaudit.memory.types import Remedy

CASES = [
    ("ic", "as-written"),
    ("vww-int8", "tflm"),
    ("vww", "tflm"),
    ("mobilenetv2", "tflm"),
    ("decoder-gqa", "as-written"),
    ("unet", "as-written"),
    ("lstm", "ideal"),
    ("dynamic", "tinyengine"),
]


def planned(name: str, **asked: Any) -> ModelMemory:
    (made,) = plan_memory(f"sample:{name}", Given(), [Asked(**asked)])
    return made


def as_asked(remedy: Remedy, runtime: str) -> dict[str, Any]:
    """The option of a remedy, as what is asked."""
    words = remedy.option.split()
    if words[0] == "--patch":
        tensor, _, grid = words[1].rpartition(":")
        rows, columns = grid.split("x")
        return {"runtime": runtime, "patch": Stage(tensor, (int(rows), int(columns)))}
    if words[0] == "--reorder":
        return {"runtime": runtime, "reorder": True}
    return {"runtime": runtime} | {words[0].removeprefix("--"): words[1]}


@pytest.mark.parametrize(("name", "runtime"), CASES)
def test_each_does_what_it_says(name: str, runtime: str) -> None:
    before = planned(name, runtime=runtime)
    arena = before.memory.arena_bytes
    assert arena is not None
    assert before.remedies
    assert [r.arena_bytes for r in before.remedies] == sorted(r.arena_bytes for r in before.remedies)
    for remedy in before.remedies:
        assert remedy.saves == pytest.approx(1 - remedy.arena_bytes / arena, abs=1e-6)
        if remedy.option:
            after = planned(name, **as_asked(remedy, runtime)).memory
            patched = remedy.option.startswith("--patch")
            assert (after.patched_bytes if patched else after.arena_bytes) == remedy.arena_bytes


def test_what_was_done_is_not_proposed_again() -> None:
    assert not [r for r in planned("ic", quantize="int8").remedies if "int8" in r.what]
    assert not [r for r in planned("decoder-gqa", reorder=True).remedies if "order" in r.what]
    assert not [r for r in planned("vww-int8", runtime="tflm", planner="best").remedies if "layout" in r.what]


def test_pinned_inputs_may_be_released() -> None:
    found = planned("vww", pin_inputs=True)
    (remedy,) = [r for r in found.remedies if "inputs" in r.what]
    assert remedy.arena_bytes == planned("vww").memory.arena_bytes
