"""Shape inference: walks a graph once, in order, and gives every tensor a `Value`.

Shapes are exact, in ints or in expressions of the symbolic dims; small integer, bool and float tensors carry their
values along, because exporters compute shapes with operators. What the values fed decide becomes a bounded symbol of
origin "data"; what cannot be told becomes a symbol of origin "unknown" with the reason. Nothing is ever taken from the
shapes a file states for intermediate tensors, except for operators nobody has a rule for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from effaudit import dims
from effaudit.dims import Dim, Expr
from effaudit.elements import value_of
from effaudit.errors import LimitError, LoadError, Undecided
from effaudit.graph import UNKNOWN, DimInfo, Function, Graph, Lazy, Node, Value
from effaudit.load.binding import NOTHING_GIVEN, Given, bind
from effaudit.load.bodies import NodeBodies, Scope
from effaudit.load.convert import Reference
from effaudit.load.tensors import MAX_RANK
from effaudit.ops._call import INVALID, arguments
from effaudit.ops._registry import Context, Rules, find, registered

MAX_STEPS: Final = 400_000  # operator evaluations, bodies and function calls included
MAX_VALUE_WORK: Final = 4_000_000  # propagated elements in one inference
MAX_TERM_WORK: Final = 400_000  # terms of the long dims in one inference
FEW_TERMS: Final = 16  # a dim of more is a long one
MAX_CALL_DEPTH: Final = 64
MAX_DIM: Final = 2**63 - 1
MAX_WHY: Final = 600  # characters of a reason: it goes with every tensor that follows
Adapt: TypeAlias = Callable[[Node, dict[str, Value]], Node]
TAKES_BODIES: Final = frozenset(("If", "Loop", "Scan", "SequenceMap", "FlexAttention"))


def infer(graph: Graph, given: Given = NOTHING_GIVEN) -> Graph:
    """`graph` with `values` and `dims` filled, under the sizes `given`.

    Raises UsageError where `given` does not fit the model, LoadError on a function that calls itself, LimitError past
    `MAX_STEPS`.
    """
    inputs, infos = bind(graph, given)
    engine = _Engine(graph, {*infos})
    nodes, values = engine.run(graph, inputs, None)
    infos.update(engine.infos)
    return msgspec.structs.replace(graph, nodes=nodes, values=values, dims=infos)


def infer_adapted(graph: Graph, given: Given, adapt: Adapt) -> Graph:
    """`infer` of a graph whose own nodes `adapt` may exchange as they are reached: it gets a node and what is known of
    every tensor before it, to which it adds the constants that only the exchanged node reads.

    Raises as `infer`, and what `adapt` raises.
    """
    inputs, infos = bind(graph, given)
    engine = _Adapting(graph, {*infos}, adapt)
    nodes, values = engine.run(graph, inputs, None)
    infos.update(engine.infos)
    return msgspec.structs.replace(graph, nodes=nodes, values=values, dims=infos)


class _Engine:
    """The state of one inference: fresh symbols, work done, memoised function calls."""

    def __init__(self, graph: Graph, taken: set[str]) -> None:
        self.path = graph.source.path
        self.functions = graph.functions
        self.operators: Mapping[tuple[str, str], Any] = graph.operators
        self.rules: Mapping[tuple[str, str], Rules] = registered()
        self.found: dict[tuple[str, str], Rules | None] = {}
        self.infos: dict[str, DimInfo] = {}
        self.taken = taken
        self.stated: dict[int, Mapping[str, Value]] = {}
        self.steps = 0
        self.value_work = 0
        self.terms = 0
        self.calls: dict[Any, Graph] = {}
        self.stack: list[tuple[str, str, str]] = []

    def run(
        self, graph: Graph, inputs: Mapping[str, Value], outer: Mapping[str, Value] | None
    ) -> tuple[tuple[Node, ...], Scope]:
        """The nodes (with bodies inferred) and every value of a graph."""
        values = Scope(outer)
        values.update(inputs)
        for name, constant in graph.constants.items():
            values[name] = value_of(constant)
        nodes: list[Node] = []
        self.steps += len(graph.nodes)
        if self.steps > MAX_STEPS:
            raise LimitError(f"{self.path}: more than {MAX_STEPS:,} operator evaluations; refused")
        for node in graph.nodes:
            nodes.append(self._node(node, values, graph))
        return tuple(nodes), values

    def _node(self, node: Node, values: Scope, graph: Graph) -> Node:
        """Adds the outputs of one node to `values`; returns the node, with its bodies inferred."""
        inputs = [values[name] if name else None for name in node.inputs]
        key = (node.domain, node.op)
        defined = self.operators.get(key) if self.operators else None
        if self.functions and (defined is None or not defined.replace):
            overload = node.attrs.get("__overload__", "")
            function = self.functions.get((*key, overload))
            if function is not None:
                return self._call(node, (*key, overload), function, inputs, values)
        rules = defined or self.rules.get(key)
        if rules is None or (rules.shape is None and rules is not defined):
            rules = self._find(key)
        bodies = NodeBodies(node, values, self.run, self.operators) if node.bodies else None
        if rules is None or rules.shape is None:
            outputs: Sequence[Value] = self._declared(node, graph)
        else:
            outputs = self._apply(rules, node, inputs, graph, bodies)
            if bodies is not None and not bodies.done and node.op not in TAKES_BODIES:
                if outputs and not outputs[0].why:
                    outputs = self._unranked(node, f"invalid {node.op} {node.label}: a graph where it takes none")
                for name in node.bodies:
                    bodies.skip(name, "the operator runs no graph")
        if len(outputs) < len(node.outputs):
            missing = Value(UNKNOWN, None, why=f"{node.op} has only {len(outputs)} outputs")
            outputs = [*outputs, *[missing] * (len(node.outputs) - len(outputs))]
        for name, value in zip(node.outputs, outputs, strict=False):
            if name:
                values[name] = value
        if bodies is None:
            return node
        why = outputs[0].why if outputs else f"{node.op} has no output"
        return msgspec.structs.replace(node, bodies=bodies.fill(why))

    def _find(self, key: tuple[str, str]) -> Rules | None:
        """The rules of an operator that is not registered yet, looked for once."""
        if key not in self.found:
            self.found[key] = find(*key)
        return self.found[key]

    def _apply(
        self,
        rules: Rules,
        node: Node,
        inputs: list[Value | None],
        graph: Graph,
        bodies: NodeBodies | None,
    ) -> Sequence[Value]:
        takes = rules.shape_takes
        assert takes is not None and rules.shape is not None
        if self.value_work > MAX_VALUE_WORK:
            inputs = [Value(v.encoding, v.shape, None, v.why) if v is not None else None for v in inputs]
        try:
            args, attrs = arguments(node, inputs, takes)
            if not rules.partial:
                for value in args:
                    if value is not None and value.shape is None:
                        return self._unranked(node, value.why)
            if takes.wants_ctx:
                attrs = {**attrs, "ctx": self._context(node, graph, bodies)}
            result = rules.shape(*args, **attrs)
        except Undecided as doubt:
            return self._unranked(node, f"{node.op} {node.label}: its shape depends on {doubt}")
        except INVALID as error:
            return self._unranked(node, f"invalid {node.op} {node.label}: {_short(error)}")
        outputs: tuple[Value, ...] = result if type(result) is tuple else (result,)
        for value in outputs:
            if type(value.content) is tuple:
                self.value_work += len(value.content)
            if value.shape is not None and len(value.shape) > MAX_RANK:
                return self._unranked(node, f"{node.op} {node.label}: its rank is {len(value.shape):,}")
            for dim in value.shape or ():
                if type(dim) is int:
                    if not 0 <= dim <= MAX_DIM:
                        what = "a negative dim" if dim < 0 else "a dim past 2^63"
                        return self._unranked(node, f"invalid {node.op} {node.label}: {what}")
                elif type(dim) is Expr and len(dim.terms) > FEW_TERMS:
                    self.terms += len(dim.terms)
                    if self.terms > MAX_TERM_WORK:
                        return self._unranked(node, f"{node.op} {node.label}: the model has too many dims this long")
        return outputs

    def _context(self, node: Node, graph: Graph, bodies: NodeBodies | None) -> Context:
        def fresh(origin: str, low: int, high: Dim | None, reason: str) -> Expr:
            return self._fresh(origin, low, high, _short(f"{node.op} {node.label}: {reason}", MAX_WHY))

        return Context(node, graph.opsets.get(node.domain, 1), fresh, bodies or NodeBodies(node, Scope(), self.run))

    def _fresh(self, origin: str, low: int, high: Dim | None, reason: str) -> Expr:
        prefix = "n" if origin == "data" else "u"
        number = len(self.infos) + 1
        while f"{prefix}{number}" in self.taken:
            number += 1
        name = f"{prefix}{number}"
        self.taken.add(name)
        top = None if high is None else dims.bounds(high)[1]
        self.infos[name] = DimInfo(None, origin, low, top, reason)
        return dims.symbol(name, low, high, origin, reason)

    def _unranked(self, node: Node, why: str) -> list[Value]:
        return [Value(UNKNOWN, None, why=_short(why, MAX_WHY))] * len(node.outputs)

    def _declared(self, node: Node, graph: Graph) -> list[Value]:
        """What the file states for the outputs of an operator nobody has a shape rule for."""
        domain = node.domain or "ai.onnx"
        why = _short(f"no shape rule for {domain}::{node.op}", MAX_WHY)
        unknown = Value(UNKNOWN, None, why=why)
        types = self.stated.get(id(graph))
        if types is None:
            types = self.stated[id(graph)] = {**graph.stated(), **graph.declared}
        found = []
        for name in node.outputs:
            stated = types.get(name, unknown)
            fixed = stated.shape is not None and all(isinstance(d, int) for d in stated.shape)
            found.append(stated if fixed else Value(stated.encoding, None, why=why))
        return found

    def _call(
        self,
        node: Node,
        key: tuple[str, str, str],
        function: Function,
        inputs: list[Value | None],
        values: Scope,
    ) -> Node:
        """A call of a model-local function, inferred once per distinct signature."""
        attrs = {name: node.attrs.get(name, default) for name, default in function.attrs.items()}
        signature = (key, _hashable(attrs), tuple(_signature(v) for v in inputs))
        body = self.calls.get(signature)
        if body is None:
            if key in self.stack:
                raise LoadError(f"{self.path}: function {function.name!r} calls itself; a function must not")
            if len(self.stack) >= MAX_CALL_DEPTH:
                raise LimitError(f"{self.path}: functions nested more than {MAX_CALL_DEPTH} deep; refused")
            self.stack.append(key)
            body = self.calls[signature] = self._function_body(function, attrs, inputs)
            self.stack.pop()
        for name, made in zip(node.outputs, function.outputs, strict=False):
            if name:
                values[name] = body.values[made]
        for name in node.outputs[len(function.outputs) :]:
            values[name] = Value(UNKNOWN, None, why=f"{function.name} has no such output")
        return msgspec.structs.replace(node, bodies={"function": body})

    def _function_body(self, function: Function, attrs: Mapping[str, Any], inputs: list[Value | None]) -> Graph:
        absent = Value(UNKNOWN, None, why="an omitted input of the function")
        padded = [*inputs, *[None] * len(function.inputs)]
        missing = {n for n, v in zip(function.inputs, padded, strict=False) if v is None}
        given = {n: v or absent for n, v in zip(function.inputs, padded, strict=False)}
        body = Graph(
            name=function.name,
            nodes=tuple(substitute(node, attrs, missing) for node in function.nodes),
            inputs=function.inputs,
            outputs=function.outputs,
            constants={},
            declared={},
            opsets=function.opsets,
            operators=self.operators,
        )
        nodes, values = self.run(body, given, None)
        return msgspec.structs.replace(body, nodes=nodes, values=values)


class _Adapting(_Engine):
    """Lets a function exchange the nodes of the outermost graph."""

    def __init__(self, graph: Graph, taken: set[str], adapt: Adapt) -> None:
        super().__init__(graph, taken)
        self.top = graph
        self.adapt = adapt

    def _node(self, node: Node, values: Scope, graph: Graph) -> Node:
        return super()._node(self.adapt(node, values) if graph is self.top else node, values, graph)


def substitute(node: Node, attrs: Mapping[str, Any], missing: set[str] = frozenset()) -> Node:  # type: ignore[assignment]
    """A function's node with references to the function's attributes resolved and omitted inputs dropped."""
    inputs = tuple("" if name in missing else name for name in node.inputs) if missing else node.inputs
    bodies = {
        name: msgspec.structs.replace(body, nodes=tuple(substitute(n, attrs, missing) for n in body.nodes))
        for name, body in node.bodies.items()
    }
    resolved = {}
    for name, stated in node.attrs.items():
        value = attrs.get(stated) if isinstance(stated, Reference) else stated
        if value is not None:
            resolved[name] = value
    return msgspec.structs.replace(node, inputs=inputs, attrs=resolved, bodies=bodies or node.bodies)


def _signature(value: Value | None) -> Any:
    if value is None:
        return None
    known = value.content
    return value.encoding, value.shape, id(known) if type(known) is Lazy else known


def _hashable(attrs: Mapping[str, Any]) -> Any:
    return tuple((k, v if isinstance(v, (int, float, str, tuple)) else id(v)) for k, v in attrs.items())


def _short(error: Exception | str, limit: int = 160) -> str:
    message = str(error).replace("\n", " ")
    return message if len(message) <= limit else f"{message[: limit // 2]}...{message[-(limit // 2 - 3) :]}"
