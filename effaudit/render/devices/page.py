"""One device on a page: what it is, what it computes with, where things lie, how fast it is, and who says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from effaudit.device.document import PeakFigures, Profile
from effaudit.device.types import Device, DeviceRuntime, Engine, Fact, Memory, Performance
from effaudit.printable import printable
from effaudit.render.devices.facts import Piece, amount, quantity, sources, tagged
from effaudit.render.screen import cut
from effaudit.units import human_bytes
from effaudit.wrapping import WIDTH, wrapped

HEIGHT: Final = 60
LABEL: Final = 7
# (rows of performance, runtimes, notes) that are shown, the most talkative first
_LEVELS: Final = ((100, 100, 20), (8, 12, 6), (4, 12, 3), (2, 8, 1), (1, 5, 1), (1, 3, 1))
_RATES: Final = ("mac_per_cycle", "mac_per_s", "fraction_of_peak", "op_per_cycle", "op_per_s")
_SHARED: Final = ("MAC/cycle", "op/cycle", "of peak")
_ENERGY: Final = {"system_pj_per_mac": "system", "mac_pj": "multiply-add alone", "op_pj": "operation alone"}


def page(profile: Profile) -> list[str]:
    """At most 60 lines of 80 columns where that is enough; what is left out is counted."""
    lines: list[str] = []
    for level in _LEVELS:
        lines = _page(profile, *level)
        if len(lines) <= HEIGHT:
            break
    return lines


def _page(profile: Profile, rows: int, runtimes: int, notes: int) -> list[str]:
    device = profile.device
    lines = [
        *_head(profile),
        *_section("engines", _engines(device, profile.peaks)),
        *_section("memory", _memories(device, profile.largest_contiguous_bytes)),
        *_section(
            "runtimes",
            _cut([_runtime(one, default=i == 0) for i, one in enumerate(device.runtimes)], runtimes, "runtimes"),
        ),
        *_section("speed", _performance(device, rows)),
        *_section("energy", _energy(device)),
        *_section("notes", _cut([wrapped("  - ", note) for note in device.notes], notes, "notes")),
    ]
    return [*lines, *_section("sources", _sources(device))]


def _section(title: str, lines: Iterable[str]) -> list[str]:
    found = list(lines)
    return ["", title, *found] if found else []


def _cut(blocks: Sequence[list[str]], most: int, what: str) -> list[str]:
    shown = [line for block in blocks[:most] for line in block]
    return [*shown, f"  ... {len(blocks) - most} more {what} in --json"] if len(blocks) > most else shown


def _head(profile: Profile) -> list[str]:
    device = profile.device
    lines = wrapped("", f"{device.name}   {device.title}", 7)
    kind = f"{device.kind}{', only there to be extended' if device.abstract else ''}"
    made = f" by {device.vendor}" if device.vendor else ""
    part = f", part {device.part}" if device.part else ""
    lines += wrapped("what   ", f"{kind}{made}{part}")
    if device.aliases:
        lines += wrapped("also   ", ", ".join(device.aliases))
    over = f"; completes {device.extends}" if device.extends else ""
    lines += wrapped("from   ", f"{'shipped' if profile.origin == 'shipped' else profile.path}{over}")
    if device.batch is not None:
        lines.append(f"batch  {device.batch:,}, as deployed")
    return lines


def _facts(pairs: Mapping[str, Fact | None]) -> list[Piece]:
    """`{} read` and the like, each with its number, of those that are stated."""
    return [(words.format(amount(fact)), fact) for words, fact in pairs.items() if fact is not None]


def _engines(device: Device, peaks: Sequence[PeakFigures]) -> Iterator[str]:
    for engine in device.engines:
        pieces: list[Piece] = [(engine.kind + (f" {printable(engine.isa)}" if engine.isa else ""), None)]
        single = engine.cores is not None and engine.cores.value == 1
        pieces += _facts({"{} core" if single else "{} cores": engine.cores, "{}": engine.clock_hz})
        if engine.alignment is not None:
            aligned = engine.alignment
            pieces += _facts({"{} in at a time": aligned.input_channels, "{} out": aligned.output_channels})
        yield from wrapped(f"  {printable(engine.name, 24)}  ", tagged(pieces), LABEL)
        for one in peaks:
            if one.engine == engine.name:
                yield from _peak(engine, one)


def _peak(engine: Engine, one: PeakFigures) -> list[str]:
    peak = engine.peaks[one.dtype]
    pieces = _facts(
        {
            "{} dense": peak.dense_flop_per_s or peak.dense_op_per_s,
            "{} a core dense": peak.dense_mac_per_cycle,
            "{} 2:4-sparse": peak.sparse_2_4_flop_per_s or peak.sparse_2_4_op_per_s,
        }
    )
    words = tagged(pieces) or "kernels, without a stated peak"
    if one.dense_op_per_s is not None and not (peak.dense_flop_per_s or peak.dense_op_per_s):
        words += f" = {quantity(one.dense_op_per_s, 'op/s')}"
    if one.ridge_op_per_byte:
        ridges = ", ".join(f"{value:,.4g} {printable(name, 24)}" for name, value in one.ridge_op_per_byte.items())
        words += f"; ridge FLOP/B: {ridges}"
    return wrapped(f"    {printable(one.dtype, 16):<9} ", words)


def _memories(device: Device, contiguous: Mapping[str, int | None]) -> Iterator[str]:
    for memory in device.memories:
        yield from wrapped(f"  {printable(memory.name, 24)}  ", _memory(memory, contiguous.get(memory.name)), LABEL)
    for reserved in device.reserved:
        words = tagged(
            [(f"{amount(reserved.size_bytes)} of {reserved.memory} for {reserved.what}", reserved.size_bytes)]
        )
        yield from wrapped("  reserved  ", words, LABEL)


def _memory(memory: Memory, contiguous: int | None) -> str:
    pieces: list[Piece] = [(memory.kind, None)]
    pieces += _facts({"{}": memory.size_bytes})
    pieces += [
        (f"{printable(region.name, 24)} {amount(region.size_bytes)}", region.size_bytes) for region in memory.regions
    ]
    pieces += _facts(
        {
            "reads {}": memory.read_bandwidth_byte_per_s,
            "writes {}": memory.write_bandwidth_byte_per_s,
            "latency {}": memory.latency_s,
            "{} read": memory.read_energy_pj_per_byte,
            "{} written": memory.write_energy_pj_per_byte,
        }
    )
    words = tagged(pieces)
    if memory.regions and contiguous is not None:
        words += f"; largest contiguous {human_bytes(contiguous)}"
    return words + (f"; holds {', '.join(memory.holds)}" if memory.holds else "")


def _runtime(runtime: DeviceRuntime, *, default: bool) -> list[str]:
    name = " ".join(filter(None, (printable(runtime.name, 30), printable(runtime.version, 20))))
    words = f"{'the default; ' if default else ''}rules {printable(runtime.rules)} on {printable(runtime.engine)}"
    words += f", operators {printable(runtime.supports)}" if runtime.supports else ""
    words += f", others on {printable(runtime.fallback)}" if runtime.fallback else ""
    words += f", planner {printable(runtime.planner)}" if runtime.planner else ""
    if runtime.threads is not None:
        words += f", measured with {runtime.threads:,} thread{'s' * (runtime.threads != 1)}"
    told = tagged(
        _facts(
            {
                "aligned to {}": runtime.alignment_bytes,
                "code {}": runtime.code_bytes,
                "state {}": runtime.state_bytes,
                "{}": runtime.table_bytes_per_node,
                "{} of flash": runtime.table_bytes_per_tensor,
                "transfers {}": runtime.transfer_bandwidth_byte_per_s,
                "{} a transfer": runtime.transfer_latency_s,
            }
        )
    )
    return wrapped(f"  {name}  ", "; ".join(filter(None, (words, told))), LABEL)


def _performance(device: Device, most: int) -> list[str]:
    """The rows of the default runtime first."""
    default = device.runtimes[0] if device.runtimes else None
    names = [] if default is None else [(default.name, default.version), (default.name, ""), ("", "")]
    rows = sorted(
        device.performance,
        key=lambda row: names.index((row.runtime, row.version)) if (row.runtime, row.version) in names else len(names),
    )
    return _cut([_speed(row, above) for row, above in zip(rows, [None, *rows], strict=False)], most, "rows")


def _speed(row: Performance, above: Performance | None) -> list[str]:
    """A row; the error that it has in common with the one `above` stands there."""
    label = f"  {printable(row.dtype, 16)} on {printable(row.engine, 24)}"
    if row.runtime:
        label += f", {printable(' '.join(filter(None, (row.runtime, row.version))), 30)}"
    pieces = [*_costs(row), *_rates(row), *_outputs(row)]
    pieces += _facts(
        {
            "{} of the bandwidth": row.bandwidth_fraction,
            "{} of the activations moved": row.activation_fraction,
            "{} an inference": row.per_inference_s,
            "{} per inference": row.per_inference_cycles,
            "{} a kernel": row.per_kernel_s,
            "{} per kernel": row.per_kernel_cycles,
        }
    )
    fused = f"; part of their neighbours: {', '.join(row.fused)}" if row.fused else ""
    lines = wrapped(f"{label}: ", f"{tagged(pieces)}{fused}", LABEL)
    same = (
        above is not None
        and row.costs
        and (above.runtime, above.prediction_error) == (row.runtime, row.prediction_error)
    )
    return lines if same else [*lines, *_error(row)]


def _costs(row: Performance) -> Iterator[Piece]:
    """How many kinds of kernels were measured; what each costs is in --json."""
    if row.costs:
        counts = [cost.rows_count.value for cost in row.costs if cost.rows_count is not None]
        fitted = f", fitted to {sum(n for n in counts if n):,}" if counts else ""
        kinds = f"costs of {len(row.costs):,} kind{'s' * (len(row.costs) != 1)} of kernels{fitted}"
        yield kinds, row.costs[0].rows_count


def _middle(fact: Fact, *, whole: bool) -> Fact:
    """A number, without its range where costs say more than its ends."""
    return fact if whole else msgspec.structs.replace(fact, low=None, high=None)


def _rates(row: Performance) -> Iterator[Piece]:
    """`conv 0.5, depthwise 0.2 MAC/cycle`: a unit stands behind the last of those that share it."""
    stated = [
        (name, _middle(fact, whole=not row.costs), "of peak" if key == "fraction_of_peak" else fact.unit)
        for name, rate in row.rates.items()
        for key in _RATES
        if (fact := getattr(rate, key)) is not None
    ]
    for i, (name, fact, unit) in enumerate(stated):
        words = f"{name} {amount(msgspec.structs.replace(fact, unit='1') if unit in _SHARED else fact)}"
        last = i + 1 == len(stated) or stated[i + 1][2] != unit
        yield (f"{words} {unit}" if unit in _SHARED and last else words), fact


def _outputs(row: Performance) -> Iterator[Piece]:
    """What an output costs beside, once where all classes have the same."""
    costs = {name: rate.per_output_cycles for name, rate in row.rates.items() if rate.per_output_cycles is not None}
    first = next(iter(costs.values()), None)
    if first is not None and all(cost == first for cost in costs.values()):
        yield f"{amount(first)} an output", first
        return
    for name, cost in costs.items():
        yield f"{name} {amount(cost)} an output", cost


def _error(row: Performance) -> list[str]:
    error = row.prediction_error
    if error is None:
        return ["       prediction error: not known"]
    within = f"{_percent(error.coverage_ratio)} within a factor of {amount(error.interval_factor)}"
    pieces: list[Piece] = [
        (f"error {_percent(error.median_ratio)} in the median", error.median_ratio),
        (within, error.interval_factor),
        (f"{amount(error.rows_count)} measurements", error.rows_count),
    ]
    return wrapped("       ", f"{tagged(pieces)}; {error.dataset}, {error.date}", LABEL)


def _percent(fact: Fact) -> str:
    return "unknown" if fact.value is None else f"{100 * fact.value:.3g} %"


def _energy(device: Device) -> Iterator[str]:
    energy = device.energy
    if energy is not None:
        for key, title in _ENERGY.items():
            table: Mapping[str, Fact] = getattr(energy, key)
            pieces: list[Piece] = [(f"{printable(name, 16)} {amount(fact)}", fact) for name, fact in table.items()]
            if pieces:
                yield from wrapped(f"  {title}  ", tagged(pieces), LABEL)
        powers = _facts({"{} idle": energy.idle_w, "{} active": energy.active_w, "{} TDP": energy.tdp_w})
        if powers:
            yield from wrapped("  power  ", tagged(powers), LABEL)
    if device.battery is not None:
        battery = _facts({"{}": device.battery.capacity_mah, "at {}": device.battery.voltage_v})
        yield from wrapped("  battery  ", tagged(battery), LABEL)


def _sources(device: Device) -> Iterator[str]:
    used = sources(msgspec.structs.replace(device, sources={}))
    for name, source in device.sources.items():
        if name not in used:
            continue
        title = f"  {printable(name, 40)}  {printable(source.title, None)}"
        read = f", read {source.accessed}" if source.accessed else ""
        line = cut(title + read if len(title) + len(read) <= WIDTH else title)
        if len(line) + len(source.url) + 2 <= WIDTH:
            yield f"{line}  {printable(source.url, None)}".rstrip()
        else:
            yield line
            yield f"       {printable(source.url, None)}"
