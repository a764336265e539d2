"""How often a Loop runs: from its limit, and from conditions that compare a counter with a bound.

Exporters write `for i in range(n)` as a limit, and `while i < n` as a condition over a carried counter (tf2onnx
writes every recurrent network so). The condition is taken apart into comparisons; each is evaluated in the first
three iterations, and where one side grows by a constant step and the other stays, the number of iterations follows
exactly, also for symbolic n.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from effaudit import dims
from effaudit.dims import Dim, Expr
from effaudit.errors import Undecided
from effaudit.graph import BOOL, INT64, Graph, Node, Value
from effaudit.ops._data import as_dim, scalar
from effaudit.ops._registry import Context

NO_LIMIT: Final = 2**62  # exporters write INT64_MAX for "until the condition says so"
PROBES: Final = 3
_PASSES: Final = frozenset(("Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape"))
# comparison -> (operand that grows towards the other, whether equality still goes on)
_COMPARES: Final = {"Less": (0, False), "LessOrEqual": (0, True), "Greater": (1, False), "GreaterOrEqual": (1, True)}


class Term(NamedTuple):
    """The loop goes on while `small` < `big` (or <=)."""

    small: str
    big: str
    inclusive: bool


def trip_bounds(m: Value | None, cond: Value | None, initial: Sequence[Value], ctx: Context) -> tuple[Dim, Dim | None]:
    """(fewest, most) iterations of a Loop; None where nothing bounds them from above."""
    limit = as_dim(scalar(m)) if m is not None else None
    if isinstance(limit, int):
        limit = None if limit >= NO_LIMIT else max(limit, 0)
    starts = True if cond is None else scalar(cond)
    if starts is False or limit == 0:
        return 0, 0
    terms, whole = _terms(ctx.bodies.graph("body"))
    counts = _counted(terms, initial, ctx) if terms else []
    known = [n for n in counts if n is not None]
    if limit is not None:
        known.append(limit)
    most = dims.minimum(*known) if known else None
    if starts is not True:
        return 0, most
    if whole and most is not None and len(counts) == len(terms) and None not in counts:
        return most, most
    return (1 if limit is None or dims.lower(limit) >= 1 else 0), most


def _terms(body: Graph) -> tuple[list[Term], bool]:
    """The comparisons that the body's condition is the conjunction of, and whether they are all of it."""
    maker = {name: node for node in body.nodes for name in node.outputs if name}
    waiting, found, whole = [body.outputs[0]] if body.outputs else [], [], True
    for _ in range(1000):
        if not waiting:
            break
        name = waiting.pop()
        node = maker.get(name)
        if node is None:
            whole = whole and (name == body.inputs[1] or _is_true(name, body))
        elif node.op in _PASSES:
            waiting.append(node.inputs[0])
        elif node.op == "And":
            waiting.extend(node.inputs)
        elif node.op in _COMPARES:
            small, inclusive = _COMPARES[node.op]
            found.append(Term(node.inputs[small], node.inputs[1 - small], inclusive))
        else:
            whole = whole and _constant_true(node)
    return found, whole


def _is_true(name: str, body: Graph) -> bool:
    constant = body.constants.get(name)
    return constant is not None and constant.raw == b"\x01"


def _constant_true(node: Node) -> bool:
    value = node.attrs.get("value") if node.op == "Constant" else None
    return getattr(value, "raw", None) == b"\x01"


def _counted(terms: Sequence[Term], initial: Sequence[Value], ctx: Context) -> list[Dim | None]:
    """Iterations until each term turns false; None where it cannot be told."""
    body = ctx.bodies.graph("body")
    follow = [i for i, value in enumerate(initial) if scalar(value) is not None]
    wanted = [*(name for t in terms for name in (t.small, t.big)), *(body.outputs[i + 1] for i in follow)]
    state = list(initial)
    seen: list[Mapping[str, Value]] = []
    for k in range(PROBES):
        values = ctx.bodies.probe("body", (Value(INT64, (), (k,)), Value(BOOL, (), (True,)), *state), wanted)
        seen.append(values)
        after = [values[body.outputs[i + 1]] for i in follow]
        state = [Value(v.encoding, v.shape, why=v.why) for v in initial]
        for i, value in zip(follow, after, strict=True):
            state[i] = value
    return [_count(term, seen) for term in terms]


def _count(term: Term, seen: Sequence[Mapping[str, Value]]) -> Dim | None:
    small = [_whole(values.get(term.small)) for values in seen]
    big = [_whole(values.get(term.big)) for values in seen]
    if None in small or None in big:
        return None
    gaps = [b - a for a, b in zip(small, big, strict=True)]
    step = gaps[0] - gaps[1]
    if not isinstance(step, int) or step <= 0 or gaps[1] - gaps[2] != step:
        return None
    try:
        ahead = dims.floordiv(gaps[0], step) + 1 if term.inclusive else dims.ceildiv(gaps[0], step)
        return 1 + dims.maximum(ahead, 0)
    except Undecided:
        return None


def _whole(value: Value | None) -> Any:
    """The one element as an int or an expression, else None."""
    x = scalar(value) if value is not None else None
    if isinstance(x, float):
        return int(x) if x.is_integer() else None
    return x if isinstance(x, (int, Expr)) and not isinstance(x, bool) else None
