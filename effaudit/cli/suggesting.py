"""`effaudit fit --suggest`: what would make a model fit, with a sign of life while it is searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from effaudit.cli.progress import progress
from effaudit.device.types import Device
from effaudit.fit.asked import FitAsked
from effaudit.fit.subject import deployed
from effaudit.fit.types import FitDocument, FitReport
from effaudit.load import Given, read
from effaudit.search.suggest import MANY, suggest

LABEL: Final = 40  # characters before the bar


def with_suggestions(
    document: FitDocument,
    devices: Sequence[Device],
    asked: Sequence[FitAsked],
    given: Given,
    operators: Mapping[tuple[str, str], Any] | None,
    sizes: Sequence[str],
) -> FitDocument:
    """The document with suggestions for every model that does not fit as it is. `sizes` are the words of the command
    line that give sizes and operators, `asked` holds what was asked once, without an element type."""
    known = {device.name: device for device in devices}

    def suggested(report: FitReport) -> FitReport:
        if report.status == "fits" or report.serving is not None or report.quantize is not None:
            return report
        device, one = known[report.device], asked[0]
        audited, _ = deployed(read(report.model, operators), given, device, one.batches[0] if one.batches else None)
        words = (report.model, *report.options, *sizes)
        # How many changes will be tried is not known ahead: the bar ends at the most there can be.
        with progress(f"{report.model} on {device.name}"[-LABEL:], MANY) as tell:
            return msgspec.structs.replace(report, suggestions=suggest(audited, device, one, words, tell))

    return msgspec.structs.replace(document, verdicts=tuple(map(suggested, document.verdicts)))
