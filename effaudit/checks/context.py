"""Context."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.checks.subject import Subject
from effaudit.checks.types import Result, at_most
from effaudit.units import human_bytes


def check(subject: Subject) -> Iterator[Result]:
    """Of a model that is served: weights, keys and values of all sequences at the full context, activations and what is
    reserved, against each memory they lie in. The longest context that fits is named."""
    serving = subject.serving
    if serving is None:
        return
    found, longest = serving.memory, serving.longest_context
    for use in found.uses:
        low = use.need if found.total.value is not None else min(use.need, found.total.low + use.reserved)
        high = None if found.total.high is None else use.need
        if use.size is None:
            message = f"the profile does not know the size of {use.memory}"
            yield Result("context", "unknown", None, (low, high), None, "bytes", use.memory, message)
            continue
        most = "not bounded" if longest.sure is None else f"{longest.sure:,} tokens"
        parts = (("weights", use.weights), ("cache", use.cache), ("activations", use.activations))
        said = ", ".join(f"{what} {human_bytes(size)}" for what, size in parts if size)
        message = f"{said} for {serving.batch} x {serving.context:,} tokens; longest context at this batch: {most}"
        status = at_most(low, high, use.size)
        yield Result(
            "context", status, None if low != high else high, (low, high), use.size, "bytes", use.memory, message
        )
