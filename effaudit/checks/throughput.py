"""Throughput."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.checks.subject import Subject
from effaudit.checks.types import Result, at_least


def check(subject: Subject) -> Iterator[Result]:
    """Inferences per second, one after the other, against --min-throughput: the batch over the time of one run."""
    total, limit, count = subject.latency.total, subject.limits.throughput_per_s, subject.inferences
    low = 0.0 if not total.high else count / total.high
    high = count / total.low if total.low else None
    value = count / total.value if total.value else None
    status = "skipped" if limit is None else at_least(low, high, limit)
    message = f"{count} per run, {total.basis}"
    yield Result("throughput", status, value, (low, high), limit, "1/s", subject.runtime.engine, message)
