"""Latency."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.checks.subject import Subject
from effaudit.checks.types import Result, at_most


def check(subject: Subject) -> Iterator[Result]:
    """The estimated time of one inference, with its interval, against --max-latency."""
    total, limit = subject.latency.total, subject.limits.latency_s
    status = "skipped" if limit is None else at_most(total.low, total.high, limit)
    bounds = (total.low, total.high)
    yield Result("latency", status, total.value, bounds, limit, "s", subject.runtime.engine, total.basis)
