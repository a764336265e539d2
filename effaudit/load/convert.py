"""ModelProto skeleton -> Graph: nodes, constants, bodies and functions as written, in topological order, no shapes yet.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import msgspec

from effaudit.errors import LimitError, LoadError
from effaudit.graph import Constant, Function, Graph, Node, Source, Value
from effaudit.load.tensors import Home, constant, sparse
from effaudit.load.toposort import sort_nodes
from effaudit.load.types import type_of, value_info
from effaudit.load.wire import Malformed, fields, floats, integers, signed, skip, text, varint

MAX_NODES: Final = 300_000
MAX_BODY_DEPTH: Final = 32
MAX_SHARED: Final = 512  # bytes of attributes that are worth remembering
Span = tuple[int, int]
Functions = Mapping[tuple[str, str, str], Function]

# AttributeProto.AttributeType
FLOAT_A, INT_A, STRING_A, FLOATS_A, INTS_A, STRINGS_A = 1, 2, 3, 6, 7, 8


class Reference(str):
    """The name of the function attribute that a node inside a function body refers to."""

    __slots__ = ()


class Names:
    """The names made in a graph, collected when a body first asks: most graphs have none."""

    def __init__(self, given: set[str], collect: Callable[[], set[str]]) -> None:
        self._given = given
        self._collect = collect
        self._made: set[str] | None = None

    def __contains__(self, name: object) -> bool:
        if name in self._given:
            return True
        if self._made is None:
            self._made = self._collect()
        return name in self._made


class Scope(msgspec.Struct, frozen=True):
    """What surrounds a graph: opsets, functions, where it came from, the names visible around it, how deep it lies."""

    opsets: Mapping[str, int]
    functions: Functions
    source: Source
    outer: tuple[Names, ...] = ()
    depth: int = 0

    def inside(self, names: Names) -> Scope:
        return Scope(self.opsets, self.functions, self.source, (*self.outer, names), self.depth + 1)


def convert(skeleton: bytes, home: Home, source: Source) -> Graph:
    """The graph of a model. Raises LoadError where it is none, LimitError past `MAX_NODES` or `MAX_BODY_DEPTH`."""
    with _well_formed(home.path):
        return _Converter(skeleton, home).model(source)


@contextmanager
def _well_formed(path: str) -> Iterator[None]:
    """Raises LoadError where the bytes read inside are no messages of an ONNX model."""
    try:
        yield
    except (Malformed, IndexError) as error:
        what = str(error) if isinstance(error, Malformed) else "truncated"
        raise LoadError(f"{path}: not an ONNX model: {what}; is this an ONNX file?") from None


class _Converter:
    """Converts the messages of one model; holds what they share."""

    def __init__(self, buf: bytes, home: Home) -> None:
        self.buf = buf
        self.home = home
        self.nodes = 0
        self.shared: dict[tuple[int, bytes], Mapping[str, Any]] = {}
        self.names: dict[str, str] = {}  # one object per name: a tensor's is met at its maker and at every reader

    def model(self, source: Source) -> Graph:
        buf = self.buf
        graphs: list[Span] = []
        functions: list[Span] = []
        imports: list[Span] = []
        producer: dict[int, str] = {}
        ir_version = 0
        for number, wire, start, stop in fields(buf, 0, len(buf)):
            if number == 7 and wire == 2:
                graphs.append((start, stop))
            elif number == 8 and wire == 2:
                imports.append((start, stop))
            elif number == 25 and wire == 2:
                functions.append((start, stop))
            elif number in (2, 3) and wire == 2:
                producer[number] = text(buf, start, stop)
            elif number == 1 and wire == 0:
                ir_version = signed(start)
        if not graphs:
            raise LoadError(f"{self.home.path}: not an ONNX model: it holds no graph")
        source = msgspec.structs.replace(
            source, producer=" ".join(producer[k] for k in sorted(producer)).strip(), ir_version=ir_version
        )
        scope = Scope(self._opsets(imports), {}, source)
        known: dict[tuple[str, str, str], Function] = {}
        for span in functions:
            key, function = self._function(span, scope)
            if key in known:
                raise LoadError(f"{self.home.path}: two functions are named {function.name!r}")
            known[key] = function
        return self.graph(graphs, Scope(scope.opsets, known, source))

    def graph(self, spans: list[Span], scope: Scope) -> Graph:
        """A graph or body, from all occurrences of its field (protobuf merges them)."""
        if scope.depth > MAX_BODY_DEPTH:
            raise LimitError(f"{self.home.path}: bodies nested more than {MAX_BODY_DEPTH} deep; refused")
        buf, path = self.buf, self.home.path
        parts: dict[int, list[Span]] = {5: [], 11: [], 12: [], 13: [], 15: []}
        places = array("Q")  # of the nodes: begin, end, begin, end; a list of pairs would take ten times the memory
        name = ""
        for begin, end in spans:
            for number, wire, start, stop in fields(buf, begin, end):
                if wire == 2:
                    found = parts.get(number)
                    if number == 1:
                        places.append(start)
                        places.append(stop)
                    elif found is not None:
                        found.append((start, stop))
                    elif number == 2:
                        name = text(buf, start, stop)
        constants = self._constants(parts[5], parts[15])
        declared: dict[str, Value] = {}
        inputs = []
        for span in parts[11]:
            label, value = value_info(self.buf, *span, self.home.path)
            declared[label] = value
            if label not in constants:
                inputs.append(label)
        if len(set(inputs)) < len(inputs):
            raise LoadError(f"{path}: two graph inputs have the same name")
        outputs = []
        for span in parts[12]:
            label, value = value_info(self.buf, *span, self.home.path)
            declared.setdefault(label, value)
            outputs.append(label)
        given = {*inputs, *constants}
        inner = scope.inside(Names(given, lambda: self._made(_pairs(places))))
        nodes = [self._node(start, stop, inner) for start, stop in _pairs(places)]
        ordered, in_order, captured = sort_nodes(nodes, given, scope.outer, path)
        known = given.union(*(node.outputs for node in nodes))
        captured = self._check_outputs(outputs, known, scope, captured)
        return Graph(
            name=name,
            nodes=ordered,
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            constants=constants,
            declared=declared,
            stated=partial(self._stated, parts[13]) if parts[13] else dict,
            opsets=scope.opsets,
            functions=scope.functions,
            captured=captured,
            source=scope.source if in_order else msgspec.structs.replace(scope.source, sorted=False),
        )

    def _check_outputs(
        self, outputs: list[str], own: set[str], scope: Scope, captured: tuple[str, ...]
    ) -> tuple[str, ...]:
        """The captured names, with those a body hands out directly. Raises LoadError for an output nobody makes."""
        for name in outputs:
            if not name:
                raise LoadError(f"{self.home.path}: a graph output without a name")
            if name not in own:
                if not any(name in names for names in scope.outer):
                    raise LoadError(f"{self.home.path}: graph output {name!r} is made by no node")
                if name not in captured:
                    captured = (*captured, name)
        return captured

    def _made(self, spans: Iterable[Span]) -> set[str]:
        """The names that nodes make."""
        buf = self.buf
        return {text(buf, a, b) for span in spans for n, w, a, b in fields(buf, *span) if n == 2 and w == 2}

    def _constants(self, dense: list[Span], scattered: list[Span]) -> dict[str, Constant]:
        constants: dict[str, Constant] = {}
        for start, stop in dense:
            item = constant(self.buf, start, stop, self.home, None, "initializer")
            other = constants.setdefault(item.name, item)
            if (other.shape, other.encoding) != (item.shape, item.encoding):
                raise LoadError(f"{self.home.path}: two initializers are named {item.name!r} and differ")
        for start, stop in scattered:
            item = sparse(self.buf, start, stop, self.home, None)
            constants[item.name] = item
        return constants

    def _node(self, at: int, end: int, scope: Scope) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise LimitError(f"{self.home.path}: more than {MAX_NODES:,} nodes; refused")
        buf, names = self.buf, self.names
        name = op = domain = overload = ""
        inputs: list[str] = []
        outputs: list[str] = []
        attributes: list[Span] = []
        while at < end:  # `fields` written out: this loop is most of the time of loading
            tag = buf[at]
            size = buf[at + 1]
            if tag < 128 and size < 128 and tag & 7 == 2:
                at += 2
            else:
                tag, at = varint(buf, at)
                if tag & 7 != 2:
                    at = skip(buf, at, tag & 7)
                    continue
                size, at = varint(buf, at)
            start = at
            at += size
            if tag == 10:
                label = text(buf, start, at)
                inputs.append(names.setdefault(label, label))
            elif tag == 42:
                attributes.append((start, at))
            elif tag == 18:
                label = text(buf, start, at)
                outputs.append(names.setdefault(label, label))
            elif tag == 26:
                name = text(buf, start, at)
            elif tag == 34:
                op = text(buf, start, at)
                op = names.setdefault(op, op)
            elif tag == 58:
                domain = text(buf, start, at)
            elif tag == 66:
                overload = text(buf, start, at)
        if at != end:
            raise Malformed("a node runs past its end")
        attrs: Mapping[str, Any] = _NOTHING
        bodies: Mapping[str, Graph] = _NOTHING
        if attributes or overload:
            attrs, bodies = self._attributes(attributes, outputs, scope)
            if overload:
                attrs = {**attrs, "__overload__": overload}
        return Node(name, "" if domain == "ai.onnx" else domain, op, tuple(inputs), tuple(outputs), attrs, bodies)

    def _attributes(
        self, spans: list[Span], outputs: list[str], scope: Scope
    ) -> tuple[Mapping[str, Any], Mapping[str, Graph]]:
        """The attributes of a node. Most nodes repeat those of an earlier one, byte for byte: they share the dict."""
        key = None
        if spans and spans[-1][1] - spans[0][0] <= MAX_SHARED:
            key = (spans[0][1] - spans[0][0], self.buf[spans[0][0] : spans[-1][1]])
            known = self.shared.get(key)
            if known is not None:
                return known, _NOTHING
        attrs: dict[str, Any] = {}
        bodies: dict[str, Graph] = {}
        for start, stop in spans:
            name, value = self._attribute(start, stop, outputs[0] if outputs else "", scope)
            if type(value) is Graph:
                bodies[name] = value
            else:
                attrs[name] = value
        if key is not None and not bodies and not any(isinstance(value, (Constant, Value)) for value in attrs.values()):
            self.shared[key] = attrs
        return attrs, bodies or _NOTHING

    def _attribute(self, at: int, end: int, output: str, scope: Scope) -> tuple[str, Any]:
        """Name and value; a graph attribute's value is a Graph."""
        buf = self.buf
        name, kind = "", 0
        value: Any = None
        numbers: list[int] = []
        reals: list[float] = []
        strings: list[str] = []
        graphs: list[Span] = []
        while at < end:
            tag = buf[at]
            at += 1
            if tag >= 128:
                tag, at = varint(buf, at - 1)
            wire = tag & 7
            if wire == 2:
                size = buf[at]
                at += 1
                if size >= 128:
                    size, at = varint(buf, at - 1)
                start = at
                at += size
                if tag == 10:
                    name = text(buf, start, at)
                elif tag == 34:
                    value = buf[start:at].decode("utf-8", "replace")
                elif tag == 42:
                    value = constant(buf, start, at, self.home, output, "node")
                elif tag == 50:
                    graphs.append((start, at))
                elif tag == 66:
                    numbers.extend(integers(buf, 2, start, at))
                elif tag == 58:
                    reals.extend(floats(buf, 2, start, at))
                elif tag == 74:
                    strings.append(buf[start:at].decode("utf-8", "replace"))
                elif tag == 170:
                    value = Reference(text(buf, start, at)) if start < at else value
                elif tag == 178:
                    value = sparse(buf, start, at, self.home, output)
                elif tag == 114:
                    value = type_of(buf, start, at, self.home.path, name)
            elif wire == 0:
                number, at = varint(buf, at)
                if tag == 160:
                    kind = number
                elif tag == 64:
                    numbers.append(signed(number))
                elif tag == 24:
                    value = signed(number)
            elif tag == 61:
                reals.extend(floats(buf, 5, at, at + 4))
                at += 4
            elif tag == 21:
                (value,) = floats(buf, 5, at, at + 4)
                at += 4
            else:
                at = skip(buf, at, wire)
        if at != end:
            raise Malformed("an attribute runs past its end")
        if type(value) is Reference:
            return name, value
        if graphs:
            value = self.graph(graphs, scope)
        elif numbers or kind == INTS_A:
            value = tuple(numbers)
        elif reals or kind == FLOATS_A:
            value = tuple(reals)
        elif strings or kind == STRINGS_A:
            value = tuple(strings)
        return name, _DEFAULTS.get(kind) if value is None else value

    def _function(self, span: Span, scope: Scope) -> tuple[tuple[str, str, str], Function]:
        buf = self.buf
        names: dict[int, str] = {}
        lists: dict[int, list[str]] = {4: [], 5: [], 6: []}
        spans: dict[int, list[Span]] = {7: [], 9: [], 11: []}
        for number, wire, start, stop in fields(buf, *span):
            if wire != 2:
                continue
            if number in lists:
                lists[number].append(text(buf, start, stop))
            elif number in spans:
                spans[number].append((start, stop))
            else:
                names[number] = text(buf, start, stop)
        domain, name = _plain(names.get(10, "")), names.get(1, "")
        where = f"{self.home.path}: function {name!r}"
        inner = Scope(self._opsets(spans[9]), {}, scope.source, depth=1)
        attrs: dict[str, Any] = dict.fromkeys(lists[6])
        attrs.update(self._attribute(start, stop, "", inner) for start, stop in spans[11])
        made = self._made(spans[7])
        visible = inner.inside(Names({*lists[4], *made}, set))
        nodes = [self._node(start, stop, visible) for start, stop in spans[7]]
        ordered, _, _ = sort_nodes(nodes, set(lists[4]), (), where)
        for output in lists[5]:
            if not output or (output not in made and output not in lists[4]):
                raise LoadError(f"{where}: output {output!r} is made by no node")
        function = Function(domain, name, tuple(lists[4]), tuple(lists[5]), attrs, ordered, inner.opsets)
        return (domain, name, names.get(13, "")), function

    def _stated(self, spans: list[Span]) -> dict[str, Value]:
        """The types the file states for intermediate tensors; read only when a shape is wanted from them."""
        with _well_formed(self.home.path):
            return dict(value_info(self.buf, *span, self.home.path) for span in spans)

    def _opsets(self, spans: Iterable[Span]) -> dict[str, int]:
        opsets = {}
        for span in spans:
            domain, version = "", 0
            for number, wire, start, stop in fields(self.buf, *span):
                if number == 1 and wire == 2:
                    domain = text(self.buf, start, stop)
                elif number == 2 and wire == 0:
                    version = signed(start)
            if version < 1:
                raise LoadError(f"{self.home.path}: opset_import states version {version}; expected 1 or more")
            opsets[_plain(domain)] = version
        return opsets


_NOTHING: Final[dict[str, Any]] = {}
# proto2 leaves a field at its default out
_DEFAULTS: Final = {INT_A: 0, FLOAT_A: 0.0, STRING_A: ""}


def _pairs(flat: array[int]) -> Iterator[Span]:
    return zip(flat[::2], flat[1::2], strict=True)


def _plain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain
