"""What would change a verdict, in lines."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.fit.types import FitReport, Knob, MemoryRow
from effaudit.printable import printable
from effaudit.render.fit.words import span
from effaudit.wrapping import WIDTH, wrapped


def knobs(report: FitReport, most: int) -> Iterator[str]:
    """First the changes of the plan, then other numbers of the same network."""
    if not report.knobs:
        return
    plans = [knob for knob in report.knobs if not _is_as_if(knob)][:most]
    others = [knob for knob in report.knobs if _is_as_if(knob)]
    yield ""
    if plans:
        yield "closest knobs"
    needs = [f"{need(report, knob)} of {printable(knob.memory, 16)}" for knob in plans]
    verdicts = [verdict(report, knob) for knob in plans]
    for knob, said, found in zip(plans, needs, verdicts, strict=True):
        head = f"  {said:>{max(map(len, needs))}}  {found:<{max(map(len, verdicts))}}  "
        cost = f", at the cost of {knob.cost}" if knob.cost else ""
        yield from _with_option(head, f"{knob.what}{cost}", knob.option)
    for knob in others:
        cost = f", {knob.cost}" if knob.cost else ""
        held = f"{need(report, knob)} of {printable(knob.memory, 16)}"
        yield from _with_option("", f"{knob.what}: {verdict(report, knob)} ({held}{cost})", knob.option)


def verdict(report: FitReport, knob: Knob) -> str:
    """ "FITS": all of it would. "fits sram": that memory would, and something else does not or is not known."""
    if knob.fits:
        return "FITS"
    row = _row(report, knob)
    if row is None or row.have_bytes is None:
        return "not known"
    low, high = knob.need_bounds
    apart_low, apart_high = (0, 0) if _is_as_if(knob) else _apart(row)
    whole = row.have_bytes
    largest = whole if row.contiguous_bytes is None else row.contiguous_bytes
    if low > whole or (apart_high is not None and low - apart_high > largest):
        return "too large"
    if high is not None and high <= whole and high - apart_low <= largest:
        return f"fits {printable(knob.memory, 16)}"
    return "not known"


def need(report: FitReport, knob: Knob) -> str:
    """What is needed with the change, to the byte where that reads as what there is."""
    row = _row(report, knob)
    return span(knob.need_bounds, None if row is None else row.have_bytes)


def _row(report: FitReport, knob: Knob) -> MemoryRow | None:
    return next((row for row in report.memory.rows if row.memory == knob.memory), None)


def _apart(row: MemoryRow) -> tuple[int, int | None]:
    """Bytes that may lie in another region than the rest; a change of the plan leaves them as they are."""
    bounds = [item.bounds for item in row.items if item.apart]
    highs = [high for _, high in bounds if high is not None]
    return sum(low for low, _ in bounds), sum(highs) if len(highs) == len(bounds) else None


def _with_option(head: str, text: str, shown: str) -> Iterator[str]:
    words, option = printable(text, 200), printable(shown, None)
    if len(head) + len(words) + len(option) + 3 <= WIDTH:
        yield f"{head}{words}   {option}"
        return
    yield from wrapped(head, words)
    yield f"    {option}"  # whole, however long: it is there to be copied


def _is_as_if(knob: Knob) -> bool:
    return knob.option.startswith("--quantize")
