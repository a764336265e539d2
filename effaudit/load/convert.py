"""ModelProto skeleton -> Graph: nodes, constants, bodies and functions as written, in topological order, no shapes yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from effaudit import dims
from effaudit.errors import LimitError, LoadError
from effaudit.graph import ENCODINGS, SEQUENCE, UNKNOWN, Constant, Function, Graph, Node, Source, Value
from effaudit.load.tensors import Home, constant
from effaudit.load.toposort import sort_nodes

MAX_NODES: Final = 300_000
_DEFAULT_DOMAINS: Final = ("ai.onnx", "")
FLOAT_A, INT_A, STRING_A, TENSOR_A, GRAPH_A = 1, 2, 3, 4, 5
FLOATS_A, INTS_A, STRINGS_A = 6, 7, 8


class Converter:
    """Converts the messages of one model; holds what they share."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.nodes = 0
        self.anonymous = 0

    def model(self, proto: Any, source: Source) -> Graph:
        opsets = _opsets(proto.opset_import, self.home.path)
        functions = {}
        for item in proto.functions:
            function = self._function(item)
            functions[_domain(function.domain), function.name, _text(getattr(item, "overload", ""))] = function
        return self.graph(proto.graph, opsets, functions, source, ())

    def graph(
        self,
        proto: Any,
        opsets: Mapping[str, int],
        functions: Mapping[tuple[str, str, str], Function],
        source: Source,
        outer: tuple[set[str], ...],
    ) -> Graph:
        """A graph or body; `outer` are the names visible around it. Raises LoadError on names nobody makes."""
        path = self.home.path
        constants = self._constants(proto)
        declared: dict[str, Value] = {}
        inputs = []
        for item in proto.input:
            name = _text(item.name)
            declared[name] = self._declared(item.type, name)
            if name not in constants:
                inputs.append(name)
        for item in (*proto.value_info, *proto.output):
            if item.HasField("type"):
                declared.setdefault(_text(item.name), self._declared(item.type, _text(item.name), anonymous=False))
        if len(set(inputs)) < len(inputs):
            raise LoadError(f"{path}: two graph inputs have the same name")
        names = set(inputs) | set(constants)
        nodes = []
        made: set[str] = set()
        for item in proto.node:
            made.update(map(_text, item.output))
        scope = (*outer, names | made)
        for item in proto.node:
            nodes.append(self._node(item, opsets, functions, source, scope))
        ordered, in_order, captured = sort_nodes(nodes, names, outer, path)
        outputs = tuple(_text(o.name) for o in proto.output)
        for name in outputs:
            if name not in names and name not in made:
                if not any(name in scope for scope in outer):
                    raise LoadError(f"{path}: graph output {name!r} is made by no node")
                captured = (*captured, name) if name not in captured else captured
        return Graph(
            name=_text(proto.name),
            nodes=ordered,
            inputs=tuple(inputs),
            outputs=outputs,
            constants=constants,
            declared=declared,
            opsets=opsets,
            functions=functions,
            captured=captured,
            source=Source(
                source.path, source.producer, source.ir_version, source.file_bytes, source.read_bytes, in_order
            ),
        )

    def _constants(self, proto: Any) -> dict[str, Constant]:
        constants = {}
        for tensor in proto.initializer:
            name = _text(tensor.name)
            constants[name] = constant(tensor, self.home, name, "initializer")
        for sparse in proto.sparse_initializer:
            item = self._sparse(sparse, _text(sparse.values.name))
            constants[item.name] = item
        return constants

    def _sparse(self, sparse: Any, name: str) -> Constant:
        """A sparse tensor: its dense shape, and the bytes of its stored values."""
        stored = constant(sparse.values, self.home, name, "sparse")
        shape = tuple(sparse.dims)
        if any(d < 0 for d in shape) or len(shape) > 64:
            raise LoadError(f"{self.home.path}: sparse tensor {name!r}: impossible shape {list(shape)[:8]}")
        return Constant(name, stored.encoding, shape, "sparse", stored.numel, stored.nbytes, stored.location, "sparse")

    def _node(
        self,
        proto: Any,
        opsets: Mapping[str, int],
        functions: Mapping[tuple[str, str, str], Function],
        source: Source,
        scope: tuple[set[str], ...],
    ) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise LimitError(f"{self.home.path}: more than {MAX_NODES:,} nodes; refused")
        name, op, domain = proto.name, proto.op_type, proto.domain
        inputs, outputs = tuple(proto.input), tuple(proto.output)
        try:
            "".join((name, op, domain, *inputs, *outputs))
        except TypeError:  # invalid UTF-8 arrives as bytes
            name, op, domain = _text(name), _text(op), _text(domain)
            inputs, outputs = tuple(map(_text, inputs)), tuple(map(_text, outputs))
        attrs: dict[str, Any] = {}
        bodies: dict[str, Graph] = {}
        for item in proto.attribute:
            kind = item.type
            if kind == GRAPH_A:
                bodies[_text(item.name)] = self.graph(item.g, opsets, functions, source, scope)
            else:
                key, value = self._attribute(item, kind, outputs)
                attrs[key] = value
        if proto.overload:
            attrs["__overload__"] = _text(proto.overload)
        return Node(name, "" if domain == "ai.onnx" else domain, op, inputs, outputs, attrs, bodies or _NO_BODIES)

    def _attribute(self, item: Any, kind: int, outputs: tuple[str, ...]) -> tuple[str, Any]:
        name = _text(item.name)
        if item.ref_attr_name:
            return name, Reference(_text(item.ref_attr_name))
        if kind == INT_A:
            return name, item.i
        if kind == INTS_A:
            return name, tuple(item.ints)
        if kind == FLOAT_A:
            return name, item.f
        if kind == STRING_A:
            return name, item.s.decode("utf-8", "replace")
        if kind == FLOATS_A:
            return name, tuple(item.floats)
        if kind == STRINGS_A:
            return name, tuple(s.decode("utf-8", "replace") for s in item.strings)
        if kind == TENSOR_A:
            return name, constant(item.t, self.home, outputs[0] if outputs else name, "node")
        if kind == 11:
            return name, self._sparse(item.sparse_tensor, outputs[0] if outputs else name)
        if kind == 13:
            return name, self._declared(item.tp, name, anonymous=False)
        return name, _untyped(item) if kind == 0 else None

    def _function(self, proto: Any) -> Function:
        opsets = _opsets(proto.opset_import, self.home.path)
        attrs: dict[str, Any] = {_text(name): None for name in proto.attribute}
        for item in proto.attribute_proto:
            key, value = self._attribute(item, item.type, ())
            attrs[key] = value
        inputs = tuple(map(_text, proto.input))
        made = {_text(o) for node in proto.node for o in node.output}
        scope = ({*inputs, *made},)
        nodes = [self._node(n, opsets, {}, Source(self.home.path), scope) for n in proto.node]
        ordered, _, _ = sort_nodes(nodes, set(inputs), (), f"{self.home.path}: function {_text(proto.name)!r}")
        outputs = tuple(map(_text, proto.output))
        for name in outputs:
            if name not in made and name not in inputs:
                raise LoadError(f"{self.home.path}: function {_text(proto.name)!r}: output {name!r} is made by no node")
        return Function(_domain(_text(proto.domain)), _text(proto.name), inputs, outputs, attrs, ordered, opsets)

    def _declared(self, proto: Any, name: str, anonymous: bool = True) -> Value:
        """The type a file states: fixed dims as ints, named dims as symbols, `?`, empty and -1 as anonymous symbols."""
        which = proto.WhichOneof("value")
        if which == "sequence_type":
            return Value(SEQUENCE, None, why="a sequence")
        if which == "optional_type":
            return self._declared(proto.optional_type.elem_type, name, anonymous)
        if which not in ("tensor_type", "sparse_tensor_type"):
            return Value(UNKNOWN, None, why=f"{name} has no tensor type")
        tensor = getattr(proto, which)
        encoding = ENCODINGS.get(tensor.elem_type, UNKNOWN)
        if not tensor.HasField("shape"):
            return Value(encoding, None, why=f"the file states no rank for {name}")
        if len(tensor.shape.dim) > 64:
            raise LoadError(f"{self.home.path}: {name!r} has rank {len(tensor.shape.dim):,}; 64 at most")
        shape: list[dims.Dim] = []
        for i, dim in enumerate(tensor.shape.dim):
            kind = dim.WhichOneof("value")
            label = _text(dim.dim_param) if kind == "dim_param" else ""
            if kind == "dim_value" and dim.dim_value >= 0:
                shape.append(dim.dim_value)
            elif label not in ("", "?"):
                shape.append(dims.symbol(label))
            else:
                shape.append(dims.symbol(f"{name}[{i}]"))
        return Value(encoding, tuple(shape))


class Reference(str):
    """The name of the function attribute that a node inside a function body refers to."""


_NO_BODIES: Final[Mapping[str, Graph]] = {}


def _text(value: Any) -> str:
    return value if type(value) is str else bytes(value).decode("utf-8", "backslashreplace")


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _opsets(imports: Iterable[Any], path: str) -> dict[str, int]:
    opsets = {}
    for item in imports:
        if item.version < 1:
            raise LoadError(f"{path}: opset_import states version {item.version}; expected 1 or more")
        opsets[_domain(_text(item.domain))] = item.version
    return opsets


def _untyped(item: Any) -> Any:
    """The value of an attribute without a type (IR version 1 files leave it out)."""
    for field in ("ints", "floats"):
        values = getattr(item, field)
        if len(values):
            return tuple(values)
    for field in ("i", "f"):
        if item.HasField(field):
            return getattr(item, field)
    return item.s.decode("utf-8", "replace") if item.HasField("s") else None
