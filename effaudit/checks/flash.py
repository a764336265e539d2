"""Flash."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.checks._memories import held, is_flash
from effaudit.checks.subject import Subject
from effaudit.checks.types import Result


def check(subject: Subject) -> Iterator[Result]:
    """Weights, their scales and zero points, the runtime's tables and code, and what is reserved, against the memories
    that hold them and no activations."""
    for demand in filter(is_flash, subject.demands):
        yield from held("flash", demand)
