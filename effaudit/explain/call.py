"""One operator call without a model: a graph of one node, inferred and priced by the same rules as any model."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from effaudit import dims
from effaudit.dims import Dim
from effaudit.elements import FORMATS
from effaudit.errors import UsageError
from effaudit.explain.takes import names_of
from effaudit.graph import Constant, Encoding, Graph, Node, Shape, Source, Value
from effaudit.load import infer
from effaudit.operators.rules import Definition
from effaudit.ops._registry import Rules
from effaudit.table import Row, price
from effaudit.weights import classify

OPSET: Final = 26  # newer than every change a rule knows
NODE: Final = "call"


class Operand(msgspec.Struct, frozen=True):
    """One input: its type, whether it counts as a weight, and its elements where shapes depend on them."""

    encoding: Encoding
    shape: Shape
    weight: bool = False
    data: tuple[int | float, ...] | None = None


class Call(msgspec.Struct, frozen=True):
    """An operator with its inputs by the schema's names (variadic ones behind), its attributes, and how many outputs
    it names. `notes` say what was derived rather than given."""

    domain: str
    op: str
    inputs: Mapping[str, Operand]
    attrs: Mapping[str, Any] = {}
    outputs: int = 1
    notes: tuple[str, ...] = ()


class Priced(msgspec.Struct, frozen=True):
    """A call with its inferred graph, its row of costs, and the elements of its weights."""

    call: Call
    graph: Graph
    row: Row
    params: Dim


def price_call(call: Call, rules: Rules) -> Priced:
    """Infers and prices a call. Raises UsageError, in the words of the rule, where the operator refuses its inputs."""
    graph = infer(_graph(call, rules))
    row = price(graph).rows[0]
    broken = next((v.why for v in map(graph.values.__getitem__, graph.nodes[0].outputs) if v.invalid), "")
    if broken or row.why.startswith("invalid"):
        reason = (broken or row.why).removeprefix(f"invalid {call.op}").lstrip(" :").removeprefix(f"{NODE}: ")
        raise UsageError(f"{call.op}: {reason}")
    params: Dim = classify(graph).params
    for name, operand in call.inputs.items():
        if operand.weight and name in graph.inputs:  # a symbolic shape: no constant of a file has one
            params = params + graph.values[name].numel
    return Priced(call, graph, row, params)


def _graph(call: Call, rules: Rules) -> Graph:
    for name, operand in call.inputs.items():
        for dim in operand.shape:
            if len(dims.symbols(dim)) > 1:
                raise UsageError(f"{call.op}: {name} has a size of {dim}; give all but one of its names as numbers")
    names = list(_ordered(call, rules))
    constants = {
        name: _constant(name, operand)
        for name, operand in call.inputs.items()
        if operand.data is not None or (operand.weight and all(isinstance(dim, int) for dim in operand.shape))
    }
    fed = tuple(name for name in call.inputs if name not in constants)
    outputs = ("out", *(f"out{i}" for i in range(1, call.outputs)))
    return Graph(
        name=call.op,
        nodes=(Node(NODE, call.domain, call.op, tuple(names), outputs, call.attrs),),
        inputs=fed,
        outputs=outputs,
        constants=constants,
        declared={name: Value(call.inputs[name].encoding, call.inputs[name].shape) for name in fed},
        opsets={"": OPSET, call.domain: OPSET if not call.domain else 1},
        source=Source(call.op),
        operators={(call.domain, call.op): rules} if isinstance(rules, Definition) else {},
    )


def _ordered(call: Call, rules: Rules) -> list[str]:
    """The inputs in the order of the schema, "" for those left out before the last one given."""
    order = names_of(rules).inputs
    names = [name if name in call.inputs else "" for name in order]
    while names and not names[-1]:
        names.pop()
    return names + [name for name in call.inputs if name not in order]


def _constant(name: str, operand: Operand) -> Constant:
    numel = 1
    for dim in operand.shape:
        assert isinstance(dim, int)
        numel *= dim
    raw, data, encoding = None, operand.data, operand.encoding
    if data is not None:
        try:
            raw = struct.pack(f"<{numel}{FORMATS[encoding.dtype]}", *data)
        except (KeyError, struct.error):
            raise UsageError(f"{name}: {list(data)} cannot be {encoding.dtype} values") from None
    size = encoding.nbytes(numel)
    assert isinstance(size, int)
    return Constant(name, encoding, operand.shape, "initializer", numel, size, raw=raw)  # type: ignore[arg-type]
