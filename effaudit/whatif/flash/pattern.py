"""What lies between the products of a spelled attention, as far as an operator does the same: a scale, a mask that is
added or put in place, a softmax in float32."""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.graph import Node
from effaudit.lower._rewrite import Wiring
from effaudit.whatif.constants import missing
from effaudit.whatif.draft import Draft
from effaudit.whatif.spelled import Spelled

FLOAT: Final = 1  # TensorProto.DataType
MASKED: Final = -1e4  # what masks: no score that counts comes near it
_NOTHING: Final = frozenset(("Identity", "Dropout"))


class Unfit(Exception):
    """Why an attention is not what an operator computes."""


class Pattern(msgspec.Struct, frozen=True):
    """softmax(scale x Q K^T + mask) V. `mask` is added; where `where` is set, `mask` is a condition, and False puts
    the constant `where` in place of a score. `wide`: the softmax is computed in float32. `nodes` are all between and
    including the products."""

    scale: float
    mask: str
    where: str
    wide: bool
    nodes: tuple[int, ...]


def pattern(audited: Audited, draft: Draft, wiring: Wiring, one: Spelled) -> Pattern:
    """What an attention computes. Raises Unfit."""
    if one.turned:
        raise Unfit("its keys stand before its queries, or its values before the scores")
    nodes = (one.scores, *one.before, one.softmax, *one.behind, one.values)
    _closed(audited, wiring, nodes)
    scale, mask, where, casts = 1.0, "", "", list[object]()
    score = audited.raw.nodes[one.scores].outputs[0]
    for i in one.before:
        node = audited.raw.nodes[i]
        other = next((name for name in node.inputs if name != score), "")
        if node.op in ("Mul", "Div") and not mask:
            scale = _scaled(draft, node, score, scale)
        elif node.op == "Add" and not mask:
            mask = other
        elif node.op == "Where" and not mask and node.inputs[1] == score:
            mask, where = node.inputs[0], _masking(draft, node)
        elif node.op == "Cast":
            casts.append(node.attrs.get("to"))
        elif node.op not in _NOTHING:
            raise Unfit(f"{node.op} {node.label} does what no operator does between its scores and the softmax")
        score = node.outputs[0]
    for i in one.behind:
        node = audited.raw.nodes[i]
        if node.op not in ("Cast", *_NOTHING):
            raise Unfit(f"{node.op} {node.label} stands behind the softmax")
        casts += [None] if node.op == "Cast" else []
    if casts not in ([], [FLOAT, None]):
        raise Unfit("it casts its scores to a type that an operator does not compute them in")
    return Pattern(scale, mask, where, bool(casts), nodes)


def _closed(audited: Audited, wiring: Wiring, nodes: tuple[int, ...]) -> None:
    """Raises Unfit where something else reads a tensor between the products."""
    inside = set(nodes)
    for i in nodes[:-1]:
        for name in audited.raw.nodes[i].outputs:
            other = next((j for j in wiring.readers.get(name, ()) if j not in inside), None)
            if other is not None:
                raise Unfit(f"{name} must exist: {audited.raw.nodes[other].label} reads it")
            if name in wiring.pinned:
                raise Unfit(f"{name} must exist: it is an output, or read in a body")


def _scaled(draft: Draft, node: Node, score: str, scale: float) -> float:
    name = next((one for one in node.inputs if one != score), "")
    found = _number(draft, name)
    if found is None or not found or (node.op == "Div" and node.inputs[0] != score):
        raise Unfit(f"its scale {name!r} is no constant number")
    return scale * found if node.op == "Mul" else scale / found


def _masking(draft: Draft, node: Node) -> str:
    found = _number(draft, node.inputs[2])
    if found is None or not found <= MASKED:
        raise Unfit(f"Where {node.label} puts in place of scores what is no mask")
    return node.inputs[2]


def _number(draft: Draft, name: str) -> float | None:
    """The only element of a constant; None where there are more, or none is known."""
    from effaudit.load.values import values

    constant = draft.constant(name)
    if constant is None or constant.numel != 1 or missing(constant):
        return None
    return float(values(constant).reshape(-1)[0])
