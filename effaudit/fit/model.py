"""Models on devices -> the document of `effaudit fit`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from effaudit import __version__
from effaudit.checks import results
from effaudit.checks.subject import Subject
from effaudit.device.types import Device
from effaudit.errors import UsageError
from effaudit.fit.asked import FitAsked
from effaudit.fit.batches import batches
from effaudit.fit.described import Judged, described
from effaudit.fit.judge import gravest, verdict
from effaudit.fit.knobs import as_quantized, of_memory, of_runtimes
from effaudit.fit.pipeline import Part
from effaudit.fit.proof import floor_of
from effaudit.fit.runtime import runtime_of
from effaudit.fit.sequences import serving_of, with_serving
from effaudit.fit.subject import assumed, deployed, subject_of, without_sizes
from effaudit.fit.types import SCHEMA, FitDocument, FitReport, Knob, Pipeline
from effaudit.graph import Graph
from effaudit.load import NOTHING_GIVEN, Given, read
from effaudit.memory.searched import Searched, searched
from effaudit.serving.cache import is_decoder
from effaudit.table import COUNTING

NO_SEARCH = Searched(None, (), None, None)


class OpenDims(UsageError):
    """Sizes that decide and that nobody gave: `dims` -> a size to start from. `decoder`: the model may be served, and
    options of serving give its sizes too."""

    def __init__(self, message: str, dims: Mapping[str, int], *, decoder: bool = False) -> None:
        super().__init__(message)
        self.dims, self.decoder = dict(dims), decoder


def fit(
    name: str | os.PathLike[str],
    devices: Sequence[Device],
    asked: Sequence[FitAsked],
    given: Given = NOTHING_GIVEN,
    operators: Mapping[tuple[str, str], Any] | None = None,
    times: int = 1,
) -> list[FitReport]:
    """A model on each of the devices, once for each of what is `asked`; `times` is how often a pipeline runs it.

    Raises LoadError, LimitError, UsageError; OpenDims where the verdict hangs on dims that nobody gave.
    """
    return [part.report for part in parts(name, devices, asked, given, operators, times)]


def parts(
    name: str | os.PathLike[str],
    devices: Sequence[Device],
    asked: Sequence[FitAsked],
    given: Given = NOTHING_GIVEN,
    operators: Mapping[tuple[str, str], Any] | None = None,
    times: int = 1,
) -> list[Part]:
    """`fit`, with what each report was made of: the parts of pipelines."""
    raw = read(name, operators)
    return [_fit(raw, device, one, given, times) for device in devices for one in asked]


def document(reports: Sequence[FitReport], pipelines: Sequence[Pipeline] = ()) -> FitDocument:
    """The document over verdicts. Of a pipeline, its own verdict counts, not those of its parts."""
    codes = [one.exit_code for one in (pipelines or reports)]
    return FitDocument(SCHEMA, __version__, COUNTING, tuple(reports), tuple(pipelines), gravest(codes))


def _fit(raw: Graph, device: Device, asked: FitAsked, given: Given, times: int) -> Part:
    if asked.sequences.wanted:
        serving, audited = serving_of(raw, given, device, runtime_of(device, asked.runtime), asked)
        filled: frozenset[str] = frozenset()
        subject = with_serving(subject_of(audited, device, asked), serving, asked)
    else:
        audited, filled = deployed(raw, given, device, asked.batches[0] if asked.batches else None)
        subject = subject_of(audited, device, asked)
    left = assumed(audited)
    if not left:
        return _report(subject, asked, filled, times, raw, given)
    decided = without_sizes(subject)
    found = results(decided)
    if verdict(found, ()) == "does-not-fit":
        return _report(decided, asked, filled, times, raw, given)
    sizes = {n: info.value for n, info in audited.graph.dims.items() if n in left and info.value is not None}
    names = ", ".join(left)
    raise OpenDims(
        f"{audited.name}: the verdict hangs on {names}, which nobody gave", sizes, decoder=is_decoder(audited)
    )


def _report(subject: Subject, asked: FitAsked, filled: frozenset[str], times: int, raw: Graph, given: Given) -> Part:
    found = results(subject)
    failing = any(r.check == "ram" and r.status != "pass" for r in found)
    whole = not assumed(subject.audited)
    search = searched(subject.audited, subject.planned) if failing and whole else NO_SEARCH
    knobs: tuple[Knob, ...] = ()
    if whole and subject.serving is None:  # what would change a served model stands in its own tables
        plans = (*of_memory(subject, asked, search, found), *of_runtimes(subject, asked, found)) if failing else ()
        ranked = sorted(plans, key=lambda knob: (not knob.fits, knob.need_bytes))
        knobs = (*ranked, *as_quantized(subject, asked, found))
    rows, turn = batches(raw, given, subject.device, asked) if asked.batches and whole else ((), None)
    judged = Judged(found, knobs, verdict(found, knobs), floor_of(subject, search.ordered), rows, turn)
    return Part(described(subject, asked, judged, filled, times), subject.device, subject.demands)
