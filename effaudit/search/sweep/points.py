"""Models, axes and options -> the tasks of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Final

from msgspec.structs import replace

from effaudit import __version__
from effaudit.device.types import Device
from effaudit.errors import UsageError
from effaudit.fit.asked import FitAsked
from effaudit.load import Given
from effaudit.search.sweep.axes import NONE
from effaudit.search.sweep.run import Setting, Task
from effaudit.search.sweep.types import SCHEMA, Axis, Point, SweepDocument
from effaudit.table import COUNTING
from effaudit.units import parse_bytes, parse_count

MAX_POINTS: Final = 10_000
SIZES: Final = ("dim ", "shape")  # the axes that give sizes to a model


def document(models: Sequence[str], axes: Sequence[Axis], points: Sequence[Point]) -> SweepDocument:
    """The document over the points."""
    return SweepDocument(SCHEMA, __version__, COUNTING, tuple(models), tuple(axes), tuple(points))


def tasks(
    models: Sequence[str],
    axes: Sequence[Axis],
    devices: Mapping[str, Device],
    fit: FitAsked,
    given: Given,
    operators: Sequence[str],
) -> tuple[Task, ...]:
    """What has to be made, the settings of one changed model together. `devices` are those of the axis "device".

    Raises UsageError for more points than are made, and for a size that is none.
    """
    count = len(models)
    for axis in axes:
        count *= len(axis.values)
    if count > MAX_POINTS:
        raise UsageError(f"a sweep of {count:,} points; at most {MAX_POINTS:,}: take fewer values, or larger steps")
    sizes = [axis for axis in axes if axis.name.startswith(SIZES)]
    where = [axis for axis in axes if axis.name in ("device", "runtime") or axis.name.startswith("set ")]
    steps = [axis for axis in axes if axis not in sizes and axis not in where]
    settings = tuple(_settings(where, devices, fit))
    return tuple(
        Task(
            model=model,
            given=given_at(given, chosen),
            steps=tuple((name, text) for name, text in made.items() if text != NONE),
            values={**chosen, **made},
            settings=settings,
            sizes=tuple(_words(given, chosen)),
            operators=tuple(operators),
        )
        for model in models
        for chosen in every(sizes)
        for made in every(steps)
    )


def every(axes: Sequence[Axis]) -> Iterator[dict[str, str]]:
    """Each combination, by the names of the axes."""
    names = [axis.name for axis in axes]
    for values in product(*(axis.values for axis in axes)):
        yield dict(zip(names, values, strict=True))


def given_at(given: Given, chosen: Mapping[str, str]) -> Given:
    """The sizes given, with those chosen on the axes of sizes. Raises UsageError."""
    dims, shapes = dict(given.dims), dict(given.shapes)
    for name, text in chosen.items():
        if name == "shape":
            shapes.update(_shapes(text))
        else:
            dims[name.removeprefix("dim ")] = parse_count(text, f"--{name}")
    return replace(given, dims=dims, shapes=shapes)


def _shapes(text: str) -> dict[str, tuple[int, ...]]:
    name, _, sizes = text.rpartition("=")
    return {name: tuple(parse_count(size, f"--shape {text}") for size in sizes.split("x"))}


def _words(given: Given, chosen: Mapping[str, str]) -> Iterator[str]:
    found = given_at(given, chosen)
    for name, size in found.dims.items():
        yield from ("--dim", f"{name}={size}")
    for name, shape in found.shapes.items():
        yield from ("--shape", f"{name}=" * bool(name) + "x".join(map(str, shape)))


def _settings(axes: Sequence[Axis], devices: Mapping[str, Device], fit: FitAsked) -> Iterator[Setting]:
    for chosen in every(axes):
        device = devices[chosen["device"]] if "device" in chosen else None
        sizes = {name.removeprefix("set "): text for name, text in chosen.items() if name.startswith("set ")}
        bytes_of = tuple((name, parse_bytes(text, f"--set {name}")) for name, text in sizes.items())
        yield Setting(chosen, device, bytes_of, replace(fit, runtime=chosen.get("runtime", fit.runtime)))
