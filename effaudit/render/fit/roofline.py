"""The roofline as a plot for a terminal: ASCII, readable without colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from effaudit.fit.types import FitReport
from effaudit.fit.view import DeviceView
from effaudit.printable import printable
from effaudit.render.fit.missing import of_roofline
from effaudit.render.fit.points import Dot, Plot, flops, per_byte, plotted, roof_at
from effaudit.render.fit.speed import roof, shares
from effaudit.render.screen import short
from effaudit.units import human_measure
from effaudit.wrapping import wrapped

HEIGHT: Final = 16
MARGIN: Final = 14  # the axis and its labels
NAMED: Final = 8  # kernels with a letter of their own
REST: Final = "o"
CORNER: Final = "+"
LINE: Final = 80
SHORTEST: Final = 12  # characters of a name
SLOPES: Final = "/:.;"  # of the first memories; others are drawn like the last


def roofline(report: FitReport | DeviceView, width: int) -> list[str]:
    """The plot, the ridges, and the kernels that take longest; why there is none where there is none."""
    rows = report.rows if isinstance(report, FitReport) else report.kernels
    found = plotted(report.roofline, rows)
    title = f"roofline on {printable(report.device, 60)}"
    if found is None:
        return [title, *wrapped("  none: ", "; ".join(of_roofline(report)) or "no kernel computes", 8)]
    named = _named(found.dots, report.latency_s.value)
    lines = [title, *_canvas(found, named, max(width, 40))]
    lines += _ridges(found)
    for said in filter(None, (roof(report), shares(report.roofline))):
        lines += wrapped("  model ", said)
    return [*lines, *_legend(found, named, report.latency_s.value)]


def _named(dots: Sequence[Dot], total_s: float | None) -> list[Dot]:
    """Those that take longest; where times are not known, those that compute most."""
    if total_s:
        return sorted(dots, key=lambda dot: -(dot.row.seconds or 0.0))[:NAMED]
    return sorted(dots, key=lambda dot: -(dot.row.macs or 0))[:NAMED]


def _canvas(found: Plot, named: Sequence[Dot], width: int) -> list[str]:
    last = HEIGHT - 1
    labels = {last - round(found.up.at(rate) * last): flops(rate) for rate in found.up.decades(HEIGHT // 3)}
    margin = max([MARGIN, *(len(text) + 2 for text in labels.values())])
    columns = width - margin
    cells = [[" "] * columns for _ in range(HEIGHT)]

    def put(across: float, up: float, mark: str) -> None:
        cells[last - round(up * last)][round(across * (columns - 1))] = mark

    slopes = _slopes(found)
    for ridge in reversed(found.ridges):  # the first memory on top
        for column in range(columns):
            across = column / (columns - 1)
            intensity = 10 ** (found.across.low + across * (found.across.high - found.across.low))
            rate = roof_at(ridge, intensity)
            put(across, found.up.at(rate), "-" if rate == ridge.peak_flop_per_s else slopes[ridge.memory])
        put(found.across.at(ridge.flop_per_byte), found.up.at(ridge.peak_flop_per_s), CORNER)
    letters = {id(dot): chr(ord("A") + i) for i, dot in enumerate(named)}
    for dot in found.dots:
        put(found.across.at(dot.intensity), found.up.at(dot.rate), REST)
    for dot in reversed(named):  # the letters on top, the slowest last
        put(found.across.at(dot.intensity), found.up.at(dot.rate), letters[id(dot)])
    lines = [f"{labels.get(i, ''):>{margin - 2}} |{''.join(row)}".rstrip() for i, row in enumerate(cells)]
    return [*lines, f"{'':>{margin - 2}} +{'-' * columns}", _across(found, columns, margin)]


def _across(found: Plot, columns: int, margin: int) -> str:
    """The labels below: powers of ten of FLOP/B, as many as have room."""
    line = [" "] * (columns + margin)
    free = 0
    for value in found.across.decades(8):
        text = per_byte(value) if not free else per_byte(value).removesuffix(" FLOP/B")
        start = margin - 1 + round(found.across.at(value) * (columns - 1))
        if start < free or start + len(text) > len(line):
            continue
        line[start : start + len(text)] = text
        free = start + len(text) + 2
    return "".join(line).rstrip()


def _slopes(found: Plot) -> dict[str, str]:
    """What the slope of a memory is drawn with."""
    names = dict.fromkeys(ridge.memory for ridge in found.ridges)
    return {name: SLOPES[min(i, len(SLOPES) - 1)] for i, name in enumerate(names)}


def _ridges(found: Plot) -> list[str]:
    lines, slopes = [], _slopes(found)
    for ridge in found.ridges:
        head = f"{ridge.dtype} on {ridge.engine}, {ridge.memory}"
        head += f", drawn {slopes[ridge.memory]}" if len(slopes) > 1 else ""
        peak, speed = flops(ridge.peak_flop_per_s), human_measure(ridge.bandwidth_byte_per_s, "B/s")
        words = f"{per_byte(ridge.flop_per_byte)} = {peak} / {speed} ({printable(head, 80)})"
        lines += wrapped(f"{CORNER} ridge ", words)
    return lines


def _legend(found: Plot, named: Sequence[Dot], total_s: float | None) -> list[str]:
    """The kernels with a letter, and what the others are."""
    bounds = [_bound(dot) for dot in named]
    wide = max([0, *map(len, bounds)])
    lines = [
        _kernel(chr(ord("A") + i), dot, total_s, f"{bound:<{wide}}")
        for i, (dot, bound) in enumerate(zip(named, bounds, strict=True))
    ]
    rest = len(found.dots) - len(named)
    words = [f"{rest:,} more kernels"] if rest else []
    if found.apart:
        words.append(f"{found.apart:,} that compute nothing or whose roof is not known are not drawn")
    if not all(dot.estimated for dot in found.dots):
        words.append("a kernel whose time is not known stands on its roof")
    return [*lines, *(wrapped(f"{REST if rest else ' '}  ", "; ".join(words)) if words else [])]


def _bound(dot: Dot) -> str:
    """On which side of its ridge; of a kernel below it, the memory that bounds it."""
    row = dot.row
    return printable(f"{row.regime or ''} {row.memory if row.regime == 'memory' else ''}".strip(), 20)


def _kernel(letter: str, dot: Dot, total_s: float | None, bound: str) -> str:
    row = dot.row
    share = f"{100 * row.seconds / total_s:5.1f} %" if row.seconds is not None and total_s else f"{'':>7}"
    rate = flops(dot.rate)
    head = f"{letter}  {share}  {per_byte(dot.intensity):>12}  {rate:>12}  {bound}  "
    return head + short(row.node, max(LINE - len(head), SHORTEST))
