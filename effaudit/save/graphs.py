"""Graph -> GraphProto: what is as it was read keeps its bytes, everything else is written from the graph.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from effaudit.graph import Constant, Function, Graph, Node
from effaudit.save.attributes import TYPE, attribute
from effaudit.save.message import Message, Span
from effaudit.save.origin import INITIALIZER, INPUT, NODE, OUTPUT, SPARSE, VALUE_INFO, Field, File, Nodes, Place
from effaudit.save.same import held, same_graph, same_node, same_value
from effaudit.save.storage import Storage
from effaudit.save.types import value_info

OVERLOAD: Final = "__overload__"
_GRAPH_A: Final = 5
_ATTRIBUTE: Final = 5  # field of a node
_BODY: Final = 6  # field of an attribute
_NODE_FIELDS: Final = (1, 2, 3, 4, 5, 7, 8)
_FUNCTION_NODE: Final = 7


class Writer:
    """Writes graphs and bodies. `storage` says where tensors go; `hints` keeps the stated types of intermediate tensors
    (of a rewritten graph they would be wrong), `settable` the initializers that are inputs as well."""

    def __init__(self, storage: Storage, *, hints: bool, settable: bool) -> None:
        self.storage = storage
        self.hints = hints
        self.settable = settable

    def graph(self, graph: Graph, place: Place | None) -> Message:
        """The GraphProto of a graph that was read from `place`, if from anywhere."""
        message = Message()
        for node in graph.nodes:
            self._node(message, NODE, node, place.nodes if place else None)
        message.text(2, graph.name or ("" if place else "graph"))
        for constant in graph.constants.values():
            self._constant(message, constant, place)
        if place:
            kept = () if self.hints else (VALUE_INFO,)
            for _, _, whole, _ in place.others(NODE, 2, INITIALIZER, INPUT, OUTPUT, SPARSE, *kept):
                message.copy(whole)
        settable = [name for name in graph.declared if name in graph.constants and name not in graph.outputs]
        for name in (*graph.inputs, *(settable if self.settable else ())):
            self._type(message, INPUT, name, graph, place)
        for name in graph.outputs:
            self._type(message, OUTPUT, name, graph, place)
        return message

    def function(self, function: Function, field: Field, file: File) -> Message:
        """The FunctionProto of a function as it was read; nodes with tensors that may not stay as they are, anew."""
        message = Message()
        fields = list(file.fields(field[3]))
        nodes = Nodes(file, function.nodes, (found for found in fields if found[0] == _FUNCTION_NODE))
        for number, _, whole, _ in fields:
            if number != _FUNCTION_NODE:
                message.copy(whole)
        for node in function.nodes:
            self._node(message, _FUNCTION_NODE, node, nodes)
        return message

    def stays(self, node: Node) -> bool:
        """Whether the tensors inside a node may stay as they are."""
        return all(map(self.storage.keeps, held(node)))

    def _constant(self, message: Message, constant: Constant, place: Place | None) -> None:
        known = place.graph.constants.get(constant.name) if place else None
        if place and known == constant and self.storage.keeps(constant):
            spans = place.sparse if constant.place == "sparse" else place.tensors
            if constant.name in spans:
                message.copy(spans[constant.name])
                return
        message.message(INITIALIZER, self.storage.tensor(constant))

    def _type(self, message: Message, field: int, name: str, graph: Graph, place: Place | None) -> None:
        value = graph.declared.get(name)
        if place and name in place.types and place.graph.declared.get(name) == value:
            message.content(field, place.types[name])
        else:
            message.message(field, value_info(name, value))

    def _node(self, message: Message, field: int, node: Node, nodes: Nodes | None) -> None:
        found = nodes.like(node) if nodes else None
        if found and same_node(found[0], node) and self.stays(node):
            message.copy(found[1])
        else:
            message.message(field, self._anew(node, nodes.file if nodes else None, found))

    def _anew(self, node: Node, file: File | None, found: tuple[Node, Span, Span] | None) -> Message:
        """The NodeProto of a node that came from the one `found`, if from any: attributes that it left alone, and
        fields no graph shows (documentation, metadata), keep their bytes."""
        message = Message()
        for name in node.inputs:
            message.text(1, name)
        for name in node.outputs:
            message.text(2, name)
        if node.name:
            message.text(3, node.name)
        message.text(4, node.op)
        fields = list(file.fields(found[2])) if file and found else []
        spans = {file.name_in(f[3], 1): f for f in fields if f[0] == _ATTRIBUTE} if file else {}
        self._attributes(message, node, found[0] if found else None, spans)
        self._bodies(message, node, file, found[0] if found else None, spans)
        if node.domain:
            message.text(7, node.domain)
        if OVERLOAD in node.attrs:
            message.text(8, node.attrs[OVERLOAD])
        if found and found[0].op == node.op:
            for number, _, whole, _ in fields:
                if number not in _NODE_FIELDS:
                    message.copy(whole)
        return message

    def _attributes(self, message: Message, node: Node, before: Node | None, spans: Mapping[str, Field]) -> None:
        for name, value in node.attrs.items():
            if name == OVERLOAD:
                continue
            kept = before is not None and name in before.attrs and same_value(before.attrs[name], value)
            if kept and name in spans and not (isinstance(value, Constant) and not self.storage.keeps(value)):
                message.copy(spans[name][2])
            else:
                message.message(_ATTRIBUTE, attribute(node, name, value, self.storage))

    def _bodies(
        self, message: Message, node: Node, file: File | None, before: Node | None, spans: Mapping[str, Field]
    ) -> None:
        for name, body in node.bodies.items():
            place, old = None, before.bodies.get(name) if before else None
            if old and file and name in spans:
                if same_graph(old, body) and all(map(self.storage.keeps, _held(body))):
                    message.copy(spans[name][2])
                    continue
                inner = [content for number, _, _, content in file.fields(spans[name][3]) if number == _BODY]
                place = Place(file, old, *inner)
            written = Message()
            written.text(1, name)
            written.message(_BODY, self.graph(body, place))
            written.number(TYPE, _GRAPH_A)
            message.message(_ATTRIBUTE, written)


def _held(body: Graph) -> tuple[Constant, ...]:
    return tuple(held(Node("", "", "", (), (), {}, {"": body})))
