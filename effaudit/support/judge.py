"""Whether an accelerator takes a node, and if not, why: in one line for a person.

Judge the graph as the accelerator's compiler sees it: an int8 accelerator's after its quantization is folded
(`effaudit.runtimes`, `effaudit.lower.as_if`). What a condition asks about and the file does not tell counts as not met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from effaudit import dims
from effaudit.dataflow import Flow, flow
from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.graph import Graph, Node
from effaudit.lower.qdq import is_dequantize
from effaudit.ops._call import INVALID
from effaudit.support.call import Call, names_of
from effaudit.support.conditions import outside, unmet
from effaudit.support.types import Key, SupportSet, shown

Judge: TypeAlias = Callable[[Node], str]


def judging(graph: Graph, support: SupportSet, known: Flow | None = None) -> Judge:
    """A function of the graph's nodes: "" where the set takes a node, else why not. `known` is the graph's data flow,
    where the caller has it."""
    known = known or flow(graph)
    names: dict[Key, tuple[str, ...]] = {}  # looking an operator up takes longer than judging a node
    makers = {name: node for node in graph.nodes if is_dequantize(node) for name in node.outputs}

    def judge(node: Node) -> str:
        key = (node.domain, node.op)
        if key in support.operators and key not in names:
            names[key] = names_of(node)
        return _said(node, _why(Call(graph, known, node, names.get(key, ())), support, makers))

    return judge


def unsupported(graph: Graph, node: Node, support: SupportSet) -> str:
    """ "" where the set takes this node of the graph, else why not, such as "Resize: mode cubic is not supported;
    nearest, linear are". For many nodes of one graph use `judging`, which reads its data flow once."""
    return judging(graph, support)(node)


def _said(node: Node, why: str) -> str:
    return f"{shown((node.domain, node.op))}: {why}" if why else ""


def _why(call: Call, support: SupportSet, makers: dict[str, Node]) -> str:
    node = call.node
    alternatives = support.operators.get((node.domain, node.op))
    if alternatives is None:
        return f"the operator is not supported{_elsewhere(node, support)}"
    try:
        for objection in _limits(call, support, makers):
            return objection
        # The alternative that gets furthest says why: the first of those with the fewest objections.
        found = [list(unmet(call, one)) for one in alternatives]
    except (*INVALID, Undecided) as error:
        return f"what it needs cannot be told: {error}"
    least = min(found, key=len)
    return least[0] if least else ""


def _elsewhere(node: Node, support: SupportSet) -> str:
    """The operator of that name in other domains."""
    same = [shown(key) for key in support.operators if key[1] == node.op]
    return f"; {_listed(tuple(same))}" if same else ""


def _limits(call: Call, support: SupportSet, makers: dict[str, Node]) -> Iterator[str]:
    """What the limits of the whole set say against a node."""
    limits = support.limits
    yield from outside(call.graph.opsets.get("", 1), limits.opset)
    if limits.fixed_shapes:
        yield from _open_shapes(call)
    for name in dict.fromkeys(call.node.inputs):
        value = call.value(name)
        if value is None:
            continue
        if limits.max_rank is not None:
            if value.shape is None:
                yield f"the rank of {name} is not known; at most {limits.max_rank} is supported"
            elif len(value.shape) > limits.max_rank:
                yield f"{name} has rank {len(value.shape)}; at most {limits.max_rank} is supported"
    for name, value in call.tensors():
        dtype = value.encoding.dtype
        if limits.dtypes and dtype not in limits.dtypes:
            yield f"{name} is {dtype}; {_listed(limits.dtypes)} supported"
        if not limits.float_allowed and _is_float(dtype):
            yield f"{name} is {dtype}; integers are needed: quantize it"
        if limits.max_inner_dims is not None:
            outer = (value.shape or ())[: -limits.max_inner_dims]
            if value.shape is None or any(dim != 1 for dim in outer):
                yield f"{name} is larger than 1 before its last {limits.max_inner_dims} axes"
    if limits.weight_quantization == "per_tensor":
        yield from _scales(call, makers)


def _open_shapes(call: Call) -> Iterator[str]:
    for name in dict.fromkeys(call.node.inputs):
        if not name:
            continue
        value = call.value(name)
        if value is None or value.shape is None:
            yield f"the shape of {name} is not known; fixed shapes are needed"
        elif not all(isinstance(dim, int) for dim in value.shape):
            yield f"{name} is {_shape(value.shape)}; fixed shapes are needed"


def _shape(shape: tuple[Dim, ...]) -> str:
    return "x".join(dims.text(dim) for dim in shape) or "a scalar"


def _scales(call: Call, makers: dict[str, Node]) -> Iterator[str]:
    """Weights that have a scale per channel or block: by the DequantizeLinear that makes them, or the scale beside."""
    pairs = [(name, makers[name].inputs[1]) for name in call.node.inputs if name in makers]
    for letter in ("w", "b"):
        if call.named(f"{letter}_scale"):
            pairs.append((call.named(letter), call.named(f"{letter}_scale")))
    for name, scale in pairs:
        value = call.value(scale)
        if name in call.known.varying or (value is not None and value.shape is not None and value.numel == 1):
            continue
        yield f"{name} has a scale per channel; one per tensor is needed"


def _is_float(dtype: str) -> bool:
    return dtype.startswith(("float", "bfloat", "complex"))


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"
