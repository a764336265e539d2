"""A small network under construction: nodes, tensors with their shapes, weights drawn by chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod, sqrt
from typing import TYPE_CHECKING, Any, Final

import msgspec

from effaudit.graph import FLOAT, INT64, Constant, Encoding, Graph, Node, Source, Value

if TYPE_CHECKING:
    import numpy as np

OPSETS: Final = {"": 20, "com.microsoft": 1}
IR_VERSION: Final = 9


class Tensor(msgspec.Struct, frozen=True):
    """A tensor of a network under construction."""

    name: str
    shape: tuple[int, ...]
    encoding: Encoding = FLOAT


class Net:
    """Collects a graph; `graph()` is what was collected. Every shape is fixed; weights are drawn when they are read,
    each from a seed of its own, so that a network is the same every time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._nodes: list[Node] = []
        self._constants: dict[str, Constant] = {}
        self._inputs: dict[str, Value] = {}
        self._outputs: dict[str, Value] = {}

    def input(self, *shape: int, encoding: Encoding = FLOAT) -> Tensor:
        """An input of the network."""
        name = f"input_{len(self._inputs)}"
        self._inputs[name] = Value(encoding, shape)
        return Tensor(name, shape, encoding)

    def output(self, *tensors: Tensor) -> None:
        """Makes tensors outputs of the network."""
        for tensor in tensors:
            self._outputs[tensor.name] = Value(tensor.encoding, tensor.shape)

    def node(
        self,
        op: str,
        inputs: Sequence[Tensor | str],
        shape: Sequence[int],
        *,
        encoding: Encoding = FLOAT,
        domain: str = "",
        **attrs: Any,
    ) -> Tensor:
        """A node with one output of a shape."""
        return self.nodes(op, inputs, [shape], encoding=encoding, domain=domain, **attrs)[0]

    def nodes(
        self,
        op: str,
        inputs: Sequence[Tensor | str],
        shapes: Sequence[Sequence[int]],
        *,
        encoding: Encoding = FLOAT,
        domain: str = "",
        **attrs: Any,
    ) -> list[Tensor]:
        """A node with an output of each shape."""
        label = f"{op}_{len(self._nodes)}"
        made = [Tensor(f"{label}_out{i}", tuple(shape), encoding) for i, shape in enumerate(shapes)]
        names = tuple(one if isinstance(one, str) else one.name for one in inputs)
        self._nodes.append(Node(label, domain, op, names, tuple(one.name for one in made), attrs))
        return made

    def weight(self, *shape: int, scale: float | None = None, shift: float = 0.0) -> Tensor:
        """Normal weights, of a size that keeps what passes through them as large as it was."""
        spread = 1.0 / sqrt(max(prod(shape[1:]), 1)) if scale is None else scale
        seed = len(self._constants)

        def read() -> np.ndarray:
            import numpy as np

            draw = np.random.default_rng(seed)
            return (draw.standard_normal(shape, np.float32) * np.float32(spread) + np.float32(shift)).astype(np.float32)

        return self._constant(shape, FLOAT, read)

    def integers(self, encoding: Encoding, low: int, high: int, *shape: int) -> Tensor:
        """Whole weights from `low` to `high`."""
        seed = len(self._constants)

        def read() -> np.ndarray:
            import numpy as np

            return np.random.default_rng(seed).integers(low, high, shape, endpoint=True).astype(encoding.dtype)

        return self._constant(shape, encoding, read)

    def numbers(self, values: Sequence[float], encoding: Encoding = INT64, *, scalar: bool = False) -> Tensor:
        """A constant of given elements: a vector, or a `scalar`."""

        def read() -> np.ndarray:
            import numpy as np

            made = np.array(values, encoding.dtype)
            return made.reshape(()) if scalar else made

        return self._constant(() if scalar else (len(values),), encoding, read)

    def _constant(self, shape: tuple[int, ...], encoding: Encoding, read: Callable[[], Any]) -> Tensor:
        name = f"weight_{len(self._constants)}"
        size = encoding.nbytes(prod(shape))
        assert isinstance(size, int)
        self._constants[name] = Constant(name, encoding, shape, "initializer", prod(shape), size, read=read)
        return Tensor(name, shape, encoding)

    def graph(self) -> Graph:
        """The graph, as one that was read from a file."""
        return Graph(
            name=self.name,
            nodes=tuple(self._nodes),
            inputs=tuple(self._inputs),
            outputs=tuple(self._outputs),
            constants=dict(self._constants),
            declared={**self._inputs, **self._outputs},
            opsets=OPSETS,
            source=Source("", ir_version=IR_VERSION),
        )
