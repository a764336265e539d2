"""How often a Loop runs: from its limit, and from conditions that compare a counter with a bound.

Exporters write `for i in range(n)` as a limit, and `while i < n` as a condition over a carried counter (tf2onnx writes
every recurrent network so). The condition is taken apart into comparisons, and one iteration is run with symbols in
place of the carried numbers: where every counter grows by a constant and both sides of a comparison are linear in the
counters, the number of iterations follows exactly, also for symbolic bounds. Anything else is left as a range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from effaudit import dims
from effaudit.dims import Dim, Expr, Symbol
from effaudit.errors import Undecided
from effaudit.graph import BOOL, INT64, UNKNOWN, Value
from effaudit.ops._data import as_dim, scalar
from effaudit.ops._registry import Context

NO_LIMIT: Final = 2**62  # exporters write INT64_MAX for "until the condition says so"
FAR: Final = 2**62  # a counter may have any value
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
        limit = min(max(limit, 0), NO_LIMIT)
    starts = True if cond is None else scalar(cond)
    if starts is False or limit == 0:
        return 0, 0
    terms, whole = _terms(ctx)
    counts = _counted(terms, initial, ctx) if terms else []
    known = [n for n in counts if n is not None]
    if limit is not None and limit != NO_LIMIT:
        known.append(limit)
    most = dims.minimum(*known) if known else None
    if starts is not True:
        return 0, most
    if whole and most is not None and None not in counts:
        return most, most
    return (1 if m is None or (limit is not None and dims.lower(limit) >= 1) else 0), most


def _terms(ctx: Context) -> tuple[list[Term], bool]:
    """The comparisons that the body's condition is the conjunction of, and whether they are all of it."""
    body = ctx.bodies.graph("body")
    maker = {name: node for node in body.nodes for name in node.outputs if name}
    waiting, found, whole = [body.outputs[0]] if body.outputs else [], [], True
    for _ in range(1000):
        if not waiting:
            break
        name = waiting.pop()
        node = maker.get(name)
        if node is not None and node.op in _PASSES:
            waiting.append(node.inputs[0])
        elif node is not None and node.op == "And":
            waiting.extend(node.inputs)
        elif node is not None and node.op in _COMPARES:
            small, inclusive = _COMPARES[node.op]
            found.append(Term(node.inputs[small], node.inputs[1 - small], inclusive))
        else:
            whole = whole and (name == body.inputs[1] or _always(name, ctx))
    return found, whole


def _always(name: str, ctx: Context) -> bool:
    """True for a tensor that is true whatever the loop carries."""
    inputs = [Value(INT64, ()), Value(BOOL, ())]
    inputs += [Value(UNKNOWN, None, why="carried")] * (len(ctx.bodies.graph("body").inputs) - 2)
    return scalar(ctx.bodies.probe("body", inputs, (name,))[name]) is True


def _counted(terms: Sequence[Term], initial: Sequence[Value], ctx: Context) -> list[Dim | None]:
    """Iterations until each term turns false; None where it cannot be told."""
    body = ctx.bodies.graph("body")
    starts: dict[Symbol, Any] = {}
    state = []
    for i, value in enumerate(initial):
        first = _whole(value)
        if first is None or value.encoding.dtype == "bool":
            state.append(Value(value.encoding, value.shape, why=value.why))
        else:
            state.append(Value(value.encoding, value.shape, (_counter(f"state {i} of a loop", first, starts),)))
    step = Value(INT64, (), (_counter("iteration of a loop", 0, starts),))
    followed = [i for i, value in enumerate(state) if value.content is not None]
    wanted = [*(name for t in terms for name in (t.small, t.big)), *(body.outputs[i + 1] for i in followed)]
    values = ctx.bodies.probe("body", (step, Value(BOOL, (), (True,)), *state), wanted)
    steps: dict[Symbol, int] = {_symbol_of(step): 1}
    for i in followed:
        grown = _whole(values[body.outputs[i + 1]])
        growth = None if grown is None else grown - scalar(state[i])
        if isinstance(growth, int):
            steps[_symbol_of(state[i])] = growth
    return [_count(term, values, starts, steps) for term in terms]


def _counter(name: str, first: Any, starts: dict[Symbol, Any]) -> Expr:
    symbol = dims.symbol(name, lo=-FAR, hi=FAR, origin="unknown")
    (atom,) = dims.symbols(symbol)
    starts[atom] = first
    return symbol


def _symbol_of(value: Value) -> Symbol:
    (atom,) = dims.symbols(scalar(value))
    return atom


def _count(
    term: Term, values: Mapping[str, Value], starts: Mapping[Symbol, Any], steps: Mapping[Symbol, int]
) -> Dim | None:
    small, big = _whole(values[term.small]), _whole(values[term.big])
    if small is None or big is None:
        return None
    try:
        linear = dims.linear(big - small, starts.keys())
        if linear is None or not linear.factors.keys() <= steps.keys():
            return None
        gap = linear.rest + dims.total(factor * starts[atom] for atom, factor in linear.factors.items())
        rate = -sum(factor * steps[atom] for atom, factor in linear.factors.items())
        if rate <= 0:
            return None
        ahead = dims.floordiv(gap, rate) + 1 if term.inclusive else dims.ceildiv(gap, rate)
        return 1 + dims.maximum(ahead, 0)
    except Undecided:
        return None


def _whole(value: Value) -> Any:
    """The one element as an int or an expression, else None."""
    x = scalar(value)
    if isinstance(x, float):
        return int(x) if x.is_integer() else None
    return x if isinstance(x, (int, Expr)) and not isinstance(x, bool) else None
