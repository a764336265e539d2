"""Graphs that are wired wrongly, nested too deeply, or simply very large."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from ..case import JSON, TEXT, Case, bad, legal, odd
from ..wire import (
    BOOL,
    INT64,
    Graph,
    block,
    chain,
    function,
    graph,
    i64,
    integer,
    model,
    node,
    opset,
    pair,
    tensor,
    value,
    weight,
    whole,
)

X, Y = value("x", [4, 4]), value("y", [4, 4])
RELU = node("Relu", ["x"], ["y"], "relu")
LOOPED = r"cycl|circular|loop|itself|depend|order"
RECURSIVE = r"recurs|cycl|itself|call|deep|nest"


def wired(*nodes: bytes, initializers: Sequence[bytes] = (), extra: bytes = b"") -> bytes:
    return model(graph(nodes, [X], [Y], initializers, extra=extra))


def wiring() -> list[Case]:
    two = [
        node("Add", ["x", "b"], ["a"], "one"),
        node("Relu", ["a"], ["b"], "two"),
        node("Relu", ["a"], ["y"], "three"),
    ]
    around = [
        node("Add", ["x" if n == 0 else f"t{n - 1}", f"t{(n + 1) % 500}"], [f"t{n}"], f"n{n}") for n in range(500)
    ]
    inner = graph([node("Relu", ["y"], ["i"], "inner")], (), [value("i")])
    through_body = node("If", ["c"], ["y"], "if", then_branch=inner, else_branch=inner)
    condition = tensor("c", [], b"\x01", BOOL)
    w = tensor("w", [4, 4], bytes(64))
    return [
        bad("structure/cycle-of-two", wired(*two), LOOPED),
        bad("structure/cycle-of-one", wired(node("Add", ["x", "y"], ["y"], "self")), LOOPED),
        bad("structure/cycle-of-500", wired(*around, node("Relu", ["t0"], ["y"], "last")), LOOPED),
        bad("structure/cycle-through-a-body", wired(through_body, initializers=[condition]), LOOPED),
        bad("structure/cycle-beside-the-rest", wired(RELU, node("Add", ["p", "p"], ["p"], "island"))),
        odd(
            "structure/names-of-nodes-twice",
            wired(node("Relu", ["x"], ["m"], "n"), node("Relu", ["m"], ["y"], "n")),
        ),
        legal(
            "structure/unsorted",
            wired(node("Relu", ["m"], ["y"], "late"), node("Relu", ["x"], ["m"], "early")),
        ),
        bad("structure/outputs-twice", wired(RELU, node("Neg", ["x"], ["y"], "again"))),
        bad("structure/outputs-twice-in-one-node", wired(node("Split", ["x"], ["y", "y"], "split"))),
        bad("structure/output-is-an-input", wired(RELU, node("Neg", ["y"], ["x"], "back"))),
        bad("structure/output-is-an-initializer", wired(RELU, initializers=[tensor("y", [4, 4], bytes(64))])),
        odd(
            "structure/initializers-twice",
            wired(node("MatMul", ["x", "w"], ["y"], "mm"), initializers=[w, w]),
        ),
        bad(
            "structure/initializers-twice-unlike",
            wired(node("MatMul", ["x", "w"], ["y"], "mm"), initializers=[w, tensor("w", [4, 9], bytes(144))]),
        ),
        bad("structure/inputs-twice", model(graph([RELU], [X, value("x", [9])], [Y]))),
        bad("structure/input-nobody-makes", wired(node("Add", ["x", "ghost"], ["y"], "add"))),
        bad("structure/output-nobody-makes", model(graph([RELU], [X], [value("ghost")]))),
        bad("structure/output-unnamed", model(graph([RELU], [X], [value("")]))),
        odd("structure/no-outputs", model(graph([RELU], [X], []))),
        odd("structure/no-inputs", model(graph([node("Relu", ["w"], ["y"])], [], [Y], [w]))),
        bad("structure/op-type-empty", wired(node("", ["x"], ["y"], "nameless"))),
        odd("structure/node-empty", wired(RELU, b"")),
        odd("structure/node-without-outputs", wired(RELU, node("Relu", ["x"], [], "mute"))),
        odd("structure/node-with-empty-outputs", wired(RELU, node("Relu", ["x"], ["", ""], "mute"))),
        odd("structure/initializer-unnamed", wired(RELU, initializers=[tensor("", [4], bytes(16))])),
        odd("structure/initializer-empty", wired(RELU, initializers=[b""])),
        odd("structure/input-without-type", model(graph([RELU], [block(1, "x")], [Y]))),
        odd(
            "structure/input-is-a-sequence",
            model(graph([RELU], [block(1, "x") + block(2, block(4, b""))], [Y])),
        ),
        odd("structure/input-type-999", model(graph([RELU], [value("x", [4], 999)], [Y]))),
        odd("structure/value-info-disagrees", wired(RELU, extra=block(13, value("y", [7, 7, 7])))),
        odd("structure/output-shape-disagrees", model(graph([RELU], [X], [value("y", [5, 5])]))),
    ]


# --- functions ------------------------------------------------------------------------------------


def calls(name: str, *callees: str) -> bytes:
    """A function that calls `callees` one after the other."""
    tensors = ["a", *[f"t{n}" for n in range(len(callees) - 1)], "b"]
    nodes = [node(callee, [tensors[n]], [tensors[n + 1]], f"call{n}", "local") for n, callee in enumerate(callees)]
    return function(name, ["a"], ["b"], nodes)


def calling(name: str, *functions: bytes) -> bytes:
    body = graph([node(name, ["x"], ["y"], "start", "local")], [X], [Y])
    return model(body, opsets=opset(17) + opset(1, "local"), functions=functions)


def functions() -> list[Case]:
    leaf = function("leaf", ["a"], ["b"], [node("Relu", ["a"], ["b"], "relu")])
    doubling = [calls(f"f{n}", *[f"f{n - 1}" if n else "leaf"] * 2) for n in range(30)]
    tall = [calls(f"f{n}", f"f{n - 1}" if n else "leaf") for n in range(2_000)]
    clash = function("leaf", ["a"], ["b"], [node("Neg", ["a"], ["b"], "neg")])
    return [
        legal("structure/function", calling("leaf", leaf)),
        odd("structure/functions-30-deep-twice-each", calling("f29", leaf, *doubling), RECURSIVE),
        odd("structure/functions-2000-deep", calling("f1999", leaf, *tall), RECURSIVE),
        bad("structure/function-calls-itself", calling("f", calls("f", "f")), RECURSIVE),
        bad("structure/function-calls-itself-twice", calling("f", calls("f", "f", "f")), RECURSIVE),
        bad("structure/functions-call-each-other", calling("f", calls("f", "g"), calls("g", "f")), RECURSIVE),
        odd("structure/function-recursive-unused", calling("leaf", leaf, calls("f", "f"))),
        bad("structure/functions-twice-unlike", calling("leaf", leaf, clash)),
        bad("structure/function-missing", calling("absent")),
        bad(
            "structure/function-input-missing",
            calling("f", function("f", [], ["b"], [node("Relu", ["a"], ["b"])])),
        ),
        bad("structure/function-output-missing", calling("f", function("f", ["a"], ["b"], []))),
        odd(
            "structure/function-inputs-too-many",
            calling("f", function("f", ["a", "z"], ["b"], [node("Relu", ["a"], ["b"])])),
        ),
        odd(
            "structure/function-without-opset",
            calling("f", function("f", ["a"], ["b"], [node("Relu", ["a"], ["b"])], opsets=b"")),
        ),
        odd(
            "structure/function-named-as-an-operator",
            model(
                graph([RELU], [X], [Y]),
                functions=[function("Relu", ["a"], ["b"], [node("Relu", ["a"], ["b"])], "")],
            ),
        ),
    ]


# --- bodies ---------------------------------------------------------------------------------------


def nested_ifs(depth: int) -> bytes:
    inner: Graph = graph([node("Relu", ["x"], ["y0"], "innermost")], (), [value("y0", [4, 4])])
    other = graph([node("Neg", ["x"], ["z"], "other")], (), [value("z", [4, 4])])
    for level in range(1, depth):
        branch = node("If", ["c"], [f"y{level}"], f"if{level}", then_branch=inner, else_branch=other)
        inner = graph([branch], (), [value(f"y{level}", [4, 4])])
    top = node("If", ["c"], ["y"], "top", then_branch=inner, else_branch=other)
    return model(graph([top], [X, value("c", [], BOOL)], [Y]))


def loop_body(nodes: Sequence[bytes], outputs: Sequence[str]) -> Graph:
    inputs = [value("i", [], INT64), value("k", [], BOOL)]
    return graph([node("Identity", ["k"], ["go"]), *nodes], inputs, [value("go", [], BOOL), *map(value, outputs)])


def nested_loops(depth: int, trips: int) -> bytes:
    body = loop_body([node("MatMul", ["x", "x"], ["s"], "inner")], ["s"])
    for _ in range(depth - 1):
        body = loop_body([node("Loop", ["n", "t"], ["s"], "loop", body=body)], ["s"])
    return chain(
        [node("Loop", ["n", "t"], ["y"], "outer", body=body)],
        {"x": [4, 4], "n": whole(trips), "t": lambda name: tensor(name, [], b"\x01", BOOL)},
    )


def looped(trips: int, body: Graph, carried: Sequence[str] = (), outputs: Sequence[str] = ("y",)) -> bytes:
    reads = {"x": [4, 4], "n": whole(trips), "t": lambda name: tensor(name, [], b"\x01", BOOL)}
    return chain([node("Loop", ["n", "t", *carried], outputs, "loop", body=body)], reads, outputs)


def bodies() -> list[Case]:
    one = graph([node("Relu", ["x"], ["z"])], (), [value("z", [4, 4])])
    empty = graph([])
    doubling = graph(
        [node("Identity", ["k"], ["go"]), node("Concat", ["v", "v"], ["vv"], "concat", axis=0)],
        [value("i", [], INT64), value("k", [], BOOL), value("v", ["rows", 4])],
        [value("go", [], BOOL), value("vv", ["more", 4])],
    )
    by_choice: dict[str, object] = {"x": [4, 4], "c": (BOOL, [])}
    return [
        legal("structure/ifs-30-deep", nested_ifs(30)),
        odd("structure/ifs-40-deep", nested_ifs(40), r"deep|nest"),
        odd("structure/ifs-1000-deep", lambda: nested_ifs(1_000), r"deep|nest", runs=(TEXT, JSON)),
        odd("structure/ifs-5000-deep", lambda: nested_ifs(5_000), r"deep|nest"),
        odd("structure/loops-20-deep-million-trips", nested_loops(20, 10**6)),
        odd("structure/loops-500-deep", nested_loops(500, 2), r"deep|nest"),
        odd(
            "structure/loop-2^62-trips",
            looped(1 << 62, loop_body([node("MatMul", ["x", "x"], ["s"])], ["s"])),
        ),
        odd("structure/loop-negative-trips", looped(-5, loop_body([node("MatMul", ["x", "x"], ["s"])], ["s"]))),
        odd("structure/loop-doubles-10^9-times", looped(10**9, doubling, ["x"])),
        bad("structure/loop-body-outputs-too-few", looped(3, loop_body([], []))),
        bad("structure/loop-body-outputs-too-many", looped(3, loop_body([RELU], ["y", "y"]), ["x", "x"])),
        bad("structure/loop-body-empty", looped(3, empty)),
        bad("structure/loop-without-body", chain([node("Loop", ["n"], ["y"])], {"x": [4], "n": whole(3)})),
        bad(
            "structure/loop-body-is-a-number",
            chain([node("Loop", ["n"], ["y"], body=3)], {"x": [4], "n": whole(3)}),
        ),
        bad("structure/if-without-branches", chain([node("If", ["c"], ["y"])], by_choice)),
        bad("structure/if-with-one-branch", chain([node("If", ["c"], ["y"], then_branch=one)], by_choice)),
        bad(
            "structure/if-branches-empty",
            chain([node("If", ["c"], ["y"], then_branch=empty, else_branch=empty)], by_choice),
        ),
        bad(
            "structure/if-without-condition",
            chain([node("If", [], ["y"], then_branch=one, else_branch=one)], {"x": [4]}),
        ),
        bad("structure/scan-without-count", chain([node("Scan", ["x"], ["y"], body=one)], {"x": [4, 4]})),
        bad(
            "structure/scan-count-too-large",
            chain([node("Scan", ["x"], ["y"], body=one, num_scan_inputs=99)], {"x": [4, 4]}),
        ),
        bad(
            "structure/scan-count-negative",
            chain([node("Scan", ["x"], ["y"], body=one, num_scan_inputs=-1)], {"x": [4, 4]}),
        ),
        bad(
            "structure/scan-without-body",
            chain([node("Scan", ["x"], ["y"], num_scan_inputs=1)], {"x": [4, 4]}),
        ),
        bad("structure/sequence-map-without-body", chain([node("SequenceMap", ["x"], ["y"])], {"x": [4, 4]})),
    ]


# --- many of everything ---------------------------------------------------------------------------

MANY = 200_000


def relus(count: int) -> bytes:
    names = ["x", *[f"/encoder/layer.{n}/activation/Relu_output_0" for n in range(count - 1)], "y"]
    nodes = [node("Relu", [names[n]], [names[n + 1]], f"/encoder/layer.{n}/activation/Relu") for n in range(count)]
    return model(graph(nodes, [value("x", [1, 64])], [value("y", [1, 64])]))


def residuals(count: int) -> bytes:
    """Relu and Add by turns, each Add reading what came four nodes before."""
    names = ["x", *[f"/blocks.{n // 2}/out_{n}" for n in range(count - 1)], "y"]
    nodes = []
    for n in range(count):
        reads = [names[n], names[max(0, n - 3)]] if n % 2 else [names[n]]
        nodes.append(node("Add" if n % 2 else "Relu", reads, [names[n + 1]], f"/blocks.{n // 2}/node_{n}"))
    return model(graph(nodes, [value("x", [1, 64])], [value("y", [1, 64])]))


def all_alive(count: int) -> bytes:
    """A chain whose every tensor is read once more at the very end."""
    names = [f"t{n}" for n in range(count)]
    nodes = [node("Relu", ["x" if n == 0 else names[n - 1]], [names[n]]) for n in range(count)]
    return model(
        graph(
            [*nodes, node("Concat", names, ["y"], "all", axis=0)],
            [value("x", [1, 64])],
            [value("y", [count, 64])],
        )
    )


def many_outputs(count: int) -> bytes:
    names = [f"s{n}" for n in range(count)]
    return model(
        graph([node("Split", ["x"], names, "split", axis=0)], [value("x", [count, 4])], list(map(value, names)))
    )


def many_initializers(count: int, *, read: bool) -> bytes:
    constants = [tensor(f"/layers.{n}/bias", [4], bytes(16)) for n in range(count)]
    names = [f"/layers.{n}/bias" for n in range(count)] if read else []
    return model(graph([node("Sum", ["x", *names], ["y"], "sum")], [value("x", [4])], [value("y", [4])], constants))


def many_inputs(count: int) -> bytes:
    names = [f"x{n}" for n in range(count)]
    return model(graph([node("Sum", names, ["y"], "sum")], [value(name, [4]) for name in names], [value("y", [4])]))


def many_fields(count: int, field: bytes) -> bytes:
    return model(graph([RELU + field * count], [X], [Y]))


def many_bodies(count: int) -> bytes:
    one = graph([node("Relu", ["x"], ["z"])], (), [value("z", [4, 4])])
    ifs = [node("If", ["c"], [f"o{n}"], f"if{n}", then_branch=one, else_branch=one) for n in range(count)]
    return model(graph([*ifs, RELU], [X, value("c", [], BOOL)], [Y]))


def shape_arithmetic(count: int) -> bytes:
    """The sort of Shape, Gather, Concat, Reshape chain an exporter writes, many times over."""
    nodes, last = [], "x"
    for n in range(count):
        nodes += [
            node("Shape", [last], [f"s{n}"]),
            node("Gather", [f"s{n}", "zero"], [f"g{n}"]),
            node("Concat", [f"g{n}", "rest"], [f"c{n}"], axis=0),
            node("Reshape", [last, f"c{n}"], [f"r{n}"]),
        ]
        last = f"r{n}"
    return chain([*nodes, node("Relu", [last], ["y"])], {"x": [4, 4], "zero": i64(0), "rest": i64(-1)}, {"y": [4, 4]})


BOUND = r"limit|bound|many|large|more than|seconds|memory"  # a refusal names the bound that was passed


SIZES: dict[str, tuple[Callable[[int], bytes], int]] = {
    "relus": (relus, MANY),
    "residuals": (residuals, MANY),
    "tensors-alive": (all_alive, 50_000),
    "initializers": (partial(many_initializers, read=False), MANY),
    "initializers-read": (partial(many_initializers, read=True), MANY),
    "graph-inputs": (many_inputs, 100_000),
    "outputs": (many_outputs, 100_000),
    "ifs": (many_bodies, 20_000),
    "shape-chains": (shape_arithmetic, 20_000),
}


def largest() -> list[Case]:
    """All of it: may pass a documented bound."""
    return [
        odd(f"structure/{count}-{name}", partial(make, count), BOUND, runs=(TEXT,))
        for name, (make, count) in SIZES.items()
        if name != "relus"  # as JSON, below
    ]


def many() -> list[Case]:
    """A tenth of it is nothing unusual and must be reported."""
    tenths = [
        legal(f"structure/{count // 10}-{name}", partial(make, count // 10), runs=(TEXT,))
        for name, (make, count) in SIZES.items()
    ]
    return [
        *tenths,
        *largest(),
        legal("structure/20000-relus-as-json", partial(relus, MANY // 10)),
        odd("structure/200000-relus-as-json", partial(relus, MANY), BOUND),
        odd("structure/200000-attributes", partial(many_fields, MANY, block(5, block(1, "a") + integer(3, 1)))),
        odd("structure/200000-node-metadata", partial(many_fields, MANY, block(9, pair("k", "v")))),
        legal(
            "structure/weights-of-one-byte-names",
            chain([node("MatMul", ["x", "w"], ["y"])], {"x": [4, 4], "w": weight(4, 4)}, {"y": [4, 4]}),
        ),
    ]


CASES: list[Case] = [*wiring(), *functions(), *bodies(), *many()]
