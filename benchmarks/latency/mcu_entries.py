"""The `performance` entries of the microcontroller profiles, from a fit to every measurement.

For each core: every runtime of its profile in every version that was measured anywhere, the newest one measured on the
core (else anywhere) as the version "", and any other runtime as the runtime "". How far each can be wrong is taken from
estimates that had not seen: another board with the runtime (`known`), a board where the runtime is new (`borrowed`), a
runtime that is new everywhere (`strange`), or float32 on a board where nobody measured it (`float`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import log
from statistics import median
from typing import Final, Literal

import msgspec

from benchmarks.latency.mcu import (
    CITED,
    CORES,
    WIDEST,
    Core,
    Miss,
    case,
    core_of,
    factor_of,
    predicted,
    samples,
    taught,
    unseen,
    used,
)
from benchmarks.latency.mcu_model import Model, costs, fit, parts
from benchmarks.latency.mcu_work import Work
from benchmarks.latency.rows import Row

Basis = Literal["known", "borrowed", "strange", "float", "strange float"]
ARM: Final = (
    "tflm",
    "cmsis-nn",
    "x-cube-ai",
    "tinyengine",
    "hale",
    "plumerai",
    "microtvm",
    "microtvm-cmsis-nn",
    "onnc",
)
# The runtimes of each profile, its default first.
RUNTIMES: Final[dict[str, tuple[str, ...]]] = {
    "arm-cortex-m0plus": ("tflm", "cmsis-nn", "x-cube-ai", "hale", "microtvm"),
    "arm-cortex-m4": ARM,
    "arm-cortex-m33": ARM,
    "arm-cortex-m7": ARM,
    "arm-cortex-m7-half-rate": ARM,
    "arm-cortex-m55": ("tflm", "cmsis-nn", "x-cube-ai"),
    "arm-cortex-m85": ("tflm", "cmsis-nn", "x-cube-ai"),
    "xtensa-lx6": ("tflm", "esp-nn"),
    "xtensa-lx7": ("tflm", "esp-nn"),
    "riscv-esp32-c3": ("tflm", "esp-nn"),
}
FLOAT_RUNTIMES: Final = ("hale",)  # whose float32 was measured; the others are any runtime
# float32 is stated where the core can have an FPU.
FLOATS: Final = frozenset(RUNTIMES) - {"arm-cortex-m0plus", "riscv-esp32-c3"}


class Errors(msgspec.Struct, frozen=True):
    """Of the estimates of one basis: the median error, the factor of their interval, how many lie in it, and of how
    many."""

    median_ratio: float
    factor: float
    coverage: float
    count: int


class Entry(msgspec.Struct, frozen=True):
    """`costs` in cycles per MAC of each of `CLASSES`, then per element written."""

    runtime: str
    version: str
    dtype: str
    costs: Work
    errors: Errors
    basis: Basis


def entries(rows: Iterable[Row], errors: Mapping[Basis, Errors]) -> dict[str, tuple[Entry, ...]]:
    """Of every profile of a core its entries, in the order they are written; `errors` as of `measured_errors`."""
    rows = list(rows)
    model = fit(samples(rows))
    return {core.profile: tuple(_of_core(rows, model, errors, core)) for core in CORES}


def _of_core(rows: Sequence[Row], model: Model, errors: Mapping[Basis, Errors], core: Core) -> Iterator[Entry]:
    met = _met(rows, core)
    for dtype in ("int8", "float32") if core.profile in FLOATS else ("int8",):
        for runtime in (name for name in RUNTIMES[core.profile] if dtype == "int8" or name in FLOAT_RUNTIMES):
            here = {version for name, version, kind in met if (name, kind) == (runtime, dtype)}
            basis: Basis = "float" if dtype == "float32" else "known" if here else "borrowed"
            anywhere = {row.version for row in taught(rows) if row.runtime == runtime}
            stands_for = newest(here) or newest(anywhere)
            for version in ("", *sorted(anywhere - {""})) if dtype == "int8" else ("",):
                cost = costs(model, case(core, runtime, version or stands_for, dtype))
                yield Entry(runtime, version, dtype, cost, errors[basis], basis)
        other: Basis = "strange float" if dtype == "float32" else "strange"
        yield Entry("", "", dtype, costs(model, case(core, "", "", dtype)), errors[other], other)


def newest(versions: Iterable[str]) -> str:
    """The newest of the versions that have an order and no option; else the last that names a commit; else ""."""
    plain = sorted(version for version in versions if "-" not in version)
    return max(plain, key=parts, default="")


def _met(rows: Iterable[Row], core: Core) -> set[tuple[str, str, str]]:
    """(runtime, version, dtype) measured on a core of this kind, at whichever rate its buses run."""
    found = set()
    for row in taught(rows):
        other = core_of(row)
        if other is not None and other.names == core.names:
            found.add((row.runtime, row.version, row.dtype))
    return found | {(one.runtime, one.version, one.dtype) for one in CITED if one.profile == core.profile}


def measured_errors(rows: Iterable[Row]) -> dict[Basis, Errors]:
    """How far estimates were from what they had not seen, by what was known."""
    rows = list(rows)
    told = unseen(rows)
    whole = [miss for miss in told if miss[0].dtype == "int8"]
    new, wide = _errors(strangers(rows)), _errors([miss for miss in told if miss[0].dtype == "float32"])
    return {
        "known": _errors([miss for miss in whole if miss[2]]),
        "borrowed": _errors([miss for miss in whole if not miss[2]]),
        "strange": new,
        "float": wide,
        # Nobody measured it: both errors at once.
        "strange float": msgspec.structs.replace(new, factor=new.factor * wide.factor),
    }


def strangers(rows: Iterable[Row]) -> list[Miss]:
    """Every int8 measurement beside the estimate of a runtime that is new: fitted without any row of its runtime."""
    rows = list(rows)
    taken, made = samples(rows), []
    for runtime in dict.fromkeys(row.runtime for row in used(rows)):
        model = fit([sample for sample in taken if sample.case.runtime != runtime])
        for row in (row for row in used(rows) if row.runtime == runtime and row.dtype == "int8"):
            made.append((row, predicted(model, row, known_runtime=False), False))
    return made


def _errors(told: Sequence[Miss]) -> Errors:
    if not told:
        return Errors(0.0, WIDEST, 0.0, 0)
    factor = factor_of(told)
    ratios = [seconds / row.seconds for row, seconds, _ in told]
    inside = sum(abs(log(ratio)) <= log(factor) * (1 + 1e-9) for ratio in ratios)
    return Errors(median(abs(ratio - 1) for ratio in ratios), factor, inside / len(told), len(told))
