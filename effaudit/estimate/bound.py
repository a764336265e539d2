"""What no runtime goes below: all multiply-accumulates at the dense peak, or the weights once over the bandwidth.

No activation is counted, as they may stay on the chip, and no weights that a processor's cache may keep from one run to
the next.
"""

from __future__ import annotations

from collections.abc import Sequence

from effaudit.device.contiguous import total_size
from effaudit.device.types import Device
from effaudit.estimate.memories import bandwidth
from effaudit.estimate.rates import engine_of
from effaudit.estimate.setting import Setting
from effaudit.estimate.timing import at_peak
from effaudit.estimate.types import Kernel


def lower_bound(kernels: Sequence[Kernel], where: Setting) -> float:
    """Seconds; 0 where the profile states neither peaks nor bandwidths."""
    return max(_compute(kernels, where), _weights(kernels, where))


def _compute(kernels: Sequence[Kernel], where: Setting) -> float:
    """Engines may work at the same time: that of the one with most to do."""
    busy: dict[str, float] = {}
    for kernel in kernels:
        name = where.elsewhere.get(kernel.index, where.runtime.engine)
        engine = engine_of(where.device, name)
        seconds = None if engine is None else at_peak(kernel, engine)
        busy[name] = busy.get(name, 0.0) + (seconds or 0.0)
    return max(busy.values(), default=0.0)


def _weights(kernels: Sequence[Kernel], where: Setting) -> float:
    read = min(sum(kernel.weight_bytes.low for kernel in kernels), where.weight_bytes)
    kept = _caches(where.device)
    times = []
    for share in where.weights:
        speed = bandwidth(share.memory)
        if speed:
            times.append(max(read * share.fraction - kept, 0.0) / speed)
    return max(times, default=0.0)


def _caches(device: Device) -> int:
    return sum(total_size(memory) or 0 for memory in device.memories if memory.kind == "cache")
