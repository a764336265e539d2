"""Text for a terminal: one screen for a model, a row each for several, the lists that are asked for, comparisons."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.printable import printable
from effaudit.render.plain import table
from effaudit.render.time.screen import attributed, screen
from effaudit.render.time.words import between, command, host, median, ran, seconds, turn, verdict
from effaudit.tables.table import Shown, arranged
from effaudit.tables.time import BRIEF_LISTS, models, sizes, sweep
from effaudit.timing.types import TimeDocument, Versus
from effaudit.wrapping import wrapped


def render(document: TimeDocument, shown: Shown) -> Iterator[str]:
    """One model: a screen. Several, or several sizes: a table of all. Pairs: what the comparison says."""
    one = len(document.models) == 1
    if one:
        yield "\n".join(screen(document, document.models[0], shown)) + "\n"
    elif document.models:
        yield from _several(document, shown)
    for model in document.models:
        if shown.tables and not one:
            yield f"\n{printable(f'{model.path} {sizes(model)}'.strip(), None)}   {model.threads} thread(s)\n"
        for name in shown.tables:
            made = BRIEF_LISTS[name](model)
            yield from table(arranged(made, Shown(top=shown.top, columns=made.brief)), shown.width)
            yield from (f"{line}\n" for line in wrapped("", made.note) if made.note)
        if shown.tables and not one:
            yield from (f"{line}\n" for line in attributed(model))
    for i, pair in enumerate(document.versus):
        yield "\n" if i or document.models else ""
        yield from (f"{line}\n" for line in _pair(document, pair))


def _several(document: TimeDocument, shown: Shown) -> Iterator[str]:
    """A row each; what all have in common stands above."""
    first = document.models[0]
    same = len({(one.threads, one.provider, one.optimize) for one in document.models}) == 1
    how = ran(first, document.host.onnxruntime) if same else f"ONNX Runtime {printable(document.host.onnxruntime, 20)}"
    alone = len({one.path for one in document.models}) == 1
    what = f"{len(document.models)} runs of {first.path}" if alone else f"{len(document.models)} runs"
    yield from (f"{line}\n" for line in wrapped("", f"effaudit time   {what}   {how}"))
    yield from (f"{line}\n" for line in wrapped("host   ", host(document.host)))
    made = sweep(document) if document.sweep else models(document)
    yield from table(arranged(made, Shown(columns=made.brief)), shown.width)
    yield "\n" if document.turns else ""
    for found in document.turns:
        yield from (f"{line}\n" for line in wrapped("turns  ", turn(found)))
    warned = [one for one in document.models if one.warnings or one.slower_optimized]
    yield "\n" if warned or any(one.notes for one in document.models) else ""
    for one in warned:
        name = printable(f"{one.path} {sizes(one)}".strip(), 60)
        slower = ("the optimized graph is slower than the plain one",) if one.slower_optimized else ()
        for words in (*one.warnings, *slower):
            yield from (f"{line}\n" for line in wrapped("warn   ", f"{name}: {words}"))
    for note in dict.fromkeys(note for one in document.models for note in one.notes):
        yield from (f"{line}\n" for line in wrapped("note   ", note))
    if not shown.tables and first.path != "-":
        yield f"\nnext   {command(first, '--nodes')}\n"


def _pair(document: TimeDocument, pair: Versus) -> Iterator[str]:
    yield from wrapped("", f"{pair.first} against {pair.second}   {ran(pair, document.host.onnxruntime)}")
    yield from wrapped("host   ", host(document.host))
    yield ""
    yield from wrapped("       ", verdict(pair), 7)
    yield f"ratio  {between(pair)}, over {pair.rounds:,} rounds in turns"
    for name, runs in ((pair.first, pair.first_runs), (pair.second, pair.second_runs)):
        yield from wrapped("       ", f"{median(runs)}   min {seconds(runs.min_s, 3)}   {printable(name, 100)}")
    for label, lines in (("warn   ", pair.warnings), ("note   ", pair.notes)):
        for line in lines:
            yield from wrapped(label, line)
