"""Energy by a table of operations and accesses: for comparisons of models, never an absolute figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from effaudit.device.contiguous import total_size
from effaudit.device.dtypes import BITS, LIKE
from effaudit.device.types import Energy, Fact, Memory
from effaudit.energy import horowitz
from effaudit.energy.types import PICO, Joules
from effaudit.estimate.memories import Share
from effaudit.estimate.types import Kernel
from effaudit.printable import printable
from effaudit.quantity import Quantity

PRODUCTS: Final = "multiply-accumulates"
OTHERS: Final = "other operations"
WIDER: Final = "operations as a wider type"
WEIGHTS: Final = "weights"
ACTIVATIONS: Final = "activations"
AGAIN: Final = "weights again for every multiply-accumulate"
PARTS: Final = (PRODUCTS, OTHERS, WIDER, WEIGHTS, ACTIVATIONS, AGAIN)
ARRAYS: Final = ("ram", "scratchpad", "cache")  # kinds of memories that are arrays of SRAM


class Price(msgspec.Struct, frozen=True):
    """Picojoules of one operation, or of one byte, with bounds; `why` says what is missing where it is not known.
    `wider` names the type whose price it is, which bounds it from above alone."""

    value: float = 0.0
    low: float = 0.0
    high: float = 0.0
    why: str = ""
    wider: str = ""


class _Sum:
    """What a part adds up to, in picojoules. `why`: what it lacks; `bounded`: whether `high` is an upper bound."""

    def __init__(self) -> None:
        self.value = self.low = self.high = 0.0
        self.why = ""
        self.bounded = True

    def add(self, count: Quantity, price: Price) -> None:
        if count.high == 0:
            return
        self.why = self.why or price.why
        self.bounded = self.bounded and count.high is not None
        self.value += count.low * price.value
        self.low += count.low * price.low
        self.high += (count.low if count.high is None else count.high) * price.high


def of_operations(
    profile: Energy | None, kernels: Sequence[Kernel], weights: Sequence[Share], activations: Memory | None
) -> Joules:
    """Operations and accesses by a table of energies.

    `low`: every weight is read once (it stays where it is used). `high`: every multiply-accumulate reads its weight
    again from the memory it lies in. The value is that of the first. None where the energy of a part is not known:
    `why` says of which, `low` is that of the others, and `parts` has those that are known. Other operations of a type
    whose energy is not known are named in `how`, and nothing bounds the energy from above then.
    """
    sums = {name: _Sum() for name in PARTS}
    stored, moved = _weights(weights), _access(activations, ACTIVATIONS)
    wider: dict[str, str] = {}
    unpriced: dict[str, None] = {}
    for kernel in kernels:
        sums[PRODUCTS].add(kernel.macs, _product(profile, kernel.dtype))
        other = _other(profile, kernel.dtype)
        if kernel.ops.high != 0 and other.why:
            unpriced[kernel.dtype] = None
        elif kernel.ops.high != 0 and other.wider:
            wider[kernel.dtype] = other.wider
        if not other.why:
            sums[WIDER if other.wider else OTHERS].add(kernel.ops, other)
        sums[WEIGHTS].add(kernel.weight_bytes, stored)
        for size in (kernel.read_bytes, kernel.write_bytes):
            sums[ACTIVATIONS].add(size, moved)
        sums[AGAIN].add(_read_again(kernel), stored)
    return _joined(sums, _how(profile, wider, unpriced), bounded=not unpriced)


def _read_again(kernel: Kernel) -> Quantity:
    """Bytes of weights that are read beyond the first time, where every multiply-accumulate reads its own."""
    bits, macs = BITS.get(kernel.dtype), kernel.macs.high
    if macs == 0 or kernel.weight_bytes.high == 0:
        return Quantity(0, 0)
    return Quantity(0, None if not bits or macs is None else max(-(-macs * bits // 8) - kernel.weight_bytes.low, 0))


def _joined(sums: dict[str, _Sum], how: str, *, bounded: bool) -> Joules:
    why = "; ".join(dict.fromkeys(one.why for one in sums.values() if one.why))
    low = sum(one.low for one in sums.values()) * PICO
    parts = {
        name: (one.high if name == AGAIN else one.value) * PICO
        for name, one in sums.items()
        if not one.why and (one.bounded if name == AGAIN else one.value or name != WIDER)
    }
    if why:
        return Joules("operations", None, low, None, how, why, parts)
    value = sum(one.value for name, one in sums.items() if name != AGAIN) * PICO
    high = sum(one.high for one in sums.values()) * PICO
    bounded = bounded and all(one.bounded for one in sums.values())
    return Joules("operations", value, low, high if bounded else None, how, "", parts)


def _how(profile: Energy | None, wider: Mapping[str, str], unpriced: Iterable[str]) -> str:
    how = "Horowitz 2014, 45 nm; " if profile is None or not profile.mac_pj else "energies of the profile; "
    if wider:
        how += f"operations of {', '.join(f'{dtype} as {other}' for dtype, other in wider.items())}, at the most; "
    if missing := ", ".join(map(_said, unpriced)):
        how += f"without operations of {missing}, whose energy is not known; "
    return how + "operations and accesses, each weight read once (high: again for every MAC); for comparisons only"


def _product(profile: Energy | None, dtype: str) -> Price:
    own = None if profile is None else of_dtype(profile.mac_pj, dtype)
    if own is not None and own.value is not None:
        return _stated(own)
    pj = horowitz.mac_pj(dtype)
    return Price(why=f"no energy of a MAC of {_said(dtype)} is known") if pj is None else Price(pj, pj, pj)


def _other(profile: Energy | None, dtype: str) -> Price:
    """That of an addition: the profile's own, the table's, or at the most that of the next wider type of the table."""
    own = None if profile is None else of_dtype(profile.op_pj, dtype)
    if own is not None and own.value is not None:
        return _stated(own)
    pj, wider = horowitz.add_pj(dtype), horowitz.WIDER.get(dtype, "")
    if pj is not None:
        return Price(pj, pj, pj)
    if wider:
        return Price(horowitz.ADD_PJ[wider], 0.0, horowitz.ADD_PJ[wider], wider=wider)
    return Price(why=f"no energy of an operation of {_said(dtype)} is known")


def _weights(shares: Sequence[Share]) -> Price:
    """Of a byte of the weights, wherever they lie."""
    if not shares:
        return Price(why="the profile names no memory of the weights")
    value = low = high = 0.0
    for share in shares:
        one = _access(share.memory, WEIGHTS)
        if one.why:
            return one
        value += share.fraction * one.value
        low += share.fraction * one.low
        high += share.fraction * one.high
    return Price(value, low, high)


def _access(memory: Memory | None, what: str) -> Price:
    """Of a byte that is read: the profile's own, else that of an SRAM of its size, or of DRAM. Neither is known of
    flash, nor of a link."""
    if memory is None:
        return Price(why=f"the profile names no memory of the {what}")
    own = memory.read_energy_pj_per_byte
    if own is not None and own.value is not None:
        return _stated(own)
    if memory.kind == "dram":
        low, high = horowitz.dram_pj_per_byte()
        return Price(low, low, high)
    name = printable(memory.name, 40)
    if memory.kind not in ARRAYS:
        return Price(why=f"no energy of a byte of {name} is known; read_energy_pj_per_byte states it")
    size = total_size(memory)
    if size is None:
        return Price(why=f"the size of {name} is not known, and so the energy of its bytes; size_bytes states it")
    pj = horowitz.sram_pj_per_byte(size)
    return Price(pj, pj, pj)


def _stated(fact: Fact) -> Price:
    value = float(fact.value or 0)
    return Price(value, float(fact.least), float(value if fact.most is None else fact.most))


def of_dtype(table: dict[str, Fact], dtype: str) -> Fact | None:
    """The number of an element type, or of the one whose kernels it shares."""
    return table.get(dtype) or table.get(LIKE.get(dtype, ""))


def _said(dtype: str) -> str:
    return printable(dtype, 24) or "an unknown type"
