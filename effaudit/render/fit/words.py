"""Verdicts and figures in words."""

from __future__ import annotations

from typing import Final

from effaudit.checks.types import Result
from effaudit.fit.types import Bottleneck, FitReport, MemoryRow, Pipeline, SecondsReport
from effaudit.printable import printable
from effaudit.units import human_bytes, human_measure, rounded

VERDICTS: Final = {
    "fits": "FITS",
    "fits-with": "FITS ONLY WITH A CHANGE",
    "does-not-fit": "DOES NOT FIT",
    "unknown": "NOT KNOWN",
}
# The same in a column.
BRIEF: Final = {**VERDICTS, "fits-with": "WITH A CHANGE"}
IN_BYTES: Final = ("ram", "flash", "context")  # the checks of memories
LIMITED: Final = ("latency", "throughput", "energy", "bandwidth")  # the checks that are not of bytes or operators


def label(name: str = "") -> str:
    """The column of labels."""
    return f"{name:<8}"


def measured(one: SecondsReport, unit: str) -> str:
    """ "12.3 ms (10.1 ms .. 15.0 ms)"; a bound alone where that is all there is."""
    if one.value is None:
        return f"at least {human_measure(one.low, unit)}" if one.low else "not known"
    high = "unbounded" if one.high is None else human_measure(one.high, unit)
    if one.low == one.high:
        return human_measure(one.value, unit)
    return f"{human_measure(one.value, unit)} ({human_measure(one.low, unit)} .. {high})"


def span(bounds: tuple[int, int | None], beside: int | None = None) -> str:
    """Bytes between two bounds, the unit once where both have the same; to the byte where both, or one of them and what
    it is held against (`beside`), would read the same."""
    low, high = bounds
    if high is None:
        return f"{size(low, beside)} or more" if low else "not known"
    if low == high:
        return size(low, beside)
    if human_bytes(low) == human_bytes(high) or alike(low, beside) or alike(high, beside):
        return _between(f"{low:,} B", f"{high:,} B")
    return _between(human_bytes(low), human_bytes(high))


def size(number: int, *beside: int | None) -> str:
    """Bytes; every one of them where the rounded number would read as another beside it, which it is not."""
    return f"{number:,} B" if any(alike(number, other) for other in beside) else human_bytes(number)


def alike(one: int, other: int | None) -> bool:
    """Two numbers that read the same when rounded, and are not."""
    return other is not None and one != other and human_bytes(one) == human_bytes(other)


def have(row: MemoryRow) -> str:
    """What a memory has; the largest piece of it where that is what the margin is of: "512.0 of 992.0 KiB"."""
    if row.have_bytes is None:
        return "not known"
    if piece(row) and row.contiguous_bytes is not None:
        part, whole = human_bytes(row.contiguous_bytes), human_bytes(row.have_bytes)
        number, _, unit = part.partition(" ")
        return f"{number if whole.endswith(f' {unit}') else part} of {whole}"
    return size(row.have_bytes, *row.need_bounds)


def piece(row: MemoryRow) -> bool:
    """Whether the margin is that of the largest piece: what has to lie in it leaves less than all does of all."""
    high = row.need_bounds[1]
    known = None not in (row.margin_bytes, row.have_bytes, row.contiguous_bytes, high)
    return known and (row.margin_bytes or 0) < (row.have_bytes or 0) - (high or 0)


def _between(low: str, high: str) -> str:
    (a, *unit), (b, *same) = low.split(" "), high.split(" ")
    return f"{a} .. {b} {unit[0]}" if unit == same else f"{low} .. {high}"


def signed(size: int | None) -> str:
    """A margin in bytes, with its sign."""
    return "not known" if size is None else f"{'-' if size < 0 else '+'}{human_bytes(abs(size))}"


def estimate(result: Result) -> str:
    """What a check measured, in its unit."""
    low, high = result.bounds
    if low is None and high is None:
        return "not known"
    if low == high:
        return _amount(low or 0.0, result.unit)
    if high is None:
        return f"at least {_amount(low, result.unit)}" if low else "not known"
    return _between(_amount(low or 0.0, result.unit), _amount(high, result.unit))


def limit(result: Result) -> str:
    """What it is held against."""
    if result.limit is None:
        return "none"
    return _amount(result.limit, result.unit)


def _amount(value: float, unit: str) -> str:
    if unit == "1/s":  # no prefixes: 0.2 a second are no 200 m/s
        return f"{rounded(value, 3) if value >= 0.01 else f'{value:.3g}'} /s"
    return human_measure(value, "B/s" if unit == "bytes/s" else unit)


def limit_name(result: Result) -> str:
    """What is limited; there is one latency, and a bandwidth of each memory."""
    return f"{result.check} {printable(result.where, 16)}" if result.check == "bandwidth" else result.check


def limited(report: FitReport | Pipeline) -> list[Result]:
    """The limits that the user set, and what was found."""
    return [result for result in report.findings if result.check in LIMITED and result.status != "skipped"]


def decides(report: FitReport) -> str:
    """What decides, and by how much: the bottleneck with its numbers."""
    named = report.bottleneck
    result = _found(report)
    if result is None:
        return once(named) + (" of its limit" if named.status == "pass" else "")
    if result.unit == "bytes":
        low, high = result.bounds
        held = None if result.limit is None else int(result.limit)
        bounds = (int(low or 0), None if high is None else int(high))
        need = "" if low is None else f" needs {span(bounds, held)}"
        has = (
            ", its size is not known" if held is None else f", has {size(held, *bounds)}{_in_one_piece(report, result)}"
        )
        open_items = [
            item.what
            for row in report.memory.rows
            if row.memory == result.where and result.status == "unknown"
            for item in row.items
            if item.bounds[1] is None
        ]
        why = f": {' and '.join(open_items[:3])} not bounded" if open_items else ""
        return printable(f"{_name(result)}{need}{has}{why}", 200)
    if result.check in LIMITED:
        sign = ">=" if result.check == "throughput" else "<="
        state = "fails" if result.status == "fail" else "not known"
        return printable(f"{result.check} {estimate(result)} {sign} {limit(result)}: {state}", 200)
    if result.check == "operators":
        return printable(f"operators: {result.message.split(':')[0]}", 200)
    return once(named)


def _in_one_piece(report: FitReport, result: Result) -> str:
    rows = [row for row in report.memory.rows if row.memory == result.where]
    whole = any(row.contiguous_bytes == result.limit != row.have_bytes for row in rows)
    return " in one piece" if whole else ""


def _found(report: FitReport) -> Result | None:
    """The failure, or what is not known, that decides."""
    named = report.bottleneck
    if named.status not in ("fail", "unknown"):
        return None
    same = (r for r in report.findings if (r.check, r.where, r.status) == (named.check, named.where, named.status))
    return next(same, None)


def once(bottleneck: Bottleneck) -> str:
    """What decides, a memory named as its check named once: "flash at 31 %"."""
    return _without_check(bottleneck) if bottleneck.where == bottleneck.check else printable(bottleneck.text, 200)


def brief(bottleneck: Bottleneck) -> str:
    """What decides, in a column: of a check of bytes the memory alone, "dram at 28 %"."""
    return _without_check(bottleneck) if names_memory(bottleneck) else once(bottleneck)


def names_memory(bottleneck: Bottleneck) -> bool:
    """Whether the memory that the margin is of decides."""
    return bottleneck.check in IN_BYTES and bool(bottleneck.where)


def _without_check(bottleneck: Bottleneck) -> str:
    return printable(bottleneck.text.removeprefix(f"{bottleneck.check} "), 200)


def _name(result: Result) -> str:
    """The check and where; what is named as its check, once."""
    return result.where if result.where == result.check else f"{result.check} {result.where}".strip()


def how(report: FitReport) -> str:
    """How the model is run."""
    as_if = f", as if {report.quantize}" if report.quantize else ""
    return printable(f"{report.runtime_title} ({report.runtime}){as_if}", 300)
