"""TFLM's planner against TensorFlow Lite Micro itself.

`tflm_heads.jsonl` holds, per network, the buffers (start, end, bytes; aligned to 16) in the order of the file, and the
head of the arena that its interpreter (tflite-micro 0.dev20261023182759) reported for it, by `benchmarks/tflite`. In 40
of the networks another order of equal sizes gives another arena.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from effaudit.plan.offsets import plan
from effaudit.plan.problem import Buffer, Problem

MEASURED = [json.loads(line) for line in Path(__file__).with_name("tflm_heads.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("network", MEASURED, ids=lambda network: network["name"])
def test_the_arena_is_the_one_that_the_interpreter_took(network: dict) -> None:
    buffers = tuple(Buffer(f"b{i}", *buffer) for i, buffer in enumerate(network["buffers"]))
    assert plan(Problem(buffers, 16), "tflm", "normal").arena == network["head"]
