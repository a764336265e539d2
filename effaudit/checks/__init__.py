"""What a model on a device is held against: one file per check, found by its name; its docstring is its documentation.

A check is a function `check(subject) -> Iterator[Result]`. It counts only where the device or the user sets its limit;
otherwise its result is "skipped". `types` has what it makes, `subject` what it sees.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Final

from effaudit.checks.subject import Subject
from effaudit.checks.types import Result

NAMES: Final = ("flash", "ram", "operators", "context", "latency", "throughput", "bandwidth", "energy")


def results(subject: Subject) -> tuple[Result, ...]:
    """The results of every check, in a fixed order."""
    return tuple(result for name in NAMES for result in _of(name, subject))


def documentation(name: str) -> str:
    """What a check does: its docstring."""
    return " ".join((importlib.import_module(f"effaudit.checks.{name}").check.__doc__ or "").split())


def _of(name: str, subject: Subject) -> Iterator[Result]:
    made: Iterator[Result] = importlib.import_module(f"effaudit.checks.{name}").check(subject)
    return made
