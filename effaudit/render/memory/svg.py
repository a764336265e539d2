"""SVG: the timeline of live bytes, and the layout of the arena (offset x time) below it. One model, one page.

Plain SVG 1.1 (https://www.w3.org/TR/SVG11/) without scripts; every rectangle names its tensor in a <title>.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from effaudit.errors import UsageError
from effaudit.memory.types import BufferReport, MemoryDocument, ModelMemory
from effaudit.printable import printable
from effaudit.tables.table import Shown
from effaudit.units import human_bytes

WIDTH, LEFT, RIGHT = 960, 90, 20
TOP, CHART, GAP, LAYOUT, BOTTOM = 56, 200, 56, 340, 40
MAX_RECTANGLES: Final = 20_000
# Okabe and Ito's colours, told apart with any kind of colour blindness: https://jfly.uni-koeln.de/color/
COLOURS: Final = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#f0e442")
STYLE: Final = (
    "text{font:12px sans-serif;fill:#222}.t{font-size:16px;font-weight:bold}.n{text-anchor:end}.m{text-anchor:middle}"
    ".a{stroke:#888}.g{stroke:#ddd}.l{fill:#0072b2;fill-opacity:.35;stroke:#0072b2}"
    ".p{stroke:#d55e00;stroke-dasharray:4 3}"
    "rect.b{stroke:#fff;stroke-width:.5;fill-opacity:.8}rect.w{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}rect.w{fill:#181818}.g{stroke:#444}rect.b{stroke:#181818}}"
)


def render(document: MemoryDocument, shown: Shown) -> Iterator[str]:
    """Raises UsageError for several models, and for a plan of too many buffers to draw."""
    if len(document.models) != 1:
        raise UsageError(f"svg draws one plan, not {len(document.models)}; name one model and one runtime")
    model = document.models[0]
    if len(model.memory.buffers) > MAX_RECTANGLES:
        raise UsageError(f"svg: {len(model.memory.buffers):,} buffers are too many to draw; use -f csv or -f json")
    height = TOP + CHART + GAP + LAYOUT + BOTTOM
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">\n'
    yield f"<title>{_safe(model.path)}: memory</title>\n<style>{STYLE}</style>\n"
    yield f'<rect class="w" width="{WIDTH}" height="{height}"/>\n'
    yield f'<text class="t" x="{LEFT}" y="24">{_safe(model.path, 70)}, {_safe(model.how)}</text>\n'
    yield from _timeline(model, max(len(model.memory.timeline), 1))
    yield from _layout(model, max(len(model.memory.timeline), 1))
    yield "</svg>\n"


def _timeline(model: ModelMemory, steps: int) -> Iterator[str]:
    m = model.memory
    sizes = [step.live_bounds[0] or 0 for step in m.timeline]
    top = max(max(sizes, default=0), 1)
    yield f'<text x="{LEFT}" y="{TOP - 12}">live bytes at each step{_most(m.live_bytes)}</text>\n'
    yield from _axes(TOP, CHART, top)
    points = [f"{_x(0, steps)},{TOP + CHART}"]
    for i, size in enumerate(sizes):
        y = _number(TOP + CHART - CHART * size / top)
        points += [f"{_x(i, steps)},{y}", f"{_x(i + 1, steps)},{y}"]
    points.append(f"{_x(steps, steps)},{TOP + CHART}")
    yield f'<polygon class="l" points="{" ".join(points)}"/>\n'
    if m.peak_step is not None:
        x = _x(m.peak_step + 0.5, steps)
        yield f'<line class="p" x1="{x}" x2="{x}" y1="{TOP}" y2="{TOP + CHART + GAP + LAYOUT}"/>\n'
        side = "n" if m.peak_step * 2 > steps else ""
        yield f'<text class="{side}" x="{x}" y="{TOP + 12}"> peak at {_safe(m.peak_node or "", 50)} </text>\n'


def _layout(model: ModelMemory, steps: int) -> Iterator[str]:
    m, start = model.memory, TOP + CHART + GAP
    placed = [b for b in m.buffers if b.offset is not None and b.bounds[1]]
    top = max((b.offset + (b.bounds[1] or 0) for b in placed if b.offset is not None), default=1)
    what = f"arena, offset over time, planner {m.planner}{_most(m.arena_bytes)}"
    yield f'<text x="{LEFT}" y="{start - 12}">{what}</text>\n'
    yield from _axes(start, LAYOUT, top)
    for i, b in enumerate(placed):
        yield _rectangle(b, start, top, steps, COLOURS[i % len(COLOURS)])
    middle = LEFT + (WIDTH - LEFT - RIGHT) // 2
    yield f'<text class="m" x="{middle}" y="{start + LAYOUT + 28}">steps 1 to {steps:,}</text>\n'


def _rectangle(b: BufferReport, start: int, top: int, steps: int, colour: str) -> str:
    size, offset = b.bounds[1] or 0, b.offset or 0
    y = start + LAYOUT - LAYOUT * (offset + size) / top
    x, right = float(_x(b.start, steps)), float(_x(b.end, steps))
    what = f"{b.name}: {size:,} bytes at {offset:,}, steps {b.start + 1} to {b.end}"
    shares = f"; also {', '.join(b.others[:8])}" if b.others else ""
    return (
        f'<rect class="b" x="{_number(x)}" y="{_number(y)}" width="{_number(right - x)}"'
        f' height="{_number(LAYOUT * size / top)}" fill="{colour}"><title>{_safe(what + shares, 400)}</title></rect>\n'
    )


def _axes(start: int, height: int, top: int) -> Iterator[str]:
    for quarter in range(5):
        at, kind = start + height - height * quarter / 4, "g" if quarter else "a"
        y, label = _number(at), human_bytes(top * quarter // 4, 3)
        yield f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>\n'
        yield f'<text class="n" x="{LEFT - 6}" y="{_number(at + 4)}">{label}</text>\n'


def _most(size: int | None) -> str:
    return "" if size is None else f": {human_bytes(size)} ({size:,})"


def _x(step: float, steps: int) -> str:
    return _number(LEFT + (WIDTH - LEFT - RIGHT) * step / steps)


def _number(value: float) -> str:
    """Two decimals at most, and no trailing zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _safe(text: str, limit: int | None = 200) -> str:
    return escape(printable(text, limit))
