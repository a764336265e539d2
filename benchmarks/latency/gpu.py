"""Published latencies and throughputs of GPUs and servers against estimates that did not see their board.

`python -m benchmarks.latency.gpu` prints the table; with `--write` it writes the fitted numbers into the profiles.
SingleStream is a batch of one. Offline is a throughput at a batch the submitter chose: 16 of RetinaNet and 256 of the
others here (NVIDIA's of v3.0 are 2 to 32 and 32 to 2048); on a Jetson the GPU and its DLAs share the samples of
convolutional networks. Rows of several GPUs count as one of them. A runtime is known on a sister board where another
GPU was measured with it; the processors here have no sister: their matrix units differ.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from benchmarks.latency.gpu_model import START, Board, Law, Sample, fit, seconds
from benchmarks.latency.gpu_work import built
from benchmarks.latency.rows import Row, read
from benchmarks.latency.score import Scored
from effaudit.device.peaks import dense_flop_per_s
from effaudit.device.read import read_device
from effaudit.device.types import Device, Engine, Fact

PROFILES: Final = Path(__file__).resolve().parents[2] / "device_profiles"
BATCH: Final[Mapping[str, int]] = {"retinanet": 16}
OFFLINE_BATCH: Final = 256
AMPERE: Final = 80  # compute capability 8.0
GPU, CPU = "gpu", "cpu"
COVERED: Final = 0.9  # of unseen measurements inside the interval
GPU_RUNTIMES: Final = frozenset(("tensorrt",))
CPU_RUNTIMES: Final = frozenset(("openvino", "pytorch", "onnxruntime"))
# Of processors, which are few, only products are fitted. How power limits the clock and how caches keep activations is
# taken over from GPUs; they count as older than Ampere.
CPU_HELD: Final = tuple(name for name in START if name not in ("conv", "grouped", "fully_connected"))
TAKEN_OVER: Final = ("needed_w", "older_needed", "cache_mib")


class Place(msgspec.Struct, frozen=True):
    """A board: its profile's name, GPU or CPU, and the board by element type."""

    name: str
    kind: str
    boards: dict[str, Board]


@cache
def places() -> Mapping[str, Place]:
    """Every GPU and server of the profiles, by name and by alias."""
    found: dict[str, Place] = {}
    for path in sorted(PROFILES.glob("*.yaml")):
        if path.name.startswith(("nvidia-", "intel-xeon-", "apple-m1-")):
            device = read_device(path, lambda name, _: str(PROFILES / f"{name}.yaml"))
            place = place_of(device)
            found |= dict.fromkeys((device.name, *device.aliases), place)
    return found


def place_of(device: Device) -> Place:
    engine = device.engines[0]
    kind = GPU if engine.kind == "gpu" else CPU
    return Place(device.name, kind, {dtype: _board(device, engine, dtype) for dtype in engine.peaks})


def _board(device: Device, engine: Engine, dtype: str) -> Board:
    dla = next((dense_flop_per_s(one, dtype) for one in device.engines if one.name == "dla"), None)
    older = engine.kind != "gpu" or int(re.sub(r"\D", "", engine.isa) or 0) < AMPERE
    watts = None if device.energy is None else device.energy.tdp_w or device.energy.active_w
    return Board(
        op_per_s=dense_flop_per_s(engine, dtype) or 0.0,
        byte_per_s=_value(device.memories[0].read_bandwidth_byte_per_s),
        clock_hz=_value(engine.clock_hz),
        watts=None if watts is None or watts.value is None else float(watts.value),
        older=older,
        dla_op_per_s=dla or 0.0,
        cache_bytes=_cache(device),
    )


def _cache(device: Device) -> float:
    """The size of the caches that the profile states."""
    sizes = [memory.size_bytes.value for memory in device.memories if memory.kind == "cache" and memory.size_bytes]
    return float(sum(size for size in sizes if size is not None))


def _value(fact: Fact | None) -> float:
    assert fact is not None and fact.value is not None
    return float(fact.value)


def place_of_row(row: Row) -> Place | None:
    """Where a row was measured: its profile by name or alias, with or without the maker's name, sockets apart."""
    name = re.sub(r"^\d+x-", "", row.board)
    named = (name, f"nvidia-{name}", name.removeprefix("nvidia-"))
    return next((places()[one] for one in named if one in places()), None)


def used(rows: Iterable[Row]) -> list[Row]:
    """The rows whose board, runtime, element type and network are known here."""
    return [row for row in rows if (place := place_of_row(row)) is not None and _known(row, place)]


def _known(row: Row, place: Place) -> bool:
    runtimes = GPU_RUNTIMES if place.kind == GPU else CPU_RUNTIMES
    return row.runtime in runtimes and row.dtype in place.boards and built(row.network)


def sample_of(row: Row) -> Sample:
    """The measurement of a row that is `used`."""
    place = place_of_row(row)
    assert place is not None
    batch = row.batch or BATCH.get(row.network, OFFLINE_BATCH)
    every = row.batch is None and not row.network.startswith("bert")
    return Sample(row.network, row.dtype, batch, place.boards[row.dtype], every, row.seconds * gpus(row))


def gpus(row: Row) -> int:
    """How many GPUs a row is of: 10 of "A30x10_TRT"."""
    match = re.search(r"x(\d+)(?=_|$)", row.wrote)
    return int(match[1]) if match else 1


def law_of(rows: Sequence[Row], kind: str) -> Law:
    """The law of a kind of board, from the rows of that kind; of CPU what is TAKEN_OVER from those of GPU."""
    gpu, cpu = ([sample_of(row) for row in rows if _place(row).kind == one] for one in (GPU, CPU))
    law = _of_gpus(tuple(gpu))
    if kind == GPU:
        return law
    return fit(cpu, CPU_HELD, {**START, **{name: law.values[name] for name in TAKEN_OVER}})


@lru_cache(maxsize=256)
def _of_gpus(samples: tuple[Sample, ...]) -> Law:
    return fit(samples) if samples else Law(START)


def _place(row: Row) -> Place:
    """Of a row that is `used`."""
    place = place_of_row(row)
    assert place is not None
    return place


def scored(rows: Iterable[Row]) -> list[Scored]:
    """Every row against the law of all other boards, with the interval that those boards' own rows call for when each
    is left out in its turn."""
    known = used(rows)
    found: list[Scored] = []
    for name in sorted({_place(row).name for row in known}):
        own = [row for row in known if _place(row).name == name]
        others = [row for row in known if _place(row).name != name]
        kind = _place(own[0]).kind
        law, factor = law_of(others, kind), interval_factor(unseen(others, kind))
        found += [_scored(row, law, factor, others) for row in own]
    return sorted(found, key=lambda one: one.row.line)


def _scored(row: Row, law: Law, factor: float, others: Sequence[Row]) -> Scored:
    told = seconds(law, sample_of(row)) / gpus(row)
    known = _place(row).kind == GPU and any(other.runtime == row.runtime for other in others)
    return Scored(row, told, told / factor, told * factor, known, group_of(row))


def group_of(row: Row) -> str:
    place = _place(row)
    how = "one sample" if row.batch == 1 else "offline"
    what = "Jetson" if "jetson" in place.name else "GPU" if place.kind == GPU else "server and desktop processor"
    return f"{what}, {how}"


def unseen(rows: Sequence[Row], kind: str) -> list[float]:
    """The logarithm of estimate over measurement of every row of a kind of board, by the law of the other boards: one
    number per network, batch and board."""
    cells: dict[tuple[str, str, int | None], list[float]] = {}
    for name in sorted({_place(row).name for row in rows if _place(row).kind == kind}):
        law = law_of([row for row in rows if _place(row).name != name], kind)
        for row in rows:
            if _place(row).name == name:
                sample = sample_of(row)
                error = float(np.log(seconds(law, sample) / sample.seconds))
                cells.setdefault((name, row.network, row.batch), []).append(error)
    return [float(np.mean(errors)) for errors in cells.values()]


def interval_factor(errors: Sequence[float]) -> float:
    """The factor around estimates that holds COVERED of the measurements; the largest error of few."""
    sizes = sorted(abs(error) for error in errors)
    return float(np.exp(sizes[min(int(np.ceil(COVERED * len(sizes))), len(sizes)) - 1])) if sizes else 2.0


def table(found: Sequence[Scored]) -> str:
    lines = [f"{'class':42} rows  median error  inside  interval factor"]
    for group in (*sorted({one.group for one in found}), ""):
        of_group = [one for one in found if group in ("", one.group)]
        error = np.median([abs(one.error) for one in of_group])
        inside = np.mean([one.inside for one in of_group])
        widest = max(one.high / one.predicted for one in of_group)
        lines.append(f"{group or 'all':42} {len(of_group):4}  {error:12.1%}  {inside:6.0%}  {widest:.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    measured = read()
    if "--write" in sys.argv[1:]:
        from benchmarks.latency.gpu_profiles import write

        write(used(measured))
    print(table(scored(measured)))
