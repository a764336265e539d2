"""Statistics of steady runs, and what about them should make a reader doubt."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from math import sqrt
from typing import Final

from effaudit.run.host import HostFacts
from effaudit.run.usage import Usage
from effaudit.timing.order import least_values, median, median_interval, percentile
from effaudit.timing.types import Host, Runs

P99_FROM: Final = 100  # runs of which a 99th percentile is told
CONFIDENCE: Final = 0.95  # of the interval behind noise_ratio

WIDE: Final = 0.10  # the middle half of the runs over the median
DRIFT: Final = 0.05  # between the medians of both halves
CHANCE: Final = 3.29  # standard errors: one in a thousand by chance
TAIL: Final = 1.5  # p90 over p50
GAP: Final = 0.10  # between two groups of runs, over the median
SMALLER: Final = 0.15  # of all runs: the smaller of two groups
MANY: Final = 20  # runs of which groups and halves are told
TICKS: Final = 100  # of the clock in a run
OTHERS: Final = 0.10  # of all processors
STOLEN: Final = 0.01


def runs_of(seconds: Sequence[float], batch: int = 1) -> Runs:
    """Steady runs in their order, in seconds, each over `batch` samples.

    Percentiles are linear between neighbours (`order.percentile`). Raises ValueError for no runs, or runs of no time.
    """
    ordered = sorted(seconds)
    if not ordered or ordered[0] <= 0:
        raise ValueError(f"{len(ordered)} runs, the shortest of {min(ordered, default=0.0)} s")
    p50 = percentile(ordered, 0.5)
    found = median_interval(seconds, CONFIDENCE)
    return Runs(
        n=len(ordered),
        min_s=ordered[0],
        p50_s=p50,
        p90_s=percentile(ordered, 0.9),
        p99_s=percentile(ordered, 0.99) if len(ordered) >= P99_FROM else None,
        mean_s=sum(ordered) / len(ordered),
        max_s=ordered[-1],
        mad_s=median([abs(one - p50) for one in ordered]),
        iqr_ratio=(percentile(ordered, 0.75) - percentile(ordered, 0.25)) / p50,
        noise_ratio=None if found is None else (found[1] - found[0]) / 2 / p50,
        batch=batch,
        throughput_per_s=batch / p50,
    )


def warnings_of(
    seconds: Sequence[float],
    *,
    asked: int | None = None,
    threads: int = 1,
    host: HostFacts | Host | None = None,
    usage: Usage | None = None,
    clock_s: float = 0.0,
) -> tuple[str, ...]:
    """Why the times of steady runs, in their order, should be doubted, in plain words; () where nothing speaks against
    them.

    `asked` are the runs that were wanted, `threads` those that ran, `usage` what else the machine did meanwhile,
    `clock_s` the resolution of the clock.
    """
    return (*_of_times(seconds, asked, clock_s), *_of_host(threads, host), *_of_usage(usage))


def _of_times(seconds: Sequence[float], asked: int | None, clock_s: float) -> Iterator[str]:
    n, ordered = len(seconds), sorted(seconds)
    p50, p90 = percentile(ordered, 0.5), percentile(ordered, 0.9)
    if asked is not None and n < asked:
        yield f"the time for runs was used up after {n} of {asked}"
    if n < least_values(CONFIDENCE):
        yield f"{n} {'run tells' if n == 1 else 'runs tell'} no noise floor: at least {least_values(CONFIDENCE)}"
    if clock_s and p50 < TICKS * clock_s:
        yield f"the median is {p50 / clock_s:.3g} ticks of the clock: too few to tell small differences"
    wide = (percentile(ordered, 0.75) - percentile(ordered, 0.25)) / p50
    groups = two_groups(ordered)
    if groups is not None:
        low, high, share = groups
        yield (
            f"the runs fall into two groups, {100 * (1 - share):.0f} % around {_time(low)} and {100 * share:.0f} % "
            f"around {_time(high)}: the clock or the core changed, or another program took turns"
        )
    elif wide > WIDE:
        yield f"the middle half of the runs spans {100 * wide:.3g} % of the median: something else disturbs them"
    if p90 / p50 > TAIL:
        yield f"one run in ten takes more than {p90 / p50:.3g} x the median"
    change = drift(seconds)
    if change is not None:
        word = "slower" if change > 0 else "faster"
        yield f"the second half of the runs was {100 * abs(change):.3g} % {word} than the first: they were not steady"


def drift(seconds: Sequence[float]) -> float | None:
    """The median of the second half of the runs over that of the first, minus one; None where that is less than 5 %, or
    what chance explains: ranks of both halves (Mann and Whitney, https://doi.org/10.1214/aoms/1177730491)."""
    n = len(seconds)
    if n < MANY:
        return None
    first, second = seconds[: n // 2], seconds[n - n // 2 :]
    change, size = median(second) / median(first) - 1.0, n // 2
    ordered = sorted(second)
    above = sum(size - (bisect_left(ordered, one) + bisect_right(ordered, one)) / 2 for one in first)
    by_chance = CHANCE * sqrt(size * size * (2 * size + 1) / 12)
    return change if abs(change) >= DRIFT and abs(above - size * size / 2) >= by_chance else None


def two_groups(ordered: Sequence[float]) -> tuple[float, float, float] | None:
    """(median of the lower, median of the higher, share of the higher) where sorted times lie in two groups apart: 10 %
    of the median or more between them, wider than either's middle half, the smaller with 15 % of all. None of one."""
    n = len(ordered)
    first, last = max(1, round(SMALLER * n)), n - max(1, round(SMALLER * n))
    if n < MANY:
        return None
    cut = max(range(first, last + 1), key=lambda i: ordered[i] - ordered[i - 1])
    low, high, gap = ordered[:cut], ordered[cut:], ordered[cut] - ordered[cut - 1]
    widest = max(percentile(part, 0.75) - percentile(part, 0.25) for part in (low, high))
    if gap < GAP * percentile(ordered, 0.5) or gap < widest:
        return None
    return median(low), median(high), len(high) / n


def _of_host(threads: int, host: HostFacts | Host | None) -> Iterator[str]:
    if host is None:
        return
    if host.cores is not None and threads > host.cores:
        cores = f"{host.cores} physical core{'s' * (host.cores != 1)}"
        yield f"{threads} threads share {cores}: times depend on what else runs on them"
    if host.governor is not None and host.governor != "performance":
        yield f"the frequency governor is {host.governor}, not performance: the clock follows the load"


def _of_usage(usage: Usage | None) -> Iterator[str]:
    if usage is None:
        return
    total = usage.processors
    if usage.others is not None and total and usage.others > OTHERS * total:
        yield f"other programs kept {usage.others:.2g} of {total} processors busy meanwhile"
    elif usage.others is None and usage.load is not None and total and usage.load > total / 2:
        yield f"the load average was {usage.load:.2g} on {total} processors when the runs began"
    if usage.stolen is not None and usage.stolen > STOLEN:
        yield f"the hypervisor gave {100 * usage.stolen:.2g} % of the processors' time to other machines"
    if usage.throttled:
        yield f"the container's quota of processor time was used up {usage.throttled} times meanwhile"
    if usage.hot:
        yield f"cores were slowed {usage.hot} times because of their heat"
    if usage.on_battery:
        yield "the machine runs on its battery: the clock may be held down"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"
