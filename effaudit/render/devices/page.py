"""One device on a page: what it is, what it computes with, where things lie, how fast it is, and who says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from effaudit.device.document import PeakFigures, Profile
from effaudit.device.types import Device, DeviceRuntime, Engine, Fact, Memory, Performance
from effaudit.printable import printable
from effaudit.render.devices.facts import Piece, amount, quantity, sources, tagged
from effaudit.units import human_bytes
from effaudit.wrapping import WIDTH, wrapped

HEIGHT: Final = 60
LABEL: Final = 7
# (rows of performance, notes) that are shown, the most talkative first
_LEVELS: Final = ((100, 20), (8, 6), (4, 3), (2, 1))
_RATES: Final = ("mac_per_cycle", "mac_per_s", "fraction_of_peak", "op_per_cycle", "op_per_s")
_ENERGY: Final = {"system_pj_per_mac": "system", "mac_pj": "multiply-add alone", "op_pj": "operation alone"}


def page(profile: Profile) -> list[str]:
    """At most 60 lines of 80 columns where that is enough; what is left out is counted."""
    lines: list[str] = []
    for rows, notes in _LEVELS:
        lines = _page(profile, rows, notes)
        if len(lines) <= HEIGHT:
            break
    return lines


def _page(profile: Profile, rows: int, notes: int) -> list[str]:
    device = profile.device
    lines = [
        *_head(profile),
        *_section("engines", _engines(device, profile.peaks)),
        *_section("memory", _memories(device, profile.largest_contiguous_bytes)),
        *_section("runtimes", _runtimes(device.runtimes)),
        *_section("speed", _performance(device.performance, rows)),
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
        one = engine.cores is not None and engine.cores.value == 1
        pieces += _facts({"{} core" if one else "{} cores": engine.cores, "{}": engine.clock_hz})
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


def _runtimes(runtimes: Sequence[DeviceRuntime]) -> Iterator[str]:
    for i, runtime in enumerate(runtimes):
        name = " ".join(filter(None, (printable(runtime.name, 30), printable(runtime.version, 20))))
        words = f"{'the default; ' if i == 0 else ''}rules {printable(runtime.rules)} on {printable(runtime.engine)}"
        if runtime.supports:
            words += f", operators {printable(runtime.supports)}"
        words += f", others on {printable(runtime.fallback)}" if runtime.fallback else ""
        words += f", planner {printable(runtime.planner)}" if runtime.planner else ""
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
        yield from wrapped(f"  {name}  ", "; ".join(filter(None, (words, told))), LABEL)


def _performance(rows: Sequence[Performance], most: int) -> list[str]:
    return _cut([_speed(row) for row in rows], most, "rows")


def _speed(row: Performance) -> list[str]:
    label = f"  {printable(row.dtype, 16)} on {printable(row.engine, 24)}"
    if row.runtime:
        label += f", {printable(' '.join(filter(None, (row.runtime, row.version))), 30)}"
    pieces: list[Piece] = []
    for name, rate in row.rates.items():
        stated = next((fact for key in _RATES if (fact := getattr(rate, key)) is not None), None)
        if stated is not None:
            of = " of peak" if stated is rate.fraction_of_peak else ""
            pieces.append((f"{name} {amount(stated)}{of}", stated))
        pieces += _facts({f"{name} {{}} an output": rate.per_output_cycles})
    pieces += _facts(
        {
            "{} of the bandwidth": row.bandwidth_fraction,
            "{} of the activations moved": row.activation_fraction,
            "{} an inference": row.per_inference_s,
            "{} an\u00a0inference": row.per_inference_cycles,
            "{} a kernel": row.per_kernel_s,
            "{} a\u00a0kernel": row.per_kernel_cycles,
        }
    )
    return [*wrapped(f"{label}: ", tagged(pieces).replace("\u00a0", " "), LABEL), *_error(row)]


def _error(row: Performance) -> list[str]:
    error = row.prediction_error
    if error is None:
        return ["       prediction error: not known"]
    pieces = _facts(
        {
            f"error {_percent(error.median_ratio)} in the median": error.median_ratio,
            f"{_percent(error.coverage_ratio)} of measurements within a factor of": error.coverage_ratio,
        }
    )
    pieces[-1] = (f"{pieces[-1][0]} {amount(error.interval_factor)}", error.interval_factor)
    pieces += _facts({"{} measurements": error.rows_count})
    return wrapped("       ", f"{tagged(pieces)}; {error.dataset}, {error.date}")


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
        read = f", read {source.accessed}" if source.accessed else ""
        title = printable(f"{source.title}{read}", WIDTH)
        line = f"  {printable(name, 40)}  {title}"
        if not source.url:
            yield from wrapped("", line, LABEL)
        elif len(line) + len(source.url) + 2 <= WIDTH:
            yield f"{line}  {printable(source.url, None)}"
        else:
            yield from wrapped("", line, LABEL)
            yield f"       {printable(source.url, None)}"
