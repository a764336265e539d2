"""The screen of one model on one device: the verdict first, then what decides it. At most 40 lines for most models."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from effaudit.checks.types import Result
from effaudit.estimate.demand import ARENA
from effaudit.fit.types import FitReport, MemoryRow
from effaudit.printable import printable
from effaudit.render.fit.batches import batches
from effaudit.render.fit.knobs import knobs
from effaudit.render.fit.missing import settle
from effaudit.render.fit.serving import lines as serving_lines
from effaudit.render.fit.speed import speed
from effaudit.render.fit.suggestions import suggestions
from effaudit.render.fit.words import (
    VERDICTS,
    decides,
    estimate,
    have,
    how,
    label,
    limit,
    limit_name,
    limited,
    piece,
    signed,
    span,
)
from effaudit.render.screen import options, short
from effaudit.units import human_bytes
from effaudit.wrapping import WIDTH, wrapped

HEIGHT: Final = 40
NEXT: Final = 2  # lines of the next command
HEADS: Final = ("memory", "need", "have", "margin", "")
SIGNS: Final = {"fail": "X", "unknown": "?", "warn": "!"}


class _Level(msgspec.Struct, frozen=True):
    """How much is said: knobs and notes, tensors of the peak that are named, characters of what nodes run where and of
    the device's title."""

    knobs: int
    notes: int
    alive: int = 3
    words: int = 400
    title: int = 200


# The most talkative first.
_LEVELS: Final = (
    _Level(5, 4),
    _Level(4, 3),
    _Level(3, 2),
    _Level(3, 1),
    _Level(2, 0, words=240),
    _Level(1, 0, alive=2, words=200, title=140),
    _Level(1, 0, alive=1, words=140, title=70),
)


def screen(report: FitReport, *, more: bool) -> list[str]:
    """The lines; one with much to say shows fewer knobs and notes. Where `more` follows, no next command does."""
    for level in _LEVELS:
        lines = _lines(report, level)
        if len(lines) <= HEIGHT - NEXT:
            break
    return [*lines, *suggestions(report.suggestions), *([] if more else _next(report))]


def _lines(report: FitReport, level: _Level) -> list[str]:
    return [
        *_head(report, level.title),
        "",
        *(_memories(report) if report.serving is None else ()),
        *(_peak(report, level.alive) if report.serving is None else ()),
        *_proof(report),
        *speed(report),
        *_operators(report, level.words),
        *_limits(report),
        *_serving(report, level.notes),
        *batches(report),
        *knobs(report, level.knobs),
        *_notes(report, level.notes),
    ]


def _head(report: FitReport, title: int) -> list[str]:
    lines = wrapped("", f"{printable(report.model, None)} on {printable(report.device, 60)}: {VERDICTS[report.status]}")
    lines += wrapped(label("device"), printable(report.title, title))
    lines += wrapped(label("as"), how(report))
    dims = [f"{printable(n, 40)}={d.value} ({d.origin})" for n, d in report.dims.items() if d.value is not None]
    if dims:
        lines += wrapped(label("dims"), ", ".join(dims[:8]))
    return [*lines, *wrapped(label("decides"), decides(report))]


def _memories(report: FitReport) -> list[str]:
    rows = report.memory.rows
    if not rows:
        return []
    cells = [(*memory(row), sign(report.findings, row)) for row in rows]
    return aligned(HEADS, cells, [_what(row) for row in rows])


def memory(row: MemoryRow) -> tuple[str, str, str, str]:
    """Name, need, have and margin of a memory."""
    need = span(row.need_bounds, row.have_bytes)
    return printable(row.memory, 16), need, have(row), signed(row.margin_bytes)


def aligned(heads: tuple[str, ...], cells: Sequence[tuple[str, ...]], below: Sequence[Sequence[str]] = ()) -> list[str]:
    """A table: the first column to the left, the last a sign, numbers to the right; lines below each row."""
    widths = [max(len(row[i]) for row in (heads, *cells)) for i in range(len(heads))]
    lines = [_row(heads, widths)]
    for i, row in enumerate(cells):
        lines += [_row(row, widths), *(below[i] if below else ())]
    return lines


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    name, *numbers, sign = cells
    made = "  ".join(f"{cell:>{width}}" for cell, width in zip(numbers, widths[1:-1], strict=True))
    return f"{name:<{widths[0]}}  {made}  {sign}".rstrip()


def _what(row: MemoryRow) -> list[str]:
    """What lies in it, and how much of it is in one piece."""
    said = ", ".join(f"{printable(item.what, 40)} {span(item.bounds)}" for item in row.items)
    if row.contiguous_bytes is not None and row.contiguous_bytes < (row.have_bytes or 0):
        margin = ", of which the margin is" if piece(row) else ""
        said += f"; {human_bytes(row.contiguous_bytes)} in one piece{margin}"
    return wrapped(label(), said)


def sign(findings: Sequence[Result], row: MemoryRow) -> str:
    """What the checks of a memory found, as a sign."""
    for result in findings:
        if result.where == row.memory and result.unit == "bytes" and result.status in SIGNS:
            return SIGNS[result.status]
    return ""


def _peak(report: FitReport, alive: int) -> list[str]:
    memory = report.memory
    lines = []
    if memory.peak_node is not None and memory.live_set:
        lines += wrapped(label("peak"), f"at {short(memory.peak_node, 60)}")
        width = max(len(human_bytes(tensor.bytes)) for tensor in memory.live_set[:alive])
        for tensor in memory.live_set[:alive]:
            size = f"{label()}{human_bytes(tensor.bytes):>{width}}  "
            lines.append(size + short(tensor.name, WIDTH - len(size)))
        rest = memory.live_set[alive:]
        if rest:
            size = human_bytes(sum(tensor.bytes for tensor in rest))
            lines.append(f"{label()}{size:>{width}}  in {len(rest)} more")
    if memory.arena_constant_bytes is not None and _is_small(report) and _arena_fits(report):
        constant = f"constexpr size_t kTensorArenaSize = {memory.arena_constant_bytes};"
        lines.append(f"{label('set')}{constant}  // at the most")
    return lines


def _is_small(report: FitReport) -> bool:
    """A runtime with an arena of its own in a C file: where code and weights lie in flash."""
    return any(row.kind == "flash" for row in report.memory.rows)


def _arena_fits(report: FitReport) -> bool:
    """Whether the memory that holds the arena holds all that it must."""
    homes = {row.memory for row in report.memory.rows if any(item.what == ARENA for item in row.items)}
    found = {result.status for result in report.findings if result.check == "ram" and result.where in homes}
    return found == {"pass"}


def _proof(report: FitReport) -> list[str]:
    if report.status != "does-not-fit" or not any(
        r.status == "fail" and r.check in ("ram", "flash") for r in report.findings
    ):
        return []
    if report.proof is None:
        floor = human_bytes(report.memory.floor_bytes)
        words = f"by the plan found; not proven: the floor under these rules is {floor}"
        return wrapped(label("proof"), words)
    return wrapped(label("proof"), f"under the rules of {report.memory.rules}: {printable(report.proof, 400)}")


def _operators(report: FitReport, words: int) -> Iterator[str]:
    for result in report.findings:
        if result.check == "operators" and result.status != "skipped":
            yield from wrapped(label("nodes"), _cut(operators(report, result), words))


def operators(report: FitReport, result: Result) -> str:
    """What a check found of operators, the bytes that cross in a unit for people."""
    moved = None if report.placement is None else report.placement.transfer_bytes
    if moved is None:
        return result.message
    return result.message.replace(f"transfers of {moved:,} bytes", f"transfers of {human_bytes(moved)}")


def _cut(text: str, limit: int) -> str:
    """Whole, or its beginning."""
    safe = printable(text, None)
    return safe if len(safe) <= limit else f"{safe[: limit - 3]}..."


def _limits(report: FitReport) -> list[str]:
    found = limited(report)
    if not found:
        return []
    cells = [
        (
            limit_name(r),
            estimate(r),
            f"{'at least' if r.check == 'throughput' else 'at most'} {limit(r)}",
            f"{r.status}{' X' if r.status == 'fail' else ' ?' if r.status == 'unknown' else ''}",
        )
        for r in found
    ]
    return aligned(("limit", "estimate", "asked", ""), cells)


def _serving(report: FitReport, notes: int) -> list[str]:
    """With the notes and rows that the level leaves room for."""
    if report.serving is None:
        return []
    return ["", *serving_lines(report.serving, min(notes, 3), 5 if notes else 3)]


def _notes(report: FitReport, most: int) -> Iterator[str]:
    settled, command = settle(report)
    if (report.notes and most) or settled:
        yield ""
    yield from wrapped(label("settle"), settled + ":" * bool(command)) if settled else ()
    yield from [f"{label()}{command}"] if command else ()  # whole: it is there to be copied
    for note in report.notes[:most]:
        yield from wrapped(label("note"), printable(note, 300))
    rest = len(report.notes) - most
    if rest > 0:
        yield f"{label('note')}{rest} {'more ' if most else ''}in -f json"


def _next(report: FitReport) -> list[str]:
    """The next sensible command, whole and ready to paste."""
    if report.model == "-":
        return []
    model, sizes = shlex.quote(report.model), options(report.given)
    if any(r.check == "ram" and r.status != "pass" for r in report.findings):
        as_if = [f"--quantize {report.quantize}"] if report.quantize else []
        command = ["effaudit memory", model, *sizes, f"--runtime {report.memory.rules}", *as_if, "--buffers"]
    else:
        command = ["effaudit fit", model, *sizes, *map(shlex.quote, report.options), "--nodes"]
    return ["", f"next    {printable(' '.join(command), None)}"]
