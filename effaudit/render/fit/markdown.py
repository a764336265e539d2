"""Markdown: the status first, then what decides it. For pull requests and pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from effaudit.fit.types import FitDocument, FitReport, Knob, Pipeline
from effaudit.render.fit.around import around
from effaudit.render.fit.batches import HEADS, cells, turn
from effaudit.render.fit.knobs import need, verdict
from effaudit.render.fit.matrix import in_common, verdicts
from effaudit.render.fit.missing import of_energy, settle
from effaudit.render.fit.pipeline import parts
from effaudit.render.fit.screen import memory, operators, sign
from effaudit.render.fit.serving import lines as serving_lines
from effaudit.render.fit.speed import roof, shares
from effaudit.render.fit.suggestions import command, what
from effaudit.render.fit.words import VERDICTS, decides, estimate, how, limit, limit_name, limited, measured, span
from effaudit.render.markdown import escape, rows
from effaudit.tables.fit import LISTS
from effaudit.tables.table import Shown, arranged

KNOBS: Final = 5
SAID: Final = {"X": "**fail**", "?": "unknown", "!": "warning", "": "ok"}
_MEMORY: Final = ("memory", "need", "have", "margin", "", "what")


def render(document: FitDocument, shown: Shown) -> Iterator[str]:
    """One verdict in full; several as a table, with what decides those that are no FITS."""
    one = len(document.verdicts) == 1 and not document.pipelines
    yield f"### effaudit fit: {_status(document)}\n"
    for whole in document.pipelines:
        yield from _pipeline(whole)
    if not one:
        yield from _matrix(document)
    for report in document.verdicts:
        if one:
            yield from _one(report)
        yield from _batches(report)
        yield from _lists(report, shown)


def _status(document: FitDocument) -> str:
    judged = document.pipelines or document.verdicts
    if len(judged) == 1:
        return VERDICTS[judged[0].status]
    fitting = sum(one.status == "fits" for one in judged)
    return f"{fitting} of {len(judged)} fit"


def _matrix(document: FitDocument) -> Iterator[str]:
    made, same = verdicts(document)
    if same:
        what = "parts" if document.pipelines else "verdicts"
        yield f"\n{len(document.verdicts)} {what}{escape(in_common(same))}\n"
    yield "\n"
    yield from rows(made)
    missed = [] if document.pipelines else [report for report in document.verdicts if report.status != "fits"]
    yield "\n" if missed else ""
    for report in missed:
        as_if = f", as if {report.quantize}" if report.quantize else ""
        head = f"{escape(report.model)} on {escape(report.device)}{escape(as_if)}"
        yield f"- **{VERDICTS[report.status]}** {head}: {escape(decides(report))}\n"


def _one(report: FitReport) -> Iterator[str]:
    device = f"{escape(report.device)} ({escape(report.title)})"
    yield f"\n**{escape(report.model)}** on {device}, as {escape(how(report))}\n"
    dims = ", ".join(f"{name}={dim.value} ({dim.origin})" for name, dim in report.dims.items() if dim.value is not None)
    if dims:
        yield f"\nDims: {escape(dims)}\n"
    yield f"\nDecides: {escape(decides(report))}\n"
    if report.memory.rows:
        cells = [_memory(report, i) for i in range(len(report.memory.rows))]
        yield from _table(_MEMORY, cells, right=(1, 2, 3))
    found = limited(report)
    if found:
        signs = [">=" if result.check == "throughput" else "<=" for result in found]
        held = [(limit_name(r), estimate(r), f"{s} {limit(r)}", r.status) for r, s in zip(found, signs, strict=True)]
        yield from _table(("limit", "estimate", "asked", "status"), held, right=(1, 2))
    yield "\n"
    yield from (f"- {name}: {escape(text)}\n" for name, text in _figures(report))
    if report.serving is not None:
        yield "\n```text\n" + "\n".join(serving_lines(report.serving)).replace("```", "'''") + "\n```\n"
    if report.knobs:
        yield "\nClosest knobs:\n\n"
        yield from (_knob(report, knob) for knob in report.knobs[:KNOBS])
    yield from _suggestions(report)
    settled, ready = settle(report)
    if settled:
        yield f"\nTo settle what is not known: {escape(settled)}{f': {escape(ready)}' if ready else ''}\n"
    if report.notes:
        yield f"\n<details><summary>{len(report.notes)} notes</summary>\n\n"
        yield from (f"- {escape(note)}\n" for note in report.notes)
        yield "\n</details>\n"


def _suggestions(report: FitReport) -> Iterator[str]:
    found = report.suggestions
    if found is None:
        return
    if not found.front:
        yield f"\nNothing that was tried fits ({found.tried:,} changes): {escape(found.why)}\n"
        return
    yield f"\nChanges after which it fits, the one that loses least first ({found.tried:,} tried):\n\n"
    for one in found.front:
        yield f"- {escape(what(one))}\n\n  ```sh\n  {command(one)}\n  ```\n"


def _batches(report: FitReport) -> Iterator[str]:
    if not report.batches:
        return
    as_if = f", as if {report.quantize}" if report.quantize else ""
    yield f"\nBatches of {escape(report.model)} on {escape(report.device)}{escape(as_if)}:\n"
    yield from _table(HEADS, [cells(row) for row in report.batches], right=(0, 1, 2, 3))
    yield f"\n{escape(turn(report))}\n"


def _memory(report: FitReport, i: int) -> tuple[str, ...]:
    row = report.memory.rows[i]
    what = ", ".join(f"{item.what} {span(item.bounds)}" for item in row.items)
    return (*memory(row), SAID[sign(report.findings, row)], what)


def _figures(report: FitReport) -> Iterator[tuple[str, str]]:
    """What is said in a line each."""
    if report.proof is not None:
        yield "Proof", f"under the rules of {report.memory.rules}: {report.proof}"
    yield "Time", f"{measured(report.latency_s, 's')}; {report.latency_s.basis}"
    if said := "; ".join(filter(None, (roof(report), shares(report.roofline)))):
        yield "Roofline", said
    if report.energy_j is None:
        yield "Energy", of_energy(report)
    else:
        yield "Energy", "; ".join((measured(report.energy_j, "J"), report.energy_j.basis, *around(report)))
    for result in report.findings:
        if result.check == "operators" and result.status != "skipped":
            yield "Operators", f"{result.status}: {operators(report, result)}"


def _knob(report: FitReport, knob: Knob) -> str:
    cost = f", at the cost of {knob.cost}" if knob.cost else ""
    words = escape(f"{verdict(knob)}: {knob.what}: {need(report, knob)} of {knob.memory}{cost}")
    return f"- {words} ({escape(knob.option)})\n"


def _pipeline(whole: Pipeline) -> Iterator[str]:
    yield f"\n**{VERDICTS[whole.status]}** {escape(parts(whole))} on {escape(whole.device)}\n"
    energy = "" if whole.energy_j is None else f"; energy {measured(whole.energy_j, 'J')}"
    yield f"\n- Time {escape(measured(whole.latency_s, 's'))}{escape(energy)}\n"
    for result in limited(whole):
        held = f"{limit_name(result)} {estimate(result)}, asked {limit(result)}"
        yield f"- {escape(held)}: {result.status}\n"
    cells = [(*memory(row), SAID[sign(whole.findings, row)]) for row in whole.rows]
    if cells:
        yield from _table(_MEMORY[:-1], cells, right=(1, 2, 3))


def _table(heads: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[int]) -> Iterator[str]:
    yield "\n| " + " | ".join(heads) + " |\n"
    yield "|" + "|".join(" --: " if i in right else " --- " for i in range(len(heads))) + "|\n"
    for row in cells:  # what is in bold is the program's own
        yield "| " + " | ".join(cell if cell in SAID.values() else escape(cell) for cell in row) + " |\n"


def _lists(report: FitReport, shown: Shown) -> Iterator[str]:
    for name in shown.tables:
        made = arranged(LISTS[name](report), Shown(top=shown.top))
        yield f"\n#### {escape(report.model)} on {escape(report.device)}: {escape(made.title)}\n\n"
        yield from rows(made)
        if made.note:
            yield f"\n{escape(made.note)}\n"
