"""The options of `effaudit fit` as what is asked of a fit."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final, get_args

import msgspec

from effaudit.checks.subject import Limits
from effaudit.cli.audits import each
from effaudit.cli.messages import complain
from effaudit.cli.options import count, items
from effaudit.cli.planning import patch_of
from effaudit.device.types import Device, Kind
from effaudit.energy.types import Circumstances
from effaudit.errors import UsageError
from effaudit.fit.asked import FitAsked, Sequences
from effaudit.fit.judge import gravest
from effaudit.fit.model import OpenDims, document
from effaudit.fit.model import parts as fit_parts
from effaudit.fit.pipeline import Part, pipelines
from effaudit.fit.types import FitDocument
from effaudit.load.binding import Given
from effaudit.nearest import did_you_mean
from effaudit.units import parse_bytes, parse_measure

MAX_TIMES: Final = 10**9
LONGEST: Final = 600  # characters of a message; effaudit.cli.messages cuts longer ones
MOST_BATCHES: Final = 1000


def parts(names: Sequence[str]) -> tuple[tuple[str, int | None], ...]:
    """MODEL or MODEL:N -> (model, how often it runs in a pipeline; None where it stands alone)."""
    found: list[tuple[str, int | None]] = []
    for name in names:
        head, sign, tail = name.rpartition(":")
        if not (sign and head and tail.isascii() and tail.isdecimal()):
            found.append((name, None))
            continue
        if len(tail) > len(str(MAX_TIMES)) or not 1 <= int(tail) <= MAX_TIMES:
            raise UsageError(f"{name}: how often it runs is out of range; a whole number from 1")
        found.append((head, int(tail)))
    return tuple(found)


def chosen_devices(names: Sequence[str], *, every: bool, kinds: Sequence[str]) -> dict[str, Device]:
    """The devices asked for, each once, by what finds it again: its name, or the path that was given. Raises UsageError
    where none is named, or one is not known."""
    from effaudit.config import device_folders
    from effaudit.device.catalogue import catalogue
    from effaudit.device.find import find, is_path

    folders = device_folders(os.environ)
    if unknown := [kind for kind in kinds if kind not in get_args(Kind)]:
        hint = did_you_mean(unknown[0], get_args(Kind))
        raise UsageError(f"--class {unknown[0]}: expected one of {', '.join(get_args(Kind))}{hint}")
    found: dict[str, Device] = {}
    for name in items(names):
        device = find(name, folders)
        if device not in found.values():
            found[name if is_path(name) else device.name] = device
    if every or kinds:
        for entry in catalogue(folders):
            if entry.problem and not entry.abstract:
                complain(f"{entry.path}: left out: {entry.problem}")
            elif not entry.abstract and (every or entry.kind in kinds):
                device = find(entry.path, folders)
                if device not in found.values():
                    found[device.name if entry.origin == "shipped" else entry.path] = device
    if not found:
        raise UsageError("which device? name one with --device; `effaudit devices list` shows them")
    return found


# The options of a fit as they are where a command does not have them, or nobody gives them.
UNASKED: Final[Mapping[str, Any]] = {
    "runtime": "",
    "reorder": False,
    "effort": "normal",
    **dict.fromkeys(("reserve", "batches", "quantize"), ()),
    **dict.fromkeys(("planner", "patch", "max_latency", "max_energy", "min_throughput", "grid", "price", "pue")),
    **dict.fromkeys(("utilisation", "battery", "batch_size", "context", "prompt", "kv_dtype")),
}


def asked(**options: Any) -> tuple[FitAsked, ...]:
    """One for each element type asked for. Raises UsageError."""
    one = FitAsked(
        runtime=options["runtime"],
        planner=options["planner"],
        reorder=options["reorder"],
        patch=None if options["patch"] is None else patch_of(options["patch"]),
        reserve=_reserve(options["reserve"]),
        limits=Limits(
            latency_s=_measure(options["max_latency"], "s", "--max-latency"),
            energy_j=_measure(options["max_energy"], "J", "--max-energy"),
            throughput_per_s=_number(options["min_throughput"], "--min-throughput"),
        ),
        around=Circumstances(
            grid_g_per_kwh=_number(options["grid"], "--grid"),
            price_per_kwh=_number(options["price"], "--price"),
            pue=_number(options["pue"], "--pue", least=1.0),
            utilisation=_number(options["utilisation"], "--utilisation", most=1.0),
            battery_j=_battery(options["battery"]),
        ),
        sequences=Sequences(
            batch=count(options["batch_size"], "--batch-size"),
            context=count(options["context"], "--context"),
            prompt=count(options["prompt"], "--prompt"),
            kv_dtype=options["kv_dtype"],
        ),
        batches=_batches(options["batches"]),
        effort=options["effort"],
    )
    types = dict.fromkeys(items(options["quantize"]))
    return tuple(msgspec.structs.replace(one, quantize=dtype) for dtype in types) or (one,)


def audit_all(
    runs: Sequence[tuple[str, int | None]],
    devices: Sequence[Device],
    asked: Sequence[FitAsked],
    given: Given,
    operators: Mapping[tuple[str, str], Any] | None,
    completed: Callable[[Mapping[str, int]], str],
) -> FitDocument:
    """Every model on every device; in a pipeline where one of them says how often it runs. `completed` is the command
    line with the sizes that are missing."""
    times = dict(runs)

    def audit(name: str, sizes: Given) -> list[Part]:
        try:
            return fit_parts(name, devices, asked, sizes, operators, times[name] or 1)
        except OpenDims as error:
            raise _asking(error, completed) from None

    made, code = each([name for name, _ in runs], given, audit)
    if not code:  # a model may stand there twice, each time with a count of its own
        made = [_run(several, count) for several, (_, count) in zip(made, runs, strict=True)]
    every = [part for several in made for part in several]
    piped = any(count is not None for _, count in runs)
    if piped and code:
        complain("a part of the pipeline could not be audited: it has no total")
    whole = pipelines(every) if piped and not code else ()
    found = document([part.report for part in every], whole)
    return msgspec.structs.replace(found, exit_code=gravest((code, found.exit_code))) if code else found


def _run(parts_of_one: Sequence[Part], count: int | None) -> list[Part]:
    """The parts of one model, run so often."""
    replace = msgspec.structs.replace
    return [replace(part, report=replace(part.report, times=count or 1)) for part in parts_of_one]


def _asking(error: OpenDims, completed: Callable[[Mapping[str, int]], str]) -> UsageError:
    """The error with the command to paste; where that would be cut, with what to add to it."""
    missing = " ".join(f"--dim {shlex.quote(f'{name}={size}')}" for name, size in error.dims.items())
    served = "serve it with --batch-size 1 --context 2048 --prompt 512, or " if error.decoder else ""
    for ask in (f"give it: {completed(error.dims)}", f"add {missing}"):
        if len(text := f"{error}; {served}{ask}") <= LONGEST:
            return UsageError(text)
    return UsageError(f"{error}; {served}add --dim NAME=N for each of these {len(error.dims)} dims")


def _reserve(options: Sequence[str]) -> dict[str, int | Fraction]:
    found: dict[str, int | Fraction] = {}
    for item in items(options):
        name, sign, amount = item.partition("=")
        if not sign or not name or not amount:
            raise UsageError(f"--reserve {item!r}: expected MEMORY=BYTES or MEMORY=N%, such as sram=96KiB")
        if name in found:
            raise UsageError(f"--reserve {name}: given twice; say once how much of it is kept")
        if amount.endswith("%"):
            found[name] = Fraction(_number(amount[:-1], "--reserve", most=100.0) or 0).limit_denominator(10**6) / 100
        else:
            found[name] = parse_bytes(amount, f"--reserve {name}")
    return found


def _batches(options: Sequence[str]) -> tuple[int, ...]:
    """Batch sizes; a comma always separates two, and 1:64:x2 or 1:9:4 is a range."""
    texts = [text.strip() for option in options for text in option.split(",") if text.strip()]
    return tuple(dict.fromkeys(size for text in texts for size in _range(text, "--batch")))


def _range(text: str, what: str) -> list[int]:
    """One size, or from:to:step, where a step of xN multiplies. Raises UsageError."""
    parts = text.split(":")
    first, last = (count(part, what) or 1 for part in (parts[0], parts[min(1, len(parts) - 1)]))
    if len(parts) == 1:
        return [first]
    step = parts[2] if len(parts) == 3 else ""
    factor = count(step.removeprefix("x"), what) or 1 if step else 1
    if len(parts) != 3 or last < first or (step.startswith("x") and factor < 2):
        raise UsageError(f"{what} {text!r}: expected one size, or from:to:step such as 1:64:x2 or 1:9:4")
    found = [first]
    while len(found) < MOST_BATCHES:
        following = found[-1] * factor if step.startswith("x") else found[-1] + factor
        if following > last:
            return found
        found.append(following)
    raise UsageError(f"{what} {text!r}: more than {MOST_BATCHES} sizes; take a larger step")


def _measure(text: str | None, unit: str, what: str) -> float | None:
    if text is None:
        return None
    found = parse_measure(text, unit, what)
    if not 0 < found < float("inf"):
        raise UsageError(f"{what}: {text}: expected more than 0")
    return found


def _number(text: str | None, what: str, *, least: float = 0.0, most: float = float("inf")) -> float | None:
    if text is None:
        return None
    try:
        found = float(text) if text.isascii() and "_" not in text else -1.0
    except ValueError:
        found = -1.0
    if not least <= found <= most or found == float("inf"):
        limit = f"from {least:g}" + (f" to {most:g}" if most != float("inf") else "")
        raise UsageError(f"{what} {text!r}: expected a number {limit}")
    return found


def _battery(text: str | None) -> float | None:
    """Joules: 1000mAh@3.7V, or 3.7Wh."""
    if text is None:
        return None
    match = re.fullmatch(r"([0-9.]+)\s*mAh\s*@\s*([0-9.]+)\s*V|([0-9.]+)\s*Wh", text.strip())
    try:
        if match is not None:
            return float(match[3]) * 3600 if match[3] else float(match[1]) * 3.6 * float(match[2])
    except ValueError:
        pass
    raise UsageError(f"--battery {text!r}: expected 1000mAh@3.7V, or 3.7Wh")
