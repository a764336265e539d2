"""A pipeline: what runs how often, and the sums."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.fit.types import Pipeline
from effaudit.printable import printable
from effaudit.render.fit.words import VERDICTS, measured, signed, span
from effaudit.units import human_bytes
from effaudit.wrapping import wrapped


def pipeline(whole: Pipeline) -> Iterator[str]:
    """The lines of one pipeline."""
    parts = " + ".join(f"{times:,} x {printable(name, 60)}" for name, times in whole.parts)
    yield from wrapped("", f"{parts} on {whole.device}: {VERDICTS[whole.status]}")
    yield from wrapped("time   ", measured(whole.latency_s, "s"))
    if whole.energy_j is not None:
        yield from wrapped("energy ", measured(whole.energy_j, "J"))
    for row in whole.rows:
        have = "not known" if row.have_bytes is None else human_bytes(row.have_bytes)
        words = f"need {span(row.need_bounds)}, have {have}, margin {signed(row.margin_bytes)}"
        yield from wrapped(f"{row.memory:<7}", words if len(row.memory) < 7 else f" {words}")
    for result in whole.findings:
        if result.status in ("fail", "unknown") and result.unit != "bytes":
            yield from wrapped("limit  ", f"{result.check}: {result.status}; {printable(result.message, 300)}")
