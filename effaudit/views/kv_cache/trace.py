"""From the keys or values of an attention back to the cache they come out of.

A cache is an input of the model whose elements, only moved, enter a node that adds new tokens to them: a concatenation,
a scatter, a choice by a mask. What lies between that node and the attention (rotary embeddings, repeated heads) may
be anything but a product. An input that reaches the attention without growing was made elsewhere: by an encoder.
"""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.graph import Node
from effaudit.views.attends import is_product
from effaudit.views.attentions import Scope
from effaudit.views.transformer.signal import TRANSPARENT, Signal, carried

MAX_STEPS: Final = 96  # tensors looked at behind one operand
MAX_AHEAD: Final = 24  # tensors looked at for the output that a cache becomes
MAX_READERS: Final = 64  # of one tensor
# The inputs of a node that adds tokens to one of them.
_GROWS: Final = {"ScatterND": (0,), "ScatterElements": (0,), "TensorScatter": (0,), "Where": (1, 2)}
_MOVES: Final = TRANSPARENT | frozenset("Expand Tile Slice Split Gather Pad".split())
_SCALES: Final = frozenset("Mul Div Add Sub".split())


class Origin(msgspec.Struct, frozen=True):
    """An input of the model behind an operand, `inner` where it stands. `grows`: new tokens are added to it, along
    `axis` of it where that node reads it as it is. `presents`: the model's outputs that it becomes."""

    name: str
    inner: str
    grows: bool
    axis: int | None
    presents: tuple[str, ...]


class Traced(msgspec.Struct, frozen=True):
    """What is behind an operand; `presents` are the model's outputs that hold it, where it comes from no input."""

    origins: tuple[Origin, ...]
    presents: tuple[str, ...] = ()


class _Step(msgspec.Struct, frozen=True):
    """A tensor on the way back: `pure`, it has only been moved since the operand or since `grown`, the node that adds
    to it."""

    name: str
    pure: bool
    grown: int | None = None


def trace(scope: Scope, operand: str, *, past: bool = False) -> Traced:
    """The inputs of the model behind an operand. `past`: it is the past of an operator that adds to it."""
    s = scope.signal
    pending, seen = [_Step(operand, True)], {operand}
    found: dict[str, Origin] = {}
    moved = operand
    while pending and len(seen) < MAX_STEPS:
        step = pending.pop()
        if step.name in scope.outer:
            if step.pure:
                name = scope.outer[step.name]
                found.setdefault(name, _origin(scope, name, step, past=past))
            continue
        i = s.maker.get(step.name)
        if i is None or s.nodes[i].bodies or is_product(s.nodes[i], s.varying) or s.weighted[i]:
            continue
        if step.pure and step.grown is None and _next_moved(s, i):
            moved = _next_moved(s, i)
        for following in _behind(s, i, step):
            if following.name not in seen:
                seen.add(following.name)
                pending.append(following)
    return Traced(tuple(found.values()), () if found else handed(scope, moved))


def _origin(scope: Scope, name: str, step: _Step, *, past: bool) -> Origin:
    if step.grown is None:
        return Origin(name, step.name, past, None, ())
    node = scope.signal.nodes[step.grown]
    axis = _axis(scope.signal, step.grown) if step.name in node.inputs else None
    return Origin(name, step.name, True, axis, handed(scope, scope.signal.output(step.grown)))


def _axis(s: Signal, i: int) -> int | None:
    """The axis along which a node adds tokens, where it says so."""
    node, shape = s.nodes[i], s.shape(s.output(i))
    default = {"Concat": None, "ScatterElements": 0, "TensorScatter": -2}
    if node.op not in default or shape is None:
        return None
    axis = node.attrs.get("axis", default[node.op])
    return axis % len(shape) if isinstance(axis, int) and shape and -len(shape) <= axis < len(shape) else None


def _next_moved(s: Signal, i: int) -> str:
    """The tensor that a node only moves, "" of another node."""
    node = s.nodes[i]
    if node.op in _MOVES and node.inputs:
        return node.inputs[0]
    if node.op in _SCALES:
        varying = [name for name in node.inputs if name in s.varying]
        return varying[0] if len(varying) == 1 else ""
    return ""


def _behind(s: Signal, i: int, step: _Step) -> list[_Step]:
    node = s.nodes[i]
    places = range(len(node.inputs)) if node.op == "Concat" else _GROWS.get(node.op)
    if places is not None:
        names = [node.inputs[p] for p in places if p < len(node.inputs)]
        return [_Step(name, True, i) for name in names if name in s.varying]
    moved = _next_moved(s, i)
    if moved:
        return [_Step(moved, step.pure, step.grown)] if moved in s.varying else []
    return [_Step(name, False) for name in carried(node, s.varying, s.graph.values)]


def handed(scope: Scope, name: str) -> tuple[str, ...]:
    """The model's outputs that a tensor becomes by moving, or as a part of them."""
    s = scope.signal
    pending, seen, found = [name], {name}, []
    while pending and len(seen) < MAX_AHEAD:
        name = pending.pop(0)
        if name in scope.handed:
            found.append(scope.handed[name])
            continue
        i = s.maker.get(name)
        for j in s.readers[i][:MAX_READERS] if i is not None else ():
            if _carries(s.nodes[j], name):
                fresh = [out for out in s.nodes[j].outputs if out and out not in seen]
                seen.update(fresh)
                pending.extend(fresh)
    return tuple(found)


def _carries(node: Node, name: str) -> bool:
    return node.op == "Concat" or (node.op in _MOVES and node.inputs[:1] == (name,))
