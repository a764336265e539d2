"""Energy."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.checks.subject import Subject
from effaudit.checks.types import Result, Status, at_most


def check(subject: Subject) -> Iterator[Result]:
    """The estimated energy of one inference against --max-energy: the board's own power times the time, else what was
    measured per MAC, else the TDP times the time. A table of operations decides nothing."""
    limit, best = subject.limits.energy_j, subject.energy.best
    if best is None or best.value is None:
        why = "; ".join(dict.fromkeys(one.why for one in subject.energy.joules if one.why)) or "nothing is known of it"
        status: Status = "skipped" if limit is None else "unknown"
        yield Result("energy", status, None, (None, None), limit, "J", subject.device.name, why)
        return
    low, high = best.low or 0.0, best.high
    status = "skipped" if limit is None else at_most(low, high, limit)
    yield Result(
        "energy", status, best.value, (low, high), limit, "J", subject.device.name, f"{best.basis}: {best.how}"
    )
