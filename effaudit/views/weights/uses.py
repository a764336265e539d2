"""Who reads each constant, and through what: conversions, dequantizers and transposes are looked through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from effaudit.dataflow import Flow, flow
from effaudit.graph import INTEGERS, Constant, Graph, Node
from effaudit.operators.rules import Definition
from effaudit.ops._registry import Rules, rules_for

_SAME: Final = frozenset(("Identity", "Cast", "QuantizeLinear", "DequantizeLinear"))
_RESHAPES: Final = frozenset("Reshape Flatten Squeeze Unsqueeze".split())


class Dequantized(msgspec.Struct, frozen=True):
    """The zero point of a DequantizeLinear over a constant's own axes; `zero_point` None: the file gives none, so it
    is 0. `why` says why it is not known."""

    zero_point: Constant | None
    axis: int
    block: int
    why: str = ""


class View(msgspec.Struct, frozen=True):
    """A tensor that holds a constant's elements: its axis i is the constant's axis `axes[i]` (None: reshaped).

    `steps` are the operators in between; `dequantized` is the first DequantizeLinear among them.
    """

    constant: Constant
    axes: tuple[int, ...] | None
    steps: tuple[str, ...] = ()
    dequantized: Dequantized | None = None


class Use(msgspec.Struct, frozen=True):
    """Input `place` of a node reads a view of a constant; `names` are the names of the node's inputs, lower-case (none
    where no rule names them). `zero_point` is what the graph has for the input's own zero point, where the operator has
    one ("": it was left out). `passes_on`: the node's output shows the constant again."""

    node: Node
    place: int
    view: View
    names: tuple[str, ...] = ()
    zero_point: Constant | str | None = None
    passes_on: bool = False

    @property
    def input(self) -> str:
        """The input's name, lower-case; "" where the rules do not tell."""
        return self.names[self.place] if self.place < len(self.names) else ""


# A chain of more operators than this is no path from a weight to its layer.
MAX_STEPS: Final = 16


def input_names(rules: Rules | None) -> tuple[str, ...]:
    """The names of an operator's inputs, lower-case, as its schema or else its definition has them."""
    if rules is None:
        return ()
    named = rules.shape_takes.inputs if rules.shape_takes is not None else ()
    if not named and isinstance(rules, Definition):
        return tuple(name.rstrip("?*").lower() for name in rules.inputs)
    return named


def uses(graph: Graph, known: Flow | None = None) -> Mapping[int, tuple[Use, ...]]:
    """By identity of the constant: the inputs of running nodes that read it, bodies and functions included."""
    found = _Uses(rules_for(graph))
    found.graph(graph, {}, known)
    return {key: tuple(listed) for key, listed in found.by_constant.items()}


class _Uses:
    """Walks graphs in order; a body that was walked with the same constants handed in is not walked again."""

    def __init__(self, rules: Mapping[tuple[str, str], Rules]) -> None:
        self.rules = rules
        self.by_constant: dict[int, list[Use]] = {}
        self.walked: set[tuple[int, tuple[tuple[str, int, tuple[int, ...] | None], ...]]] = set()

    def graph(self, graph: Graph, outer: Mapping[str, View], known: Flow | None = None) -> None:
        views = dict(outer)
        for name, constant in graph.constants.items():
            views[name] = _whole(constant)
        live = (known or flow(graph)).live
        for node, runs in zip(graph.nodes, live, strict=True):
            if runs:
                self._node(node, views)

    def _node(self, node: Node, views: dict[str, View]) -> None:
        if node.op == "Constant" and node.outputs:
            value = node.attrs.get("value") or node.attrs.get("sparse_value")
            if isinstance(value, Constant):
                views[node.outputs[0]] = _whole(value)
            return
        for body in node.bodies.values():
            self._body(node, body, views)
        if "function" in node.bodies:
            return
        view = views.get(node.inputs[0]) if node.inputs and node.outputs else None
        carried = _through(node, view, views) if view is not None else None
        if carried is not None and len(carried.steps) <= MAX_STEPS:
            views[node.outputs[0]] = carried
        names = input_names(self.rules.get((node.domain, node.op)))
        for place, name in enumerate(node.inputs):
            shown = views.get(name) if name else None
            if shown is not None:
                passes_on = place == 0 and carried is not None
                use = Use(node, place, shown, names, _own_zero_point(node, place, names, views), passes_on)
                self.by_constant.setdefault(id(shown.constant), []).append(use)

    def _body(self, node: Node, body: Graph, views: Mapping[str, View]) -> None:
        if "function" in node.bodies:
            pairs = zip(body.inputs, node.inputs, strict=False)
            visible = {inner: views[name] for inner, name in pairs if name in views}
        else:
            visible = {name: views[name] for name in body.captured if name in views}
        key = (id(body), tuple((name, id(view.constant), view.axes) for name, view in visible.items()))
        if key not in self.walked:
            self.walked.add(key)
            self.graph(body, visible)


def _whole(constant: Constant) -> View:
    return View(constant, tuple(range(len(constant.shape))))


def _through(node: Node, view: View, views: Mapping[str, View]) -> View | None:
    """What the first output of a node shows of the constant its first input shows; None where that is not all of it."""
    steps = (*view.steps, node.op)
    if node.op in _RESHAPES:
        return msgspec.structs.replace(view, axes=None, steps=steps)
    if node.op == "Transpose" and not node.domain:
        perm = node.attrs.get("perm")
        if view.axes is None:
            return msgspec.structs.replace(view, steps=steps)
        order = tuple(reversed(range(len(view.axes)))) if perm is None else tuple(perm)
        if sorted(order) != list(range(len(view.axes))):
            return None
        return msgspec.structs.replace(view, axes=tuple(view.axes[i] for i in order), steps=steps)
    if node.op not in _SAME:
        return None
    if node.op == "DequantizeLinear" and view.dequantized is None and "QuantizeLinear" not in view.steps:
        return msgspec.structs.replace(view, steps=steps, dequantized=_dequantized(node, view, views))
    return msgspec.structs.replace(view, steps=steps)


def _dequantized(node: Node, view: View, views: Mapping[str, View]) -> Dequantized:
    """https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html"""
    name = node.inputs[2] if len(node.inputs) > 2 else ""
    axis, block = node.attrs.get("axis", 1), node.attrs.get("block_size", 0)
    if not name:
        return Dequantized(None, 0, 0)
    shown = views.get(name)
    if shown is None:
        return Dequantized(None, 0, 0, "its zero point is computed when the model runs")
    if view.axes is None and shown.constant.numel != 1:
        return Dequantized(None, 0, 0, "it is reshaped before its zero points apply")
    rank = len(view.axes or ())
    if len(shown.constant.shape) > 1 and view.axes != tuple(range(rank)):
        return Dequantized(None, 0, 0, "it is transposed before its blocks of zero points apply")
    if not isinstance(axis, int) or not -rank <= axis < max(rank, 1):
        axis = 0
    return Dequantized(shown.constant, view.axes[axis] if view.axes else 0, block if isinstance(block, int) else 0)


def _own_zero_point(node: Node, place: int, names: Sequence[str], views: Mapping[str, View]) -> Constant | str | None:
    """The zero point that the operator itself takes for an input: "" where left out, None where it takes none."""
    if place >= len(names) or f"{names[place]}_zero_point" not in names:
        return None
    at = names.index(f"{names[place]}_zero_point")
    name = node.inputs[at] if at < len(node.inputs) else ""
    if not name:
        return ""
    return views[name].constant if name in views else "its zero point is computed when the model runs"


def is_code(constant: Constant) -> bool:
    """True for the integer types that weights are quantized to."""
    return constant.encoding.dtype in INTEGERS and constant.encoding.bits <= 16
