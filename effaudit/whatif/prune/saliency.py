"""How much each channel of a group matters, by the weights that make it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from effaudit.audited import Audited
from effaudit.axes.call import Producer
from effaudit.axes.couple import Coupling
from effaudit.axes.groups import Group
from effaudit.axes.terms import Term, indices, leaves, root
from effaudit.errors import UsageError
from effaudit.graph import Constant, Node
from effaudit.whatif.constants import elements, missing, tensor

if TYPE_CHECKING:
    import numpy as np

MAX_HOPS: Final = 16
UNRANKED: Final = ("first", "indices")  # criteria that say nothing of what a channel is worth
_SAME: Final = frozenset(("Identity", "Cast", "DequantizeLinear"))
# Where an operator holds the scale and zero point of its weight: by operator, slots of (scale, zero point).
_QUANTIZED: Final[Mapping[str, tuple[int, int]]] = {"QLinearConv": (4, 5), "QLinearMatMul": (4, 5), "QGemm": (4, 5)}
_PACKED: Final = frozenset(("MatMulNBits",))


class Unranked(Exception):
    """Why the channels of a group cannot be told apart by this criterion."""


class Saliency:
    """Reads weights, and ranks channels by them. Raises UsageError where the model has none."""

    def __init__(self, audited: Audited, found: Coupling, criterion: str) -> None:
        self.audited = audited
        self.found = found
        self.criterion = criterion
        self.makers = {name: node for node in audited.raw.nodes for name in node.outputs if name}

    def of(self, group: Group) -> np.ndarray:
        """One number per channel: the L1 or L2 norm of all weights that make it, or the size of its batch norm's
        scale. Raises Unranked, UsageError."""
        import numpy as np

        if self.criterion in UNRANKED:
            return np.ones(group.length)
        if self.criterion == "bn":
            return self._scales(group)
        power = 1 if self.criterion == "l1" else 2
        result = np.zeros(group.length)
        for producer in group.made_by:
            result += self.norms(producer, group.term, power)
        return result if power == 1 else np.sqrt(result)

    def norms(self, producer: Producer, leaf: Term, power: int) -> np.ndarray:
        """Per channel, the sum of its weights' sizes to a power, in one tensor. Raises Unranked, UsageError."""
        import numpy as np

        weights, place = self._weights(producer, leaf)
        size = np.abs(weights.astype(np.float64)) ** power
        axis, where = place
        sums = size.sum(axis=tuple(i for i in range(size.ndim) if i != axis))
        result = np.zeros(leaf.size)
        held = where >= 0
        np.add.at(result, where[held], sums[held])
        return result

    def _weights(self, producer: Producer, leaf: Term) -> tuple[np.ndarray, tuple[int, np.ndarray]]:
        """The weights behind an input as numbers, the axis the channels lie on and the channel of each place on it."""
        import numpy as np

        node = self.audited.raw.nodes[producer.node]
        if node.op in _PACKED:
            raise Unranked(f"{node.op} {node.label}: packed weights are not ranked; use criterion=first")
        axes = producer.weight
        axis = next((i for i, term in enumerate(axes) if term is producer.made), None)
        if axis is None or leaf not in set(leaves(axes[axis])):
            axis = next((i for i, term in enumerate(axes) if leaf in set(leaves(term))), None)
        name = node.inputs[producer.slot]
        scale, zero = (self._named(node, slot) for slot in _QUANTIZED.get(node.op, (99, 99)))
        for _ in range(MAX_HOPS):
            constant = tensor(self.audited.raw, name, self.makers)
            if constant is not None:
                break
            maker = self.makers.get(name)
            if maker is None or axis is None:
                break
            if maker.op == "Transpose":
                order = maker.attrs.get("perm") or tuple(range(len(axes)))[::-1]
                axis = order[axis]
            elif maker.op in _SAME:
                if maker.op == "DequantizeLinear":
                    scale, zero = self._named(maker, 1), self._named(maker, 2)
            else:
                break
            name = maker.inputs[0]
        else:
            constant = None
        if constant is None or axis is None:
            raise Unranked(f"the weights of {node.op} {node.label} are computed; use criterion=first")
        where = np.array(indices(axes[axis] if name == node.inputs[producer.slot] else self._axis(name, axis), leaf))
        return self._numbers(constant, scale, zero, axis), (axis, where)

    def _axis(self, name: str, axis: int) -> Term:
        return root(self.found.axes[name][axis])

    def _named(self, node: Node, slot: int) -> Constant | None:
        if slot >= len(node.inputs):
            return None
        return tensor(self.audited.raw, node.inputs[slot], self.makers)

    def _numbers(self, constant: Constant, scale: Constant | None, zero: Constant | None, axis: int) -> np.ndarray:
        """Weights as numbers: quantized ones are scaled, per tensor or per channel on `axis`."""
        import numpy as np

        found = self._read(constant).astype(np.float64)
        for part, apply in ((zero, np.subtract), (scale, np.multiply)):
            if part is not None and not missing(part):
                held = self._read(part).astype(np.float64)
                if held.size > 1 and held.ndim == 1 and held.size == found.shape[axis]:
                    held = held.reshape([-1 if i == axis else 1 for i in range(found.ndim)])
                elif held.size > 1:
                    raise Unranked(f"the scales of {constant.name} are per block; use criterion=first")
                found = apply(found, held)
        return found

    def _read(self, constant: Constant) -> np.ndarray:
        if why := missing(constant):
            raise UsageError(
                f"{self.audited.name}: pruning by criterion={self.criterion} reads the weights, and {constant.name!r} "
                f"has none: {why}; use criterion=first, which keeps the first channels"
            )
        return elements(constant, f"criterion={self.criterion}")

    def _scales(self, group: Group) -> np.ndarray:
        """|gamma| of the batch norms on the axis, summed."""
        import numpy as np

        result = np.zeros(group.length)
        seen = 0
        for use in self.found.uses:
            node = self.audited.raw.nodes[use.node]
            if node.op != "BatchNormalization" or use.slot != 1 or group.term not in set(leaves(use.axes[0])):
                continue
            constant = tensor(self.audited.raw, use.name, self.makers)
            if constant is None:
                continue
            where = np.array(indices(use.axes[0], group.term))
            held = where >= 0
            np.add.at(result, where[held], np.abs(self._read(constant).astype(np.float64).ravel())[held])
            seen += 1
        if not seen:
            raise Unranked("no batch norm scales these channels: criterion=bn does not rank them")
        return result
