"""What an engine does at most: dense peaks in FLOP/s, and ridge points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from effaudit.device.dtypes import LIKE
from effaudit.device.types import Engine, Memory, Peak

FLOPS_PER_MAC = 2
FASTER: Final[Mapping[str, tuple[str, ...]]] = {"float32": ("tfloat32",)}


def peak_of(engine: Engine, dtype: str) -> Peak | None:
    """The peak for an element type; of one that shares another's kernels, that one's."""
    found = engine.peaks.get(dtype)
    return found if found is not None else engine.peaks.get(LIKE.get(dtype, ""))


def dense_flop_per_s(engine: Engine, dtype: str) -> float | None:
    """The dense peak of the whole engine in FLOP/s (op/s of integers): as stated, else MACs per cycle x 2 x cores x
    clock. None where the profile does not tell."""
    peak = peak_of(engine, dtype)
    if peak is None:
        return None
    for fact in (peak.dense_flop_per_s, peak.dense_op_per_s):
        if fact is not None and fact.value is not None:
            return float(fact.value)
    return from_cycles(engine, peak)


def largest_flop_per_s(engine: Engine, dtype: str) -> float | None:
    """As `dense_flop_per_s`, at the upper ends of all ranges, and of the types that products of such elements may be
    computed in: of float32 also tfloat32 (https://docs.nvidia.com/cuda/cublas/#cublasmath-t)."""
    found = [_most(engine, peak) for name in (dtype, *FASTER.get(dtype, ())) if (peak := peak_of(engine, name))]
    return max((speed for speed in found if speed), default=None)


def _most(engine: Engine, peak: Peak) -> float | None:
    stated = [fact.most for fact in (peak.dense_flop_per_s, peak.dense_op_per_s) if fact is not None]
    per_cycle, clock, count = (
        None if f is None else f.most for f in (peak.dense_mac_per_cycle, engine.clock_hz, engine.cores)
    )
    if per_cycle is not None and clock is not None:
        stated.append(FLOPS_PER_MAC * per_cycle * (1 if count is None else count) * clock)
    return max((float(speed) for speed in stated if speed is not None), default=None)


def from_cycles(engine: Engine, peak: Peak) -> float | None:
    """FLOP/s = MACs per cycle and core x 2 x cores x clock."""
    per_cycle, clock = peak.dense_mac_per_cycle, engine.clock_hz
    if per_cycle is None or per_cycle.value is None or clock is None or clock.value is None:
        return None
    return float(FLOPS_PER_MAC * per_cycle.value * cores(engine) * clock.value)


def cores(engine: Engine) -> float:
    """How many cores work on one inference; 1 where the profile states none."""
    return float(engine.cores.value) if engine.cores is not None and engine.cores.value is not None else 1.0


def ridge(engine: Engine, dtype: str, memory: Memory) -> float | None:
    """FLOP per byte from which on a kernel is bound by compute: https://doi.org/10.1145/1498765.1498785 (roofline)."""
    peak, bandwidth = dense_flop_per_s(engine, dtype), memory.read_bandwidth_byte_per_s
    if peak is None or bandwidth is None or not bandwidth.value:
        return None
    return peak / bandwidth.value
