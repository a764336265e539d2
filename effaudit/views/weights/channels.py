"""What is told of a weight channel by channel, while its parts come in order."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Final

from effaudit.views.weights.layout import Layout
from effaudit.views.weights.slabs import GROUP
from effaudit.views.weights.types import Channels

if TYPE_CHECKING:
    import numpy as np

MAX_CHANNELS: Final = 1 << 20  # a few numbers are held per channel
_TOO_LONG: Final = "its rows are too long to tell 2:4 sparsity"
_HALF: Final = GROUP // 2


class ChannelFigures:
    """Adds up parts of a tensor laid out in `layout`; `floats` False: `spread` is not told."""

    def __init__(self, layout: Layout, floats: bool) -> None:
        import numpy as np

        self.layout = layout
        self.floats = floats
        rank = range(len(layout.dims))
        self.beside_outputs = tuple(i for i in rank if i not in layout.outputs)
        self.beside_inputs = tuple(i for i in rank if i not in layout.inputs)
        outputs = [dim if i in layout.outputs else 1 for i, dim in enumerate(layout.dims)]
        inputs = [dim if i in layout.inputs else 1 for i, dim in enumerate(layout.dims)]
        self.low = np.full(outputs, np.inf)
        self.high = np.full(outputs, -np.inf)
        self.output_lives = np.zeros(outputs, bool)
        self.input_lives = np.zeros(inputs, bool)
        self.odd = np.zeros(outputs, bool)  # output channels with an element that is not finite
        self.grouped = layout.dims[layout.summed] % GROUP == 0
        self.two_four: bool | None = self.grouped

    def add(self, origin: tuple[int, ...], part: np.ndarray, nonzero: np.ndarray | None) -> None:
        """One part; `nonzero` marks what does not stand for zero, None where that is not known."""
        import numpy as np

        outputs = self._where(origin, part.shape, self.layout.outputs)
        if self.floats and not np.isfinite(part).all():
            self.odd[outputs] |= ~np.isfinite(part).all(axis=self.beside_outputs, keepdims=True)
            part = np.where(np.isfinite(part), part, 0)
        low = part.min(axis=self.beside_outputs, keepdims=True)
        high = part.max(axis=self.beside_outputs, keepdims=True)
        self.low[outputs] = np.minimum(self.low[outputs], low)
        self.high[outputs] = np.maximum(self.high[outputs], high)
        if nonzero is None:
            return
        self.output_lives[outputs] |= nonzero.any(axis=self.beside_outputs, keepdims=True)
        inputs = self._where(origin, part.shape, self.layout.inputs)
        self.input_lives[inputs] |= nonzero.any(axis=self.beside_inputs, keepdims=True)
        if self.two_four:
            self.two_four = self._is_two_four(nonzero)

    def _where(self, origin: tuple[int, ...], shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[slice, ...]:
        """Where the channels of a part lie among all."""
        ends = enumerate(zip(origin, shape, strict=True))
        return tuple(slice(o, o + n) if i in dims else slice(0, 1) for i, (o, n) in ends)

    def _is_two_four(self, nonzero: np.ndarray) -> bool | None:
        """https://arxiv.org/abs/2104.08378, section 3: at most 2 of 4 neighbours along the summed axis are nonzero."""
        import numpy as np

        axis = self.layout.summed
        shape = nonzero.shape
        if shape[axis] % GROUP:
            return None
        groups = nonzero.reshape((*shape[:axis], shape[axis] // GROUP, GROUP, *shape[axis + 1 :]))
        return bool((np.count_nonzero(groups, axis=axis + 1) <= _HALF).all())

    def channels(self, reader: str, zeros: int | None, zeros_why: str | None) -> Channels:
        """The figures, once every part was added."""
        import numpy as np

        dims = self.layout.dims
        dead = ~self.output_lives if zeros is not None else np.zeros_like(self.output_lives)
        two_four, why = self.two_four, zeros_why
        if zeros is None:
            two_four = None
        elif two_four is None and zeros * GROUP < prod(dims) * (GROUP - _HALF):
            two_four = False  # too few zeros, wherever they lie
        elif two_four is None:
            why = _TOO_LONG
        several = prod(dims) > self.low.size
        same = (self.low == self.high) & ~dead & ~self.odd
        return Channels(
            reader=reader,
            outputs=int(self.low.size),
            dead_outputs=None if zeros is None else int(np.count_nonzero(dead)),
            constant_outputs=int(np.count_nonzero(same)) if several else 0,
            spread=self._spread(dead),
            inputs=int(self.input_lives.size),
            dead_inputs=None if zeros is None else int(np.count_nonzero(~self.input_lives)),
            two_four=two_four,
            why=why,
        )

    def _spread(self, dead: np.ndarray) -> float | None:
        import numpy as np

        if not self.floats or self.odd.any():
            return None
        largest = np.maximum(np.abs(self.low), np.abs(self.high))[~dead]
        if not largest.size:
            return None
        return float(largest.max() / np.median(largest))


def too_many(layout: Layout) -> bool:
    """True where the channels of a layout are too many to hold figures of each."""
    return any(prod(layout.dims[i] for i in dims) > MAX_CHANNELS for dims in (layout.outputs, layout.inputs))
