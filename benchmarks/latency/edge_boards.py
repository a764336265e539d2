"""Which engine of which device profile a measurement was on, and what that engine states of itself."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from benchmarks.latency.edge_model import Board
from benchmarks.latency.rows import Row
from effaudit.device.find import find
from effaudit.device.peaks import FLOPS_PER_MAC, cores, dense_flop_per_s
from effaudit.device.types import Device, Engine
from effaudit.errors import UsageError
from effaudit.estimate.memories import bandwidth, holding
from effaudit.estimate.rates import engine_of, known, value

PROFILES: Final = str(Path(__file__).resolve().parents[2] / "device_profiles")
Family: TypeAlias = Literal["hexagon", "cpu", "mali", "npu"]

# Boards whose name in the file is not that of their profile.
_PROFILE_OF: Final[Mapping[str, str]] = {
    "stm32mp257f-dk2": "st-stm32mp257f-dk2",
    "firefly-rk3588s-cpu": "rockchip-rk3588s-cpu",
    "firefly-rk3399-cpu-v1-1": "rockchip-rk3399-cpu",
    "odroid": "hardkernel-odroid-n2plus",
    "qualcomm-qcs8550-proxy": "qualcomm-qcs8550",
    "qualcomm-snapdragon-8gen2": "qualcomm-qcs8550",
    "qualcomm-qcs8450-proxy": "qualcomm-qcs8450",
}
# Clocks of boards that were measured at more than one: `host_processor_frequency` of the system's description in
# github.com/mlcommons/inference_results_v1.1 (closed/Krai/systems/rpi4coral-*.json, closed/cTuning/systems/rpi4-*).
_CLOCKS: Final[Mapping[tuple[str, str], float]] = {("raspberry-pi-4b", "v1.1"): 1.5e9}
# The CPUs of https://coral.ai/docs/edgetpu/benchmarks/, which have no profile. All assumed: the models (the page's
# footnotes name them, which were not read again), one thread each (the default of TensorFlow Lite's benchmark then),
# 128 bits of SIMD on both, 10 GB/s (the networks are bound by compute).
_CORAL: Final[Mapping[str, Board]] = {
    "coral-page-desktop-cpu-footnote-1": Board(3.7e9 * 4, 10e9),  # Xeon Gold 6154, 3.7 GHz with one thread
    "coral-page-embedded-cpu-footnote-2": Board(1.5e9 * 4, 10e9),  # Cortex-A53, 1.5 GHz
}
# Boards whose NPU leaves networks with a scale per channel to another engine, as their profile says.
_PER_CHANNEL: Final[Mapping[str, str]] = {"st-stm32mp257f-dk2": "gpu"}
# Versions of the Hexagon Tensor Processor of chips without a profile: SM8350, SM8450 (twice), SM8850, SA8255, SA8295,
# and the X Plus, whose NPU is the X Elite's.
# https://github.com/tensorflow/tensorflow/blob/17566b41c9ba/tensorflow/lite/experimental/litert/vendors/qualcomm/core/schema/soc_table.cc
# https://github.com/pytorch/executorch/pull/15987
# https://notebookcheck.com/...840679.0.html (the source of qualcomm-snapdragon-x-elite.yaml)
_HEXAGON: Final[Mapping[str, int]] = {
    "qualcomm-snapdragon-888": 68,
    "qualcomm-sa8295p": 68,
    "qualcomm-qcs8450": 69,
    "qualcomm-snapdragon-8gen1": 69,
    "qualcomm-sa8255p": 73,
    "qualcomm-snapdragon-x-plus-8-core": 73,
    "qualcomm-snapdragon-8-elite-gen5": 81,
}
_KINDS: Final[Mapping[str, str]] = {"cpu": "cpu", "mali": "gpu", "npu": "npu"}  # family -> engine's name


class Place(msgspec.Struct, frozen=True):
    """Where a measurement was made: `board` is that of its profile; `generation` the version of Hexagon's tensor
    processor, None elsewhere; `engine` that of the profile; boards of the same `core` are sisters."""

    board: str
    family: Family
    core: str
    facts: Board
    generation: int | None = None


def place_of(row: Row) -> Place | None:
    """None where no profile says what the board is."""
    name, family = _PROFILE_OF.get(row.board, row.board), family_of(row)
    if name in _CORAL:
        return Place(name, "cpu", name, _CORAL[name])
    device = _device(name)
    if family == "hexagon":
        version = generation(device) if device is not None else _HEXAGON.get(name)
        return None if version is None else Place(name, family, f"v{version}", hexagon(), version)
    clock = next((hz for (b, suite), hz in _CLOCKS.items() if b == name and suite in row.suite), None)
    if device is None:
        return None
    wanted = _PER_CHANNEL.get(name, "") if "per-channel" in row.precision else _KINDS[family]
    engine = engine_of(device, wanted) or next((e for e in device.engines if e.kind == "npu"), None)
    facts = None if engine is None else facts_of(device, engine, clock)
    return None if engine is None or facts is None else Place(name, family, core_of(engine), facts)


def core_of(engine: Engine) -> str:
    """The name of the core, as the engine's title says it: that of sisters is the same."""
    match = re.search(r"Cortex-[AX]\d+|Mali-\w+", engine.title)
    return match[0] if match else engine.title


def family_of(row: Row) -> Family:
    """What a measurement ran on."""
    if row.runtime.startswith("ai-hub") and row.accelerator == "NPU":
        return "hexagon"
    if row.runtime == "armnn-opencl":
        return "mali"
    return "npu" if row.accelerator and row.accelerator != "CPU" else "cpu"


def hexagon() -> Board:
    """Its makers state nothing that tells how fast it is; activations stay in its tightly coupled memory (of all
    networks measured, none takes longer for them)."""
    return Board(crossing=0.0)


def facts_of(device: Device, engine: Engine, clock: float | None = None) -> Board | None:
    """Of a CPU or GPU: cores x clock x float32 multiply-accumulates per cycle (int8 kernels scale with the width of the
    vector units too: where dot products double their peak again, loads and rescaling do not follow). Of an NPU: its
    int8 peak (of a GPU that only states float16, that); weights beyond what its own memory holds come from the next;
    bytes of a bandwidth that is not stated bound nothing. None where the profile does not tell."""
    peak = dense_flop_per_s(engine, "int8" if engine.kind == "npu" else "float16")
    if peak is not None and "float32" not in engine.peaks:
        memories = holding(device, "weights")
        resident = value(memories[0].size_bytes) if len(memories) > 1 and known(memories[0].size_bytes) else 0.0
        return Board(peak / FLOPS_PER_MAC, bandwidth(memories[-1]) or math.inf, resident, 0.0)
    vector, hz = engine.peaks.get("float32"), clock or (value(engine.clock_hz) if known(engine.clock_hz) else None)
    if vector is None or not known(vector.dense_mac_per_cycle) or hz is None:
        return None
    speeds = [speed for memory in holding(device, "activations") if (speed := bandwidth(memory))]
    if not speeds:
        return None
    return Board(value(vector.dense_mac_per_cycle) * cores(engine) * hz, speeds[-1])


def generation(device: Device) -> int | None:
    """The version of Hexagon's tensor processor; None where the device has none."""
    for engine in device.engines:
        match = re.fullmatch(r"hexagon-v(\d+)", engine.isa)
        if match is not None:
            return int(match[1])
    return None


@cache
def _device(name: str) -> Device | None:
    try:
        return find(name, (PROFILES,))
    except UsageError:
        return None
