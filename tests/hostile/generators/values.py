"""Constants on which arithmetic goes wrong when a tool follows values through a graph in Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..case import Case, legal, odd
from ..wire import INT64, INT64_MAX, INT64_MIN, chain, f32, i64, node, real, tensor, whole

INF, NAN = float("inf"), float("nan")


def used_as_size(op: str, reads: Mapping[str, object], version: int = 17, **attrs: Any) -> bytes:
    """`op` of constants, cast to int64 and used as the size of an Expand."""
    nodes = [
        node(op, list(reads), ["v"], "value", **attrs),
        node("Cast", ["v"], ["i"], "cast", to=INT64),
        node("Reshape", ["i", "flat"], ["s"], "vector"),
        node("Expand", ["x", "s"], ["y"], "expand"),
    ]
    return chain(nodes, {"x": [1], **reads, "flat": i64(-1)}, version=version)


def arithmetic() -> list[Case]:
    ints = {
        "div-by-zero": ("Div", 7, 0),
        "mod-by-zero": ("Mod", 7, 0),
        "div-int64-min-by-minus-1": ("Div", INT64_MIN, -1),
        "mod-int64-min-by-minus-1": ("Mod", INT64_MIN, -1),
        "pow-zero-to-minus-1": ("Pow", 0, -1),
        "pow-negative": ("Pow", 2, -3),
        "pow-huge": ("Pow", 3, INT64_MAX),
        "mul-overflow": ("Mul", INT64_MAX, INT64_MAX),
        "add-overflow": ("Add", INT64_MAX, INT64_MAX),
        "sub-overflow": ("Sub", INT64_MIN, INT64_MAX),
        "max-int64": ("Max", INT64_MAX, INT64_MIN),
    }
    floats = {
        "float-div-by-zero": ("Div", 1.0, 0.0),
        "float-div-inf-by-inf": ("Div", INF, INF),
        "float-pow-zero-to-minus-1": ("Pow", 0.0, -1.0),
        "float-pow-of-negative": ("Pow", -8.0, 1 / 3),  # a complex number, if Python is asked
        "float-pow-overflow": ("Pow", 1e30, 1e30),
        "float-mul-nan": ("Mul", NAN, 2.0),
        "float-fmod-by-zero": ("Mod", 1.0, 0.0),
    }
    unary = {
        "sqrt-of-negative": ("Sqrt", -1.0),
        "log-of-zero": ("Log", 0.0),
        "log-of-negative": ("Log", -1.0),
        "exp-of-1000": ("Exp", 1000.0),
        "reciprocal-of-zero": ("Reciprocal", 0.0),
        "ceil-of-inf": ("Ceil", INF),
        "floor-of-nan": ("Floor", NAN),
        "round-of-inf": ("Round", INF),
        "cast-of-nan": ("Identity", NAN),
        "cast-of-inf": ("Neg", INF),
        "cast-of-1e38": ("Abs", 1e38),
        "sinh-of-1000": ("Sinh", 1000.0),
        "acos-of-2": ("Acos", 2.0),
    }
    return [
        *[odd(f"values/{name}", used_as_size(op, {"a": whole(a), "b": whole(b)})) for name, (op, a, b) in ints.items()],
        *[
            odd(
                f"values/{name}",
                used_as_size(op, {"a": real(a), "b": real(b)}, **({"fmod": 1} if op == "Mod" else {})),
            )
            for name, (op, a, b) in floats.items()
        ],
        *[odd(f"values/{name}", used_as_size(op, {"a": real(a)})) for name, (op, a) in unary.items()],
        odd(
            "values/bit-shift-by-64",
            used_as_size("BitShift", {"a": whole(1), "b": whole(64)}, direction="LEFT"),
        ),
        odd(
            "values/bit-shift-by-minus-1",
            used_as_size("BitShift", {"a": whole(1), "b": whole(-1)}, direction="RIGHT"),
        ),
    ]


def others() -> list[Case]:
    size = {"x": [1], "flat": i64(-1)}
    ends = [node("Expand", ["x", "s"], ["y"], "expand")]
    shape = node("Shape", ["x"], ["d"], "shape")

    def text(content: bytes) -> bytes:
        """Cast of a string to a number, used as a size."""
        made = node("Constant", [], ["t"], "text", value_strings=[content])
        return chain([made, node("Cast", ["t"], ["s"], "cast", to=INT64), *ends], size)

    return [
        odd("values/cast-of-word", text(b"twelve")),
        odd("values/cast-of-5000-digits", text(b"9" * 5_000)),
        odd("values/cast-of-escape", text(b"\x1b[31m\xff")),
        odd(
            "values/gather-out-of-range",
            chain([shape, node("Gather", ["d", "i"], ["s"]), *ends], {**size, "i": i64(9)}),
        ),
        odd(
            "values/gather-int64-min",
            chain([shape, node("Gather", ["d", "i"], ["s"]), *ends], {**size, "i": i64(INT64_MIN)}),
        ),
        odd(
            "values/gather-nd-out-of-range",
            chain([shape, node("GatherND", ["d", "i"], ["s"]), *ends], {**size, "i": i64(99, dims=(1, 1))}),
        ),
        odd(
            "values/scatter-out-of-range",
            chain(
                [shape, node("ScatterElements", ["d", "i", "u"], ["s"]), *ends],
                {**size, "i": i64(50), "u": i64(3)},
            ),
        ),
        odd(
            "values/slice-of-shape-by-int64-min",
            chain(
                [shape, node("Slice", ["d", "a", "b", "z", "p"], ["s"]), *ends],
                {**size, "a": i64(INT64_MAX), "b": i64(INT64_MIN), "z": i64(0), "p": i64(INT64_MIN)},
            ),
        ),
        odd(
            "values/slice-of-shape-step-0",
            chain(
                [shape, node("Slice", ["d", "a", "b", "z", "p"], ["s"]), *ends],
                {**size, "a": i64(0), "b": i64(9), "z": i64(0), "p": i64(0)},
            ),
        ),
        odd(
            "values/range-step-0",
            chain(
                [node("Range", ["a", "b", "c"], ["s"]), *ends],
                {**size, "a": whole(0), "b": whole(9), "c": whole(0)},
            ),
        ),
        odd(
            "values/range-backwards",
            chain(
                [node("Range", ["a", "b", "c"], ["s"]), *ends],
                {**size, "a": whole(0), "b": whole(-9), "c": whole(1)},
            ),
        ),
        odd(
            "values/range-nan",
            chain([node("Range", ["a", "b", "c"], ["y"])], {"a": real(0.0), "b": real(NAN), "c": real(1.0)}),
        ),
        odd(
            "values/range-inf",
            chain([node("Range", ["a", "b", "c"], ["y"])], {"a": real(0.0), "b": real(INF), "c": real(1.0)}),
        ),
        odd(
            "values/resize-scales-nan",
            chain([node("Resize", ["x", "", "k"], ["y"])], {"x": [1, 4], "k": f32(1.0, NAN)}),
        ),
        odd(
            "values/resize-scales-inf",
            chain([node("Resize", ["x", "", "k"], ["y"])], {"x": [1, 4], "k": f32(1.0, INF)}),
        ),
        odd(
            "values/resize-scales-negative",
            chain([node("Resize", ["x", "", "k"], ["y"])], {"x": [1, 4], "k": f32(1.0, -2.0)}),
        ),
        odd(
            "values/resize-scales-0",
            chain([node("Resize", ["x", "", "k"], ["y"])], {"x": [1, 4], "k": f32(1.0, 0.0)}),
        ),
        odd("values/expand-by-negative", chain(ends, {**size, "s": i64(-5)})),
        odd(
            "values/concat-of-scalars",
            chain([node("Concat", ["a", "b"], ["s"], axis=0), *ends], {**size, "a": whole(1), "b": whole(2)}),
        ),
        odd("values/reduce-of-empty", chain([node("ReduceMax", ["e"], ["s"]), *ends], {**size, "e": i64()})),
        odd("values/arg-max-of-empty", chain([node("ArgMax", ["e"], ["s"]), *ends], {**size, "e": i64()})),
        odd(
            "values/size-as-shape-of-itself",
            chain(
                [
                    node("Size", ["x"], ["n"]),
                    node("Reshape", ["n", "flat"], ["s"]),
                    node("Expand", ["x", "s"], ["y"]),
                ],
                {**size, "x": [1 << 40, 1 << 40]},
            ),
        ),
        odd(
            "values/string-as-size",
            chain([node("Constant", [], ["s"], value_strings=[b"a", b"b"]), *ends], size),
        ),
        odd("values/float-as-size", chain(ends, {**size, "s": f32(2.5, NAN)})),
        odd("values/bool-as-size", chain(ends, {**size, "s": lambda name: tensor(name, [2], b"\x07\xff", 9)})),
        legal("values/nothing-to-follow", chain([node("Identity", ["x"], ["y"])], {"x": [0, 3]}, {"y": [0, 3]})),
    ]


CASES: list[Case] = [*arithmetic(), *others()]
