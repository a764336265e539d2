"""What `effaudit fit` and `report --device` print, kept as files: `python -m tests.render.fit.goldens` rewrites them.

The devices are those of `devices.py`. Numbers are checked elsewhere; these files show a reader what a change does to
every document. Of a long document the beginning is kept, and a digest of all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from effaudit.audited import examine
from effaudit.checks.subject import Limits
from effaudit.device.types import Device
from effaudit.fit.asked import FitAsked
from effaudit.fit.model import document, fit, parts
from effaudit.fit.pipeline import pipelines
from effaudit.fit.types import FitDocument
from effaudit.fit.view import OnDevice, device_view, on_device
from effaudit.load import Given
from effaudit.render import render as render_report
from effaudit.render.fit import render
from effaudit.report import describe, report
from effaudit.tables.table import Shown

from ..goldens import cut
from . import devices

FOLDER = Path(__file__).parent / "goldens"
KEPT = 90  # lines
LIMITS = Limits(latency_s=0.2, energy_j=0.005, throughput_per_s=3)


@cache
def device(name: str) -> Device:
    with tempfile.TemporaryDirectory() as folder:
        return devices.device(Path(folder), name)


def _fits() -> FitDocument:
    return document(fit("sample:vww-int8", [device("board")], [FitAsked()]))


def _too_large() -> FitDocument:
    return document(fit("sample:mobilenetv2", [device("board")], [FitAsked()]))


def _limited() -> FitDocument:
    return document(fit("sample:ic", [device("board")], [FitAsked(limits=LIMITS)]))


def _silent() -> FitDocument:
    return document(fit("sample:vww-int8", [device("silent")], [FitAsked()]))


def _types() -> FitDocument:
    """Float16 or int8 on this chip?"""
    return document(fit("sample:vww", [device("board")], [FitAsked(quantize=dtype) for dtype in ("fp16", "int8")]))


def _several() -> FitDocument:
    found = [one for name in ("ic", "kws-int8") for one in fit(f"sample:{name}", _both(), [FitAsked()])]
    return document(found)


def _both() -> list[Device]:
    return [device("board"), device("card")]


def _pipeline() -> FitDocument:
    found = [
        one
        for name, times in (("vww-int8", 3), ("kws-int8", 50))
        for one in parts(f"sample:{name}", [device("board")], [FitAsked(limits=LIMITS)], times=times)
    ]
    return document([part.report for part in found], pipelines(found))


def _batches() -> FitDocument:
    asked = [FitAsked(batches=(1, 16, 256), quantize="fp16")]
    return document(fit("sample:dynamic", [device("card")], asked, Given(dims={"batch": 1, "sequence": 128})))


MAKE: dict[str, Callable[[], FitDocument]] = {
    "fits": _fits,
    "too-large": _too_large,
    "limited": _limited,
    "silent": _silent,
    "types": _types,
    "several": _several,
    "pipeline": _pipeline,
    "batches": _batches,
}
ALL = ("text", "json", "csv", "markdown", "svg")
# name -> (document, lists, formats)
FITS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "fits": ("fits", (), ALL),
    "fits-lists": ("fits", ("nodes", "roofline", "left"), ("text", "markdown")),
    "fits-nodes": ("fits", ("nodes",), ("csv",)),
    "too-large": ("too-large", (), ("text", "markdown")),
    "limited": ("limited", (), ("text", "markdown")),
    "silent": ("silent", (), ("text", "csv", "markdown")),
    "types": ("types", (), ("text", "markdown")),
    "several": ("several", (), ("text", "csv", "markdown")),
    "pipeline": ("pipeline", (), ("text", "json", "markdown")),
    "batches": ("batches", (), ("text", "markdown")),
    "energy": ("fits", ("energy",), ("text", "markdown", "csv")),
}
REPORTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "report": ((), ("text", "json", "jsonl", "markdown")),
    "report-lists": (("nodes", "roofline"), ("text", "markdown")),
    "report-nodes": (("nodes",), ("csv", "latex")),
}


@cache
def made(name: str) -> FitDocument:
    return MAKE[name]()


@cache
def reported() -> OnDevice:
    audited = examine("sample:ic")
    return on_device(describe(audited), device_view(audited, device("board"), FitAsked(quantize="int8")))


def printed(name: str, form: str) -> str:
    """The whole document."""
    if name in REPORTS:
        pieces: Iterator[str] = render_report(form, report([reported()]), Shown(REPORTS[name][0]))
    else:
        pieces = render(form, made(FITS[name][0]), Shown(FITS[name][1]))
    return "".join(pieces)


def golden(name: str, form: str) -> str:
    """The document, cut where it is long."""
    return cut(printed(name, form), KEPT)


def cases() -> list[tuple[str, str]]:
    fits = [(name, form) for name, (_, _, forms) in FITS.items() for form in forms]
    return [*fits, *((name, form) for name, (_, forms) in REPORTS.items() for form in forms)]


def path(name: str, form: str) -> Path:
    return FOLDER / f"{name}.{form}"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for case in cases():
        file, text = path(*case), golden(*case)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            print(file.relative_to(FOLDER))


if __name__ == "__main__":
    main()
