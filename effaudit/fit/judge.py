"""What checks found, and what would change it -> a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from effaudit.checks.types import Result
from effaudit.fit.types import EXIT_CODES, Bottleneck, Knob, Verdict

# Of several exit codes the first of these counts: docs/fit.md, "Exit codes".
GRAVITY = (3, 2, 1, 4, 0)


def verdict(results: Sequence[Result], knobs: Sequence[Knob]) -> Verdict:
    """Any failure: the model does not fit; where a change that computes the same numbers makes all of it fit, it fits
    with that. Else anything that is not known leaves it open."""
    if any(result.status == "fail" for result in results):
        return "fits-with" if any(knob.fits and knob.lossless for knob in knobs) else "does-not-fit"
    if any(result.status == "unknown" for result in results):
        return "unknown"
    return "fits"


def exit_code(status: Verdict) -> int:
    """0 fits, 1 does not (or not as it is), 4 not known."""
    return EXIT_CODES[status]


def gravest(codes: Sequence[int]) -> int:
    """The one code of several: 3 before 2, 1, 4 and 0."""
    return min(codes, key=GRAVITY.index, default=0)


def bottleneck(results: Sequence[Result]) -> Bottleneck:
    """What decides: the failure that passes its limit by most (a memory before anything else), else the unknown, else
    the check nearest its limit."""
    for status in ("fail", "unknown"):
        found = [r for r in results if r.status == status]
        if found:
            return _named(max(found, key=lambda r: (r.unit == "bytes", _use(r))))
    passed = [r for r in results if r.status == "pass" and r.limit]
    if not passed:
        return Bottleneck("", "", "skipped", None, "nothing is held against a limit")
    return _named(max(passed, key=_use))


def _named(result: Result) -> Bottleneck:
    words = f"{result.check} {result.where}".strip()
    use = _use(result)
    share = use if isfinite(use) and result.status != "unknown" else None
    if result.status == "unknown":
        words += ": not known"
    elif result.status == "pass":
        words += f" at {100 * use:.0f} %"
    return Bottleneck(result.check, result.where, result.status, share, words)


def _use(result: Result) -> float:
    """How much of its limit a result takes (of one that must be reached: the inverse)."""
    low, high = result.bounds
    limit = result.limit
    if result.check == "throughput":
        return limit / low if limit and low else float("inf")
    if not limit:
        return float("inf")
    top = low if result.status == "fail" else high
    return (top or 0.0) / limit
