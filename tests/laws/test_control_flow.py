"""Bodies count as often as they run: Loop and Scan trips times, If between its branches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, numpy_helper

from effaudit.report import ModelReport, Totals

from .models import audit, parse

W = {"w": (8, 8), "u": (8, 4), "v": (4, 8)}
ONCE = "m (float[2,8] x) => (float[2,8] y) { a = MatMul(x, w) y = Relu(a) }"


def costs(totals: Totals) -> list[int]:
    found = [totals.macs, totals.ops, totals.read_bytes, totals.write_bytes]
    assert None not in found
    return found  # type: ignore[return-value]


def times(totals: Totals, n: int) -> list[int]:
    return [n * cost for cost in costs(totals)]


def with_ints(model: ModelProto, **values: int) -> ModelProto:
    """With int64 initializers (a bool where the name is `yes` or `no`)."""
    for name, value in values.items():
        kind = np.bool_ if name in ("yes", "no") else np.int64
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, kind), name))
    return model


# ---- Loop
def loop(trips: int | None) -> ModelReport:
    """A loop whose body multiplies once; `trips` None: an input says how many."""
    head = "m (float[2,8] x, int64 n) => (float[2,8] y)" if trips is None else "m (float[2,8] x) => (float[2,8] y)"
    body = "b (int64 i, bool c, float[2,8] s) => (bool d, float[2,8] t)"
    inner = "{ d = Identity(c) a = MatMul(s, w) t = Relu(a) }"
    model = parse(f"{head} {{ y = Loop <body = {body} {inner}> (n, yes, x) }}", **W)
    return audit(with_ints(model, yes=1, **({} if trips is None else {"n": trips})))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_a_loop_is_its_trips_times_its_body(trips: int) -> None:
    once = audit(parse(ONCE, **W)).totals
    found = loop(trips).totals
    assert costs(found) == times(once, trips)  # the condition passes through a view, which costs nothing


def test_a_loop_that_may_stop_early_has_bounds() -> None:
    """The condition after each round is computed from the values, so it may run once or five times."""
    once = audit(parse(ONCE, **W)).totals
    head = "m (float[2,8] x) => (float[2,8] y)"
    body = """b (int64 i, bool c, float[2,8] s) => (bool d, float[2,8] t)
        { a = MatMul(s, w) t = Relu(a) f = ReduceMax <keepdims = 0> (t) d = Less(f, limit) }"""
    model = parse(f"{head} {{ y = Loop <body = {body}> (n, yes, x) }}", limit=(), **W)
    totals = audit(with_ints(model, n=5, yes=1)).totals
    assert totals.macs is None and totals.why
    low, high = totals.macs_bounds
    assert low is not None and low <= costs(once)[0] and high == 5 * costs(once)[0]


def test_a_loop_of_unknown_trips_is_unknown() -> None:
    totals = loop(None).totals
    assert totals.macs is None and totals.macs_bounds[1] is None and totals.why
    assert totals.unpriced == 1


def test_a_loop_that_never_starts_costs_nothing() -> None:
    model = parse(
        """m (float[2,8] x) => (float[2,8] y)
        { y = Loop <body = b (int64 i, bool c, float[2,8] s) => (bool d, float[2,8] t)
        { d = Identity(c) t = MatMul(s, w) }> (n, no, x) }""",
        **W,
    )
    assert audit(with_ints(model, n=5, no=0)).totals.macs == 0


def test_loops_in_loops_multiply() -> None:
    inner = """e (int64 i, bool c, float[2,8] s) => (bool d, float[2,8] t) { d = Identity(c) t = MatMul(s, w) }"""
    outer = f"""b (int64 j, bool g, float[2,8] o) => (bool h, float[2,8] p)
        {{ h = Identity(g) p = Loop <body = {inner}> (k, yes, o) }}"""
    model = parse(f"m (float[2,8] x) => (float[2,8] y) {{ y = Loop <body = {outer}> (n, yes, x) }}", **W)
    assert audit(with_ints(model, n=3, k=7, yes=1)).totals.macs == 3 * 7 * 2 * 8 * 8


# ---- Scan
@pytest.mark.parametrize("steps", [1, 5, 12])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_scan_is_its_steps_times_its_body(steps: int, axis: int) -> None:
    once = audit(parse(ONCE, **W)).totals
    dims = f"{steps},2,8" if axis == 0 else f"2,{steps},8"
    body = """b (float[2,8] s, float[2,8] x) => (float[2,8] t, float[2,8] o)
        { r = Add(s, x) a = MatMul(r, w) t = Relu(a) o = Neg(t) }"""
    model = parse(
        f"""m (float[2,8] start, float[{dims}] xs) => (float[2,8] y, float[{steps},2,8] ys)
        {{ y, ys = Scan <num_scan_inputs = 1, scan_input_axes = [{axis}], body = {body}> (start, xs) }}""",
        **W,
    )
    totals = audit(model).totals
    assert totals.macs == steps * costs(once)[0]
    assert totals.ops == steps * (costs(once)[1] + 2 * 2 * 8)


def test_a_scan_over_an_open_dim_is_a_formula() -> None:
    model = parse(
        """m (float[2,8] start, float[T,2,8] xs) => (float[2,8] y)
        { y = Scan <num_scan_inputs = 1, body = b (float[2,8] s, float[2,8] x) => (float[2,8] t)
        { a = Add(s, x) t = MatMul(a, w) }> (start, xs) }""",
        **W,
    )
    report = audit(model)
    assert report.formulas is not None and report.formulas["macs"] == "128*T"
    assert audit(model, T=17).totals.macs == 17 * 128


# ---- If
def branches(x: str = "x", made: str = "") -> str:
    """An If that multiplies `x` once by w, or by u and then by v; `made` keeps its names apart from another one's."""
    return f"""If (c) <then_branch = p{made} () => (float[2,8] q{made}) {{ q{made} = MatMul({x}, w) }},
        else_branch = e{made} () => (float[2,8] f{made})
        {{ g{made} = MatMul({x}, u) f{made} = MatMul(g{made}, v) }}>"""


UNEQUAL = {"w": (8, 8), "u": (8, 2), "v": (2, 8)}
CHEAP, DEAR = 2 * 8 * 2 + 2 * 2 * 8, 2 * 8 * 8


def test_an_if_is_between_its_branches() -> None:
    model = parse(f"m (float[2,8] x, bool c) => (float[2,8] y) {{ y = {branches()} }}", **UNEQUAL)
    totals = audit(model).totals
    assert totals.macs is None and totals.why
    assert totals.macs_bounds == [CHEAP, DEAR]


def test_branches_of_one_price_are_exact() -> None:
    model = parse(f"m (float[2,8] x, bool c) => (float[2,8] y) {{ y = {branches()} }}", **W)
    assert audit(model).totals.macs == 2 * 8 * 8


def test_bounds_of_several_ifs_add() -> None:
    both = f"{{ z = {branches()} y = {branches('z', '2')} }}"
    model = parse(f"m (float[2,8] x, bool c) => (float[2,8] y) {both}", **UNEQUAL)
    assert audit(model).totals.macs_bounds == [2 * CHEAP, 2 * DEAR]


def test_a_loop_of_ifs_multiplies_both_bounds() -> None:
    body = f"b (int64 i, bool d, float[2,8] x) => (bool h, float[2,8] y) {{ h = Identity(d) y = {branches()} }}"
    head = "m (float[2,8] z, bool c) => (float[2,8] r)"
    model = parse(f"{head} {{ r = Loop <body = {body}> (n, yes, z) }}", **UNEQUAL)
    assert audit(with_ints(model, n=3, yes=1)).totals.macs_bounds == [3 * CHEAP, 3 * DEAR]


@pytest.mark.parametrize(("yes", "cost"), [(1, DEAR), (0, CHEAP)])
def test_an_if_of_a_known_condition_is_the_branch_taken(yes: int, cost: int) -> None:
    text = f"m (float[2,8] x) => (float[2,8] y) {{ y = {branches()} }}".replace("If (c)", "If (yes)")
    assert audit(with_ints(parse(text, **UNEQUAL), yes=yes)).totals.macs == cost


# ---- parameters inside bodies
def test_weights_inside_bodies_count_once() -> None:
    """A captured weight counts once however many bodies read it, and however often they run."""
    assert loop(100).totals.params == 64
    model = parse(f"m (float[2,8] x, bool c) => (float[2,8] y) {{ y = {branches()} }}", **W)
    assert audit(model).totals.params == 64 + 32 + 32
