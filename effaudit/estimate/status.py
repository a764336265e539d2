"""How something stands against its limit, told from bounds."""

from __future__ import annotations

from typing import Literal, TypeAlias

Status: TypeAlias = Literal["pass", "warn", "fail", "unknown", "skipped", "waived"]


def at_most(low: float, high: float | None, limit: float) -> Status:
    """Below the limit at the most passes, above it at the least fails, anything else is not known."""
    if low > limit:
        return "fail"
    return "pass" if high is not None and high <= limit else "unknown"


def at_least(low: float, high: float | None, limit: float) -> Status:
    """The same of something that has to reach a limit."""
    if low >= limit:
        return "pass"
    return "fail" if high is not None and high < limit else "unknown"


def worst(*statuses: Status) -> Status:
    """The gravest of several statuses."""
    order: tuple[Status, ...] = ("fail", "unknown", "warn", "pass", "waived", "skipped")
    return min(statuses, key=order.index, default="skipped")
