"""A scatter plot as SVG: predicted over measured seconds, log-log, with the line where they are equal.

Plain SVG 1.1 (https://www.w3.org/TR/SVG11/) without scripts; every point names its network in a <title>.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final

from benchmarks.latency_host.score import Score, Summary, summary
from effaudit.render.fit.points import Axis
from effaudit.units import human_measure

SIDE, LEFT, RIGHT, TOP, BOTTOM = 560, 84, 190, 68, 56
WIDTH, HEIGHT = LEFT + SIDE + RIGHT, TOP + SIDE + BOTTOM
BANDS: Final = (0.25, 0.10)
# Okabe and Ito, told apart with any kind of colour blindness: https://jfly.uni-koeln.de/color/
COLOURS: Final = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#7f7f7f",
    "#b8a800",
    "#9467bd",
    "#8c564b",
)
STYLE: Final = (
    "text{font:12px sans-serif;fill:#222}.t{font-size:16px;font-weight:bold}.n{text-anchor:end}.m{text-anchor:middle}"
    ".g{stroke:#ddd}.a{stroke:#888}.e{stroke:#222;stroke-width:1.5}.b{fill:#0072b2;fill-opacity:.1}"
    "circle{fill-opacity:.8;stroke:#fff;stroke-width:.5}rect.w{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}rect.w{fill:#181818}.g{stroke:#444}.e{stroke:#ddd}"
    "circle{stroke:#181818}.b{fill:#56b4e9;fill-opacity:.16}}"
)


def scatter(scores: Sequence[Score], title: str) -> str:
    """Raises ValueError where nothing is predicted."""
    known = [(score, score.predicted_s) for score in scores if score.predicted_s is not None]
    if not known:
        raise ValueError("no prediction to draw")
    logs = [log10(seconds) for score, predicted in known for seconds in (score.measured_s, predicted)]
    axis = Axis(floor(min(logs)), max(ceil(max(logs)), floor(min(logs)) + 1))
    families = list(dict.fromkeys(score.family for score, _ in known))
    colours = {family: COLOURS[i % len(COLOURS)] for i, family in enumerate(families)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="w" width="{WIDTH}" height="{HEIGHT}"/>',
        *_head(title, summary(scores)),
        *_bands(axis),
        *_axes(axis),
        *(_point(axis, score, predicted, colours[score.family]) for score, predicted in known),
        *_legend(colours),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _head(title: str, found: Summary) -> Iterator[str]:
    yield f'<text class="t" x="{LEFT}" y="26">{escape(title)}</text>'
    said = f"{found.count} networks: median error {found.median:.1%}, 90th percentile {found.tenth:.1%}"
    yield f'<text x="{LEFT}" y="48">{said}; bands of ±10 % and ±25 %</text>'


def _bands(axis: Axis) -> Iterator[str]:
    """Bands around equality, and the line itself; what would leave the plot is cut off by the corners."""
    low, high = 10**axis.low, 10**axis.high
    for band in BANDS:
        corners = [(low, low), (low, low * (1 + band)), (high / (1 + band), high), (high, high)]
        corners += [(high, high * (1 - band)), (low / (1 - band), low)]
        points = " ".join(f"{_x(axis, x)},{_y(axis, y)}" for x, y in corners)
        yield f'<polygon class="b" points="{points}"><title>±{band:.0%}</title></polygon>'
    ends = f'x1="{_x(axis, low)}" y1="{_y(axis, low)}" x2="{_x(axis, high)}" y2="{_y(axis, high)}"'
    yield f'<line class="e" {ends}><title>predicted as measured</title></line>'


def _axes(axis: Axis) -> Iterator[str]:
    bottom, right = TOP + SIDE, LEFT + SIDE
    for value in axis.decades(9):
        x, y, text = _x(axis, value), _y(axis, value), human_measure(value, "s")
        yield f'<line class="g" x1="{x}" x2="{x}" y1="{TOP}" y2="{bottom}"/>'
        yield f'<line class="g" x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}"/>'
        yield f'<text class="m" x="{x}" y="{bottom + 18}">{text}</text>'
        yield f'<text class="n" x="{LEFT - 6}" y="{_number(float(y) + 4)}">{text}</text>'
    yield f'<line class="a" x1="{LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
    yield f'<line class="a" x1="{LEFT}" x2="{LEFT}" y1="{TOP}" y2="{bottom}"/>'
    middle = TOP + SIDE // 2
    yield f'<text class="m" x="{LEFT + SIDE // 2}" y="{bottom + 40}">measured</text>'
    yield f'<text class="m" x="18" y="{middle}" transform="rotate(-90 18 {middle})">predicted</text>'


def _point(axis: Axis, score: Score, predicted: float, colour: str) -> str:
    said = f"{score.name}: predicted {human_measure(predicted, 's')}, measured {human_measure(score.measured_s, 's')}"
    place = f'cx="{_x(axis, score.measured_s)}" cy="{_y(axis, predicted)}"'
    return (
        f'<circle {place} r="4.5" style="fill:{colour}"><title>{escape(f"{said}, {score.error:+.1%}")}</title></circle>'
    )


def _legend(colours: dict[str, str]) -> Iterator[str]:
    for i, (family, colour) in enumerate(colours.items()):
        x, y = LEFT + SIDE + 20, TOP + 12 + 22 * i
        yield f'<circle cx="{x}" cy="{y}" r="4.5" style="fill:{colour}"/>'
        yield f'<text x="{x + 12}" y="{y + 4}">{escape(family)}</text>'


def _x(axis: Axis, value: float) -> str:
    return _number(LEFT + SIDE * axis.at(value))


def _y(axis: Axis, value: float) -> str:
    return _number(TOP + SIDE - SIDE * axis.at(value))


def _number(value: float) -> str:
    """Two decimals at most, and no trailing zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
