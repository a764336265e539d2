"""Which channels of a tensor are one number whatever is fed: what filters of zeros leave, through biases, norms and
activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Final

from effaudit.audited import Audited
from effaudit.axes.couple import Coupling
from effaudit.axes.terms import Axes, indices, leaves
from effaudit.graph import Constant, Node
from effaudit.whatif.constants import elements, tensor

if TYPE_CHECKING:
    import numpy as np

WHAT: Final = "pruning dead channels"
_UNARY: Final = frozenset(
    "Relu LeakyRelu Sigmoid Tanh HardSigmoid HardSwish Clip Elu Neg Abs Softplus Identity".split()
)
_BINARY: Final = frozenset("Add Sub Mul".split())
_POOLS: Final = frozenset("MaxPool GlobalMaxPool GlobalAveragePool AveragePool".split())
_REGROUPS: Final = frozenset("Reshape Flatten Squeeze Unsqueeze".split())


class Constancy:
    """For every tensor and axis, the number each position holds; NaN where it is not one number.

    Reads weights: raises UsageError where there are none.
    """

    def __init__(self, audited: Audited, found: Coupling) -> None:
        self.audited = audited
        self.found = found
        self.makers = {name: node for node in audited.raw.nodes for name in node.outputs if name}
        self.known: dict[str, dict[int, np.ndarray]] = {}
        self._read: dict[str, np.ndarray | None] = {}
        for node in audited.raw.nodes:
            if not node.domain and node.outputs and node.outputs[0] in found.axes:
                self._node(node)

    def constant(self, name: str) -> np.ndarray | None:
        """The elements of a constant; None for what is none."""
        if name not in self._read:
            held: Constant | None = tensor(self.audited.raw, name, self.makers)
            self._read[name] = None if held is None else elements(held, WHAT)
        return self._read[name]

    def at(self, name: str, axis: int, size: int) -> np.ndarray:
        """The number at every position of an axis of a tensor."""
        import numpy as np

        held = self.constant(name) if name not in self.audited.flow.varying else None
        if held is not None:
            return _uniform(held, axis)
        found = self.known.get(name, {}).get(axis)
        return np.full(size, np.nan) if found is None else found

    def _axes(self, name: str) -> Axes:
        return self.found.axes.get(name, ())

    def _node(self, node: Node) -> None:
        if node.outputs[0] not in self.audited.flow.varying:
            return
        found: dict[int, np.ndarray] = {}
        if node.op == "Conv":
            found = self._conv(node)
        elif node.op in ("Gemm", "MatMul"):
            found = self._product(node)
        elif node.op == "BatchNormalization":
            found = self._norm(node)
        elif node.op in _UNARY or node.op in _BINARY:
            found = self._elementwise(node)
        elif node.op in _POOLS:
            found = self._pool(node)
        elif node.op in _REGROUPS or node.op in ("Transpose", "Concat"):
            found = self._moved(node)
        self.known[node.outputs[0]] = found

    # ---- products
    def _conv(self, node: Node) -> dict[int, np.ndarray]:
        import numpy as np

        weight = self.constant(node.inputs[1])
        x = self._axes(node.inputs[0])
        if weight is None or len(x) < 2:
            return {}
        groups = node.attrs.get("group", 1)
        each, held = weight.shape[0] // groups, self.at(node.inputs[0], 1, x[1].size)
        inside = held.reshape(groups, -1).repeat(each, axis=0)  # [out, in / groups]
        sums = weight.reshape(*weight.shape[:2], -1).astype(np.float64)
        return {1: self._plus_bias(node, _summed(sums, inside, padded=pads(node)))}

    def _product(self, node: Node) -> dict[int, np.ndarray]:
        import numpy as np

        weight = self.constant(node.inputs[1])
        x, y = self._axes(node.inputs[0]), self._axes(node.outputs[0])
        if weight is None or weight.ndim != 2 or node.attrs.get("transA") or not x:
            return {}
        matrix = (weight if node.attrs.get("transB") else weight.T).astype(np.float64)  # [out, in]
        held = self.at(node.inputs[0], len(x) - 1, x[-1].size)
        inside = np.broadcast_to(held, matrix.shape)
        found = node.attrs.get("alpha", 1.0) * _summed(matrix[:, :, None], inside, padded=False)
        return {len(y) - 1: self._plus_bias(node, found)}

    def _plus_bias(self, node: Node, values: np.ndarray) -> np.ndarray:
        import numpy as np

        if len(node.inputs) < 3 or not node.inputs[2]:
            return values
        bias = self.constant(node.inputs[2])
        if bias is None:
            return np.full(values.shape, np.nan)
        added: np.ndarray = values + np.broadcast_to(_uniform(bias, bias.ndim - 1), values.shape) * node.attrs.get(
            "beta", 1.0
        )
        return added

    # ---- what keeps channels apart
    def _norm(self, node: Node) -> dict[int, np.ndarray]:
        import numpy as np

        parts = [self.constant(name) for name in node.inputs[1:5]]
        x = self._axes(node.inputs[0])
        if any(part is None for part in parts) or node.attrs.get("training_mode") or len(x) < 2:
            return {}
        gamma, beta, mean, var = (part.astype(np.float64) for part in parts if part is not None)
        factor = gamma / np.sqrt(var + node.attrs.get("epsilon", 1e-5))
        held = self.at(node.inputs[0], 1, x[1].size)
        return {1: np.where(gamma == 0, beta, (held - mean) * factor + beta)}

    def _elementwise(self, node: Node) -> dict[int, np.ndarray]:
        import numpy as np

        y = self._axes(node.outputs[0])
        found = {}
        for axis, term in enumerate(y):
            sides = []
            for name in node.inputs[: 2 if node.op in _BINARY else 1]:
                rank = self._rank(name)
                place = axis - len(y) + rank
                held = self.at(name, place, term.size) if place >= 0 else self._everywhere(name)
                sides.append(np.broadcast_to(held, (term.size,)))
            with np.errstate(all="ignore"):
                found[axis] = self._applied(node, sides)
        return found

    def _rank(self, name: str) -> int:
        value = self.audited.graph.values.get(name)
        constant = self.audited.graph.constants.get(name)
        shape = constant.shape if constant is not None else value.shape if value is not None else ()
        return len(shape or ())

    def _everywhere(self, name: str) -> np.ndarray:
        import numpy as np

        held = self.constant(name)
        uniform = held is not None and held.size and (held == held.flat[0]).all()
        return np.array([held.flat[0] if held is not None and uniform else np.nan], dtype=np.float64)

    def _applied(self, node: Node, sides: Sequence[np.ndarray]) -> np.ndarray:
        import numpy as np

        if node.op == "Mul":  # a zero stays one whatever it meets
            zero = (sides[0] == 0) | (sides[1] == 0)
            product: np.ndarray = np.where(zero, 0.0, sides[0] * sides[1])
            return product
        if node.op in _BINARY:
            summed: np.ndarray = np.add(*sides) if node.op == "Add" else np.subtract(*sides)
            return summed
        if node.op == "Clip":
            low, high = (self._bound(node, name, slot) for name, slot in (("min", 1), ("max", 2)))
            clipped: np.ndarray = np.minimum(np.maximum(sides[0], low), high)
            return clipped
        return _function(node)(sides[0])

    def _bound(self, node: Node, name: str, slot: int) -> float:
        stated = node.attrs.get(name)
        if stated is not None:
            return float(stated)
        if len(node.inputs) > slot and node.inputs[slot]:
            return float(self._everywhere(node.inputs[slot])[0])
        return -inf if name == "min" else inf

    def _pool(self, node: Node) -> dict[int, np.ndarray]:
        import numpy as np

        x = self._axes(node.inputs[0])
        if len(x) < 2:
            return {}
        held = self.at(node.inputs[0], 1, x[1].size)
        counted = node.op == "AveragePool" and pads(node) and node.attrs.get("count_include_pad", 0)
        return {1: np.where(held == 0, held, np.nan) if counted else held}

    def _moved(self, node: Node) -> dict[int, np.ndarray]:
        """By the factors of the axes: wherever a factor lies, its elements are what they were."""
        import numpy as np

        y = self._axes(node.outputs[0])
        seen: dict[object, np.ndarray | None] = {}
        for name in node.inputs if node.op == "Concat" else node.inputs[:1]:
            for axis, term in enumerate(self._axes(name)):
                held = self.at(name, axis, term.size)
                for leaf in set(leaves(term)):
                    found = _by_leaf(np.array(indices(term, leaf)), held, leaf.size)
                    before = seen.get(leaf)
                    seen[leaf] = found if before is None else np.where(before == found, found, np.nan)
        result = {}
        for axis, term in enumerate(y):
            values = np.full(term.size, np.nan)
            for leaf in set(leaves(term)):
                held_by = seen.get(leaf)
                if held_by is not None:
                    places = np.array(indices(term, leaf))
                    values = np.where((places >= 0) & np.isnan(values), held_by[places], values)
            result[axis] = values
        return result


def _summed(weight: np.ndarray, inside: np.ndarray, *, padded: bool) -> np.ndarray:
    """[out]: the weights [out, in, positions] times inputs that are numbers; NaN where one that matters is none."""
    import numpy as np

    matters = (weight != 0).any(axis=2)
    usable = (inside == 0) | (~np.isnan(inside) & (not padded))
    with np.errstate(all="ignore"):
        terms = np.where(matters, weight.sum(axis=2) * np.where(np.isnan(inside), 0.0, inside), 0.0)
    return np.where((~matters | usable).all(axis=1), terms.sum(axis=1), np.nan)


def _uniform(array: np.ndarray, axis: int) -> np.ndarray:
    """The number at every position of an axis where all elements there are equal, else NaN."""
    import numpy as np

    if not array.ndim:
        return array.reshape(1).astype(np.float64)
    lines = np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1).astype(np.float64)
    if not lines.shape[1]:
        return np.full(array.shape[axis], np.nan)
    return np.where((lines == lines[:, :1]).all(axis=1), lines[:, 0], np.nan)


def _by_leaf(places: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    import numpy as np

    found = np.full(size, np.nan)
    for i in range(size):
        held = values[places == i]
        if held.size and (held == held[0]).all():
            found[i] = held[0]
    return found


def pads(node: Node) -> bool:
    """True where a window reaches past the ends of its input."""
    return any(node.attrs.get("pads", ())) or node.attrs.get("auto_pad", "NOTSET") in (
        "SAME_UPPER",
        "SAME_LOWER",
        b"SAME_UPPER",
        b"SAME_LOWER",
    )


def _function(node: Node) -> Callable[[np.ndarray], np.ndarray]:
    """An activation: https://onnx.ai/onnx/operators/"""
    import numpy as np

    alpha = node.attrs.get("alpha", {"LeakyRelu": 0.01, "HardSigmoid": 0.2}.get(node.op, 1.0))
    beta = node.attrs.get("beta", 0.5)
    table: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
        "Relu": lambda x: np.maximum(x, 0),
        "LeakyRelu": lambda x: np.where(x < 0, alpha * x, x),
        "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "Tanh": np.tanh,
        "HardSigmoid": lambda x: np.clip(alpha * x + beta, 0, 1),
        "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
        "Elu": lambda x: np.where(x < 0, alpha * (np.exp(x) - 1), x),
        "Neg": np.negative,
        "Abs": np.abs,
        "Softplus": lambda x: np.log1p(np.exp(x)),
        "Identity": lambda x: x,
    }
    return table[node.op]
