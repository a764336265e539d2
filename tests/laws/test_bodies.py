"""Memory of graphs whose nodes have bodies: the body is one opaque node, its own peak stands apart."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, numpy_helper

from effaudit.report import MemoryReport

from .models import audit, parse

X = 2 * 8 * 4  # bytes of x, and of everything as large
SMALL = 2 * 2 * 4


def memory(text: str, functions: str = "", ints: tuple[str, ...] = (), **weights: tuple[int, ...]) -> MemoryReport:
    """`ints` name scalar initializers: 5, or true where the name is `yes`."""
    model: ModelProto = parse(text, functions, **weights)
    for name in ints:
        value = np.array(True) if name == "yes" else np.array(5)
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    return audit(model).memory


LOOP = """y = Loop <body = b (int64 i, bool c, float[2,8] s) => (bool d, float[2,8] t)
    { d = Identity(c) a = MatMul(s, w) t = Relu(a) }> (n, yes, x)"""
SHAPE = "m (float[2,8] x) => (float[2,8] y)"


def test_a_loop_is_one_node() -> None:
    """Outside: x and y. Inside: the two conditions, then d with s and a, then d with a and t; nothing reads i."""
    found = memory(f"{SHAPE} {{ {LOOP} }}", ints=("n", "yes"), w=(8, 8))
    assert (found.sum_bytes, found.live_bytes) == (2 * X, 2 * X)
    assert found.body_live_bytes == 1 + 2 * X


def test_the_dearest_branch_of_an_if() -> None:
    """x is captured, hence held outside; the second branch holds g and f."""
    text = """m (float[2,8] x, bool c) => (float[2,8] y)
        { y = If (c) <then_branch = p () => (float[2,8] q) { q = MatMul(x, w) },
        else_branch = e () => (float[2,8] f) { g = MatMul(x, u) f = MatMul(g, v) }> }"""
    found = memory(text, w=(8, 8), u=(8, 2), v=(2, 8))
    assert found.live_bytes == 2 * X + 1
    assert found.body_live_bytes == SMALL + X


def test_a_captured_tensor_lives_until_the_body_ran() -> None:
    """a is read by the If alone: x a, then a and b while b is made, then a b y."""
    text = """m (float[2,8] x, bool c) => (float[2,8] y)
        { a = Relu(x) b = Neg(a) z = Neg(b)
        y = If (c) <then_branch = p () => (float[2,8] q) { q = Add(a, z) },
        else_branch = e () => (float[2,8] f) { f = Sub(a, z) }> }"""
    found = memory(text)
    assert found.live_bytes == 3 * X + 1


def test_bodies_in_bodies_add() -> None:
    """While the inner loop runs, the outer one still holds what it carries."""
    inner = """p = Loop <body = e (int64 i, bool c, float[2,8] s) => (bool d, float[2,8] t)
        { d = Identity(c) t = MatMul(s, w) }> (n, yes, o)"""
    text = f"""{SHAPE} {{ y = Loop <body = b (int64 j, bool g, float[2,8] o) => (bool h, float[2,8] p)
        {{ h = Identity(g) {inner} }}> (n, yes, x) }}"""
    found = memory(text, ints=("n", "yes"), w=(8, 8))
    assert found.body_live_bytes == (1 + 2 * X) + (1 + 2 * X)


STEPS = "{ a = MatMul(x, w) b = Relu(a) c = Add(b, x) y = Relu(c) }"
F = f'<domain: "local", opset_import: ["" : 17]> F (x, w) => (y) {STEPS}'
CALL = f"{SHAPE} {{ y = local.F(x, w) }}"
NODES = f"{SHAPE} {STEPS}"


def test_a_function_call_is_one_node() -> None:
    """As the file has it. Outside: x and y. Inside: x a, x a b, x b c: what a runtime that inlines the call holds."""
    found = memory(CALL, F, w=(8, 8))
    assert (found.sum_bytes, found.live_bytes, found.max_in_out_bytes) == (2 * X, 2 * X, 2 * X)
    assert found.body_live_bytes == memory(NODES, w=(8, 8)).live_bytes


def test_a_weight_in_a_function_is_no_activation() -> None:
    found = memory(CALL, F, w=(8, 8)).body_live_bytes
    assert found is not None and found <= 3 * X
