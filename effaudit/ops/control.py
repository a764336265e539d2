"""Control flow: If, Loop, Scan, SequenceMap. Their bodies are priced where they stand (`table.py`)."""

from __future__ import annotations

from collections.abc import Sequence

from effaudit import dims
from effaudit.dims import Dim, Expr
from effaudit.graph import BOOL, INT64, SEQUENCE, UNKNOWN, Shape, Value
from effaudit.ops._data import as_dim, scalar
from effaudit.ops._registry import Context, shape
from effaudit.ops._shapes import axis_of

MAX_ROUNDS = 4


@shape("If", partial=True)
def if_(cond: Value, *, ctx: Context) -> tuple[Value, ...]:
    """https://onnx.ai/onnx/operators/onnx__If.html"""
    if not {"then_branch", "else_branch"} <= ctx.node.bodies.keys():
        raise ValueError("it needs a then_branch and an else_branch")
    known = scalar(cond)
    if known is not None:
        return tuple(ctx.run_body("then_branch" if known else "else_branch", ()))
    one, other = ctx.run_body("then_branch", ()), ctx.run_body("else_branch", ())
    if len(one) != len(other):
        raise ValueError("its branches have different numbers of outputs")
    return tuple(merge(a, b, ctx, "the branch taken decides it") for a, b in zip(one, other, strict=True))


def merge(a: Value, b: Value, ctx: Context, reason: str) -> Value:
    """What is true of both values: equal dims stay, others become unknown within their common range."""
    encoding = a.encoding if a.encoding == b.encoding else UNKNOWN
    content = a.content if type(a.content) is tuple and a.content == b.content and a.shape == b.shape else None
    if a.shape is None or b.shape is None:
        return Value(encoding, None, why=a.why or b.why)
    if len(a.shape) != len(b.shape):
        return Value(encoding, None, why=f"{reason}: rank {len(a.shape)} or {len(b.shape)}")
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

    Carried values are widened until they no longer change from one iteration to the next; scan outputs get the trip
    count as first dim.
    """
    carried: Sequence[Value] = v_initial
    step = Value(INT64, ())
    going = Value(BOOL, (), (True,))
    outputs: tuple[Value, ...] = ()
    for round_ in range(MAX_ROUNDS):
        outputs = tuple(ctx.run_body("body", (step, going, *carried)))
        after = outputs[1 : 1 + len(carried)]
        if len(after) < len(carried):
            raise ValueError(f"its body has {len(outputs)} outputs for {len(carried)} carried values")
        widened = tuple(_widen(a, b, ctx, last=round_ == MAX_ROUNDS - 2) for a, b in zip(carried, after, strict=True))
        if widened == tuple(carried):
            break
        carried = widened
    trips = trip_count(m, cond, outputs[0])
    return (*carried, *(_stacked(v, trips, ctx) for v in outputs[1 + len(carried) :]))


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
        a if a == b else a if _is_unknown(a) else ctx.data_dim("it changes from one iteration to the next")
        for a, b in zip(before.shape, after.shape, strict=True)
    )
    return Value(before.encoding, kept, content)


def _is_unknown(dim: Dim) -> bool:
    return isinstance(dim, Expr) and any(s.origin != "input" for s in dims.symbols(dim))


def trip_count(m: Value | None, cond: Value | None, cond_out: Value | None) -> tuple[Dim | None, Dim | None]:
    """(fewest, most) iterations; None where nothing bounds them. Exact where the condition can never turn false."""
    most = scalar(m) if m is not None else None
    most = as_dim(most)
    if isinstance(most, int):
        most = max(most, 0)
    if cond is not None and scalar(cond) is False:
        return 0, 0
    endless = cond_out is None or scalar(cond_out) is True
    started = cond is None or scalar(cond) is True
    if most is not None and endless and started:
        return most, most
    return (None, None) if most is None else (0, most)


def _stacked(value: Value, trips: tuple[Dim | None, Dim | None], ctx: Context) -> Value:
    fewest, most = trips
    if fewest is not None and fewest == most:
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
    inputs = initial_state_and_scan_inputs
    if num_scan_inputs < 1 or num_scan_inputs > len(inputs):
        raise ValueError(f"num_scan_inputs is {num_scan_inputs} with {len(inputs)} inputs")
    states, scanned = inputs[: len(inputs) - num_scan_inputs], inputs[len(inputs) - num_scan_inputs :]
    axes = scan_input_axes or (0,) * num_scan_inputs
    slices, trips = [], None
    for value, axis in zip(scanned, axes, strict=True):
        if value.shape is None:
            raise ValueError(f"a scanned input of unknown rank: {value.why}")
        at = axis_of(axis, len(value.shape))
        trips = value.shape[at] if trips is None or isinstance(value.shape[at], int) else trips
        slices.append(Value(value.encoding, (*value.shape[:at], *value.shape[at + 1 :])))
    assert trips is not None
    plain = [Value(v.encoding, v.shape, None, v.why) for v in states]
    outputs = ctx.run_body("body", (*plain, *slices))
    stacked = outputs[len(states) :]
    out_axes = scan_output_axes or (0,) * len(stacked)
    return (
        *(merge(a, b, ctx, "it changes from one step to the next") for a, b in zip(plain, outputs, strict=False)),
        *(_insert(v, trips, axis) for v, axis in zip(stacked, out_axes, strict=True)),
    )


def _insert(value: Value, trips: Dim, axis: int) -> Value:
    if value.shape is None:
        return value
    at = axis_of(axis, len(value.shape) + 1)
    return Value(value.encoding, (*value.shape[:at], trips, *value.shape[at:]))


def scan_trips(inputs: Sequence[Value], num_scan_inputs: int, axes: Sequence[int] | None) -> Dim | None:
    """The number of steps of a Scan."""
    first = inputs[len(inputs) - num_scan_inputs]
    if first.shape is None:
        return None
    return first.shape[axis_of(axes[0] if axes else 0, len(first.shape))]
