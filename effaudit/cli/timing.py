"""The options of `effaudit time` as what is asked of runs, and the runs of several models, sizes and threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, get_args

import msgspec

from effaudit.audited import Audited
from effaudit.cli.audits import adapted, each
from effaudit.cli.messages import complain
from effaudit.cli.options import count, items
from effaudit.cli.options import given as sizes_given
from effaudit.cli.progress import progress
from effaudit.device.types import Device
from effaudit.errors import EffauditError, UsageError
from effaudit.load import Given, read
from effaudit.nearest import did_you_mean
from effaudit.printable import printable
from effaudit.run.timed_types import Provider
from effaudit.search.sweep.types import Axis
from effaudit.timing.asked import TimeAsked
from effaudit.timing.fed import sized
from effaudit.timing.model import Ran, document, time_model
from effaudit.timing.pair import Compared, compare_models, rounds_of
from effaudit.timing.sweep import axes, batch_axes, compute_from, grid, points, turns
from effaudit.timing.types import TimeDocument
from effaudit.units import parse_bytes, parse_measure

MOST_THREADS: Final = 1024
MOST_RUNS: Final = 1_000_000
HOST: Final = "host.yaml"  # where a profile of this machine lies if nobody says
Operators = Mapping[tuple[str, str], Any] | None
Measured = tuple[dict[str, str], Ran]


# ---- options
def asked(**options: Any) -> tuple[TimeAsked, ...]:
    """One for each number of threads. Raises UsageError."""
    one = TimeAsked(
        runs=_runs(options["runs"]),
        warmup=_warmup(options["warmup"]),
        provider=_provider(options["provider"]),
        optimize=options["opt"],
        profile=options["profile"],
        plain=not options["no_plain"],
        inputs=_input(options["inputs"]),
        seconds=_seconds(options["timeout"]),
        memory_bytes=_memory(options["memory"]),
        device=_device(options["device"], predict=options["predict"]),
    )
    return tuple(msgspec.structs.replace(one, threads=threads) for threads in _threads(options["threads"]))


def _runs(text: str | None) -> int | None:
    found = count(text, "--runs")
    if found is not None and found > MOST_RUNS:
        raise UsageError(f"--runs: {text} is out of range; at most {MOST_RUNS:,}")
    return found


def _warmup(text: str) -> int | None:
    if text == "auto":
        return None
    if not (text.isascii() and text.isdecimal()) or int(text[:9]) > MOST_RUNS:
        raise UsageError(f"--warmup {printable(text, 40)!r}: expected auto, or a number of runs such as 10")
    return int(text)


def _threads(texts: Sequence[str]) -> tuple[int, ...]:
    found = dict.fromkeys(count(text, "--threads") or 1 for text in items(texts))
    for threads in found:
        if threads > MOST_THREADS:
            raise UsageError(f"--threads: {threads:,} is out of range; at most {MOST_THREADS:,}")
    return tuple(found) or (1,)


def _provider(text: str) -> Provider:
    known: dict[str, Provider] = {name.lower(): name for name in get_args(Provider)}
    if text.lower() not in known:
        hint = did_you_mean(text, tuple(known.values()))
        raise UsageError(f"--provider {printable(text, 40)!r}: expected one of {', '.join(known.values())}{hint}")
    return known[text.lower()]


def _input(path: str | None) -> str | None:
    if path is not None and not os.path.exists(path):
        where = f"--input {printable(path, 200)}"
        raise UsageError(f"{where}: not there; write it with numpy.savez, an array for each input by its name")
    return path


def _seconds(text: str) -> float:
    found = parse_measure(text, "s", "--timeout")
    if not 1 <= found <= 1e6:
        raise UsageError(f"--timeout {printable(text, 40)}: expected seconds, from 1s to a million")
    return found


def _memory(text: str | None) -> int | None:
    if text is None:
        return None
    found = parse_bytes(text, "--memory")
    if found < 1:
        raise UsageError(f"--memory {printable(text, 40)}: expected a size above 0, such as 8GiB")
    return found


def _device(names: Sequence[str], *, predict: bool) -> Device | None:
    """The profile to hold times against; None where none is asked for."""
    if not names and not predict:
        return None
    if not names and not os.path.isfile(HOST):
        make = f"effaudit devices calibrate -o {HOST}"
        raise UsageError(f"--predict: no profile of this machine: measure it with `{make}`, or name one with --device")
    from effaudit.cli.fitting import chosen_devices

    found = tuple(chosen_devices(names or (os.path.join(os.curdir, HOST),), every=False, kinds=()).values())
    if len(found) != 1:
        raise UsageError("--device: one profile of this machine at a time")
    return found[0]


def sizes(
    dim: Sequence[str], shape: Sequence[str], batch: Sequence[str], models: Sequence[str]
) -> tuple[Given, tuple[Axis, ...]]:
    """(sizes that hold for all runs, what varies). Several `--shape` are of several inputs, unless semicolons say that
    they are alternatives. Raises UsageError."""
    alternatives = any(";" in text for text in shape)
    found = axes(dim, shape if alternatives else (), batch)
    fixed = [axis for axis in found if len(axis.values) == 1 and axis.name.startswith("dim ")]
    words = [f"{axis.name.removeprefix('dim ')}={axis.values[0]}" for axis in fixed]
    held = sizes_given(words, () if alternatives else shape, models)
    return held, tuple(axis for axis in found if axis not in fixed)


# ---- runs
def timed(
    names: Sequence[str], given: Given, varied: Sequence[Axis], runs: Sequence[TimeAsked], operators: Operators
) -> tuple[TimeDocument | None, int]:
    """(the document, the exit code): every model at every size with every number of threads. A size that does not run
    is told on standard error and costs only itself."""
    failed: list[int] = []

    def of(name: str, sizes: Given) -> list[Measured]:
        return _of_model(name, sizes, varied, runs, operators, failed)

    made, code = each(names, given, of)
    found = [one for several in made for one in several]
    code = max([code, *failed])
    if not found:
        return None, code
    ran = [one.model for _, one in found]
    if not varied:
        return document(found[0][1].host, ran), code
    along = frozenset().union(*(batch_axes(read(name, operators)) for name in dict.fromkeys(one.path for one in ran)))
    rows = points([(values, one.model) for values, one in found], along)
    device = runs[0].device
    search = None if device is None else _search(given, device, operators)
    return document(found[0][1].host, ran, sweep=rows, turns=turns(rows, along, search)), code


def _of_model(
    name: str,
    given: Given,
    varied: Sequence[Axis],
    runs: Sequence[TimeAsked],
    operators: Operators,
    failed: list[int],
) -> list[Measured]:
    raw = read(name, operators)
    sizes = grid(raw, given, varied)
    alone = len(sizes) * len(runs) == 1
    found: list[Measured] = []
    with progress(f"effaudit time {printable(name, 40)}", runs[0].steps * len(sizes) * len(runs)) as tell:
        for i, (values, asked, at) in enumerate(_each_run(sizes, runs)):
            try:
                ran = time_model(sized(raw, at, asked.inputs), asked, _further(tell, i * asked.steps))
            except EffauditError as error:
                if alone:
                    raise
                where = " ".join(f"{key.removeprefix('dim ')}={value}" for key, value in values.items())
                complain(f"{error} ({where})")
                failed.append(error.exit_code)
                continue
            found.append((values, ran))
            tell((i + 1) * asked.steps)
    return found


def _each_run(
    sizes: Sequence[tuple[dict[str, str], Given]], runs: Sequence[TimeAsked]
) -> Iterator[tuple[dict[str, str], TimeAsked, Given]]:
    """Every size with every number of threads, which is a value like the others where there are several."""
    for asked in runs:
        threads = {"threads": str(asked.threads)} if len(runs) > 1 else {}
        for values, given in sizes:
            yield {**values, **threads}, asked, given


def _further(tell: Callable[[int], None], done: int) -> Callable[[int], None]:
    return lambda now: tell(done + now)


def _search(given: Given, device: Device, operators: Operators) -> Callable[[str, Mapping[str, str]], int | None]:
    """The batch from which on a model is compute-bound; None where that cannot be told."""

    def search(path: str, values: Mapping[str, str]) -> int | None:
        raw = read(path, operators)
        held = [Axis(name, (value,)) for name, value in values.items() if name != "threads"]
        try:
            ((_, at),) = grid(raw, given, held)
            return compute_from(raw, at, device)
        except UsageError:
            return None

    return search


def versus(
    names: Sequence[str], other: str, given: Given, runs: Sequence[TimeAsked], operators: Operators
) -> tuple[TimeDocument | None, int]:
    """(the document, the exit code): every model in turns with the other, with every number of threads."""
    against: list[Audited] = []
    unknown = dict.fromkeys((*given.dims, *given.shapes), 0)

    def audited(name: str, sizes: Given) -> Audited:
        return sized(read(name, operators), sizes, runs[0].inputs)

    def of(name: str, sizes: Given) -> list[Compared]:
        first = audited(name, sizes)
        against[:] = against or [adapted(other, given, audited, unknown)]
        found = []
        rounds = rounds_of(runs[0])
        with progress(f"effaudit time {printable(name, 40)}", rounds * len(runs)) as tell:
            for i, asked in enumerate(runs):
                found.append(compare_models(first, against[0], asked, _further(tell, i * rounds)))
        return found

    made, code = each(names, given, of)
    found = [one for several in made for one in several]
    return document(found[0].host, versus=[one.pair for one in found]) if found else None, code
