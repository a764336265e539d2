"""Worked examples of comparing models: the reward of a search, and what a student saves of its teacher."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from effaudit.views.pareto import Candidate, Compared, Comparing, Target, pareto

from .test_complete import REFERENCE


def model(accuracy: float | None = None, *, seconds: float | None = None, params: int = 0, macs: int = 0) -> Candidate:
    return Candidate(
        "", accuracy, params, macs, [macs, macs], 4 * params, 0, [0, 0], seconds, [seconds or 0, seconds or None]
    )


def last(*models: Candidate, target: float | None = None) -> Compared:
    wanted = None if target is None else Target("latency", target)
    return pareto(models, Comparing({}, ("macs",), wanted)).models[-1]


def encoder(width: int, tokens: int = 512) -> int:
    """MACs of a layer: projections and FFN 12 n d^2, scores and values 2 n^2 d."""
    return 12 * tokens * width**2 + 2 * tokens**2 * width


EXAMPLES: dict[str, tuple[float, Callable[[], Any]]] = {
    # the lesson turns the fraction over: a model faster than the target earns more, not less
    "s3-060": (0.765256408059265, lambda: last(model(0.75, seconds=0.060), target=0.080).reward),
    # what the lesson calculated is the reward of a model as much slower
    "s3-063": (0.7350477488016506, lambda: last(model(0.75, seconds=0.080), target=0.060).reward),
    # not 16: the N^2 term shrinks 4 times only
    "s0-189": (13.0, lambda: last(model(macs=encoder(1024)), model(macs=encoder(256))).macs_ratio),
    "s3-074": (
        7.529411764705883,
        lambda: last(model(params=25_600_000), model(params=3_400_000)).params_ratio,
    ),
}


@pytest.mark.parametrize("id", EXAMPLES)
def test_example(id: str) -> None:
    value, found = EXAMPLES[id]
    assert found() == pytest.approx(value, rel=1e-12)


@pytest.mark.skipif(not REFERENCE.exists(), reason="the collection of worked examples is not here")
def test_every_example_of_these_topics() -> None:
    entries = {entry["id"]: entry for entry in json.loads(REFERENCE.read_text())}
    assert EXAMPLES.keys() == {id for id, e in entries.items() if e["topic"] in ("nas_reward", "kd_size")}
    for id, (value, _) in EXAMPLES.items():
        assert value == pytest.approx(entries[id]["computed_value"], rel=1e-12)
