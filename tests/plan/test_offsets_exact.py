"""CP-SAT, where OR-Tools is installed; a plain error where it is not."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from hypothesis import given, settings

from effaudit.errors import UsageError
from effaudit.plan import offsets
from effaudit.plan.problem import Problem
from effaudit.plan.verify import verify
from tests.plan.problems import guillotine, optimum, problem, problems

installed = pytest.mark.skipif(importlib.util.find_spec("ortools") is None, reason="OR-Tools is not installed")


def test_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ortools.sat.python", None)
    with pytest.raises(UsageError, match=r"pip install 'effaudit\[exact\]'"):
        offsets.plan(problem((0, 1, 4)), "exact")


@installed
@given(problems(6))
@settings(max_examples=25, deadline=None)
def test_is_the_optimum(asked: Problem) -> None:
    plan = offsets.plan(asked, "exact")
    verify(asked, plan.offsets)
    assert plan.arena == plan.floor == max(optimum(asked), asked.floor)


@installed
@given(problems(16))
@settings(max_examples=25, deadline=None)
def test_agrees_with_search(asked: Problem) -> None:
    exact, own = offsets.plan(asked, "exact"), offsets.plan(asked, "search")
    assert exact.arena == exact.floor == own.arena == own.floor


@installed
def test_a_hard_one() -> None:
    asked = guillotine(1, height=1000, length=60, pieces=60)
    plan = offsets.plan(asked, "exact")
    verify(asked, plan.offsets)
    assert plan.arena == 1000
