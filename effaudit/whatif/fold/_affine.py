"""Scales and shifts per channel, and what becomes of weights and biases that take them in. All in float64."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Final

import msgspec

from effaudit.graph import Constant, Encoding
from effaudit.load.values import values

if TYPE_CHECKING:
    import numpy as np

SLAB: Final = 1 << 20  # elements that are held in float64 at a time
NORM: Final = "BatchNormalization"


class Stage(msgspec.Struct, frozen=True):
    """A node that scales and shifts channels by constants: y = scale * x + shift."""

    op: str
    constants: tuple[Constant, ...]
    epsilon: float = 0.0

    def affine(self, channels: int) -> tuple[np.ndarray, np.ndarray]:
        """(scale, shift), one of each per channel.

        https://onnx.ai/onnx/operators/onnx__BatchNormalization.html
        """
        import numpy as np

        read = [values(constant).astype(np.float64).reshape(-1) for constant in self.constants]
        with np.errstate(all="ignore"):
            if self.op == NORM:
                gamma, beta, mean, variance = read
                scale = gamma / np.sqrt(variance + self.epsilon)
                shift = beta - mean * scale
            else:
                one, none = np.ones(channels), np.zeros(channels)
                scale = {"Mul": read[0], "Div": 1 / read[0]}.get(self.op, one)
                shift = {"Add": read[0], "Sub": -read[0]}.get(self.op, none)
        return np.broadcast_to(scale, (channels,)), np.broadcast_to(shift, (channels,))


def composed(stages: Sequence[Stage], channels: int) -> tuple[np.ndarray, np.ndarray]:
    """(scale, shift) of stages that follow each other."""
    import numpy as np

    scale, shift = np.ones(channels), np.zeros(channels)
    for stage in stages:
        a, b = stage.affine(channels)
        scale, shift = scale * a, shift * a + b
    return scale, shift


class Weight(msgspec.Struct, frozen=True):
    """The weight of a product, and along which of its elements the channels lie.

    `op` is Conv (weight M x C/groups x ...), ConvTranspose (C x M/groups x ...), Gemm (K x N, or N x K where
    `transposed`) or MatMul (... x K x N).
    """

    constant: Constant
    op: str
    groups: int = 1
    transposed: bool = False

    @property
    def outputs(self) -> int:
        """Channels that the product makes."""
        shape = self.constant.shape
        if self.op == "Conv":
            return shape[0]
        if self.op == "ConvTranspose":
            return shape[1] * self.groups
        return shape[0] if self.transposed else shape[-1]

    @property
    def inputs(self) -> int:
        """Channels that the product reads."""
        shape = self.constant.shape
        if self.op == "Conv":
            return shape[1] * self.groups
        if self.op == "ConvTranspose":
            return shape[0]
        return shape[1] if self.transposed else shape[-2]

    def over_outputs(self, factors: np.ndarray) -> np.ndarray:
        """One number per channel made, in a shape that spreads over the weight."""
        import numpy as np

        shape = self.constant.shape
        kernel = (1,) * (len(shape) - 2)
        if self.op == "Conv":
            return factors.reshape(-1, 1, *kernel)
        if self.op == "ConvTranspose":
            rows = np.repeat(factors.reshape(self.groups, -1), shape[0] // self.groups, axis=0)
            return rows.reshape(*shape[:2], *kernel)
        return factors.reshape(-1, 1) if self.transposed else factors.reshape(1, -1)

    def over_inputs(self, factors: np.ndarray) -> np.ndarray:
        """One number per channel read, in a shape that spreads over the weight of a Conv or of a matrix product."""
        import numpy as np

        shape = self.constant.shape
        if self.op == "Conv":
            rows = np.repeat(factors.reshape(self.groups, -1), shape[0] // self.groups, axis=0)
            return rows.reshape(*shape[:2], *(1,) * (len(shape) - 2))
        return factors.reshape(1, -1) if self.transposed else factors.reshape(-1, 1)

    def read_per_output(self, weight: np.ndarray) -> np.ndarray:
        """The sum of a weight's elements over all that one channel of a Conv or of a matrix product reads."""
        axes = tuple(range(1, weight.ndim)) if self.op == "Conv" else (1,) if self.transposed else (0,)
        made: np.ndarray = weight.sum(axis=axes)
        return made


def times(weight: np.ndarray, factors: np.ndarray, encoding: Encoding) -> np.ndarray:
    """A weight times factors that spread over it, computed in float64 slab by slab, as its encoding holds it."""
    import numpy as np

    made = np.empty_like(weight)
    rows = max(1, SLAB // max(prod(weight.shape[1:]), 1))
    with np.errstate(all="ignore"):
        for at in range(0, weight.shape[0], rows):
            part = slice(at, at + rows)
            factor = factors[part] if factors.ndim == weight.ndim and factors.shape[0] > 1 else factors
            made[part] = as_stored(weight[part].astype(np.float64) * factor, encoding)
    return made


def as_stored(numbers: np.ndarray, encoding: Encoding) -> np.ndarray:
    """float64 numbers rounded to an encoding, in the type that `load.values.values` gives for it."""
    import numpy as np

    with np.errstate(all="ignore"):
        if encoding.dtype != "bfloat16":
            return numbers.astype(encoding.dtype)
        bits = numbers.astype(np.float32).view(np.uint32)
        even = (bits >> np.uint32(16)) & np.uint32(1)
        rounded = (bits + np.uint32(0x7FFF) + even) & np.uint32(0xFFFF0000)
        return rounded.view(np.float32)
