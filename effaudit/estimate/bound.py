"""What no runtime goes below: all products at the dense peak, or the weights once over the bandwidth.

Peaks, bandwidths and caches are the largest that the profile allows for, float32 is computed in tfloat32 where the
engine has it, and convolutions take the fewest products of all algorithms that runtimes use
(`effaudit.estimate.algorithms`); of int8 that way too, in int16. Matrix products take one product for every
multiply-accumulate. Each constant is read once. No activation is counted, as they may stay on the chip, and no weights
that the caches of the processor may keep from one run to the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from effaudit.device.dtypes import BITS, LIKE
from effaudit.device.peaks import FLOPS_PER_MAC, largest_flop_per_s
from effaudit.device.types import Engine
from effaudit.estimate.memories import largest_bandwidth, least_from, processor_caches
from effaudit.estimate.rates import engine_of
from effaudit.estimate.setting import Setting
from effaudit.estimate.types import Kernel

# The sums of a transform need a wider type than these: https://github.com/Tencent/ncnn (convolution_3x3_winograd_int8)
_WIDER: Final = {"int8": "int16"}
_WIDE_BITS: Final = 16


def lower_bound(kernels: Sequence[Kernel], where: Setting) -> float:
    """Seconds; 0 where the profile states neither peaks nor bandwidths."""
    return max(_compute(kernels, where), _weights(where))


def products_s(kernel: Kernel, engine: Engine) -> float | None:
    """Seconds of the products of a kernel at the least; None where the profile states no peak for them."""
    times = [FLOPS_PER_MAC * kernel.macs.low / saving / peak for peak, saving in _ways(kernel, engine)]
    return min(times, default=None)


def _ways(kernel: Kernel, engine: Engine) -> Iterator[tuple[float, float]]:
    """(peak in FLOP/s, by how much fewer products) of the ways to compute a kernel."""
    kind = LIKE.get(kernel.dtype, kernel.dtype)
    peak = largest_flop_per_s(engine, kernel.dtype)
    if not peak:
        return
    yield peak, kernel.saving if BITS.get(kind, 0) >= _WIDE_BITS else 1.0
    wider = largest_flop_per_s(engine, _WIDER.get(kind, ""))
    if wider:
        yield wider, kernel.saving


def _compute(kernels: Sequence[Kernel], where: Setting) -> float:
    """Engines may work at the same time: that of the one with most to do."""
    busy: dict[str, float] = {}
    for kernel in kernels:
        name = where.elsewhere.get(kernel.index, where.runtime.engine)
        engine = engine_of(where.device, name)
        seconds = None if engine is None else products_s(kernel, engine)
        busy[name] = busy.get(name, 0.0) + (seconds or 0.0)
    return max(busy.values(), default=0.0)


def _weights(where: Setting) -> float:
    """Memories work at the same time, too."""
    if where.unique_bytes is None:
        return 0.0
    kept = processor_caches(where.device)
    return max(_read(where, where.unique_bytes, kept), default=0.0)


def _read(where: Setting, size: int, kept: int) -> Iterable[float]:
    for share in where.weights:
        speed = largest_bandwidth(share.memory)
        if speed:
            yield max(least_from(share, size, where.weight_bytes) - kept, 0) / speed
