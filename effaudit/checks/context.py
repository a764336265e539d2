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
    """Of a model that is served: weights, keys and values of all sequences at the full context, activations, what the
    runtime keeps and what is reserved, against the memories they lie in. The longest context that fits is named."""
    serving = subject.serving
    if serving is None:
        return
    need, sizes = _need(serving), [use.size for use in serving.memory.uses]
    have = None if None in sizes or not sizes else sum(size for size in sizes if size is not None)
    where = " + ".join(use.memory for use in serving.memory.uses)
    status, bounds = _STATUS[serving.memory.fits], (need.low, need.high)
    yield Result("context", status, need.value, bounds, have, "bytes", where, _said(serving))


def _need(serving: Serving) -> Quantity:
    kept = sum(use.reserved for use in serving.memory.uses)
    return add((serving.memory.total, Quantity(kept, kept)))


def _said(serving: Serving) -> str:
    parts = [(use.weights, use.cache, use.activations, use.runtime, use.reserved) for use in serving.memory.uses]
    names = ("weights", "cache", "activations", "runtime", "reserved")
    totals = (
        [(name, sum(column)) for name, column in zip(names, zip(*parts, strict=True), strict=True)] if parts else []
    )
    said = ", ".join(f"{name} {human_bytes(size)}" for name, size in totals if size)
    longest = serving.longest_context.sure
    most = "" if longest is None else f"; at this batch up to {longest:,} tokens fit"
    why = f"; {serving.memory.why}" if serving.memory.fits is None and serving.memory.why else ""
    return f"{said} for {serving.batch:,} x {serving.context:,} tokens{most}{why}"
