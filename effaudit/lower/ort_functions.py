"""Calls and operators that ONNX Runtime has no kernel for on a CPU, as the nodes of their function bodies.

A call of a model-local function becomes the nodes of its body; HardSwish and Mish become those of their definitions in
ONNX (https://onnx.ai/onnx/operators). The call goes, its nodes come behind the last node of the graph, call after call
by node index (`Graph::InlineFunction`, onnxruntime/core/graph/graph.cc; the kernels are those registered in
onnxruntime/core/providers/cpu/cpu_execution_provider.cc, 1.27). CastLike becomes one Cast. Other operators without a
kernel (GroupNormalization, Bernoulli, CenterCropPad) stay one node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import replace

from effaudit.graph import UNKNOWN, Constant, Graph, Node, Value

FUNCTION: Final = "function"
MAX_NODES: Final = 100_000  # inlining stops where a graph would have more


def inlined(graph: Graph) -> Graph:
    """The graph without calls of model-local functions, however deep they are nested."""
    values, constants = dict(graph.values), dict(graph.constants)
    nodes, calls = graph.nodes, 0
    while any(FUNCTION in node.bodies for node in nodes):
        kept = [node for node in nodes if FUNCTION not in node.bodies]
        added: list[Node] = []
        for node in nodes:
            if FUNCTION not in node.bodies:
                continue
            body, prefix = node.bodies[FUNCTION], f"{node.label}/{calls}/"
            calls += 1
            if len(kept) + len(added) + len(body.nodes) > MAX_NODES:
                return graph
            added.extend(_call(node, body, prefix, values, constants))
        nodes = (*kept, *added)
    return graph if not calls else replace(graph, nodes=nodes, values=values, constants=constants)


def _call(
    node: Node, body: Graph, prefix: str, values: dict[str, Value], constants: dict[str, Constant]
) -> tuple[Node, ...]:
    """The nodes of a body under the names of its caller; what it holds is added to `values` and `constants`."""
    names = dict(zip(body.inputs, node.inputs, strict=False))
    names.update((inner, "") for inner in body.inputs[len(node.inputs) :])
    names.update((inner, outer) for inner, outer in zip(body.outputs, node.outputs, strict=False) if outer)
    for name, value in body.values.items():
        if name not in names and name not in body.captured:
            names[name] = prefix + name
            values[names[name]] = value
    for name, constant in body.constants.items():
        names.setdefault(name, prefix + name)
        constants[names[name]] = replace(constant, name=names[name])
    for one in body.nodes:
        for name in one.outputs:
            if name and name not in names:
                names[name] = prefix + name
                values.setdefault(names[name], Value(UNKNOWN, None, why=f"the body of {node.label} gives no shape"))

    def outer(found: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(names.get(name, name) for name in found)

    return tuple(
        replace(
            one,
            name=prefix + one.label,
            inputs=outer(one.inputs),
            outputs=outer(one.outputs),
            bodies={key: replace(part, captured=outer(part.captured)) for key, part in one.bodies.items()},
        )
        for one in body.nodes
    )


def without_kernels(graph: Graph) -> Graph:
    """The graph with the operators that have a definition but no kernel as the nodes of that definition."""
    kept: list[Node] = []
    added: list[Node] = []
    values: dict[str, Value] = {}
    for node in graph.nodes:
        define = None if node.domain else DEFINED.get(node.op)
        if define is None or not node.inputs or not node.outputs or not node.outputs[0]:
            kept.append(node)
            continue
        for made in define(node):
            added.append(made)
            if made.outputs[0] != node.outputs[0] and node.outputs[0] in graph.values:
                values[made.outputs[0]] = graph.values[node.outputs[0]]
    return replace(graph, nodes=(*kept, *added), values={**graph.values, **values}) if added else graph


def _chain(*operators: str) -> Callable[[Node], tuple[Node, ...]]:
    """A function of the first input by these unary operators, multiplied by that input at the end."""

    def define(node: Node) -> tuple[Node, ...]:
        made: list[Node] = []
        source = node.inputs[0]
        for op in operators:
            name = f"{node.label}/{op}"
            made.append(replace(_unary(name, op, (source,), name), attrs=_ATTRIBUTES.get(op, {})))
            source = name
        made.append(_unary(f"{node.label}/Mul", "Mul", (node.inputs[0], source), node.outputs[0]))
        return tuple(made)

    return define


# https://onnx.ai/onnx/operators/onnx__HardSwish.html
_ATTRIBUTES: Final[Mapping[str, Mapping[str, float]]] = {"HardSigmoid": {"alpha": 1 / 6, "beta": 0.5}}


def _cast_like(node: Node) -> tuple[Node, ...]:
    return (_unary(f"{node.label}/Cast", "Cast", node.inputs[:1], node.outputs[0]),)


def _unary(name: str, op: str, inputs: tuple[str, ...], output: str) -> Node:
    return Node(name, "", op, inputs, (output,), {})


DEFINED: Final[Mapping[str, Callable[[Node], tuple[Node, ...]]]] = {
    "HardSwish": _chain("HardSigmoid"),
    "Mish": _chain("Softplus", "Tanh"),
    "CastLike": _cast_like,
}
