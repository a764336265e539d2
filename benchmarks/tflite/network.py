"""A quantized network as a .tflite file holds it: NHWC, relus fused, int8 between the operators.

Nothing here needs a package: the process that reads ONNX and the one that runs TensorFlow Lite Micro share it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

INT8, INT32, FLOAT32 = "int8", "int32", "float32"
BYTES = {INT8: 1, INT32: 4, FLOAT32: 4}


@dataclass(frozen=True)
class Tensor:
    """`data` is None for an activation, else little-endian bytes. One scale per tensor, or one per index of `axis`;
    no scales: not quantized."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: tuple[float, ...] = ()
    zero: int = 0
    axis: int = 0
    data: bytes | None = None

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * BYTES[self.dtype]


@dataclass(frozen=True)
class Operator:
    """`kind` is the builtin operator (CONV_2D); `options` are the fields of its options, by their names in the schema's
    object API. Tensors are named."""

    kind: str
    inputs: tuple[str, ...]
    output: str
    options: dict[str, int | float | bool | list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """Operators in the order they run, tensors in the order of the file. `metadata` is by name, as bytes."""

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    metadata: dict[str, bytes] = field(default_factory=dict)

    def tensor(self, name: str) -> Tensor:
        return next(t for t in self.tensors if t.name == name)

    def activations(self) -> tuple[Tensor, ...]:
        """What the arena holds, in the order of the file."""
        return tuple(t for t in self.tensors if t.data is None)
