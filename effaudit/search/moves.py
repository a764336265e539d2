"""The changes that a search for one that fits goes through, each a scale from nothing to the most that is tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from effaudit.audited import Audited
from effaudit.device.peaks import peak_of
from effaudit.device.types import Device
from effaudit.graph import Value
from effaudit.lower._rewrite import FLOATING
from effaudit.weights import PARAM
from effaudit.whatif import parse
from effaudit.whatif.constants import holds_weights
from effaudit.whatif.types import Step

CHANNELS: Final = (10, 20, 30, 40, 50, 60, 70, 80, 90)  # per cent of the channels of every group
SCALES: Final = ((7, 8), (3, 4), (5, 8), (1, 2), (3, 8), (1, 4))  # of the height and width of an image
SMALLEST: Final = 32  # pixels: below this, networks made for images have nothing left to look at
STEP: Final = 8  # pixels: sizes in between leave a remainder at every stride
PLANES: Final = frozenset((1, 2, 3, 4))  # channels of an image


def quantized(audited: Audited, device: Device) -> tuple[tuple[Step, ...], ...]:
    """As it is; then in the element types that the device computes in, of a floating model. Batch norms are folded
    first: integer kernels have none."""
    found: list[tuple[Step, ...]] = [()]
    norms = any(node.op == "BatchNormalization" for node in audited.raw.nodes)
    first = (parse("fold", "bn"),) if norms else ()
    if any(t.constant.encoding.dtype in ("float32", "float64") for t in audited.weights.of(PARAM)):
        for dtype, spec in (("float16", "fp16"), ("int8", "int8")):
            if any(peak_of(engine, dtype) is not None for engine in device.engines):
                found.append((*first, parse("quantize", spec)))
    return tuple(found)


def thinned(audited: Audited, percent: int) -> tuple[Step, ...]:
    """So many per cent of the channels less in every group that may change: the least by their weights, where the model
    has them."""
    if not percent:
        return ()
    held = holds_weights(t.constant for t in audited.weights.of(PARAM))
    return (parse("prune", f"channels={percent}%{'' if held else ',criterion=first'}"),)


def shrunk(audited: Audited) -> tuple[tuple[Step, ...], ...]:
    """Nothing; then smaller and smaller images, where the only input is one."""
    return ((), *_shrunk(audited))


def _shrunk(audited: Audited) -> Iterator[tuple[Step, ...]]:
    if len(audited.raw.inputs) != 1:
        return
    name = audited.raw.inputs[0]
    shape = image(audited.graph.values[name])
    if shape is None:
        return
    first = 2 if shape[1] in PLANES else 1  # of height and width
    last: tuple[int, int] = (shape[first], shape[first + 1])
    for above, below in SCALES:
        height, width = (side * above // below // STEP * STEP for side in shape[first : first + 2])
        if min(height, width) < SMALLEST or (height, width) == last:
            continue
        last = (height, width)
        sizes = (*shape[:first], height, width, *shape[first + 2 :])
        yield (parse("bind", f"{name}={'x'.join(map(str, sizes))}"),)


def image(value: Value) -> Sequence[int] | None:
    """The shape of a batch of images, channels first or last; None of anything else."""
    shape = value.shape
    if shape is None or len(shape) != 4 or not all(isinstance(dim, int) for dim in shape):
        return None
    sizes = [int(dim) for dim in shape]  # type: ignore[arg-type]
    if value.encoding.dtype not in FLOATING | {"uint8", "int8"} or not {sizes[1], sizes[3]} & PLANES:
        return None
    return sizes
