"""Whether a device computes pruned weights faster: only where an engine states a peak for the pattern."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.device.peaks import dense_flop_per_s
from effaudit.device.types import Device, Engine
from effaudit.units import human_measure

SPARSE_PEAK = "2:4"  # the only pattern that profiles state peaks for


def gains(device: Device, pattern: str) -> str:
    """What weights of a pattern ("2:4", "4:8"; "" for single weights or blocks anywhere) gain on a device: a sentence.

    Peaks bound what a kernel can gain; whether a runtime has one for it is not in a profile, and estimates of latency
    count every weight.
    """
    if pattern != SPARSE_PEAK:
        kind = f"{pattern} sparsity" if pattern else "unstructured sparsity"
        return f"{device.name}: not faster with {kind}: no engine of the profile states a peak for it"
    found = [gain for engine in device.engines for gain in _gains(engine)]
    if not found:
        return f"{device.name}: not faster with 2:4 sparsity: no engine of the profile states a 2:4-sparse peak"
    return (
        f"{device.name}: 2:4 sparsity computes faster at most by {', '.join(found)}; only in kernels made for it, and "
        "other element types gain nothing"
    )


def _gains(engine: Engine) -> Iterator[str]:
    """`float16 2x (624 against 312 TFLOP/s)`, for every element type with a sparse peak."""
    for dtype, peak in engine.peaks.items():
        fact = peak.sparse_2_4_flop_per_s or peak.sparse_2_4_op_per_s
        if fact is None or fact.value is None:
            continue
        dense = dense_flop_per_s(engine, dtype)
        unit = "FLOP/s" if peak.sparse_2_4_flop_per_s else "op/s"
        sparse = human_measure(float(fact.value), unit)
        yield f"{dtype} {fact.value / dense:.3g}x ({sparse})" if dense else f"{dtype} ({sparse}, dense not known)"
