"""Seconds of a run -> tokens per second."""

from __future__ import annotations

from effaudit.estimate.types import Latency, Seconds
from effaudit.serving.types import Ceiling, Rate


def rate(tokens: int, time: Seconds) -> Rate:
    """`tokens` in so many seconds, with the bounds turned round; None where a time is not known."""
    return Rate(_per(tokens, time.value), _per(tokens, time.high), _per(tokens, time.low), time.basis)


def bounded(time: Seconds, least: float | None) -> Seconds:
    """An estimate that begins at the ceiling, less what caches of the processor may keep (`least` seconds): nothing is
    faster, and that nothing comes nearer to it is not known, as the copies of a graph as it is written need not be
    made."""
    if least is None:
        return time
    value = None if time.value is None else max(time.value, least)
    high = None if time.high is None else max(time.high, least)
    if value is None:
        return Seconds(None, least, high, f"lower bound: the ceiling; {time.basis.partition('; ')[2] or time.basis}")
    return Seconds(value, least, high, f"{time.basis}; at the least the ceiling")


def at_ceiling(tokens: int, ceiling: Ceiling) -> float | None:
    """Tokens per second at the peaks; None where these are not known."""
    return _per(tokens, ceiling.seconds)


def memory_share(found: Latency) -> float | None:
    """The part of kernel time in kernels that bandwidth bounds; None where a kernel has no estimate."""
    if not found.kernels or any(one.seconds is None for one in found.kernels):
        return None
    total = sum(one.seconds or 0.0 for one in found.kernels)
    bound = sum(one.seconds or 0.0 for one in found.kernels if one.limiter == "memory")
    return bound / total if total else None


def _per(tokens: int, seconds: float | None) -> float | None:
    return tokens / seconds if seconds else None
