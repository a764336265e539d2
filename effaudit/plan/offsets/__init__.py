"""Offset planners: where in one arena every buffer lies. One file per planner, found by its name.

A file holds `solve(problem, effort)`, or `order(instance)`: the order in which a greedy planner places the buffers,
and `FITS`, the gaps it chooses from. An order of several fits gives several planners: `size` and `size-best-fit`.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from effaudit.errors import UsageError
from effaudit.plan.offsets import _greedy
from effaudit.plan.problem import Plan, Problem

EFFORTS = ("low", "normal", "high")


@cache
def names() -> tuple[str, ...]:
    """Every planner, by name."""
    return tuple(sorted(name for file in _files() for name in _names(file)))


def plan(problem: Problem, planner: str = "best", effort: str = "normal") -> Plan:
    """The plan of a planner; `effort` ("low", "normal", "high") sets how many steps a search may take, never how long.

    Raises UsageError where there is no such planner or effort, and LimitError where a greedy planner by name is asked
    for a problem with too many pairs of buffers alive together (`best` and `linear` take any).
    """
    if effort not in EFFORTS:
        raise UsageError(f"effort {effort!r}: expected one of {', '.join(EFFORTS)}")
    wanted = planner.strip().lower().replace("_", "-")
    for file in _files():
        if wanted in _names(file):
            module = _module(file)
            if hasattr(module, "solve"):
                found: Plan = module.solve(problem, effort)
                return found
            return _greedy.solve(problem, wanted, module.order, _fit(wanted))
    raise UsageError(f"planner {planner!r}: expected one of {', '.join(names())}")


@cache
def greedy() -> tuple[str, ...]:
    """The greedy planners that a search starts from, by name."""
    return tuple(
        name for file in _files() for name in _names(file) if hasattr(_module(file), "order") and file != "tflm"
    )


def greedy_order(name: str) -> tuple[_greedy.Order, str]:
    """The order and the fit of a greedy planner's name."""
    order: _greedy.Order = _module(name.removesuffix(_BEST)).order
    return order, _fit(name)


_BEST = "-best-fit"


@cache
def _files() -> tuple[str, ...]:
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def _names(file: str) -> tuple[str, ...]:
    module = _module(file)
    if not hasattr(module, "order"):
        return (file,)
    return tuple(file if fit == _greedy.FIRST else file + _BEST for fit in module.FITS)


def _fit(name: str) -> str:
    return _greedy.BEST if name.endswith(_BEST) else _greedy.FIRST


def _module(file: str) -> ModuleType:
    return importlib.import_module(f"effaudit.plan.offsets.{file}")


__all__ = ["EFFORTS", "names", "plan"]
