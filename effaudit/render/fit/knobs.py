"""What would change a verdict, in lines."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.fit.types import FitReport, Knob
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
    verdicts = [verdict(knob) for knob in plans]
    for knob, said, found in zip(plans, needs, verdicts, strict=True):
        head = f"  {said:>{max(map(len, needs))}}  {found:<{max(map(len, verdicts))}}  "
        cost = f", at the cost of {knob.cost}" if knob.cost else ""
        yield from _with_option(head, f"{knob.what}{cost}", knob.option)
    for knob in others:
        cost = f", {knob.cost}" if knob.cost else ""
        held = f"{need(report, knob)} of {printable(knob.memory, 16)}"
        yield from _with_option("", f"{knob.what}: {verdict(knob)} ({held}{cost})", knob.option)


def verdict(knob: Knob) -> str:
    """ "FITS": all of it would. "fits sram": that memory would, and something else does not or is not known."""
    if knob.fits:
        return "FITS"
    return {"pass": f"fits {printable(knob.memory, 16)}", "fail": "too large"}.get(knob.held, "not known")


def need(report: FitReport, knob: Knob) -> str:
    """What is needed with the change, to the byte where that reads as what there is."""
    have = next((row.have_bytes for row in report.memory.rows if row.memory == knob.memory), None)
    return span(knob.need_bounds, have)


def _with_option(head: str, text: str, shown: str) -> Iterator[str]:
    words, option = printable(text, 200), printable(shown, None)
    if len(head) + len(words) + len(option) + 3 <= WIDTH:
        yield f"{head}{words}   {option}"
        return
    yield from wrapped(head, words)
    yield f"    {option}"  # whole, however long: it is there to be copied


def _is_as_if(knob: Knob) -> bool:
    return knob.option.startswith("--quantize")
