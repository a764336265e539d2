"""What kernels run in: a device, a runtime, and where things lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from effaudit.device.dtypes import BITS
from effaudit.device.types import Device, DeviceRuntime, Memory, Performance
from effaudit.estimate.memories import Share, activations_in, placed
from effaudit.estimate.rates import performance_of
from effaudit.estimate.types import Kernel

NOWHERE: Final[Mapping[int, str]] = {}


class Setting(msgspec.Struct, frozen=True):
    """What kernels run in: the device, the runtime, where weights (`weight_bytes` in all) and activations lie, and
    which nodes run elsewhere (node index -> engine; others run on the runtime's engine). `transfer_why` says what is
    not known of moving tensors between engines. `unique_bytes` of constants one run reads at least
    (`effaudit.estimate.reading`); None: not known, and weights bound nothing. `renaming`: nodes that run but only
    rename bytes, where a profile says what each node costs."""

    device: Device
    runtime: DeviceRuntime
    weights: tuple[Share, ...]
    activations: Memory | None
    weight_bytes: int = 0
    elsewhere: Mapping[int, str] = NOWHERE
    transfer_s: float = 0.0
    transfer_why: str = ""
    unique_bytes: int | None = None
    renaming: int = 0

    def computed(self, kernel: Kernel) -> Kernel:
        """The kernel in the element type that the engine computes it in, its tensors as wide as that."""
        dtype = self.runtime.computes.get(kernel.dtype)
        if dtype is None or kernel.index in self.elsewhere:
            return kernel
        return kernel.stored_as(dtype, BITS.get(dtype, 0), BITS.get(kernel.dtype, 0))

    def entry(self, engine: str, kernel: Kernel, main: str) -> Performance | None:
        """What the profile says of a kernel's element type; of one without products, whose type it does not state,
        what it says of the type `main` that most products are in."""
        found = performance_of(self.device, self.runtime, engine, kernel.dtype)
        if found is None and kernel.macs.high == 0:
            return performance_of(self.device, self.runtime, engine, main)
        return found


def setting(
    device: Device,
    runtime: DeviceRuntime,
    weight_bytes: int,
    activation_bytes: int,
    elsewhere: Mapping[int, str] = NOWHERE,
    transfer_s: float = 0.0,
    unique_bytes: int | None = None,
) -> Setting:
    """The setting of a model of so many bytes of weights, with an arena of so many bytes."""
    weights, activations = placed(device, "weights", weight_bytes), activations_in(device, activation_bytes)
    return Setting(
        device, runtime, weights, activations, weight_bytes, elsewhere, transfer_s, unique_bytes=unique_bytes
    )
