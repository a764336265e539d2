"""Kernels, and how long they take."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from effaudit.device.types import OpClass
from effaudit.quantity import Quantity

Limiter: TypeAlias = Literal["compute", "memory", "overhead", "absorbed", "unknown"]
What: TypeAlias = Literal["weight", "again", "read", "write"]
NOTHING: Final = Quantity(0, 0)


class Touch(msgspec.Struct, frozen=True):
    """Bytes of one tensor that a kernel reads or writes, and how many bytes were touched since it was last (None: it
    was not, it comes from outside). "again" are weights that a kernel reads more often than once."""

    what: What
    bytes: int
    distance: int | None


class Pattern(msgspec.Struct, frozen=True):
    """`kind` names kernels that run alike (`effaudit.estimate.kinds`), `like` the kinds it is nearest to where nothing
    is known of its own. `columns`: output channels or columns worked on together; `runs`: stretches of outputs that lie
    one after the other in memory and are computed or moved at a time; `scratch`: elements that are written and read
    again inside the kernel (im2col, col2im); `batches`: products that are made one by one; `steps` of a recurrent
    layer; `fed`: elements read."""

    kind: str
    like: tuple[str, ...]
    columns: int
    runs: int
    scratch: int
    batches: int
    steps: int
    fed: int
    touches: tuple[Touch, ...]


class Kernel(msgspec.Struct, frozen=True):
    """One node of the graph that the runtime executes, as work: `index` is that of the node.

    `dtype` is the element type it computes in. `weight_bytes` are those of constants that are read, `read_bytes` and
    `write_bytes` those of activations. `outputs` are the elements written. `channels` are the input and output channels
    that a product works on (per group), None where it has none or they are not known; `saving`: by how much the fastest
    known algorithm needs fewer products than `macs` (`effaudit.estimate.algorithms`). `pattern` is there where a
    profile that was measured kernel by kernel needs it (`effaudit.estimate.pattern`)."""

    index: int
    node: str
    op: str
    op_class: OpClass
    dtype: str
    macs: Quantity
    ops: Quantity
    weight_bytes: Quantity
    read_bytes: Quantity
    write_bytes: Quantity
    outputs: Quantity
    channels: tuple[int | None, int | None] = (None, None)
    why: str = ""
    saving: float = 1.0
    pattern: Pattern | None = None

    @property
    def exact(self) -> bool:
        """True where every figure is a number."""
        figures = (self.macs, self.ops, self.weight_bytes, self.read_bytes, self.write_bytes, self.outputs)
        return all(figure.value is not None for figure in figures)

    def stored_as(self, dtype: str, bits: int, before: int) -> Kernel:
        """The kernel in another element type, its bytes scaled from the bits that an element had `before`."""
        if not bits or not before or bits == before:
            return msgspec.structs.replace(self, dtype=dtype)
        names = ("weight_bytes", "read_bytes", "write_bytes")
        scaled = {name: _times(getattr(self, name), bits, before) for name in names}
        return msgspec.structs.replace(self, dtype=dtype, **scaled)

    @property
    def least(self) -> Kernel:
        """The kernel at its smallest figures."""
        names = ("macs", "ops", "weight_bytes", "read_bytes", "write_bytes", "outputs")
        return msgspec.structs.replace(self, **{n: Quantity(getattr(self, n).low, getattr(self, n).low) for n in names})

    @property
    def moved(self) -> Quantity:
        """All bytes read and written."""
        parts = (self.weight_bytes, self.read_bytes, self.write_bytes)
        high = None if any(p.high is None for p in parts) else sum(p.high for p in parts if p.high is not None)
        return Quantity(sum(p.low for p in parts), high, next((p.why for p in parts if p.why), ""))


def _times(size: Quantity, bits: int, before: int) -> Quantity:
    high = None if size.high is None else -(-size.high * bits // before)
    return Quantity(-(-size.low * bits // before), high, size.why)


class Seconds(msgspec.Struct, frozen=True):
    """A time or an energy: the estimate, and bounds. `value` is None where no efficiency is known; then `low` is what
    the peaks of the device allow at best. `high` is None where nothing bounds it. `basis` says where they come from."""

    value: float | None
    low: float
    high: float | None
    basis: str


class Timed(msgspec.Struct, frozen=True):
    """A kernel on an engine, in seconds. `compute_s`, `memory_s` and `overhead_s` are None where the profile does not
    tell. `memory` names the one that bounds `memory_s`. `limiter` is what decides `seconds`; "absorbed": the kernel has
    no rate and no bandwidth of its own, its time is in the rates of the others, which were fitted to whole networks."""

    kernel: Kernel
    engine: str
    compute_s: float | None
    memory_s: float | None
    overhead_s: float | None
    seconds: float | None
    limiter: Limiter
    memory: str = ""


class Latency(msgspec.Struct, frozen=True):
    """One inference: the kernels, what is beside them, and the total with its bounds."""

    total: Seconds
    per_inference_s: float
    transfer_s: float
    kernels: tuple[Timed, ...]
    notes: tuple[str, ...] = ()
