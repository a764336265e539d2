"""The screen of one model on one device: the verdict first, then what decides it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

from effaudit.checks.types import Result
from effaudit.fit.types import FitReport, MemoryRow
from effaudit.printable import printable
from effaudit.render.fit.serving import lines as serving_lines
from effaudit.render.fit.words import VERDICTS, how, measured, signed, span
from effaudit.render.screen import options
from effaudit.units import human_bytes, human_measure, rounded
from effaudit.wrapping import WIDTH, wrapped

ALIVE: Final = 3  # tensors of the peak that are named
KNOBS: Final = 5
NOTES: Final = 4
SIGNS: Final = {"fail": "X", "unknown": "?", "warn": "!"}


def screen(report: FitReport, *, more: bool) -> list[str]:
    """The lines; where `more` follows, no next command does."""
    return [
        *_head(report),
        "",
        *_memories(report),
        *_peak(report),
        *_proof(report),
        *_speed(report),
        *_operators(report),
        *_limits(report),
        *_serving(report),
        *_batches(report),
        *_knobs(report),
        *_notes(report),
        *([] if more else _next(report)),
    ]


def _head(report: FitReport) -> list[str]:
    lines = wrapped("", f"{printable(report.model, None)} on {report.device}: {VERDICTS[report.status]}")
    lines += wrapped("device ", printable(report.title, None))
    lines += wrapped("as     ", how(report))
    dims = [f"{printable(n, 40)}={d.value} ({d.origin})" for n, d in report.dims.items() if d.value is not None]
    if dims:
        lines += wrapped("dims   ", ", ".join(dims[:8]))
    return [*lines, *wrapped("decides", f" {printable(report.bottleneck, 200)}")]


def _memories(report: FitReport) -> list[str]:
    rows = report.memory.rows
    if not rows:
        return []
    cells = [(r.memory, span(r.need_bounds), _have(r), signed(r.margin_bytes), _sign(report, r)) for r in rows]
    heads = ("memory", "need", "have", "margin", "")
    widths = [max(len(row[i]) for row in (heads, *cells)) for i in range(5)]
    lines = [_line(heads, widths)]
    for row, cell in zip(rows, cells, strict=True):
        lines.append(_line(cell, widths))
        lines += wrapped("         ", ", ".join(f"{item.what} {span(item.bounds)}" for item in row.items))
    return lines


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    name, *numbers, sign = cells
    aligned = "  ".join(f"{cell:>{width}}" for cell, width in zip(numbers, widths[1:4], strict=True))
    return f"{name:<{widths[0]}}  {aligned}  {sign}".rstrip()


def _have(row: MemoryRow) -> str:
    if row.have_bytes is None:
        return "not known"
    whole = human_bytes(row.have_bytes)
    if row.contiguous_bytes is not None and row.contiguous_bytes < row.have_bytes:
        return f"{whole} ({human_bytes(row.contiguous_bytes)} in one piece)"
    return whole


def _sign(report: FitReport, row: MemoryRow) -> str:
    for result in report.findings:
        if result.where == row.memory and result.unit == "bytes" and result.status in SIGNS:
            return SIGNS[result.status]
    return ""


def _peak(report: FitReport) -> list[str]:
    memory = report.memory
    lines = []
    if memory.peak_node is not None and memory.live_set:
        alive = [f"{printable(t.name, 40)} {human_bytes(t.bytes)}" for t in memory.live_set[:ALIVE]]
        rest = len(memory.live_set) - ALIVE
        alive += [f"{rest} more"] if rest > 0 else []
        lines += wrapped("peak   ", f"at {printable(memory.peak_node, 60)}: {', '.join(alive)}")
    if memory.arena_constant_bytes is not None and _is_small(report):
        lines.append(
            f"set    constexpr size_t kTensorArenaSize = {memory.arena_constant_bytes};  // the most estimated"
        )
    return lines


def _is_small(report: FitReport) -> bool:
    """A runtime with an arena of its own in a C file: where code and weights lie in flash."""
    return any(row.kind == "flash" for row in report.memory.rows)


def _proof(report: FitReport) -> list[str]:
    if report.status != "does-not-fit" or not any(
        r.status == "fail" and r.check in ("ram", "flash") for r in report.findings
    ):
        return []
    if report.proof is None:
        floor = human_bytes(report.memory.floor_bytes)
        words = f"by the plan found; not proven: the floor under these rules is {floor}"
        return wrapped("proof  ", words)
    return wrapped("proof  ", f"under the rules of {report.memory.rules}: {printable(report.proof, 400)}")


def _speed(report: FitReport) -> Iterator[str]:
    time = report.latency_s
    each = "" if report.throughput_per_s is None else f", {rounded(report.throughput_per_s, 4)} inferences/s"
    yield from wrapped("time   ", f"{measured(time, 's')}{each}")
    yield from wrapped("       ", printable(time.basis, 300))
    yield from _roofline(report)
    if report.energy_j is not None:
        per_joule = report.energy.inferences_per_j
        rate = f", {rounded(per_joule, 4)} inferences/J" if per_joule else ""
        yield from wrapped("energy ", f"{measured(report.energy_j, 'J')}{rate}")
        yield from wrapped("       ", printable(report.energy_j.basis, 300))
        yield from _around(report)


def _roofline(report: FitReport) -> Iterator[str]:
    found = report.roofline
    if found.intensity is None:
        return
    words = f"{rounded(found.intensity, 3)} FLOP/B"
    for ridge in found.ridges:
        words += f"; ridge {rounded(ridge.flop_per_byte, 3)} ({ridge.dtype} on {ridge.engine}, {ridge.memory})"
    if found.regime is not None:
        words += f": {found.regime}-bound"
    shares = [(found.memory_share, "bytes"), (found.overhead_share, "launches")]
    told = [f"{100 * share:.0f} % of the time bound by {what}" for share, what in shares if share]
    yield from wrapped("roof   ", "; ".join([words, *told]))


def _around(report: FitReport) -> Iterator[str]:
    energy, words = report.energy, []
    if energy.carbon_kg is not None:
        words.append(f"{human_measure(energy.carbon_kg * 1000, 'g')} CO2")
    if energy.cost is not None:
        words.append(f"costs {energy.cost:.3g}")
    if energy.inferences_per_battery is not None:
        words.append(f"{rounded(energy.inferences_per_battery, 4)} inferences per battery")
    if energy.ops_per_w is not None:
        words.append(f"{human_measure(energy.ops_per_w, 'OPS/W')}")
    if words:
        yield from wrapped("       ", ", ".join(words))


def _operators(report: FitReport) -> Iterator[str]:
    for result in report.findings:
        if result.check == "operators" and result.status != "skipped":
            yield from wrapped("nodes  ", printable(result.message, 500))


def _limits(report: FitReport) -> Iterator[str]:
    for result in report.findings:
        if result.check in ("latency", "throughput", "energy", "bandwidth") and result.status != "skipped":
            yield from wrapped("limit  ", _held(result))


def _held(result: Result) -> str:
    low, high = result.bounds
    unit = {"1/s": "/s", "bytes/s": "B/s"}.get(result.unit, result.unit)
    most = "unbounded" if high is None else human_measure(high, unit)
    limit = "" if result.limit is None else human_measure(result.limit, unit)
    sign = ">=" if result.check == "throughput" else "<="
    return f"{result.check} {human_measure(low or 0.0, unit)} .. {most} {sign} {limit}: {result.status}"


def _serving(report: FitReport) -> list[str]:
    return [] if report.serving is None else ["", *serving_lines(report.serving)]


def _batches(report: FitReport) -> Iterator[str]:
    if not report.batches:
        return
    yield ""
    yield f"{'batch':>7}  {'time':>9}  {'1/s':>9}  {'FLOP/B':>7}  bound by"
    for row in report.batches:
        time = "not known" if row.latency_s.value is None else human_measure(row.latency_s.value, "s")
        rate = "not known" if row.throughput_per_s is None else rounded(row.throughput_per_s, 4)
        intensity = "" if row.intensity is None else rounded(row.intensity, 3)
        yield f"{row.batch:>7,}  {time:>9}  {rate:>9}  {intensity:>7}  {row.regime or 'not known'}"
    turn = report.compute_bound_from
    yield "compute-bound from no batch up to 65,536" if turn is None else f"compute-bound from batch {turn:,} on"


def _knobs(report: FitReport) -> Iterator[str]:
    if not report.knobs:
        return
    yield ""
    yield "closest knobs"
    for knob in report.knobs[:KNOBS]:
        cost = f", at the cost of {knob.cost}" if knob.cost else ""
        verdict = "FITS" if knob.fits else "does not fit"
        label = f"  {human_bytes(knob.need_bytes):>10}  {verdict}  "
        yield from wrapped(label, f"{knob.what} ({knob.memory}){cost}   {knob.option}")


def _notes(report: FitReport) -> Iterator[str]:
    if report.notes:
        yield ""
    for note in report.notes[:NOTES]:
        yield from wrapped("note   ", printable(note, 400))
    if len(report.notes) > NOTES:
        yield f"note   {len(report.notes) - NOTES} more in -f json"


def _next(report: FitReport) -> list[str]:
    """The next sensible command, whole and ready to paste."""
    if report.model == "-":
        return []
    model, sizes = shlex.quote(report.model), options(report.given)
    if any(r.check == "ram" and r.status != "pass" for r in report.findings):
        command = ["effaudit memory", model, *sizes, f"--runtime {report.memory.rules}", "--buffers"]
    else:
        command = ["effaudit fit", model, *sizes, f"--device {report.device}", "--nodes"]
    return ["", f"next   {printable(' '.join(command), None)}"[: WIDTH * 4]]
