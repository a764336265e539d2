"""RAM."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.checks._memories import held, is_flash
from effaudit.checks.subject import Subject
from effaudit.checks.types import Result


def check(subject: Subject) -> Iterator[Result]:
    """The arena of the runtime's planner with the workspaces of its kernels, what the runtime keeps, and what is
    reserved, against each memory that holds activations: in all, and the arena against the largest contiguous region.
    Where weights lie in the same memory they count too. A model that is served is held against them by `context`."""
    if subject.serving is not None:
        return
    for demand in subject.demands:
        if not is_flash(demand):
            yield from held("ram", demand)
