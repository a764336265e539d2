"""Control flow: If, Loop, Scan, SequenceMap. Their bodies are priced where they stand (`table.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from effaudit import dims
from effaudit.dims import Dim, Expr
from effaudit.graph import BOOL, INT64, SEQUENCE, UNKNOWN, Shape, Value
from effaudit.ops._data import scalar
from effaudit.ops._registry import Context, numel, shape
from effaudit.ops._shapes import axis_of
from effaudit.ops._trips import trip_bounds

MAX_ROUNDS: Final = 4
MAX_UNROLLED: Final = 64
MAX_UNROLLED_NODES: Final = 20_000


@shape("If", partial=True)
def if_(cond: Value, *, ctx: Context) -> tuple[Value, ...]:
    """https://onnx.ai/onnx/operators/onnx__If.html

    A branch that cannot run at these sizes (its operators refuse them) is taken not to be the one that does.
    """
    bodies = ctx.bodies
    if not {"then_branch", "else_branch"} <= ctx.node.bodies.keys():
        raise ValueError("it needs a then_branch and an else_branch")
    known = scalar(cond)
    if known is not None:
        bodies.skip("else_branch" if known else "then_branch", "the branch is never taken")
        return bodies.run("then_branch" if known else "else_branch", ())
    one, other = bodies.run("then_branch", ()), bodies.run("else_branch", ())
    broken = [_broken(values) for values in (one, other)]
    if any(broken) and not all(broken):
        bodies.skip("then_branch" if broken[0] else "else_branch", f"the branch cannot run: {broken[0] or broken[1]}")
        return other if broken[0] else one
    if len(one) != len(other):
        raise ValueError("its branches have different numbers of outputs")
    return tuple(merge(a, b, ctx, "the branch taken decides it") for a, b in zip(one, other, strict=True))


def _broken(values: Sequence[Value]) -> str:
    """Why these outputs of a body cannot be, or ""."""
    return next((v.why for v in values if v.invalid), "")


def merge(a: Value, b: Value, ctx: Context, reason: str) -> Value:
    """What is true of both values: equal dims stay, others become unknown within their common range."""
    encoding = a.encoding if a.encoding == b.encoding else UNKNOWN
    content = a.content if type(a.content) is tuple and a.content == b.content and a.shape == b.shape else None
    if a.shape is None or b.shape is None:
        extent = a.extent if a.extent is not None and a.extent == b.extent else None
        return Value(encoding, None, why=a.why or b.why, extent=extent)
    if len(a.shape) != len(b.shape):
        extent = a.numel if a.numel == b.numel else None
        return Value(encoding, None, why=f"{reason}: rank {len(a.shape)} or {len(b.shape)}", extent=extent)
    merged = tuple(x if x == y else _either(x, y, ctx, reason) for x, y in zip(a.shape, b.shape, strict=True))
    return Value(encoding, merged, content)


def _either(a: Dim, b: Dim, ctx: Context, reason: str) -> Expr:
    (low_a, high_a), (low_b, high_b) = dims.bounds(a), dims.bounds(b)
    low = min(low_a or 0, low_b or 0)
    high = None if high_a is None or high_b is None else max(high_a, high_b)
    return ctx.data_dim(reason, max(low, 0), high)


@shape("Loop", partial=True)
def loop(m: Value | None = None, cond: Value | None = None, *v_initial: Value, ctx: Context) -> tuple[Value, ...]:
    """https://onnx.ai/onnx/operators/onnx__Loop.html

    Where the carried types are the same after an iteration as before it, one run of the body stands for all. Else a
    short loop of known length is unrolled; else the first iteration stands apart and the second for the rest; else what
    changes is widened to unknown.
    """
    fewest, most = trip_bounds(m, cond, v_initial, ctx)
    outputs, steady = _steady(v_initial, ctx)
    if not steady or any(map(_unsure, outputs)):
        unrolled = _unrolled(v_initial, fewest, most, ctx)
        if unrolled is not None:
            return unrolled
    count = len(v_initial)
    finals = outputs[1 : count + 1]
    fewest_alike, most_alike = fewest, most
    if not steady:
        again = _after_first(v_initial, finals, ctx) if isinstance(fewest, int) and fewest > 0 else None
        if again is None:
            outputs = _widened(v_initial, ctx)
            finals = tuple(merge(a, b, ctx, CHANGES) for a, b in zip(v_initial, outputs[1 : count + 1], strict=True))
        else:
            outputs, finals = again, again[1 : count + 1]
            fewest_alike = dims.maximum(fewest - 1, 0)
            most_alike = None if most is None else dims.maximum(most - 1, 0)
    ctx.bodies.repeat("body", fewest_alike, most_alike)
    return (*finals, *(_stacked(v, fewest, most, ctx) for v in outputs[count + 1 :]))


CHANGES: Final = "it changes from one iteration to the next"
_STEP: Final = Value(INT64, ())
_GOING: Final = Value(BOOL, (), (True,))


def _steady(carried: Sequence[Value], ctx: Context) -> tuple[tuple[Value, ...], bool]:
    """One iteration that stands for all, with the values that change dropped; False where a carried type changes."""
    state = tuple(carried)
    outputs: tuple[Value, ...] = ()
    for _ in range(MAX_ROUNDS):
        outputs = ctx.bodies.run("body", (_STEP, _GOING, *state))
        after = outputs[1 : len(state) + 1]
        if len(after) < len(state):
            raise ValueError(f"its body has {len(outputs)} outputs for {len(state)} carried values")
        if any(
            a.encoding != b.encoding or a.shape != b.shape or a.shape is None for a, b in zip(state, after, strict=True)
        ):
            return outputs, False
        kept = tuple(
            a if a.content is b.content or a.content == b.content else Value(a.encoding, a.shape)
            for a, b in zip(state, after, strict=True)
        )
        if kept == state:
            return outputs, not any(v.encoding == SEQUENCE for v in state)
        state = kept
    return outputs, False


def _unsure(value: Value) -> bool:
    return value.shape is None or any(_is_unknown(d) for d in value.shape)


def _unrolled(initial: Sequence[Value], fewest: Dim, most: Dim | None, ctx: Context) -> tuple[Value, ...] | None:
    """Every iteration on its own, or None where the loop is not short or not of known length."""
    body = ctx.bodies.graph("body")
    if fewest != most or not isinstance(most, int) or not 0 < most <= MAX_UNROLLED:
        return None
    if most * len(body.nodes) > MAX_UNROLLED_NODES:
        return None
    ctx.bodies.forget("body")
    state: Sequence[Value] = initial
    stacks: list[tuple[Value, ...]] = []
    for i in range(most):
        outputs = ctx.bodies.run("body", (Value(INT64, (), (i,)), _GOING, *state), f"body@{i}")
        state = outputs[1 : len(initial) + 1]
        stacks.append(outputs[len(initial) + 1 :])
    stacked = stacks[0]
    for more in stacks[1:]:
        stacked = tuple(merge(a, b, ctx, CHANGES) for a, b in zip(stacked, more, strict=True))
    return (*state, *(_stacked(v, most, most, ctx) for v in stacked))


def _after_first(initial: Sequence[Value], after: Sequence[Value], ctx: Context) -> tuple[Value, ...] | None:
    """The outputs of a loop whose first iteration changes the carried types once and for all, or None."""
    if any(v.shape is None for v in after):
        return None
    ctx.bodies.run("body", (_STEP, _GOING, *initial), FIRST)
    outputs, steady = _steady(tuple(Value(v.encoding, v.shape) for v in after), ctx)
    if not steady:
        ctx.bodies.forget(FIRST)
    return outputs if steady else None


FIRST: Final = "body@first"


def _widened(carried: Sequence[Value], ctx: Context) -> tuple[Value, ...]:
    """The outputs of the body with the carried values widened until they no longer change."""
    outputs: tuple[Value, ...] = ()
    for round_ in range(MAX_ROUNDS):
        outputs = ctx.bodies.run("body", (_STEP, _GOING, *carried))
        after = outputs[1 : 1 + len(carried)]
        widened = tuple(_widen(a, b, ctx, last=round_ == MAX_ROUNDS - 2) for a, b in zip(carried, after, strict=True))
        if widened == tuple(carried):
            break
        carried = widened
    return outputs


def _widen(before: Value, after: Value, ctx: Context, last: bool) -> Value:
    if before.encoding == SEQUENCE:
        return Value(SEQUENCE, None, why="a sequence built in a loop")
    content = before.content if before.content is not None and before.content == after.content else None
    if before.shape is None or after.shape is None:
        return Value(before.encoding, None, content, before.why or after.why)
    if len(before.shape) != len(after.shape):
        return Value(before.encoding, None, why="its rank changes from one iteration to the next")
    if last and before.shape != after.shape:
        return Value(before.encoding, None, why="its shape changes from one iteration to the next")
    kept: Shape = tuple(
        a if a == b else a if _is_unknown(a) else ctx.data_dim(CHANGES)
        for a, b in zip(before.shape, after.shape, strict=True)
    )
    return Value(before.encoding, kept, content)


def _is_unknown(dim: Dim) -> bool:
    return isinstance(dim, Expr) and any(s.origin != "input" for s in dims.symbols(dim))


def _stacked(value: Value, fewest: Dim, most: Dim | None, ctx: Context) -> Value:
    if fewest == most:
        lead: Dim = fewest
    else:
        lead = ctx.data_dim("the number of iterations", 0, most)
    return Value(value.encoding, None if value.shape is None else (lead, *value.shape), why=value.why)


@shape("Scan", partial=True)
def scan(
    *initial_state_and_scan_inputs: Value,
    num_scan_inputs: int = 0,
    directions: Sequence[int] | None = None,
    scan_input_axes: Sequence[int] | None = None,
    scan_input_directions: Sequence[int] | None = None,
    scan_output_axes: Sequence[int] | None = None,
    scan_output_directions: Sequence[int] | None = None,
    ctx: Context,
) -> tuple[Value, ...]:
    """https://onnx.ai/onnx/operators/onnx__Scan.html"""
    inputs = initial_state_and_scan_inputs[1:] if ctx.opset < BATCHLESS else initial_state_and_scan_inputs
    if num_scan_inputs < 1 or num_scan_inputs > len(inputs):
        raise ValueError(f"num_scan_inputs is {num_scan_inputs} with {len(inputs)} inputs")
    states, scanned = inputs[: len(inputs) - num_scan_inputs], inputs[len(inputs) - num_scan_inputs :]
    lead = _leading(scanned, scan_input_axes, ctx.opset)
    plain = [Value(v.encoding, None if v.shape is None else v.shape[lead.batch :], None, v.why) for v in states]
    outputs = ctx.bodies.run("body", (*plain, *lead.slices))
    stacked = outputs[len(states) :]
    out_axes = scan_output_axes or (0,) * len(stacked)
    merged = [merge(a, b, ctx, CHANGES) for a, b in zip(plain, outputs, strict=False)]
    runs = lead.trips * numel(lead.outer)
    ctx.bodies.repeat("body", runs, runs)
    return (
        *(Value(v.encoding, None if v.shape is None else (*lead.outer, *v.shape), why=v.why) for v in merged),
        *(_batched(_insert(v, lead.trips, axis), lead.outer) for v, axis in zip(stacked, out_axes, strict=True)),
    )


# until opset 8, Scan takes sequence lengths first, and every tensor has a batch axis before all others
BATCHLESS: Final = 9


class Leading(NamedTuple):
    """What a Scan peels off its scanned inputs: the body's slices, the steps, and the batch axis of opset 8."""

    slices: tuple[Value, ...]
    trips: Dim
    outer: Shape

    @property
    def batch(self) -> int:
        return len(self.outer)


def _leading(scanned: Sequence[Value], axes: Sequence[int] | None, opset: int) -> Leading:
    batch = 1 if opset < BATCHLESS else 0
    slices: list[Value] = []
    trips: Dim | None = None
    outer: Shape = ()
    for value, axis in zip(scanned, axes or (0,) * len(scanned), strict=True):
        if value.shape is None:
            raise ValueError(f"a scanned input of unknown rank: {value.why}")
        outer, inner = value.shape[:batch], value.shape[batch:]
        at = axis_of(axis, len(inner))
        trips = inner[at] if trips is None or isinstance(inner[at], int) else trips
        slices.append(Value(value.encoding, (*inner[:at], *inner[at + 1 :])))
    assert trips is not None
    return Leading(tuple(slices), trips, outer)


def _batched(value: Value, outer: Shape) -> Value:
    return Value(value.encoding, None if value.shape is None else (*outer, *value.shape), why=value.why)


def _insert(value: Value, trips: Dim, axis: int) -> Value:
    if value.shape is None:
        return value
    at = axis_of(axis, len(value.shape) + 1)
    return Value(value.encoding, (*value.shape[:at], trips, *value.shape[at:]))
