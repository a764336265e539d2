"""Verdicts and figures in words."""

from __future__ import annotations

from typing import Final

from effaudit.fit.types import FitReport, SecondsReport
from effaudit.units import human_bytes, human_measure

VERDICTS: Final = {
    "fits": "FITS",
    "fits-with": "FITS ONLY WITH A CHANGE",
    "does-not-fit": "DOES NOT FIT",
    "unknown": "NOT KNOWN",
}


def measured(one: SecondsReport, unit: str) -> str:
    """ "12.3 ms (10.1 ms .. 15.0 ms)"; a bound alone where that is all there is."""
    if one.value is None:
        return f"at least {human_measure(one.low, unit)}" if one.low else "not known"
    high = "unbounded" if one.high is None else human_measure(one.high, unit)
    if one.low == one.high:
        return human_measure(one.value, unit)
    return f"{human_measure(one.value, unit)} ({human_measure(one.low, unit)} .. {high})"


def span(bounds: tuple[int, int | None]) -> str:
    """Bytes between two bounds."""
    low, high = bounds
    if low == high:
        return human_bytes(low)
    return f"{human_bytes(low)} .. {'unbounded' if high is None else human_bytes(high)}"


def signed(size: int | None) -> str:
    """A margin in bytes, with its sign."""
    return "not known" if size is None else f"{'-' if size < 0 else '+'}{human_bytes(abs(size))}"


def how(report: FitReport) -> str:
    """How the model is run."""
    as_if = f", as if {report.quantize}" if report.quantize else ""
    return f"{report.runtime_title} ({report.runtime}){as_if}"
