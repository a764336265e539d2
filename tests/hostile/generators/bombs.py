"""A few bytes that stand for a great deal: tensors of 10^12 elements, sizes that double, huge ranks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ..case import Case, legal, odd
from ..wire import (
    INT64,
    INT64_MAX,
    INT64_MIN,
    STRING,
    Outputs,
    block,
    chain,
    f32,
    graph,
    i64,
    model,
    node,
    real,
    single,
    tensor,
    value,
    whole,
)

TRILLION = 10**12
X = {"x": [4, 4]}


def tensors() -> list[Case]:
    """One operator whose output is larger than any memory; the shape itself is a sum anyone can do."""
    floats = {"x": [1, 1, 4, 4]}
    return [
        legal(
            "bombs/constant-of-shape-10^12",
            single("ConstantOfShape", {"s": i64(TRILLION)}, outputs={"y": [TRILLION]}),
        ),
        legal(
            "bombs/constant-of-shape-10^12-cubed-root",
            single("ConstantOfShape", {"s": i64(10**4, 10**4, 10**4)}, outputs={"y": [10**4] * 3}),
        ),
        odd("bombs/constant-of-shape-10^18", single("ConstantOfShape", {"s": i64(10**18)})),
        odd("bombs/constant-of-shape-2^189", single("ConstantOfShape", {"s": i64(*[INT64_MAX] * 3)})),
        odd(
            "bombs/constant-of-shape-int64-10^9",
            single("ConstantOfShape", {"s": i64(10**9)}, value=tensor("v", [1], b"\1" + bytes(7), INT64)),
        ),
        legal("bombs/tile-10^12", single("Tile", {**X, "r": i64(10**6, 10**6)}, outputs={"y": [4 * 10**6] * 2})),
        odd("bombs/tile-10^18", single("Tile", {**X, "r": i64(10**9, 10**9)})),
        odd("bombs/tile-constant-10^12", single("Tile", {"c": i64(1, 2), "r": i64(TRILLION)})),
        legal(
            "bombs/expand-10^12",
            single("Expand", {"x": [1, 1], "s": i64(10**6, 10**6)}, outputs={"y": [10**6] * 2}),
        ),
        odd("bombs/expand-10^18", single("Expand", {"x": [1, 1], "s": i64(10**9, 10**9)})),
        odd("bombs/expand-constant-10^12", single("Expand", {"c": i64(7), "s": i64(TRILLION)})),
        legal(
            "bombs/range-10^12",
            single(
                "Range",
                {"a": whole(0), "b": whole(TRILLION), "d": whole(1)},
                outputs={"y": (INT64, [TRILLION])},
            ),
        ),
        odd(
            "bombs/range-int64",
            single("Range", {"a": whole(INT64_MIN), "b": whole(INT64_MAX), "d": whole(1)}),
        ),
        odd("bombs/range-float-tiny-step", single("Range", {"a": real(0.0), "b": real(1.0), "d": real(1e-30)})),
        legal(
            "bombs/one-hot-10^12",
            single(
                "OneHot",
                {"i": (INT64, [4]), "d": whole(TRILLION), "v": f32(0.0, 1.0)},
                outputs={"y": [4, TRILLION]},
            ),
        ),
        odd(
            "bombs/one-hot-10^18",
            single("OneHot", {"i": (INT64, [4]), "d": whole(10**18), "v": f32(0.0, 1.0)}),
        ),
        legal(
            "bombs/pad-10^12",
            single("Pad", {**X, "p": i64(0, 0, 0, TRILLION)}, outputs={"y": [4, TRILLION + 4]}),
        ),
        odd("bombs/pad-2^62", single("Pad", {**X, "p": i64(1 << 62, 1 << 62, 1 << 62, 1 << 62)})),
        odd("bombs/pad-constant-10^10", single("Pad", {"c": i64(1, 2), "p": i64(0, 10**10)})),
        legal(
            "bombs/resize-scales-10^9",
            single(
                "Resize",
                {**floats, "": None, "k": f32(1.0, 1.0, 1e9, 1.0)},
                outputs={"y": [1, 1, 4 * 10**9, 4]},
            ),
        ),
        odd(
            "bombs/resize-scales-10^9-twice",
            single("Resize", {**floats, "": None, "k": f32(1.0, 1.0, 1e9, 1e9)}),
        ),
        legal(
            "bombs/resize-sizes",
            single(
                "Resize",
                {**floats, "r": f32(), "k": f32(), "s": i64(1, 1, 10**6, 10**6)},
                outputs={"y": [1, 1, 10**6, 10**6]},
            ),
        ),
        odd("bombs/upsample-10^12", single("Upsample", {**floats, "k": f32(1.0, 1.0, 1e12, 1.0)}, version=9)),
        legal(
            "bombs/random-normal-10^12",
            single("RandomNormal", {}, shape=[10**6, 10**6], outputs={"y": [10**6] * 2}),
        ),
        odd("bombs/random-normal-10^36", single("RandomNormal", {}, shape=[TRILLION] * 3)),
        legal(
            "bombs/random-uniform-10^12",
            single("RandomUniform", {}, shape=[10**6, 10**6], outputs={"y": [10**6] * 2}),
        ),
        legal(
            "bombs/conv-transpose-10^12",
            single(
                "ConvTranspose",
                {**floats, "w": [1, 1, 3, 3]},
                strides=[10**6, 10**6],
                outputs={"y": [1, 1, 3 * 10**6 + 3, 3 * 10**6 + 3]},
            ),
        ),
        odd(
            "bombs/conv-transpose-output-shape",
            single("ConvTranspose", {**floats, "w": [1, 1, 3, 3]}, output_shape=[TRILLION] * 2),
        ),
        odd("bombs/conv-pads-10^12", single("Conv", {**floats, "w": [1, 1, 3, 3]}, pads=[TRILLION] * 4)),
        odd("bombs/conv-pads-int64-max", single("Conv", {**floats, "w": [1, 1, 3, 3]}, pads=[INT64_MAX] * 4)),
        odd(
            "bombs/max-unpool-10^12",
            single(
                "MaxUnpool",
                {**floats, "i": (INT64, [1, 1, 4, 4]), "s": i64(1, 1, 10**6, 10**6)},
                kernel_shape=[2, 2],
            ),
        ),
        odd("bombs/depth-to-space-10^9", single("DepthToSpace", floats, blocksize=10**9)),
        odd("bombs/space-to-depth-10^9", single("SpaceToDepth", floats, blocksize=10**9)),
        odd("bombs/top-k-10^12", single("TopK", {**X, "k": i64(TRILLION)}, outputs=("y", "i"))),
        odd("bombs/hann-window-10^12", single("HannWindow", {"n": whole(TRILLION)})),
        odd(
            "bombs/mel-weights-10^12",
            single(
                "MelWeightMatrix",
                {"a": whole(10**6), "b": whole(10**6), "c": whole(8000), "d": real(0.0), "e": real(4000.0)},
            ),
        ),
        odd("bombs/dft-10^12", single("DFT", {"x": [1, 8, 1], "n": whole(TRILLION)})),
        odd("bombs/split-to-sequence-10^12", single("SplitToSequence", {"x": [TRILLION, 1], "s": whole(1)})),
        odd("bombs/split-into-10^9", single("Split", {"x": [10**9, 1]}, version=18, num_outputs=10**9)),
        odd(
            "bombs/affine-grid-10^12",
            single("AffineGrid", {"t": [1, 2, 3], "s": i64(1, 1, 10**6, 10**6)}, version=20),
        ),
        odd(
            "bombs/roi-align-10^12",
            single(
                "RoiAlign",
                {**floats, "r": [1, 4], "b": (INT64, [1])},
                output_height=10**6,
                output_width=10**6,
            ),
        ),
        odd("bombs/center-crop-pad-10^12", single("CenterCropPad", {**X, "s": i64(10**6, 10**6)}, version=18)),
        odd("bombs/unsqueeze-axis-10^12", single("Unsqueeze", {**X, "a": i64(TRILLION)})),
        odd("bombs/unsqueeze-10000-axes", single("Unsqueeze", {**X, "a": i64(*range(10_000))})),
        odd("bombs/constant-of-shape-rank-100000", single("ConstantOfShape", {"s": i64(*[1] * 100_000)})),
    ]


def as_shapes() -> list[Case]:
    """The huge tensor is itself a shape, an index or a condition: following its values means making them."""
    made = node("ConstantOfShape", ["n"], ["big"], "big", value=tensor("v", [1], b"\1" + bytes(7), INT64))
    counted = node("Range", ["zero", "many", "one"], ["big"], "big")
    numbers: Mapping[str, object] = {"zero": whole(0), "many": whole(10**11), "one": whole(1)}
    return [
        odd(
            "bombs/shape-of-10^9-ones",
            chain([made, node("Expand", ["x", "big"], ["y"])], {**X, "n": i64(10**9)}),
        ),
        odd(
            "bombs/reshape-by-10^9-ones",
            chain([made, node("Reshape", ["x", "big"], ["y"])], {**X, "n": i64(10**9)}),
        ),
        odd(
            "bombs/shape-of-10^6-ones",
            chain([made, node("Expand", ["x", "big"], ["y"])], {**X, "n": i64(10**6)}),
        ),
        odd("bombs/gather-by-range", chain([counted, node("Gather", ["x", "big"], ["y"])], {**X, **numbers})),
        odd(
            "bombs/sum-of-range",
            chain(
                [counted, node("ReduceSum", ["big"], ["n"]), node("Expand", ["x", "n"], ["y"])],
                {**X, **numbers},
            ),
        ),
        odd(
            "bombs/shape-of-unsqueezed-range",
            chain(
                [counted, node("Slice", ["big", "a", "b"], ["s"]), node("Expand", ["x", "s"], ["y"])],
                {**X, **numbers, "a": i64(0), "b": i64(2)},
            ),
        ),
        odd("bombs/non-zero-of-10^9", chain([made, node("NonZero", ["big"], ["y"])], {"n": i64(10**9)})),
        odd(
            "bombs/cast-of-10^9",
            chain([made, node("Cast", ["big"], ["c"], to=1), node("Add", ["c", "c"], ["y"])], {"n": i64(10**9)}),
        ),
        odd(
            "bombs/where-of-10^9",
            chain(
                [made, node("Equal", ["big", "big"], ["e"]), node("Where", ["e", "big", "big"], ["y"])],
                {"n": i64(10**9)},
            ),
        ),
    ]


def doubling(op: str, times: int, start: Mapping[str, object], outputs: Outputs = ("y",), **attrs: Any) -> bytes:
    """`times` nodes, each fed twice with the output of the one before."""
    first = next(iter(start))
    names = [first, *[f"t{n}" for n in range(times - 1)], "y"]
    nodes = [node(op, [names[n]] * 2, [names[n + 1]], f"n{n}", **attrs) for n in range(times)]
    return chain(nodes, start, outputs, version=20)


def einsums(times: int) -> bytes:
    """An outer product and a flattening by turns: the size is squared each time."""
    nodes, last = [], "x"
    for n in range(times):
        nodes += [
            node("Einsum", [last, last], [f"e{n}"], f"einsum{n}", equation="i,j->ij"),
            node("Reshape", [f"e{n}", "flat"], [f"f{n}"], f"flat{n}"),
        ]
        last = f"f{n}"
    return chain([*nodes, node("Relu", [last], ["y"])], {"x": [4], "flat": i64(-1)})


def growing_rank(times: int) -> bytes:
    """Each Einsum writes the outer product of its input with itself: the rank doubles."""
    nodes, last, rank = [], "x", 1
    for n in range(times):
        left = "".join(letter(k) for k in range(rank))
        right = "".join(letter(rank + k) for k in range(rank))
        nodes.append(node("Einsum", [last, last], [f"e{n}"], f"einsum{n}", equation=f"{left},{right}->{left}{right}"))
        last, rank = f"e{n}", rank * 2
    return chain([*nodes, node("Relu", [last], ["y"])], {"x": [2]})


def letter(index: int) -> str:
    return "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[index % 52]


def shapes_appended(times: int) -> bytes:
    """Shape of an Unsqueeze by ever more axes: the list of dims doubles."""
    nodes, last = [], "seed"
    for n in range(times):
        nodes += [
            node("Concat", [last, last], [f"c{n}"], f"concat{n}", axis=0),
            node("ConstantOfShape", [f"c{n}"], [f"k{n}"], f"fill{n}"),
            node("Shape", [f"k{n}"], [f"s{n}"], f"shape{n}"),
        ]
        last = f"s{n}"
    return chain([*nodes, node("ConstantOfShape", [last], ["y"])], {"seed": i64(1)})


def growth() -> list[Case]:
    text = tensor("x", [1], None, STRING, extra=block(6, "evil"))
    return [
        odd("bombs/concat-60-times", doubling("Concat", 60, {"x": [4, 4]}, axis=0)),
        legal("bombs/concat-30-times", doubling("Concat", 30, {"x": [4, 4]}, {"y": [1 << 32, 4]}, axis=0)),
        odd("bombs/concat-constants-60-times", doubling("Concat", 60, {"k": i64(1, 2)}, axis=0)),
        odd("bombs/concat-200-times", doubling("Concat", 200, {"x": [4, 4]}, axis=0)),
        odd("bombs/concat-20000-times", partial(doubling, "Concat", 20_000, {"x": [4, 4]}, axis=0)),
        odd(
            "bombs/string-concat-60-times",
            doubling("StringConcat", 60, {"k": lambda name: tensor(name, [1], None, STRING, extra=block(6, "ab"))}),
        ),
        odd("bombs/multiply-60-times", doubling("Mul", 60, {"k": whole(3)})),
        odd("bombs/multiply-vector-60-times", doubling("Mul", 60, {"k": i64(3, 5)})),
        odd("bombs/add-20000-times", partial(doubling, "Add", 20_000, {"k": i64(3)})),
        odd("bombs/power-60-times", doubling("Pow", 60, {"k": whole(7)})),
        odd("bombs/power-of-10^12", single("Pow", {"a": whole(10), "b": whole(TRILLION)})),
        odd(
            "bombs/bit-shift-10^12",
            single("BitShift", {"a": whole(1), "b": whole(TRILLION)}, direction="LEFT"),
        ),
        odd("bombs/einsum-60-times", einsums(60)),
        odd("bombs/einsum-rank-doubles", growing_rank(12)),
        odd("bombs/shape-doubles-40-times", shapes_appended(40)),
        odd("bombs/expand-each-other-60-times", doubling("Einsum", 60, {"x": [2, 2]}, equation="ij,kl->ijkl")),
        odd(
            "bombs/string-tensor",
            model(graph([node("Identity", ["x"], ["y"])], [], [value("y", [1], STRING)], [text])),
        ),
    ]


CASES: list[Case] = [*tensors(), *as_shapes(), *growth()]
