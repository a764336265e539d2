"""The first screen of one model that was run: at most 40 lines of 80 columns."""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.printable import printable
from effaudit.render.plain import table
from effaudit.render.screen import HEIGHT, NEXT, cut, sizes, tensors
from effaudit.render.time.words import (
    command,
    host,
    median,
    memory,
    percent,
    plain,
    prediction,
    ran,
    seconds,
    throughput,
    warmup,
    worst,
)
from effaudit.tables.table import Shown, arranged
from effaudit.tables.time import nodes
from effaudit.timing.types import ModelTime, TimeDocument
from effaudit.wrapping import wrapped

TOP: Final = 10  # nodes, where there is room
_LEAST: Final = 3
_WORST: Final = 2  # kernels whose prediction is explained
_SAID: Final = 4  # lines of notes at least, where there are any


def screen(document: TimeDocument, model: ModelTime, shown: Shown) -> list[str]:
    """The lines of the first screen; where lists are shown below, neither nodes nor a next command."""
    lines = [cut(line, shown.width) for line in _facts(document, model)]
    said = _said(model)
    if shown.tables:
        return [*lines, *([""] if said else []), *said]
    room = HEIGHT - NEXT - len(lines)
    rows = shown.top or max(min(TOP, room - _HEAD - min(len(said), _SAID) - 1), _LEAST)
    lines += _nodes(model, rows, shown.width)
    room = HEIGHT - NEXT - len(lines) - 1
    lines += ["", *_cut(said, max(room, 1))] if said else []
    return [*lines, *_next(model)]


_HEAD: Final = 4  # lines of the table of nodes beside its rows, and what is said of it


def _facts(document: TimeDocument, model: ModelTime) -> list[str]:
    """What ran, how long it took, and what it held."""
    runs = model.runs
    path, rest = printable(model.path, None), ran(model, document.host.onnxruntime)
    lines = [f"{path}   {rest}"] if len(path) + len(rest) + 3 <= 80 else [path, f"       {rest}"]
    lines += tensors("in", model.inputs)
    lines += wrapped("fed    ", model.inputs_from)
    lines += sizes(model.dims)
    lines += wrapped("host   ", host(document.host))
    lines += ["", f"median {median(runs)}     {throughput(model)}"]
    p99 = "p99 only from 100 runs on" if runs.p99_s is None else f"p99 {seconds(runs.p99_s, 3)}"
    figures = f"min {seconds(runs.min_s, 3)}   p90 {seconds(runs.p90_s, 3)}   {p99}   mean {seconds(runs.mean_s, 3)}"
    lines += [f"       {figures}", f"       MAD {seconds(runs.mad_s, 3)}   middle half {percent(runs.iqr_ratio)} wide"]
    lines += wrapped("       ", warmup(model))
    lines += wrapped(
        "apart  ", f"session created in {seconds(model.session_s, 3)}, first run {seconds(model.first_s, 3)}"
    )
    if model.plain is not None:
        lines += wrapped("plain  ", plain(model))
    if model.memory is not None:
        lines += wrapped("memory ", memory(model.memory))
    if model.prediction is not None:
        lines += wrapped("expect ", prediction(model.prediction, runs.p50_s))
        lines += [line for one in model.prediction.worst[:_WORST] for line in wrapped("       ", worst(one))]
    return lines


def _nodes(model: ModelTime, rows: int, width: int) -> list[str]:
    """The nodes that take longest, and how much of the time is told apart."""
    if not any(node.seconds for node in model.nodes):
        return []
    made = nodes(model, slowest=True)
    made = msgspec.structs.replace(arranged(made, Shown(top=rows, columns=made.brief)), title="")
    lines = "".join(table(made, width)).split("\n")[:-1]
    return [*lines, *attributed(model)]


def attributed(model: ModelTime) -> list[str]:
    """How far kernels were told apart."""
    found = model.attribution
    if found is None:
        return []
    words = f"{percent(found.attributed_ratio)} of the time of {found.kernels:,} kernels attributed"
    if found.consistent_ratio is not None:
        words += f", shapes agree for {percent(found.consistent_ratio)}"
    if model.unattributed_s is not None:
        words += f"; unattributed {seconds(model.unattributed_s, 3)}"
    if model.profiled_ratio is not None:
        words += f"; profiled runs took x{model.profiled_ratio:.3g}"
    return wrapped("       ", words)


def _said(model: ModelTime) -> list[str]:
    lines: list[str] = []
    for warning in model.warnings:
        lines += wrapped("warn   ", printable(warning, 600))
    notes = (*model.notes, *(() if model.prediction is None else model.prediction.notes))
    for note in notes:
        lines += wrapped("note   ", printable(note, 600))
    return lines


def _cut(said: list[str], room: int) -> list[str]:
    """As many whole notes as there is room for."""
    if len(said) <= room:
        return said
    room -= 1
    while room and said[room].startswith(" "):  # in the middle of a note
        room -= 1
    more = sum(not line.startswith(" ") for line in said[room:])
    return [*said[:room], f"note   {more} more in -f json"]


def _next(model: ModelTime) -> list[str]:
    """The next sensible commands, whole and ready to paste."""
    if model.path == "-":
        return []
    found = [command(model, "--nodes")] if model.nodes else [command(model)]
    if model.prediction is None:
        found.append(command(model, "--predict"))
    return ["", f"next   {found[0]}", *(f"       {one}" for one in found[1:])]
