"""The formula language against Python itself, at numbers and at open dims, and every refusal."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from effaudit import dims
from effaudit.errors import Undecided
from effaudit.graph import DOUBLE, FLOAT, STRING, Value
from effaudit.operators.evaluation import Scope
from effaudit.operators.formula import FormulaError, Names, count, entry, shape

NAMES = Names(frozenset(("x", "w", "b", "s")), frozenset(("xs",)))
X, W = (2, 3, 5, 7), (4, 3)
ATTRS = {"group": 3, "strides": (2, 4), "mode": "linear", "ratio": 0.5, "scale": 2.0, "body": object()}
SCOPE = Scope(
    {"x": Value(FLOAT, X), "w": Value(DOUBLE, W), "b": None, "s": Value(STRING, (2,))},
    {"xs": (Value(FLOAT, (2, 2)), None, Value(DOUBLE, (3,)))},
    ATTRS,
)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (7, 7),
        ("x[0] + x[-1] * 2 - 1", 15),
        ("numel(x)", 210),
        ("numel(x[1:])", 105),
        ("numel(x[:-1])", 30),
        ("numel(x[3:2])", 1),
        ("numel((2, *x[:2], 3))", 36),
        ("rank(x) + len(w)", 6),
        ("len(x[1:])", 3),
        ("bytes(x)", 840),
        ("bytes(w)", 96),
        ("min(x[0], 3, 9) + max(x[0], w[0])", 6),
        ("ceildiv(x[3], 2) + x[3] // 2 + x[3] % 4", 10),
        ("-x[0] + +3", 1),
        ("1 if b else 2", 2),
        ("numel(b) if b else 0", 0),
        ("0 if not b and w else 1", 0),
        ("3 if x[0] == 2 and x[1] != 2 and 1 < x[2] <= 5 else 4", 3),
        ("attrs.group * 2", 6),
        ("attrs.scale * x[0]", 4),
        ("attrs.strides[1] + attrs.strides[-2]", 6),
        ("numel(attrs.strides) + len(attrs.strides)", 10),
        ("numel(attrs.strides[1:])", 4),
        ("attrs.get('group', 1) + attrs.get('none', 5)", 8),
        ("attrs.get('pads', (0, -1))[1] + attrs.get('pads', [1, 2])[1]", 1),
        ("1 if attrs.mode == 'linear' else 2", 1),
        ("1 if attrs.get('mode', 'cubic') != 'cubic' else 2", 1),
        ("1 if attrs.get('flag', 0) else 2", 2),
        ("len(xs)", 3),
        ("numel(xs) + bytes(xs)", 7 + 16 + 24),
        ("xs[0][1] + numel(xs[-1])", 5),
        ("1 if xs[1] else 2", 2),
        ("1 if xs[9] else 2", 2),
        ("numel(xs[2:])", 3),
        ("1 if xs else 2", 1),
        ("(w if b else x)[0]", 2),
        ("numel(x if w else w)", 210),
        ("numel(x[:1] if b else w)", 12),
        ("x[0]\n  + 1", 3),
    ],
)
def test_counts(text: str | int, result: int) -> None:
    found = count(text, NAMES)(SCOPE)
    assert found == result
    assert type(found) is int


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("(x[0], w[1])", (2, 3)),
        ("x[0], w[1]", (2, 3)),
        ("[x[0], 8]", (2, 8)),
        ("(x[0],)", (2,)),
        ("()", ()),
        ("x[1:3]", (3, 5)),
        ("(*x[:-1], w[0])", (2, 3, 5, 4)),
        ("(*x, *attrs.strides)", (2, 3, 5, 7, 2, 4)),
        ("(1,) if b else (2, *w)", (2, 4, 3)),
        ("w if b else x[:1]", (2,)),
    ],
)
def test_shapes(text: str, result: tuple[int, ...]) -> None:
    assert shape(text, NAMES)(SCOPE) == result


def test_entries_of_a_shape() -> None:
    assert entry("*x[1:]", NAMES)(SCOPE) == (3, 5, 7)
    assert entry("x[1] * 2", NAMES)(SCOPE) == (6,)
    assert entry(4, NAMES)(SCOPE) == (4,)
    assert entry(" * w", NAMES)(SCOPE) == W


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("numel(b)", "b is not given"),
        ("b[0]", "b is not given"),
        ("numel(xs[1])", r"xs\[1\] is not given"),
        ("x[4]", r"x\[4\] does not exist: x has 4"),
        ("x[-5]", r"x\[-5\] does not exist"),
        ("attrs.absent", "attribute absent is not set"),
        ("attrs.get('absent')", "attribute absent is not set"),
        ("attrs.ratio * 2", "attrs.ratio is 0.5; formulas take whole numbers"),
        ("attrs.mode * 2", "attrs.mode is the text 'linear'; formulas take whole numbers"),
        ("attrs.strides * 2", "attrs.strides is a list of 2; formulas take whole numbers"),
        ("attrs.group[0]", "attrs.group is 3; a list is expected"),
        ("attrs.strides[2]", r"attrs.strides\[2\] does not exist"),
        ("attrs.body", "attribute body is no number, text or list"),
        ("x[0] // (x[0] - 2)", "a division by 0"),
        ("x[0] % (x[0] - 5)", "a division by -3"),
        ("bytes(s)", "s has no fixed size in bytes: its elements are of type string"),
        ("*".join(["(" + "*".join(["9223372036854775807"] * 10) + ")"] * 8), "a number past 2\\^4096"),
    ],
)
def test_what_a_node_does_not_have(text: str, message: str) -> None:
    formula = count(text, NAMES)
    with pytest.raises(ValueError, match=message):
        formula(SCOPE)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "it is empty; allowed: whole numbers, "),
        ("numel(out", 6, "not understood"),
        ("x[0] +", 1, ""),
        ("2 ** 9", 1, "2 ** 9: this operator is not allowed; write x * x"),
        ("9**9**9**9", 1, "this operator is not allowed"),
        ("1 + x[0] / 2", 5, "// divides whole numbers"),
        ("1 << 40", 1, "this operator is not allowed"),
        ("~x[0]", 1, "this operator is not allowed"),
        ("numel(y)", 7, "unknown name y; known: b, s, w, x, xs, attrs.NAME"),
        ("numel(x) * w", 12, "w is a tensor, not a number; numel(w), rank(w), bytes(w) and w[0] are numbers"),
        ("numel(x) + x[1:]", 12, "x[1:] is a list of numbers, not a number"),
        ("prod(x)", 1, "unknown function prod; known: numel, rank, len, bytes, min, max, ceildiv"),
        ("x.shape[0]", 1, "x.shape is not allowed; attributes of the node are read as attrs.name"),
        ("attrs", 1, "unknown name attrs"),
        ("attrs['group']", 1, "unknown name attrs"),
        ("attrs.get", 1, "attrs.get is called"),
        ("attrs.get()", 1, "written attrs.get('name', default)"),
        ("attrs.get(x)", 11, "the name of an attribute is a text in quotes"),
        ("attrs.get('g', x[0])", 16, "a default is a whole number, a text or a list of whole numbers"),
        ("attrs.get('g', 1.5)", 16, "a default is a whole number"),
        ("attrs.get('g', True)", 16, "a default is a whole number"),
        ("x[0, 1]", 3, "(0, 1) is a list of numbers, not a number"),
        ("numel(x[::2])", 7, "a slice has no step"),
        ("numel(x, w)", 1, "numel() takes 1 argument, not 2"),
        ("min()", 1, "min() takes 1 argument, not 0"),
        ("ceildiv(3)", 1, "ceildiv() takes 2 arguments, not 1"),
        ("min(*x)", 1, "min takes plain arguments"),
        ("numel(x, key=1)", 1, "numel takes plain arguments"),
        ("numel(3)", 7, "numel() takes a tensor or a list of tensors or a list of numbers or an attribute; 3 is a num"),
        ("rank(xs)", 6, "rank() takes a tensor; xs is a list of tensors"),
        ("1.5 * numel(x)", 1, "1.5 is not allowed; numbers are whole: 3 * x // 2 for 1.5 * x"),
        ("True", 1, "True is not allowed"),
        ("None", 1, "None is not allowed"),
        ("1 if 'a' else 2", 6, "'a' is a text, not a condition"),
        ("1 if x is None else 2", 11, "None is not allowed; a name alone asks if it is given"),
        ("1 if 1 is 2 else 2", 6, "a name alone asks whether it is given"),
        ("1 if x[0] in w else 2", 14, "w is a tensor; numbers, attributes and texts are compared"),
        ("1 if attrs.mode < 'a' else 2", 6, "texts are compared with == or !="),
        ("1 if x else w", 13, "w is a tensor, not a number"),
        ("x[0] == 1", 1, "x[0] == 1 is a condition, not a number"),
        ("lambda: 1", 1, "lambda: 1 is not allowed; allowed: "),
        ("[i for i in x]", 1, "is not allowed"),
        ("(y := 1)", 2, "is not allowed"),
        ("f'{x}'", 1, "is not allowed"),
        ("__import__('os').system('id')", 1, "unknown function __import__('os').system"),
        ("numel.__class__", 1, "numel.__class__ is not allowed"),
        ("().__class__", 1, "().__class__ is not allowed"),
        ("9223372036854775808", 1, "a number past 2^63"),
        ("9" * 1900, 1, "a number past 2^63"),
        ("1" * 2001, 2001, "longer than 2,000 characters; refused"),
        ("1" + "+1" * 999, 1, "more than 400 parts, or more than 60 within each other; refused"),
        ("min(" + "1," * 500 + "1)", 803, "more than 400 parts"),
        ("(" * 999 + "1" + ")" * 999, 1, ""),
        ("-" * 1999 + "1", 1, ""),
        ("[" * 150 + "]" * 150, 1, ""),
        ("1\x00", 1, ""),
        ("1; 2", 2, "not understood"),
        ("x[0] # more", 1, None),
    ],
)
def test_refuses(text: str, column: int, message: str | None) -> None:
    began = time.monotonic()
    if message is None:
        assert count(text, NAMES)(SCOPE) == 2
        return
    with pytest.raises(FormulaError) as caught:
        count(text, NAMES)
    said = str(caught.value)
    assert message in said
    assert said.startswith("column ")
    if message:
        assert said.startswith(f"column {column}: ")
    assert "\n" not in said and len(said) < 500
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("text", ["x", "x[0]", "numel(x)", "8", "*x"])
def test_a_shape_is_a_list(text: str) -> None:
    with pytest.raises(FormulaError, match="column 1: "):
        shape(text, NAMES)


# ---- laws
class Tensor(tuple):
    """What a name means to Python itself."""


PYTHON = {"numel": math.prod, "rank": len, "len": len, "min": min, "max": max, "ceildiv": lambda a, b: -(-a // b)}


def expressions(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    leaves = st.one_of(
        st.integers(0, 9).map(str),
        st.sampled_from(names).flatmap(lambda n: st.integers(-3, 2).map(lambda i: f"{n}[{i}]")),
        st.sampled_from(names).map(lambda n: f"numel({n})"),
        st.sampled_from(names).map(lambda n: f"numel({n}[1:])"),
        st.sampled_from(names).map(lambda n: f"rank({n})"),
    )

    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        pair = st.tuples(inner, inner)
        return st.one_of(
            st.tuples(st.sampled_from(("+", "-", "*", "//", "%")), pair).map(lambda t: f"({t[1][0]} {t[0]} {t[1][1]})"),
            st.tuples(st.sampled_from(("min", "max", "ceildiv")), pair).map(lambda t: f"{t[0]}({t[1][0]}, {t[1][1]})"),
            st.tuples(inner, st.sampled_from(("<", "==", ">=", "!=")), pair).map(
                lambda t: f"({t[0]} if {t[0]} {t[1]} {t[2][0]} else {t[2][1]})"
            ),
            inner.map(lambda t: f"-{t}"),
        )

    return st.recursive(leaves, grow, max_leaves=8)


def by_python(text: str, tensors: dict[str, tuple[int, ...]]) -> int:
    """Python's own value. Raises ValueError on a divisor that the language does not allow."""

    class Whole(int):
        """Divides only by what is above 0."""

    def divided(a: Any, b: Any) -> int:
        if b <= 0:
            raise ValueError
        return -(-a // b)

    import ast

    for node in ast.walk(tree := ast.parse(text, mode="eval")):
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.FloorDiv, ast.Mod)):
            name = "floordiv" if isinstance(node.op, ast.FloorDiv) else "modulo"
            call = ast.Call(ast.Name(name, ast.Load()), [node.left, node.right], [])
            node.__class__, node.__dict__ = ast.Call, call.__dict__  # type: ignore[assignment]

    def checked(b: int) -> int:
        if b <= 0:
            raise ValueError
        return b

    known = {
        **PYTHON,
        **tensors,
        "ceildiv": divided,
        "floordiv": lambda a, b: a // checked(b),
        "modulo": lambda a, b: a % checked(b),
    }
    return int(eval(compile(ast.fix_missing_locations(tree), "formula", "eval"), known))


SIZES = st.tuples(*[st.integers(1, 6)] * 3)


@given(expressions(("x", "w")), SIZES, SIZES)
@settings(max_examples=400, deadline=None)
def test_numbers_are_pythons(text: str, x: tuple[int, ...], w: tuple[int, ...]) -> None:
    scope = Scope({"x": Value(FLOAT, x), "w": Value(FLOAT, w)}, {}, {})
    formula = count(text, Names(frozenset("xw")))
    try:
        expected = by_python(text, {"x": x, "w": w})
    except ValueError:
        with pytest.raises(ValueError, match="a division by"):
            formula(scope)
    else:
        assert formula(scope) == expected


@given(expressions(("x", "w")), SIZES, SIZES)
@settings(max_examples=400, deadline=None)
def test_open_dims_give_the_formula_of_the_numbers(text: str, x: tuple[int, ...], w: tuple[int, ...]) -> None:
    """Evaluated at open dims, then at sizes, is evaluated at the sizes."""
    formula = count(text, Names(frozenset("xw")))
    batch, width = dims.symbol("n"), dims.symbol("m")
    symbolic = Scope({"x": Value(FLOAT, (batch, *x[1:])), "w": Value(FLOAT, (*w[:2], width))}, {}, {})
    try:
        found = formula(symbolic)
    except (Undecided, ValueError):
        assume(False)
    numeric = Scope({"x": Value(FLOAT, x), "w": Value(FLOAT, w)}, {}, {})
    assert dims.evaluate(found, {"n": x[0], "m": w[2]}) == formula(numeric)


@pytest.mark.parametrize("text", ["1 if x[0] == 4 else 2", "1 if x[0] > 4 else 2", "7 // (x[0] - 1)", "w[x[0]]"])
def test_what_open_dims_leave_open(text: str) -> None:
    scope = Scope({"x": Value(FLOAT, (dims.symbol("n"),)), "w": Value(FLOAT, W)}, {}, {})
    with pytest.raises(Undecided, match="n"):
        count(text, Names(frozenset("xw")))(scope)


@pytest.mark.parametrize(("text", "result"), [("1 if x[0] > 0 else 2", 1), ("1 if x[0] == 0 else 2", 2)])
def test_what_the_range_of_a_dim_settles(text: str, result: int) -> None:
    scope = Scope({"x": Value(FLOAT, (dims.symbol("n"),))}, {}, {})
    assert count(text, Names(frozenset("x")))(scope) == result


@given(st.text(max_size=60) | expressions(("x", "w", "out")))
@settings(max_examples=500, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        count(text, NAMES)
    except FormulaError as error:
        assert str(error).startswith("column ")
