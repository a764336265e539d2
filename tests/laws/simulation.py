"""Memory, told by running a graph step by step and counting who still needs what. Shares no code with effaudit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod

from onnx import ModelProto, shape_inference

VIEWS = ("Identity",)
IN_PLACE = {
    "Relu": 1,
    "Sigmoid": 1,
    "Dropout": 1,
    "Add": 2,
}  # how many of the first inputs the output may take the place of


@dataclass
class Figures:
    total: int = 0
    in_out: int = 0
    live: int = 0
    in_place: int = 0


class Machine:
    """A model whose tensors are float32 of known shape."""

    def __init__(self, model: ModelProto) -> None:
        graph = shape_inference.infer_shapes(model, strict_mode=True).graph
        known = [*graph.input, *graph.value_info, *graph.output]
        self.bytes = {v.name: 4 * prod(d.dim_value for d in v.type.tensor_type.shape.dim) for v in known}
        self.inputs = [v.name for v in graph.input]
        self.outputs = {v.name for v in graph.output}
        self.nodes = self._needed(list(graph.node))
        self.moving = self._moving()

    def _needed(self, nodes: list) -> list:  # type: ignore[type-arg]
        """The nodes that an output depends on."""
        wanted, kept = set(self.outputs), []
        for node in reversed(nodes):
            if wanted & set(node.output):
                kept.append(node)
                wanted |= set(node.input)
        return kept[::-1]

    def _moving(self) -> set[str]:
        """The tensors that an input feeds."""
        moving = set(self.inputs)
        for node in self.nodes:
            if moving & set(node.input):
                moving |= set(node.output)
        return moving

    def figures(self) -> Figures:
        return Figures(
            total=sum(self.bytes[name] for name in self._every()),
            in_out=max((sum(self.bytes[n] for n in self._touched(node)) for node in self.nodes), default=0),
            live=self._run(share=False),
            in_place=self._run(share=True),
        )

    def _every(self) -> set[str]:
        """What is ever held: made by a node, or an input that somebody wants."""
        read = {name for node in self.nodes for name in node.input} | self.outputs
        return {n for node in self.nodes for n in node.output if n in self.moving} | (set(self.inputs) & read)

    def _touched(self, node) -> set[str]:  # type: ignore[no-untyped-def]
        return {name for name in (*node.input, *node.output) if name in self.moving}

    def _run(self, share: bool) -> int:
        """The highest sum of bytes held during any step."""
        users = Counter(name for node in self.nodes for name in set(node.input))
        users.update(self.outputs)  # nobody ever gives these back
        place = {name: name for name in self.inputs if users[name]}
        peak = self._held(place)
        for node in self.nodes:
            for name in node.output:
                if name in self.moving:
                    place[name] = self._place(node, name, place, users) if share else name
            peak = max(peak, self._held(place))
            users.subtract(set(node.input))
            for name in [n for n in place if users[n] <= 0]:
                del place[name]
        return peak

    def _held(self, place: dict[str, str]) -> int:
        return sum(self.bytes[owner] for owner in set(place.values()))

    def _place(self, node, name: str, place: dict[str, str], users: Counter[str]) -> str:  # type: ignore[no-untyped-def]
        """Whose bytes a new tensor takes: its own, or those of an input that it shares or replaces."""
        if name != node.output[0]:
            return name
        if node.op_type in VIEWS and node.input[0] in place:
            return place[node.input[0]]
        for source in node.input[: IN_PLACE.get(node.op_type, 0)]:
            owner = place.get(source)
            if owner is None or self.bytes[owner] != self.bytes[name]:
                continue
            alive = [n for n, at in place.items() if at == owner]
            outside = any(n in self.outputs or n in self.inputs for n in (*alive, owner))
            if not outside and all(n in node.input and users[n] == 1 for n in alive):
                return owner
        return name
