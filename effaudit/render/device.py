"""The section "on DEVICE" of a report, as text and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from effaudit.fit.view import DeviceView, OnDevice
from effaudit.printable import printable
from effaudit.render.fit.around import around
from effaudit.render.fit.missing import of_energy
from effaudit.render.fit.roofline import roofline
from effaudit.render.fit.speed import roof, shares, speed
from effaudit.render.fit.words import label, measured
from effaudit.render.plain import table
from effaudit.report import ModelReport
from effaudit.tables.on_device import devices
from effaudit.tables.table import Table
from effaudit.wrapping import wrapped


def lines(model: ModelReport) -> list[str]:
    """The section; nothing of a report without a device."""
    if not isinstance(model, OnDevice):
        return []
    view = model.device
    return [*wrapped(label("on"), f"{said(view)}; no verdict: effaudit fit gives one"), *_sizes(view), *speed(view)]


def said(view: DeviceView) -> str:
    """Which device, and how it runs the model."""
    as_if = f", as if {view.quantize}" if view.quantize else ""
    return printable(f"{view.device}: {view.title}; as {view.runtime_title} ({view.runtime}){as_if}", 400)


def _sizes(view: DeviceView) -> list[str]:
    if not view.assumed:
        return []
    names = printable(", ".join(view.assumed[:8]), 200)
    return wrapped(label("sizes"), f"assumed, as above, for {names}; --dim gives others")


def side_by_side(models: Sequence[ModelReport], width: int) -> Iterator[str]:
    """A row per model that has a device."""
    made = table_of(models)
    if made is not None:
        yield from table(made, width)


def table_of(models: Sequence[ModelReport]) -> Table | None:
    """A row per model; None where none has a device."""
    found = [model for model in models if isinstance(model, OnDevice)]
    return devices(found) if found else None


def plot(model: ModelReport, width: int) -> Iterator[str]:
    """The roofline."""
    if isinstance(model, OnDevice):
        yield "\n" + "\n".join(roofline(model.device, width)) + "\n"


def notes(model: ModelReport) -> Iterator[tuple[str, str]]:
    """(what, text) of the section, for pages."""
    if not isinstance(model, OnDevice):
        return
    view = model.device
    yield "On", f"{said(view)}; no verdict"
    if view.assumed:
        yield "Sizes", f"assumed for {', '.join(view.assumed)}"
    yield "Time", f"{measured(view.latency_s, 's')}; {view.latency_s.basis}"
    if words := "; ".join(filter(None, (roof(view), shares(view.roofline)))):
        yield "Roofline", words
    if view.energy_j is None:
        yield "Energy", of_energy(view)
    else:
        yield "Energy", "; ".join((measured(view.energy_j, "J"), view.energy_j.basis, *around(view)))
