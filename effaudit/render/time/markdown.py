"""Markdown: a row per model and size, the comparisons, notes, and the lists that are asked for."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.render.markdown import escape, rows
from effaudit.render.time.words import between, host, memory, plain, prediction, ran, turn, verdict, worst
from effaudit.tables.table import Shown, arranged
from effaudit.tables.time import LISTS, models, sizes, sweep, versus
from effaudit.timing.types import ModelTime, TimeDocument


def render(document: TimeDocument, shown: Shown) -> Iterator[str]:
    """For pull requests and pages."""
    count = len(document.models)
    yield f"### effaudit time: {f'{count} run{_s(count)}' if count else f'{len(document.versus)} in turns'}\n\n"
    yield f"Host: {escape(host(document.host))}.\n"
    if document.models:
        made = models(document)
        wanted = [*made.brief, "min_s", "p90_s", "p99_s", "n", "warmup", "session_s", "first_s"]
        yield "\n"
        yield from rows(arranged(made, Shown(columns=tuple(dict.fromkeys(["model", *wanted])))))
    if document.sweep:
        made = sweep(document)
        yield "\n"
        yield from rows(arranged(made, Shown(columns=made.brief)))
        yield "\n" if document.turns else ""
        yield from (f"- {escape(turn(one))}\n" for one in document.turns)
    if document.versus:
        yield "\n"
        yield from rows(versus(document))
    for pair in document.versus:
        yield f"\n- {escape(verdict(pair))}: {escape(between(pair))}; {escape(ran(pair, document.host.onnxruntime))}\n"
        yield from (f"- {escape(one)}\n" for one in (*pair.warnings, *pair.notes))
    for model in document.models:
        yield f"\n{escape(_called(model))}: {escape(ran(model, document.host.onnxruntime))}\n\n"
        yield from (f"- {escape(one)}\n" for one in _facts(model))
    for model in document.models:
        for name in shown.tables:
            made = LISTS[name](model)
            yield f"\n#### {escape(_called(model))}: {name}\n\n"
            yield from rows(arranged(made, Shown(top=shown.top, columns=(*made.brief, "why"))))
            yield f"\n{escape(made.note)}\n" if made.note else ""


def _facts(model: ModelTime) -> Iterator[str]:
    yield f"fed: {model.inputs_from}"
    if model.plain is not None:
        yield plain(model)
    if model.memory is not None:
        yield memory(model.memory)
    if model.prediction is not None:
        yield f"predicted {prediction(model.prediction, model.runs.p50_s)}"
        yield from map(worst, model.prediction.worst)
        yield from model.prediction.notes
    yield from model.warnings
    yield from model.notes


def _called(model: ModelTime) -> str:
    return f"{model.path} {sizes(model)}".strip()


def _s(count: int) -> str:
    return "" if count == 1 else "s"
