"""One tensor, read in bounded parts: its figures, its channels and its digests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from effaudit.errors import LoadError
from effaudit.graph import Constant
from effaudit.views.weights.channels import ChannelFigures, too_many
from effaudit.views.weights.digests import Content, Turned
from effaudit.views.weights.figures import Figures
from effaudit.views.weights.layout import Layout, layout, plain
from effaudit.views.weights.slabs import slabs
from effaudit.views.weights.types import Channels, Values
from effaudit.views.weights.uses import Use
from effaudit.views.weights.zeros import Zero, zero_of

if TYPE_CHECKING:
    import numpy as np


class Wanted(msgspec.Struct, frozen=True):
    """Which digests of a tensor some other tensor could share."""

    content: bool
    turned: bool


READ: Final = "read"
REFUSED: Final = "refused"  # not opened: out of reach, or too much work
CODES: Final = "codes"  # sound, but not numbers with an order: packed or complex
DAMAGED: Final = "damaged"  # in reach, and could not be read


class Measured(msgspec.Struct, frozen=True):
    """What was read of one tensor; `missing` says why it has no figures where `state` is not READ. The digests are
    empty where none were wanted."""

    state: str
    values: Values | None
    missing: str
    channels: Channels | None
    channels_why: str
    content: bytes = b""
    straight: tuple[int, ...] = ()
    turned: tuple[int, ...] = ()


def measure(constant: Constant, use: Use | None, packed: int, wanted: Wanted) -> Measured:
    """The figures of one constant as `use` reads it; `packed`: how many elements one stored byte holds."""
    try:
        if packed > 1:
            content = _content(constant) if wanted.content else b""
            why = f"it holds packed codes, {packed} to a byte"
            return Measured(CODES, None, why, None, why, content)
        if constant.encoding.dtype.startswith("complex"):
            content = _content(constant) if wanted.content else b""
            return Measured(CODES, None, "it holds complex numbers", None, "it holds complex numbers", content)
        return _measure(constant, use, wanted)
    except LoadError as error:
        return Measured(DAMAGED, None, str(error), None, "its values could not be read")


def _content(constant: Constant) -> bytes:
    content = Content()
    for _, part in slabs(constant, (constant.numel,)):
        content.add(part)
    return content.digest


def _measure(constant: Constant, use: Use | None, wanted: Wanted) -> Measured:
    found = _layout(constant, use)
    shape = found if isinstance(found, Layout) else plain(constant.shape)
    zero = zero_of(constant, use, shape)
    zeros_why = zero if isinstance(zero, str) else None
    figures = Figures(constant.encoding)
    channels = ChannelFigures(shape, figures.float) if isinstance(found, Layout) else None
    content = Content() if wanted.content else None
    turned = Turned(constant.shape[1]) if wanted.turned else None
    for origin, part in slabs(constant, shape.dims):
        nonzero = _nonzero(part, origin, zero)
        figures.add(part, nonzero)
        for digest in (content, turned):
            if digest is not None:
                digest.add(part)
        if channels is not None:
            channels.add(origin, part, nonzero)
    outliers = 0
    if figures.may_have_outliers:
        outliers = sum(figures.outliers(part) for _, part in slabs(constant, shape.dims))
    values = figures.values(constant.numel, zeros_why, outliers)
    made = None
    if channels is not None and use is not None:
        made = channels.channels(use.node.label, values.zeros, zeros_why)
    straight, other = turned.digests if turned is not None else ((), ())
    why = found if isinstance(found, str) else ""
    return Measured(READ, values, "", made, why, content.digest if content is not None else b"", straight, other)


def _layout(constant: Constant, use: Use | None) -> Layout | str:
    """The layout channels can be told under, or why there is none."""
    if use is None:
        return "no node that runs reads it directly"
    if not constant.numel:
        return "it has no elements"
    found = layout(use)
    if isinstance(found, Layout) and too_many(found):
        return "it has too many channels to hold figures of each"
    return found


def _nonzero(part: np.ndarray, origin: tuple[int, ...], zero: Zero | str | None) -> np.ndarray | None:
    """What does not stand for zero; None where that is not known."""
    if isinstance(zero, str):
        return None
    found: np.ndarray = part != (zero.at(origin, part.shape) if zero is not None else 0)
    return found
