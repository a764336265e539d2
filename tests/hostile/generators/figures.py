"""Counts that fit no float, expressions that fit no page, and text that every node would repeat."""

from __future__ import annotations

import struct
from functools import partial

from ..case import JSON, NODES, TEXT, Case, odd
from ..wire import BOOL, FLOAT, INT64, block, chain, function, graph, i64, model, node, opset, tensor, value, weight

HUGE = 1 << 62
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"
RUNS = (TEXT, NODES, JSON)


def products() -> bytes:
    """MACs of 2,500 bits: past every float, far from every digit limit."""
    nodes = [node("MatMul", ["x", "w"], ["y"], "product"), node("Relu", ["y"], ["z"], "relu")]
    return chain(nodes, {"x": [HUGE] * 40, "w": [HUGE] * 40}, ["z"])


def contraction() -> bytes:
    nodes = [node("Einsum", ["x", "w"], ["y"], "sum", equation=f"{LETTERS},{LETTERS}->")]
    return chain(nodes, {"x": [HUGE] * 40, "w": [HUGE] * 40})


def expanded(rank: int) -> bytes:
    """A tensor whose shape the graph makes, of any rank: its number of elements takes thousands of digits."""
    nodes = [
        node("Expand", ["x", "s"], ["e"], "expand"),
        node("Relu", ["e"], ["r"], "relu"),
        node("ReduceSum", ["r"], ["y"], "sum"),
    ]
    return chain(nodes, {"x": [1], "s": i64(*[HUGE] * rank)})


def loops(depth: int) -> bytes:
    """10^9 runs of 10^9 runs ..., one function within the other: figures of any number of digits."""
    trips, yes = tensor("n", [], struct.pack("<q", 10**9), INT64), tensor("t", [], b"\x01", BOOL)
    made = [function("f0", ["a"], ["b"], [node("MatMul", ["a", "a"], ["b"], "product")])]
    for i in range(1, depth):
        body = graph(
            [node(f"f{i - 1}", ["a"], ["o"], "call", "local"), node("Constant", [], ["go"], "on", value=yes)],
            [value("i", [], INT64), value("c", [], BOOL)],
            [value("go", [], BOOL), value("o", [2, 2])],
        )
        nodes = [
            node("Constant", [], ["n"], "trips", value=trips),
            node("Loop", ["n", ""], ["all"], "loop", body=body),
            node("ReduceSum", ["all"], ["b"], "sum"),
        ]
        made.append(function(f"f{i}", ["a"], ["b"], nodes))
    main = graph([node(f"f{depth - 1}", ["x"], ["y"], "call", "local")], [value("x", [2, 2])], [value("y")])
    return model(main, functions=made, opsets=opset(17) + opset(1, "local"))


def sums(count: int) -> bytes:
    """As many dims that only the data decide as no expression can hold together."""
    found = [node("NonZero", ["x"], [f"i{i}"], f"found{i}") for i in range(count)]
    last = [
        node("Concat", [f"i{i}" for i in range(count)], ["c"], "join", axis=1),
        node("Transpose", ["c"], ["t"], "turn", perm=[1, 0]),
        node("MatMul", ["t", "c"], ["y"], "product"),
    ]
    return chain([*found, *last], {"x": (INT64, [4, 4])})


def attention_over_data() -> bytes:
    """Attention to as many keys as the data decide: the MACs of its scores are no number, and may be none."""
    nodes = [
        node("MatMul", ["x", "wq"], ["q"], "q"),
        node("Compress", ["x", "keep"], ["t"], "keys", axis=0),
        node("MatMul", ["t", "wv"], ["v"], "v"),
        node("Transpose", ["t"], ["k"], "turn", perm=[1, 0]),
        node("MatMul", ["q", "k"], ["s"], "scores"),
        node("Softmax", ["s"], ["p"], "probabilities", axis=-1),
        node("MatMul", ["p", "v"], ["y"], "values"),
    ]
    return chain(nodes, {"x": [16, 8], "keep": (BOOL, [16]), "wq": weight(8, 8), "wv": weight(8, 8)})


def named_calls(depth: int, length: int) -> bytes:
    """A call in a call in a call ..., each node with a long name, and at the end an operator without a price."""
    made = [function("f0", ["a"], ["b"], [node("Op", ["a"], ["b"], "n" * length, "foreign")])]
    for i in range(1, depth):
        made.append(function(f"f{i}", ["a"], ["b"], [node(f"f{i - 1}", ["a"], ["b"], f"{i}" + "n" * length, "local")]))
    main = graph([node(f"f{depth - 1}", ["x"], ["y"], "call", "local")], [value("x", [2, 2])], [value("y")])
    return model(main, functions=made, opsets=opset(17) + opset(1, "local") + opset(1, "foreign"))


def chained(count: int, dim: str, first: bytes) -> bytes:
    nodes = [first, *(node("Relu", [f"t{i}"], [f"t{i + 1}"], f"n{i}") for i in range(count))]
    return model(graph(nodes, [value("x", [dim, 2])], [value(f"t{count}")]))


def long_dims(count: int, length: int) -> bytes:
    """A dim's name that stands in the shape of every tensor."""
    return chained(count, "d" * length, node("Relu", ["x"], ["t0"], "first"))


def long_reasons(count: int, length: int) -> bytes:
    """A node without a shape: every node behind it is unknown for the reason that names it."""
    return chained(count, "n", node("Op" + "o" * length, ["x"], ["t0"], "n" * length, "foreign"))


def long_sums(count: int) -> bytes:
    """A dim that is a sum of 300 others, in the shape of every tensor."""
    names = [f"dim_of_input_{i:03}" for i in range(300)]
    inputs = [value(f"x{i}", [name, 2]) for i, name in enumerate(names)]
    nodes = [
        node("Concat", [f"x{i}" for i in range(300)], ["t0"], "join", axis=0),
        *(node("Relu", [f"t{i}"], [f"t{i + 1}"], f"n{i}") for i in range(count)),
    ]
    return model(graph(nodes, inputs, [value(f"t{count}")]))


def stated_wrong() -> bytes:
    """The type of an intermediate tensor runs past its end; it is read only when an operator without rules asks."""
    inner = block(13, b"\x0a\x01y\x12\x7f\x0a")
    return model(
        graph(
            [node("Op", ["x"], ["y"], "foreign", "dom"), node("Relu", ["y"], ["z"], "relu")],
            [value("x", [2, 2])],
            [value("z")],
        )
        + inner,
        opsets=opset(17) + opset(1, "dom"),
    )


def stored(*dims: int) -> bytes:
    """A weight kept elsewhere, of a shape no file can hold."""
    reads = {"x": [2, 2], "w": lambda name: tensor(name, dims, dtype=FLOAT, external={"location": "none.bin"})}
    return chain([node("MatMul", ["x", "w"], ["y"], "product")], reads)


CASES: list[Case] = [
    odd("figures/macs-of-2500-bits", products(), runs=RUNS),
    odd("figures/contraction-of-2500-bits", contraction(), runs=RUNS),
    odd("figures/rank-64-of-2^62", expanded(64), runs=RUNS),
    odd("figures/rank-1000-of-2^62", expanded(1000), runs=RUNS),
    odd("figures/loops-in-60-functions", partial(loops, 60), runs=RUNS),
    odd("figures/600-dims-of-data", partial(sums, 600), runs=RUNS),
    odd("figures/attention-over-data", attention_over_data(), runs=RUNS),
    odd("figures/dim-of-100000-letters-in-1000-nodes", partial(long_dims, 1_000, 100_000), runs=(TEXT, JSON)),
    odd("figures/reason-of-100000-letters-in-1000-nodes", partial(long_reasons, 1_000, 100_000), runs=(TEXT, JSON)),
    odd("figures/names-of-50000-letters-in-60-calls", partial(named_calls, 60, 50_000), runs=(TEXT, JSON)),
    odd("figures/dim-of-300-terms-in-2000-nodes", partial(long_sums, 2_000), runs=(TEXT, JSON)),
    odd("figures/stored-2^124", stored(HUGE, HUGE), r"more elements than any file"),
    odd("figures/stated-type-runs-past-its-end", stated_wrong(), r"runs past", runs=RUNS),
]
