"""SVG: the roofline of one model on one device, log-log: a point per kernel, the roof and ridge of each element type.

Plain SVG 1.1 (https://www.w3.org/TR/SVG11/) without scripts; every point names its kernel in a <title>.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import atan2, degrees
from typing import Final

from effaudit.errors import UsageError
from effaudit.estimate.roofline import Ridge
from effaudit.fit.types import FitDocument, FitReport
from effaudit.printable import printable
from effaudit.render.fit.missing import of_roofline
from effaudit.render.fit.points import Dot, Plot, flops, per_byte, plotted, roof_at
from effaudit.render.fit.speed import roof, shares
from effaudit.render.fit.words import VERDICTS, how, measured
from effaudit.tables.table import Shown
from effaudit.units import human_measure

WIDTH, HEIGHT = 960, 640
LEFT, RIGHT, TOP, BOTTOM = 100, 30, 112, 64
MAX_POINTS: Final = 20_000
SMALL, LARGE = 3.0, 14.0  # radius of a point by its share of the time
# Blue and vermilion of Okabe and Ito, told apart with any kind of colour blindness: https://jfly.uni-koeln.de/color/
STYLE: Final = (
    "text{font:12px sans-serif;fill:#222}.t{font-size:16px;font-weight:bold}.n{text-anchor:end}.m{text-anchor:middle}"
    ".g{stroke:#ddd}.a{stroke:#888}.r{fill:none;stroke:#222;stroke-width:1.5}.d{stroke:#888;stroke-dasharray:4 3}"
    "circle{fill-opacity:.7;stroke:#fff;stroke-width:.5}circle.compute{fill:#0072b2}circle.memory{fill:#d55e00}"
    "rect.w{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}rect.w{fill:#181818}.g{stroke:#444}.r{stroke:#ddd}}"
)


def render(document: FitDocument, shown: Shown) -> Iterator[str]:
    """Raises UsageError for several verdicts, for too many kernels to draw, and where the profile tells no ridge."""
    if len(document.verdicts) != 1:
        raise UsageError(f"svg draws one roofline, not {len(document.verdicts)}; name one model and one device")
    report = document.verdicts[0]
    if len(report.rows) > MAX_POINTS:
        raise UsageError(f"svg: {len(report.rows):,} kernels are too many to draw; use -f csv --roofline or -f json")
    found = plotted(report.roofline, report.rows)
    if found is None:
        why = printable("; ".join(of_roofline(report)) or "no kernel computes", 200)
        raise UsageError(f"svg: no roofline of {printable(report.device, 60)} to draw: {why}; use -f json")
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">\n'
    yield f"<title>{_safe(report.model)} on {_safe(report.device)}: roofline</title>\n<style>{STYLE}</style>\n"
    yield f'<rect class="w" width="{WIDTH}" height="{HEIGHT}"/>\n'
    yield from _head(report)
    yield from _axes(found)
    yield from _roofs(found)
    yield from _points(found, report.latency_s.value)
    yield "</svg>\n"


def _head(report: FitReport) -> Iterator[str]:
    title = f"{printable(report.model, 60)} on {printable(report.device, 40)}: {VERDICTS[report.status]}"
    yield f'<text class="t" x="{LEFT}" y="26">{_safe(title)}</text>\n'
    yield f'<text x="{LEFT}" y="46">{_safe(how(report), 120)}; {_safe(measured(report.latency_s, "s"))}</text>\n'
    yield f'<text x="{LEFT}" y="64">{_safe(roof(report), 140)}</text>\n'
    yield f'<text x="{LEFT}" y="82">{_safe(shares(report.roofline), 140)}</text>\n'
    yield (
        f'<circle class="compute" cx="{LEFT + 6}" cy="96" r="5"/>'
        f'<text x="{LEFT + 16}" y="100">at the peaks its operations take longer than its bytes</text>'
        f'<circle class="memory" cx="{LEFT + 346}" cy="96" r="5"/>'
        f'<text x="{LEFT + 356}" y="100">its bytes take longer</text>\n'
    )


def _axes(found: Plot) -> Iterator[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value in found.across.decades(9):
        x = _x(found, value)
        yield f'<line class="g" x1="{x}" x2="{x}" y1="{TOP}" y2="{bottom}"/>\n'
        yield f'<text class="m" x="{x}" y="{bottom + 18}">{value:g}</text>\n'
    for value in found.up.decades(9):
        y = _y(found, value)
        yield f'<line class="g" x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}"/>\n'
        yield f'<text class="n" x="{LEFT - 6}" y="{_number(float(y) + 4)}">{flops(value)}</text>\n'
    yield f'<line class="a" x1="{LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>\n'
    yield f'<line class="a" x1="{LEFT}" x2="{LEFT}" y1="{TOP}" y2="{bottom}"/>\n'
    middle = (LEFT + right) // 2
    yield f'<text class="m" x="{middle}" y="{HEIGHT - 22}">FLOP per byte moved</text>\n'
    if said := _said(found):
        yield f'<text class="m" x="{middle}" y="{HEIGHT - 6}">{said}</text>\n'


def _said(found: Plot) -> str:
    words = []
    if found.apart:
        words.append(f"{found.apart:,} kernels that compute nothing or whose roof is not known are not drawn")
    if not all(dot.estimated for dot in found.dots):
        words.append("kernels whose time is not known stand on the roof")
    return "; ".join(words)


def _roofs(found: Plot) -> Iterator[str]:
    """A roof for every element type and memory; each ceiling and each slope is named once."""
    ceilings: set[tuple[str, str]] = set()
    slopes: set[str] = set()
    for ridge in found.ridges:
        yield from _roof(found, ridge)
        if (ridge.engine, ridge.dtype) not in ceilings:
            ceilings.add((ridge.engine, ridge.dtype))
            y = _number(float(_y(found, ridge.peak_flop_per_s)) - 6)
            text = f"{printable(ridge.dtype, 20)} on {printable(ridge.engine, 20)}, {flops(ridge.peak_flop_per_s)}"
            yield f'<text class="n" x="{WIDTH - RIGHT - 4}" y="{y}">{_safe(text)}</text>\n'
        if ridge.memory not in slopes:
            slopes.add(ridge.memory)
            yield from _slope(found, ridge)


def _slope(found: Plot, ridge: Ridge) -> Iterator[str]:
    """The name of a memory along its slope, a quarter of the way up."""
    start = _start(found, ridge)
    at = start * (ridge.flop_per_byte / start) ** 0.25
    x, y = float(_x(found, at)), float(_y(found, roof_at(ridge, at)))
    across = (WIDTH - LEFT - RIGHT) / (found.across.high - found.across.low)
    up = (HEIGHT - TOP - BOTTOM) / (found.up.high - found.up.low)
    text = f"{printable(ridge.memory, 24)}, {human_measure(ridge.bandwidth_byte_per_s, 'B/s')}"
    turn = f"rotate({_number(-degrees(atan2(up, across)))} {_number(x)} {_number(y)})"
    yield f'<text x="{_number(x)}" y="{_number(y - 6)}" transform="{turn}">{_safe(text)}</text>\n'


def _start(found: Plot, ridge: Ridge) -> float:
    """Where a slope enters the plot."""
    return max(10**found.across.low, 10**found.up.low / ridge.bandwidth_byte_per_s)


def _roof(found: Plot, ridge: Ridge) -> Iterator[str]:
    """The slope of the bandwidth, the ceiling of the peak, and the ridge between them."""
    corner, high = ridge.flop_per_byte, 10**found.across.high
    path = [(x, roof_at(ridge, x)) for x in (_start(found, ridge), corner, high)]
    points = " ".join(f"{_x(found, x)},{_y(found, y)}" for x, y in path)
    name = f"{ridge.dtype} on {ridge.engine}, {ridge.memory}"
    peak, speed = flops(ridge.peak_flop_per_s), human_measure(ridge.bandwidth_byte_per_s, "B/s")
    title = f"{name}: ridge {per_byte(corner)} = {peak} / {speed}"
    yield f'<polyline class="r" points="{points}"><title>{_safe(title)}</title></polyline>\n'
    x, y, bottom = _x(found, corner), _y(found, ridge.peak_flop_per_s), HEIGHT - BOTTOM
    yield f'<line class="d" x1="{x}" x2="{x}" y1="{y}" y2="{bottom}"/>\n'
    turn = f"rotate(-90 {x} {bottom})"
    label = f"ridge {per_byte(corner)} ({printable(ridge.dtype, 20)}, {printable(ridge.memory, 24)})"
    yield f'<text x="{_number(float(x) + 6)}" y="{bottom - 4}" transform="{turn}">{_safe(label)}</text>\n'


def _points(found: Plot, total_s: float | None) -> Iterator[str]:
    """The largest first, so that none hides another."""
    for dot in _by_share(found.dots):
        row = dot.row
        share = row.seconds / total_s if row.seconds is not None and total_s else 0.0
        radius = SMALL + (LARGE - SMALL) * min(share, 1.0) ** 0.5
        yield (
            f'<circle class="{"compute" if row.regime == "compute" else "memory"}" cx="{_x(found, dot.intensity)}"'
            f' cy="{_y(found, dot.rate)}" r="{_number(radius)}"><title>{_safe(_title(dot, share), 400)}</title>'
            "</circle>\n"
        )


def _by_share(dots: Sequence[Dot]) -> list[Dot]:
    return sorted(dots, key=lambda dot: -(dot.row.seconds or 0.0))


def _title(dot: Dot, share: float) -> str:
    row = dot.row
    words = [printable(row.node, 200), f"{row.op} {row.dtype} on {row.engine}", per_byte(dot.intensity)]
    if row.attainable_flop_per_s is not None:
        words.append(f"attainable {flops(row.attainable_flop_per_s)}")
    by = f" by {printable(row.memory, 24)}" if row.memory and row.regime == "memory" else ""
    words.append(f"{row.regime}-bound{by}" if row.regime else "bound not known")
    if dot.estimated and row.seconds is not None:
        words.append(f"estimated {flops(dot.rate)}, {human_measure(row.seconds, 's')}, {100 * share:.1f} % of the time")
    return "; ".join(words)


def _x(found: Plot, value: float) -> str:
    return _number(LEFT + (WIDTH - LEFT - RIGHT) * found.across.at(value))


def _y(found: Plot, value: float) -> str:
    return _number(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * found.up.at(value))


def _number(value: float) -> str:
    """Two decimals at most, and no trailing zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _safe(text: str, limit: int | None = 200) -> str:
    return escape(printable(text, limit))
