"""Rules of every family survive nodes that make no sense: they refuse with a reason, whatever the file says."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from effaudit import dims
from effaudit.errors import Undecided
from effaudit.graph import BOOL, FLOAT, FLOAT16, INT8, INT32, INT64, STRING, UINT8, Node, Value
from effaudit.ops._call import INVALID, arguments
from effaudit.ops._registry import Context, Rules, Signature, load_families, registered
from tests.ops.oracle import infer, random, single_node, value

load_families()
ROUNDS = 40
SIZES = (1, 2, 3, 4, 8, 16, 32, 48, 0)
ELEMENTS = (0, 1, 2, 3, -1, 7, 2**40, None, dims.symbol("a"))
ENCODINGS = (FLOAT, UINT8, INT8, INT32, INT64, FLOAT16, STRING, BOOL)
ATTRIBUTES = (
    0,
    1,
    2,
    8,
    -1,
    -7,
    2**40,
    1.5,
    float("nan"),
    "relu",
    "SAME_UPPER",
    (1, 2),
    (2, 2, 2),
    (-1, 3),
    ("a", "b"),
)


def _value(draw: Random) -> Value:
    rank = draw.choice((0, 1, 1, 2, 2, 3, 3, 4, 4, 5))
    shape = tuple(draw.choice(SIZES) if draw.random() < 0.65 else dims.symbol(draw.choice("abc")) for _ in range(rank))
    content = None
    if rank <= 1 and all(isinstance(d, int) for d in shape) and draw.random() < 0.6:
        content = tuple(draw.choice(ELEMENTS) for _ in range(shape[0] if rank else 1))  # type: ignore[arg-type]
    return Value(draw.choice(ENCODINGS), shape, content)


def _context(node: Node) -> Context:
    names = iter(range(10**6))

    def fresh(origin: str, low: int, high: Any, reason: str) -> dims.Expr:
        return dims.symbol(f"s{next(names)}", low, high, origin, reason)

    return Context(node, 17, fresh, lambda *_: ())


def _node(draw: Random, key: tuple[str, str], takes: Signature) -> tuple[Node, list[Value | None]]:
    most = len(takes.inputs) + (3 if takes.variadic else 0)
    number = draw.randint(min(takes.required, most), most)
    inputs = [_value(draw) if i < takes.required or draw.random() < 0.8 else None for i in range(number)]
    attrs = {name: draw.choice(ATTRIBUTES) for name in sorted(takes.keywords) if draw.random() < 0.7}
    names = tuple(f"i{i}" if v is not None else "" for i, v in enumerate(inputs))
    return Node("n", *key, names, ("o0", "o1", "o2"), attrs), inputs


def _outputs(rules: Rules, node: Node, inputs: list[Value | None]) -> tuple[Value, ...] | None:
    """What the shape rule makes of the node, None where it refuses."""
    takes = rules.shape_takes
    assert rules.shape is not None and takes is not None
    try:
        args, attrs = arguments(node, inputs, takes)
        made = rules.shape(*args, **attrs, **({"ctx": _context(node)} if takes.wants_ctx else {}))
    except (*INVALID, Undecided):
        return None
    return made if type(made) is tuple else (made,)


def _price(rules: Rules, node: Node, inputs: list[Value | None], outs: tuple[Value, ...]) -> Any:
    takes = rules.cost_takes
    assert rules.cost is not None and takes is not None
    try:
        args, attrs = arguments(node, inputs, takes)
        extra = {"out": outs[0], "outs": outs, "ctx": _context(node)}
        wanted = {"out": takes.wants_out, "outs": takes.wants_outs, "ctx": takes.wants_ctx}
        made = rules.cost(*args, **attrs, **{name: extra[name] for name, flag in wanted.items() if flag})
        assert isinstance(rules.kind if isinstance(rules.kind, str) else rules.kind(*args, **attrs), str)
        return made
    except (*INVALID, Undecided):
        return None


@pytest.mark.parametrize("key", sorted(k for k, r in registered().items() if r.shape is not None), ids="::".join)
def test_a_rule_answers_or_refuses(key: tuple[str, str]) -> None:
    draw, rules = Random(repr(key)), registered()[key]
    assert rules.shape_takes is not None
    for _ in range(ROUNDS):
        node, inputs = _node(draw, key, rules.shape_takes)
        outs = _outputs(rules, node, inputs)
        if not outs:
            continue
        assert all(isinstance(d, (int, dims.Expr)) for out in outs for d in out.shape or ()), (node.attrs, outs)
        if rules.cost is not None and all(out.shape is not None and min_dim(out) >= 0 for out in outs):
            made = _price(rules, node, inputs, outs)
            assert made is None or all(isinstance(x, (int, dims.Expr)) for x in (made.macs, made.ops)), node.attrs


def min_dim(out: Value) -> int:
    return min((d for d in out.shape or () if isinstance(d, int)), default=0)


def test_the_engine_refuses_what_slips_through() -> None:
    inputs = [random(2, 32), random(8, 2, 8), random(16)]
    made = infer(
        single_node(
            "MatMulNBits", inputs, {"K": 32, "N": -8, "block_size": 16, "weight_prepacked": 1}, 17, "com.microsoft"
        )
    )
    assert value(made).shape is None and "a negative dim" in value(made).why
    made = infer(single_node("MatMulNBits", inputs, {"K": "x", "N": 8, "block_size": 16}, 17, "com.microsoft"))
    assert value(made).shape is None and "attribute K has the wrong type" in value(made).why
