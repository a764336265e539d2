"""`effaudit sweep`: every combination of sizes, what-ifs and devices."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from effaudit.cli.in_order import InOrder
from effaudit.cli.options import document_options, formats, given, items, model_options, models, width
from effaudit.cli.output import check, emit
from effaudit.cli.progress import progress
from effaudit.cli.whatif import WHATIFS, device_options, what_ifs
from effaudit.errors import UsageError

if TYPE_CHECKING:
    from effaudit.device.types import Device
    from effaudit.fit.asked import FitAsked
    from effaudit.search.sweep.types import Axis

FORMATS = ("text", "json", "markdown", "csv")
TASKS_EACH = 8  # changed models that are worth a process


@click.command("sweep", cls=InOrder)
@click.argument("model", nargs=-1)
@what_ifs
@click.option("--set", "sets", multiple=True, metavar="MEMORY=SIZES", help="Sizes of a memory: sram=256KiB,512KiB.")
@model_options
@device_options
@click.option("--jobs", type=click.IntRange(1, 1024), metavar="N", help="Processes; by default what is worth it.")
@click.option("--sort", metavar="KEY", default="", help="Sort the rows by a column of the CSV.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="At most N rows.")
@document_options(FORMATS)
def command(
    model: tuple[str, ...],
    dim: tuple[str, ...],
    shape: tuple[str, ...],
    operators: tuple[str, ...],
    sets: tuple[str, ...],
    jobs: int | None,
    sort: str,
    top: int | None,
    forms: tuple[str, ...],
    as_json: bool,
    output: str | None,
    ordered: tuple[tuple[str, str], ...],
    **options: Any,
) -> int:
    """Every combination of the values of all options, for each MODEL: lists by commas, ranges as from:to:step or
    from:to:xN. What cannot be made is a row with the reason.

    \b
    effaudit sweep sample:dynamic --dim batch=1 --dim sequence=128:2048:x2
    effaudit sweep sample:ic --prune channels=0%:50%:10% --device cortex-m4,cortex-m7
    """
    wanted = formats(forms, as_json, output, FORMATS)
    names = models(model)
    if "-" in names:
        raise UsageError("a sweep opens its models many times: name a file instead of -")
    check((path for _, path in wanted), (*names, *items(operators), *items(options["device"])))
    from effaudit.render.sweep import render
    from effaudit.search.sweep.points import document, tasks
    from effaudit.search.sweep.run import run
    from effaudit.tables.sweep import points as table_of
    from effaudit.tables.table import Shown

    devices, fit = _asked(**options)
    axes = _axes(ordered, dim, shape, sets, devices, options["runtime"])
    if not axes:
        raise UsageError("nothing varies; give lists or ranges, such as --dim seq=128:2048:x2 or --quantize fp32,int8")
    todo = tasks(names, axes, devices, fit, given((), (), model), items(operators))
    if sort and sort not in (keys := [column.key for column in table_of(document(names, axes, ())).columns]):
        raise UsageError(f"--sort {sort!r}: points have {', '.join(keys)}")
    with progress("effaudit sweep", sum(len(task.settings) for task in todo)) as tell:
        points = run(todo, jobs or _worth(len(todo)), tell)
    found = document(names, axes, points)
    for form, path in wanted:
        emit(render(form, found, Shown(top=top, sort=sort, width=width())), path)
    return 0 if any(point.error is None for point in points) else 2


def _asked(**options: Any) -> tuple[Mapping[str, Device], FitAsked]:
    """The devices by what they are called, and the rest of a fit. Raises UsageError."""
    import msgspec

    from effaudit.cli.fitting import UNASKED, asked, chosen_devices
    from effaudit.runtimes import find

    (fit,) = asked(**{key: options.get(key, value) for key, value in UNASKED.items()} | {"quantize": (), "runtime": ""})
    if options["device"]:
        devices = chosen_devices(options["device"], every=False, kinds=())
        called = {device.name: name for name, device in devices.items()}
        return devices, msgspec.structs.replace(fit, called=called)
    for name in items([options["runtime"]]):
        find(name)
    for name in ("reserve", "max_latency", "max_energy", "min_throughput"):
        if options[name]:
            raise UsageError(f"--{name.replace('_', '-')}: holds a device to it; name one with --device")
    return {}, fit


def _axes(
    ordered: Sequence[tuple[str, str]],
    dim: Sequence[str],
    shape: Sequence[str],
    sets: Sequence[str],
    devices: Mapping[str, Device],
    runtime: str,
) -> tuple[Axis, ...]:
    """What varies: sizes, what-ifs in their order, then where it runs. Raises UsageError."""
    from effaudit.search.sweep.axes import named, what_if, whole
    from effaudit.search.sweep.types import Axis

    if sets and not devices:
        raise UsageError("--set: changes a memory of a device; name one with --device")
    changes = dict.fromkeys(name for name, _ in ordered if name in WHATIFS)
    return (
        *named(dim, "dim"),
        *whole(shape, "shape", ";"),
        *(what_if(name, [text for of, text in ordered if of == name]) for name in changes),
        *((Axis("device", tuple(devices)),) if devices else ()),
        *named(sets, "set"),
        *whole([runtime], "runtime"),
    )


def _worth(tasks: int) -> int:
    """Processes that are faster than none: each has to start."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, tasks // TASKS_EACH))
