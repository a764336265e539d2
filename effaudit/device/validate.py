"""What a profile says, held against itself: `$.place: what was expected`, one line per problem.

The types are checked before (decoding is strict); here is what types cannot tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import msgspec

from effaudit.device.contiguous import total_size
from effaudit.device.dtypes import DTYPES, FLOATS
from effaudit.device.peaks import dense_flop_per_s, from_cycles, ridge
from effaudit.device.types import Device, Engine, Fact, Memory, Peak, Rate
from effaudit.nearest import did_you_mean
from effaudit.printable import printable
from effaudit.runtimes import names as rules

RIDGE: Final = (0.05, 5000.0)  # FLOP/B: anything outside is a slip of units
SLACK: Final = 0.02  # by which a rounded peak may miss twice another
CLOCKS: Final = 0.15  # by which a stated peak may miss cores x clock x MACs per cycle: boost clocks differ
MOST: Final = 1e24  # of any number: nothing that is built has more, in these units
LEAST: Final = 1e-24  # of rates: work is divided by them
DIVISORS: Final = ("Hz", "B/s", "FLOP/s", "op/s", "MAC/s", "MAC/cycle", "op/cycle")
NAME: Final = re.compile(r"[a-z0-9]+(?:[-.+][a-z0-9]+)*")
_DATE: Final = re.compile(r"\d{4}-\d{2}(-\d{2})?")
_URL: Final = re.compile(r"https?://\S+")


def problems(device: Device) -> list[str]:
    """Everything that is wrong; an empty list of a valid profile."""
    return [*_identity(device), *_facts(device), *_engines(device), *_memories(device), *_runs(device)]


def _identity(device: Device) -> Iterator[str]:
    for key, name in (("name", device.name), *((f"aliases[{i}]", a) for i, a in enumerate(device.aliases))):
        if not NAME.fullmatch(name):
            yield f"$.{key}: expected lower-case letters, digits, - and . (such as st-nucleo-h743zi), got {_said(name)}"
    for key, source in device.sources.items():
        if source.url and not _URL.fullmatch(source.url):
            yield f"$.sources.{printable(key)}.url: expected an address with https://, got {_said(source.url)}"
        if source.accessed and not _DATE.fullmatch(source.accessed):
            yield f"$.sources.{printable(key)}.accessed: expected a date (2026-11-20), got {_said(source.accessed)}"
    if device.batch is not None and device.batch < 1:
        yield f"$.batch: expected a whole number from 1, got {device.batch}"
    if not device.abstract:
        for part in ("engines", "memories", "runtimes"):
            if not getattr(device, part):
                yield f"$.{part}: expected at least one; a profile that is only extended says abstract: true"


def facts(device: Device) -> Iterator[tuple[str, Fact]]:
    """Every number of a profile, with its place."""
    yield from inside("$", device)


def inside(path: str, value: Any) -> Iterator[tuple[str, Fact]]:
    """Every number of a part of a profile that stands at `path`."""
    if isinstance(value, Fact):
        yield path, value
    elif isinstance(value, msgspec.Struct):
        for name, key in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
            yield from inside(f"{path}.{key}", getattr(value, name))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from inside(f"{path}.{key}", item)
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            yield from inside(f"{path}[{i}]", item)


def _facts(device: Device) -> Iterator[str]:
    for path, fact in facts(device):
        place = printable(path)
        if fact.source not in device.sources:
            hint = did_you_mean(fact.source, list(device.sources))
            yield f"{place}.source: {_said(fact.source)} is no key of `sources`{hint}"
        if fact.value is None and fact.low is None and fact.high is None and not fact.note:
            yield f"{place}.note: expected the reason why there is no value"
        if fact.status in ("derived", "assumed") and not fact.note:
            yield f"{place}.note: expected how it was {fact.status}"
        numbers = [n for n in (fact.low, fact.value, fact.high) if n is not None]
        if fact.unit == "B" and any(n != int(n) for n in numbers):
            yield f"{place}: expected a whole number of bytes, got {next(n for n in numbers if n != int(n))}"
        if any(n < 0 for n in numbers):
            yield f"{place}: expected no number below 0, got {min(numbers)}"
        elif any(n > MOST for n in numbers):
            yield f"{place}: expected at most {MOST:.0e}, got {max(numbers):.3g}: check the unit"
        elif fact.unit in DIVISORS and any(n < LEAST for n in numbers):
            yield f"{place}: expected more than 0, got {min(numbers):.3g}; null where it is not known"
        if numbers != sorted(numbers):
            yield f"{place}: expected low <= value <= high, got {fact.low}, {fact.value}, {fact.high}"


def _engines(device: Device) -> Iterator[str]:
    yield from _twice("engines", [engine.name for engine in device.engines])
    for i, engine in enumerate(device.engines):
        for dtype, peak in engine.peaks.items():
            place = f"$.engines[{i}].peaks.{printable(dtype)}"
            if dtype not in DTYPES:
                yield f"{place}: no element type of ONNX's{did_you_mean(dtype, list(DTYPES))}"
                continue
            yield from _peak(engine, dtype, peak, place)
            yield from _ridges(device, engine, dtype, place)
        yield from _between_types(engine, i)


def _peak(engine: Engine, dtype: str, peak: Peak, place: str) -> Iterator[str]:
    wrong = peak.dense_op_per_s if dtype in FLOATS else peak.dense_flop_per_s
    if wrong is not None:
        right = "dense_flop_per_s" if dtype in FLOATS else "dense_op_per_s"
        yield f"{place}: {dtype} states its peak as {right}"
    stated = dense_flop_per_s(engine, dtype)
    sparse = peak.sparse_2_4_flop_per_s or peak.sparse_2_4_op_per_s
    if sparse is not None and sparse.value is not None and stated is not None:
        ratio = sparse.value / stated if stated else 0.0
        if abs(ratio - 2) > 2 * SLACK:
            slip = " (the sparse peak stands in the dense key?)" if abs(ratio - 1) <= SLACK else ""
            yield f"{place}: expected the 2:4-sparse peak to be twice the dense one, it is {ratio:.3g} times{slip}"
    cycles = from_cycles(engine, peak)
    if cycles and stated is not None and abs(stated / cycles - 1) > CLOCKS:
        slip = " (a sparse peak in the dense key?)" if abs(stated / cycles - 2) <= 2 * CLOCKS else ""
        yield f"{place}: the dense peak is {stated / cycles:.3g} times cores x clock x MACs per cycle x 2{slip}"


def _between_types(engine: Engine, i: int) -> Iterator[str]:
    """On matrix units halving the width doubles the peak: 4 times is a sparse number in a dense key."""
    if engine.kind not in ("matrix", "gpu"):
        return
    for wide, narrow in (
        ("float16", "int8"),
        ("float16", "float8e4m3fn"),
        ("bfloat16", "float16"),
        ("tfloat32", "float16"),
    ):
        one, other = dense_flop_per_s(engine, wide), dense_flop_per_s(engine, narrow)
        if not one or not other or engine.peaks[narrow].note:
            continue
        most = 1 if wide == "bfloat16" else 2
        if other / one > most * (1 + 2 * SLACK):
            yield (
                f"$.engines[{i}].peaks.{narrow}: the dense peak is {other / one:.3g} times that of {wide}, expected at "
                f"most {most} (a sparse peak in the dense key?); where it is so, its `note` says why"
            )


def _ridges(device: Device, engine: Engine, dtype: str, place: str) -> Iterator[str]:
    if engine.peaks[dtype].note:  # says why: a memory behind USB, say
        return
    for memory in device.memories:
        if memory.kind in ("cache", "link"):
            continue
        found = ridge(engine, dtype, memory)
        if found is not None and not RIDGE[0] <= found <= RIDGE[1]:
            yield (
                f"{place}: the ridge point with memory {printable(memory.name)} is {found:,.4g} FLOP/B, expected "
                f"{RIDGE[0]}..{RIDGE[1]:,.0f}: check the units of the peak and the bandwidth; where "
                f"it is so, the peak's `note` says why"
            )


def _memories(device: Device) -> Iterator[str]:
    held = {what for memory in device.memories for what in memory.holds}
    for what in ("weights", "activations"):
        if not device.abstract and device.memories and what not in held:
            yield f"$.memories: expected one that holds {what}: nothing could be held against it"
    yield from _twice("memories", [memory.name for memory in device.memories])
    names = [memory.name for memory in device.memories]
    for i, memory in enumerate(device.memories):
        place = f"$.memories[{i}]"
        if memory.kind in ("cache", "link") and memory.holds:
            yield f"{place}.holds: expected nothing; a {memory.kind} changes how fast bytes come, not what fits"
        yield from _regions(memory, place)
    for i, reserved in enumerate(device.reserved):
        if reserved.memory not in names:
            yield f"$.reserved[{i}].memory: no memory {_said(reserved.memory)}{did_you_mean(reserved.memory, names)}"


def _regions(memory: Memory, place: str) -> Iterator[str]:
    yield from _twice("regions", [region.name for region in memory.regions], place)
    for i, region in enumerate(memory.regions):
        if region.base is not None and region.base < 0:
            yield f"{place}.regions[{i}].base: expected an address from 0, got {region.base}"
    sized = [
        (r.base, int(r.size_bytes.value), r.name) for r in memory.regions if r.base is not None and r.size_bytes.value
    ]
    sized.sort()
    for (base, size, name), (after, _, other) in pairwise(sized):
        if base + size > after:
            yield f"{place}.regions: {printable(name)} and {printable(other)} overlap at {after:#x}"
    total = total_size(memory)
    parts = [r.size_bytes.value for r in memory.regions]
    if parts and None not in parts and total is not None and sum(int(p) for p in parts if p) > total:
        yield f"{place}.regions: hold more than the memory's {total:,} bytes"


def _runs(device: Device) -> Iterator[str]:
    engines = [engine.name for engine in device.engines]
    yield from _twice("runtimes", [f"{runtime.name}@{runtime.version}" for runtime in device.runtimes])
    for i, runtime in enumerate(device.runtimes):
        for key in ("engine", "fallback"):
            name = getattr(runtime, key)
            if name not in (*engines, *([""] if key == "fallback" else [])):
                yield f"$.runtimes[{i}].{key}: no engine {_said(name)}{did_you_mean(name, engines)}"
        if runtime.rules not in rules():
            hint = did_you_mean(runtime.rules, rules())
            yield f"$.runtimes[{i}].rules: {_said(runtime.rules)} are no rules of `memory --runtime list`{hint}"
    runtimes = None if device.abstract else {runtime.name for runtime in device.runtimes}
    for i, performance in enumerate(device.performance):
        place = f"$.performance[{i}]"
        if performance.engine not in engines:
            yield f"{place}.engine: no engine {_said(performance.engine)}{did_you_mean(performance.engine, engines)}"
        if performance.dtype not in DTYPES:
            hint = did_you_mean(performance.dtype, list(DTYPES))
            yield f"{place}.dtype: no element type {_said(performance.dtype)}{hint}"
        if runtimes is not None and performance.runtime and performance.runtime not in runtimes:
            hint = did_you_mean(performance.runtime, list(runtimes))
            yield f"{place}.runtime: no runtime {_said(performance.runtime)} in `runtimes`{hint}"
        for name, rate in performance.rates.items():
            yield from _rate(rate, f"{place}.rates.{name}")
        yield from _twice("costs", [cost.kind for cost in performance.costs], place)
        error = performance.prediction_error
        if error is not None and not (0 < (error.coverage_ratio.value or 0) <= 1 <= (error.interval_factor.value or 0)):
            yield f"{place}.prediction_error: expected a coverage in 0..1 and a factor of at least 1"


def _rate(rate: Rate, place: str) -> Iterator[str]:
    keys = [key for key in rate.__struct_fields__ if key != "per_output_cycles"]
    stated = [key for key in keys if getattr(rate, key) is not None]
    if len(stated) != 1:
        yield f"{place}: expected one of {', '.join(keys)}, got {', '.join(stated) or 'none'}"
    elif not getattr(rate, stated[0]).value:
        yield f"{place}.{stated[0]}: expected more than 0; leave the class out where it is not known"


def _twice(part: str, names: list[str], place: str = "$") -> Iterator[str]:
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield f"{place}.{part}: two are named {_said(name)}"


def _said(name: str) -> str:
    return printable(repr(name), 60)
