"""Scores -> the page of docs: by class of device and group, estimates against measurements they had not seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from benchmarks.latency.misses import MISSES
from benchmarks.latency.rows import Row
from benchmarks.latency.score import Scored

GOALS = {True: 0.15, False: 0.30}  # median error where the runtime is known on a sister board, and where it is not
COVERAGE = 0.80
HEAD = ("rows", "median error", "worst tenth from", "inside the interval")


def page(
    found: Sequence[Scored], skipped: Sequence[tuple[Row, str]], *, command: str, every: bool, misses: bool
) -> str:
    """Markdown. `every` lists each row as well; `misses` adds what was tried for the groups of the shipped file."""
    lines = [
        "# Latency: estimates against measurements",
        "",
        "Every estimate is made without the measurements of the board it is for: the rates are fitted to those of all",
        "other boards (leave one board out). *Known*: another board of the same core or chip was measured with this",
        "runtime.",
        "The error is |estimate / measurement - 1|; the interval is the one that `effaudit fit` prints. The model is",
        "described in [fit](fit.md); the numbers fitted stand in the profiles, with their source and this error.",
        "",
        f"Made by `{command}`.",
        "",
        *_table("Runtime known on a sister board", [one for one in found if one.known], GOALS[True]),
        *_table("Runtime not known on a sister board", [one for one in found if not one.known], GOALS[False]),
        *_dead(found),
        *_left_out(skipped),
        *((MISSES,) if misses else ()),
        *(_rows(found) if every else ()),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _table(title: str, found: Sequence[Scored], goal: float) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield f"Goal: a median error of at most {goal:.0%}, and at least {COVERAGE:.0%} inside the interval."
    yield ""
    yield f"| group | {' | '.join(HEAD)} |"
    yield "| --- |" + " --: |" * len(HEAD)
    for group in dict.fromkeys(one.group for one in sorted(found, key=lambda one: one.group)):
        yield _line(group, [one for one in found if one.group == group])
    if found:
        yield _line("**all**", found)
    yield ""


def _line(name: str, found: Sequence[Scored]) -> str:
    errors = sorted(abs(one.error) for one in found)
    tenth = errors[min(int(0.9 * len(errors)), len(errors) - 1)]
    inside = sum(one.inside for one in found) / len(found)
    return f"| {name} | {len(found)} | {median(errors):.1%} | {tenth:.0%} | {inside:.0%} |"


def _dead(found: Sequence[Scored]) -> Iterator[str]:
    """The model whose dead channels some runtimes drop, left out."""
    rest = [one for one in found if "vww_96" not in one.row.network]
    if len(rest) == len(found):
        return
    yield "## Without the visual wake words model"
    yield ""
    yield "82.8 % of its weights are zero, and whole channels of it are; some runtimes seem to drop these, which halves"
    yield "its work. It is estimated as it is written. Without its rows:"
    yield ""
    yield f"| rows | {' | '.join(HEAD)} |"
    yield "| --- |" + " --: |" * len(HEAD)
    for known, name in ((True, "runtime known"), (False, "not known")):
        part = [one for one in rest if one.known == known]
        if part:
            yield _line(name, part)
    yield ""


def _left_out(skipped: Iterable[tuple[Row, str]]) -> Iterator[str]:
    counts = Counter(why for _, why in skipped)
    if not counts:
        return
    yield "## Rows that are not scored"
    yield ""
    yield "| why | rows |"
    yield "| --- | --: |"
    for why, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        yield f"| {why} | {count} |"
    yield ""


def _rows(found: Iterable[Scored]) -> Iterator[str]:
    yield "## Every row"
    yield ""
    yield "| board | runtime | network | type | measured | estimate | interval | error |"
    yield "| --- | --- | --- | --- | --: | --: | --: | --: |"
    for one in sorted(found, key=lambda one: (one.group, one.row.device, one.row.runtime, one.row.network)):
        row = one.row
        runtime = f"{row.runtime} {row.version}".strip()
        figures = f"{_ms(row.seconds)} | {_ms(one.predicted)} | {_ms(one.low)} .. {_ms(one.high)} | {one.error:+.0%}"
        yield f"| {row.device} | {runtime} | {row.network} | {row.dtype} | {figures} |"
    yield ""


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.4g} ms"
