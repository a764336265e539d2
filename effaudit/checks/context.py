"""Context."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.checks.subject import Subject
from effaudit.checks.types import Result, Status
from effaudit.quantity import Quantity, add
from effaudit.serving.types import Serving
from effaudit.units import human_bytes

_STATUS: dict[bool | None, Status] = {True: "pass", False: "fail", None: "unknown"}


def check(subject: Subject) -> Iterator[Result]:
    """Of a model that is served: weights, keys and values of all sequences at the full context, activations, the code
    and the state of the runtime and what is reserved, against the memories they lie in. It passes where the most that
    is needed has a place, and fails where the least has none. The longest context that fits is named."""
    serving = subject.serving
    if serving is None:
        return
    need, sizes = add(use.need for use in serving.memory.uses), [use.size for use in serving.memory.uses]
    known = [size for size in sizes if size is not None]
    have = add(known) if known and len(known) == len(sizes) else None
    where = " + ".join(use.memory for use in serving.memory.uses)
    status, bounds = _STATUS[serving.memory.fits], (need.low, need.high)
    # Held against the end of a size that decides: the largest it may be fails, the smallest passes.
    limit = None if have is None else have.high if status == "fail" else have.low
    yield Result("context", status, need.value, bounds, limit, "bytes", where, _said(serving))


def _said(serving: Serving) -> str:
    memory = serving.memory
    parts = {
        name: add(getattr(use, name) for use in memory.uses)
        for name in ("weights", "cache", "activations", "runtime", "code", "reserved")
    }
    said = ", ".join(f"{name} {_bytes(size)}" for name, size in parts.items() if size.high != 0)
    longest = serving.longest_context.sure
    most = "" if longest is None else f"; at this batch up to {longest:,} tokens fit for sure"
    why = f"; not known: {memory.why}" if memory.fits is None and memory.why else ""
    why = f"; {memory.why}" if memory.fits is False and memory.why else why
    return f"{said} for {serving.batch:,} x {serving.context:,} tokens{most}{why}"


def _bytes(size: Quantity) -> str:
    if size.value is not None:
        return human_bytes(size.value)
    low = human_bytes(size.low)
    return f"{low} or more" if size.high is None else f"{low} .. {human_bytes(size.high)}"
