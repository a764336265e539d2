"""Operators given what they cannot take: the report must say that it does not know, not make something up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..case import Case, bad, legal, odd
from ..wire import INT64_MAX, INT64_MIN, Outputs, i64, single, weight, whole

X: Mapping[str, object] = {"x": [4, 4]}
IMAGE: Mapping[str, object] = {"x": [1, 3, 8, 8]}
KERNEL: Mapping[str, object] = {**IMAGE, "w": weight(4, 3, 3, 3)}


def sliced(starts: list[int], ends: list[int], axes: list[int], steps: list[int], outputs: Outputs = ("y",)) -> bytes:
    reads = {**X, "s": i64(*starts), "e": i64(*ends), "a": i64(*axes), "t": i64(*steps)}
    return single("Slice", reads, outputs=outputs)


def slices() -> list[Case]:
    low, high = INT64_MIN, INT64_MAX
    return [
        legal("operators/slice-everything", sliced([low], [high], [0], [1], {"y": [4, 4]})),
        legal("operators/slice-backwards", sliced([high], [low], [0], [-1], {"y": [4, 4]})),
        odd("operators/slice-step-int64-min", sliced([high], [low], [0], [low])),
        odd("operators/slice-step-int64-max", sliced([low], [high], [0], [high])),
        legal("operators/slice-empty", sliced([high], [low], [0], [1], {"y": [0, 4]})),
        bad("operators/slice-step-0", sliced([0], [4], [0], [0])),
        bad("operators/slice-axis-7", sliced([0], [4], [7], [1])),
        bad("operators/slice-axis-int64-min", sliced([0], [4], [low], [1])),
        bad("operators/slice-lengths-differ", sliced([0, 0], [4], [0], [1])),
        odd("operators/slice-axis-twice", sliced([0, 1], [4, 3], [0, 0], [1, 1])),
    ]


def reshapes() -> list[Case]:
    def to(dims: list[int], target: list[int], **attrs: Any) -> bytes:
        return single("Reshape", {"x": dims, "s": i64(*target)}, **attrs)

    return [
        bad("operators/reshape-two-minus-1", to([4, 4], [-1, -1])),
        bad("operators/reshape-minus-1-over-zero", to([0, 4], [0, -1])),
        bad("operators/reshape-minus-1-and-allowed-zero", to([0, 4], [0, -1], allowzero=1)),
        bad("operators/reshape-minus-1-does-not-divide", to([3, 5], [2, -1])),
        bad("operators/reshape-other-size", to([4, 4], [5, 5])),
        bad("operators/reshape-zero-past-the-rank", to([4], [4, 0])),
        bad("operators/reshape-minus-2", to([4, 4], [-2, -8])),
        bad("operators/reshape-wraps-to-the-same-size", to([4, 4], [1 << 62, 1 << 2, 16])),
        bad("operators/reshape-int64-min", to([4, 4], [INT64_MIN, 1])),
        bad("operators/squeeze-axis-not-1", single("Squeeze", {**X, "a": i64(0)})),
        bad("operators/squeeze-axis-9", single("Squeeze", {**X, "a": i64(9)})),
        bad("operators/unsqueeze-axis-9", single("Unsqueeze", {**X, "a": i64(9)})),
        bad("operators/unsqueeze-axis-twice", single("Unsqueeze", {**X, "a": i64(0, 0)})),
        bad("operators/flatten-axis-9", single("Flatten", X, axis=9)),
        bad("operators/transpose-same-twice", single("Transpose", X, perm=[0, 0])),
        bad("operators/transpose-axis-5", single("Transpose", X, perm=[0, 5])),
        bad("operators/transpose-negative", single("Transpose", X, perm=[-1, -7])),
        bad("operators/transpose-too-short", single("Transpose", X, perm=[0])),
        bad("operators/expand-does-not-fit", single("Expand", {"x": [3, 4], "s": i64(2, 4)})),
        bad("operators/tile-negative", single("Tile", {**X, "r": i64(-1, 2)})),
        bad("operators/tile-lengths-differ", single("Tile", {**X, "r": i64(2)})),
        bad("operators/pad-below-zero", single("Pad", {**X, "p": i64(-9, -9, -9, -9)})),
        bad("operators/pad-lengths-differ", single("Pad", {**X, "p": i64(1, 1, 1)})),
        bad("operators/pad-int64-min", single("Pad", {**X, "p": i64(*[INT64_MIN] * 4)})),
        odd("operators/pad-mode-unknown", single("Pad", {**X, "p": i64(1, 1, 1, 1)}, mode="sideways")),
    ]


def joins() -> list[Case]:
    two: Mapping[str, object] = {"x": [4, 4], "z": [4, 4]}
    halves = ("a", "b")
    return [
        bad("operators/concat-axis-7", single("Concat", two, axis=7)),
        bad("operators/concat-axis-int64-min", single("Concat", two, axis=INT64_MIN)),
        bad("operators/concat-axis-missing", single("Concat", two)),
        bad("operators/concat-other-dims-differ", single("Concat", {"x": [4, 4], "z": [5, 5]}, axis=0)),
        bad("operators/concat-ranks-differ", single("Concat", {"x": [4, 4], "z": [4]}, axis=0)),
        bad("operators/concat-of-nothing", single("Concat", {}, axis=0)),
        bad("operators/split-sum-too-small", single("Split", {**X, "s": i64(1, 1)}, outputs=halves, axis=0)),
        bad("operators/split-sum-too-large", single("Split", {**X, "s": i64(3, 3)}, outputs=halves, axis=0)),
        bad("operators/split-negative", single("Split", {**X, "s": i64(-2, 6)}, outputs=halves, axis=0)),
        bad(
            "operators/split-counts-differ",
            single("Split", {**X, "s": i64(2, 2)}, outputs=("a", "b", "c"), axis=0),
        ),
        bad("operators/split-axis-9", single("Split", {**X, "s": i64(2, 2)}, outputs=halves, axis=9)),
        bad("operators/split-into-0", single("Split", X, version=18, outputs=halves, num_outputs=0)),
        bad("operators/split-into-minus-1", single("Split", X, version=18, outputs=halves, num_outputs=-1)),
        bad("operators/add-does-not-broadcast", single("Add", {"x": [4, 3], "z": [4, 2]})),
        bad("operators/where-does-not-broadcast", single("Where", {"c": (9, [3]), "x": [4], "z": [5]})),
        bad("operators/gather-axis-9", single("Gather", {**X, "i": i64(0)}, axis=9)),
        bad("operators/gather-nd-rank", single("GatherND", {**X, "i": i64(0, 0, 0, 0, dims=(1, 4))})),
        bad(
            "operators/gather-nd-batch-dims",
            single("GatherND", {**X, "i": i64(0, dims=(1, 1))}, batch_dims=9),
        ),
        bad("operators/reduce-axis-9", single("ReduceSum", {**X, "a": i64(9)})),
        bad("operators/arg-max-axis-9", single("ArgMax", X, axis=9)),
        bad("operators/top-k-more-than-there-is", single("TopK", {**X, "k": i64(9)}, outputs=halves)),
        bad("operators/top-k-negative", single("TopK", {**X, "k": i64(-3)}, outputs=halves)),
        bad("operators/one-hot-negative", single("OneHot", {"i": (7, [4]), "d": whole(-3), "v": i64(0, 1)})),
        bad("operators/constant-of-shape-negative", single("ConstantOfShape", {"s": i64(-3, 2)})),
        bad("operators/depth-to-space-0", single("DepthToSpace", IMAGE, blocksize=0)),
        bad("operators/depth-to-space-negative", single("DepthToSpace", IMAGE, blocksize=-2)),
        bad("operators/depth-to-space-does-not-divide", single("DepthToSpace", IMAGE, blocksize=2)),
        bad("operators/space-to-depth-0", single("SpaceToDepth", IMAGE, blocksize=0)),
        bad("operators/resize-without-target", single("Resize", IMAGE)),
        bad("operators/resize-sizes-too-few", single("Resize", {**IMAGE, "r": None, "s": i64(1, 2)})),
        odd("operators/softmax-axis-9", single("Softmax", X, axis=9)),
        odd("operators/layer-norm-axis-9", single("LayerNormalization", {**X, "w": weight(4)}, axis=9)),
        odd(
            "operators/group-norm-0-groups",
            single("GroupNormalization", {**IMAGE, "s": weight(3), "b": weight(3)}, version=21, num_groups=0),
        ),
    ]


def convolutions() -> list[Case]:
    def conv(reads: Mapping[str, object] = KERNEL, **attrs: Any) -> bytes:
        return single("Conv", reads, **attrs)

    def pool(**attrs: Any) -> bytes:
        return single("MaxPool", IMAGE, **attrs)

    return [
        bad("operators/conv-without-inputs", conv({})),
        bad("operators/conv-without-weights", conv(IMAGE)),
        bad("operators/conv-strides-0", conv(strides=[0, 0])),
        bad("operators/conv-strides-negative", conv(strides=[-1, -1])),
        bad("operators/conv-strides-int64-min", conv(strides=[INT64_MIN, INT64_MIN])),
        odd("operators/conv-strides-int64-max", conv(strides=[INT64_MAX, INT64_MAX])),
        bad("operators/conv-strides-too-many", conv(strides=[1, 1, 1])),
        bad("operators/conv-dilations-0", conv(dilations=[0, 0])),
        bad("operators/conv-dilations-2^62", conv(dilations=[1 << 62, 1 << 62])),
        bad("operators/conv-pads-hugely-negative", conv(pads=[-(10**9)] * 4)),
        bad("operators/conv-pads-too-few", conv(pads=[1, 1, 1])),
        bad("operators/conv-kernel-larger-than-input", conv({**IMAGE, "w": weight(4, 3, 20, 20)})),
        bad("operators/conv-kernel-shape-disagrees", conv(kernel_shape=[5, 5])),
        bad("operators/conv-kernel-shape-0", conv(kernel_shape=[0, 0])),
        bad("operators/conv-group-0", conv(group=0)),
        bad("operators/conv-group-negative", conv(group=-1)),
        bad("operators/conv-group-does-not-divide", conv(group=2)),
        bad("operators/conv-channels-differ", conv({**IMAGE, "w": weight(4, 5, 3, 3)})),
        bad("operators/conv-weights-rank-2", conv({**IMAGE, "w": weight(4, 3)})),
        bad("operators/conv-input-rank-1", conv({"x": [8], "w": weight(4, 3, 3, 3)})),
        bad("operators/conv-auto-pad-unknown", conv(auto_pad="SAME_SIDEWAYS")),
        odd("operators/conv-auto-pad-strides-0", conv(auto_pad="SAME_UPPER", strides=[0, 0])),
        bad(
            "operators/conv-transpose-strides-0",
            single("ConvTranspose", {**IMAGE, "w": weight(3, 4, 3, 3)}, strides=[0, 0]),
        ),
        bad(
            "operators/conv-transpose-pads-huge",
            single("ConvTranspose", {**IMAGE, "w": weight(3, 4, 3, 3)}, pads=[10**9] * 4),
        ),
        bad(
            "operators/conv-transpose-group-0",
            single("ConvTranspose", {**IMAGE, "w": weight(3, 4, 3, 3)}, group=0),
        ),
        bad("operators/pool-without-kernel", pool()),
        odd("operators/pool-kernel-0", pool(kernel_shape=[0, 0])),
        bad("operators/pool-strides-0", pool(kernel_shape=[2, 2], strides=[0, 0])),
        bad("operators/pool-kernel-larger-than-input", pool(kernel_shape=[99, 99])),
        odd(
            "operators/pool-auto-pad-strides-0",
            pool(kernel_shape=[2, 2], strides=[0, 0], auto_pad="SAME_UPPER"),
        ),
        odd("operators/pool-ceil-mode-junk", pool(kernel_shape=[2, 2], ceil_mode=-7)),
        odd("operators/stft-step-0", single("STFT", {"x": [1, 64, 1], "s": whole(0), "w": weight(16)})),
        odd(
            "operators/col2im-blocks-0",
            single("Col2Im", {"x": [1, 9, 4], "i": i64(4, 4), "b": i64(0, 0)}, version=18),
        ),
    ]


def products() -> list[Case]:
    def gemm(a: list[int], b: list[int], **attrs: Any) -> bytes:
        return single("Gemm", {"a": a, "b": b}, **attrs)

    def einsum(equation: str | bytes, *shapes: list[int]) -> bytes:
        return single("Einsum", {f"x{n}": dims for n, dims in enumerate(shapes)}, equation=equation)

    square = [4, 4]
    return [
        bad("operators/gemm-inner-dims-differ", gemm([4, 5], [6, 7])),
        bad("operators/gemm-inner-dims-differ-transposed", gemm([4, 5], [5, 7], transA=1)),
        bad("operators/gemm-rank-3", gemm([2, 4, 4], [4, 4])),
        odd("operators/gemm-trans-a-junk", gemm([4, 4], [4, 4], transA=-99)),
        bad("operators/matmul-inner-dims-differ", single("MatMul", {"a": [4, 5], "b": [6, 7]})),
        bad("operators/matmul-of-scalars", single("MatMul", {"a": [], "b": []})),
        bad("operators/matmul-batches-differ", single("MatMul", {"a": [2, 4, 4], "b": [3, 4, 4]})),
        bad("operators/matmul-one-input", single("MatMul", {"a": square})),
        bad("operators/einsum-dots-alone", einsum("i..j", square)),
        bad("operators/einsum-dots-twice", einsum("......ij->ij", square)),
        bad("operators/einsum-arrow-twice", einsum("ij->->ij", square)),
        bad("operators/einsum-terms-too-many", einsum("ij,jk->ik", square)),
        bad("operators/einsum-terms-too-few", einsum("ij->ij", square, square)),
        bad("operators/einsum-output-unknown", einsum("ij->k", square)),
        bad("operators/einsum-output-twice", einsum("ij->iij", square)),
        bad("operators/einsum-rank-differs", einsum("ijk->i", square)),
        bad("operators/einsum-dims-differ", einsum("ij,jk->ik", [4, 5], [6, 7])),
        bad("operators/einsum-not-letters", einsum("i1,2j->ij", square, square)),
        bad("operators/einsum-not-utf8", einsum(b"\xff\xfe->i", square)),
        bad("operators/einsum-escape", einsum("\x1b[31mij->ij\r\n", square)),
        bad("operators/einsum-empty", einsum("", square)),
        bad("operators/einsum-missing", single("Einsum", {"x": square})),
        bad("operators/einsum-megabyte-of-terms", einsum("i," * 500_000, square)),
        bad("operators/einsum-megabyte-of-letters", einsum("i" * 1_000_000, square)),
        odd("operators/einsum-megabyte-of-spaces", einsum(" " * 1_000_000 + "ij->ij", square)),
        bad(
            "operators/attention-0-heads",
            single(
                "Attention",
                {"q": [1, 4, 8], "k": [1, 4, 8], "v": [1, 4, 8]},
                version=23,
                q_num_heads=0,
                kv_num_heads=0,
            ),
        ),
        bad(
            "operators/ms-attention-0-heads",
            single(
                "MultiHeadAttention",
                {"q": [1, 4, 8], "k": [1, 4, 8], "v": [1, 4, 8]},
                domain="com.microsoft",
                num_heads=0,
            ),
        ),
        bad(
            "operators/ms-group-query-0-heads",
            single(
                "GroupQueryAttention",
                {"q": [1, 4, 8], "k": [1, 4, 8], "v": [1, 4, 8]},
                domain="com.microsoft",
                num_heads=0,
                kv_num_heads=0,
            ),
        ),
        bad(
            "operators/ms-matmul-bits-0",
            single(
                "MatMulNBits",
                {"a": [1, 32], "b": (2, [8, 1, 16]), "s": [8]},
                domain="com.microsoft",
                K=32,
                N=8,
                bits=0,
                block_size=0,
            ),
        ),
        bad(
            "operators/ms-matmul-sizes-negative",
            single(
                "MatMulNBits",
                {"a": [1, 32], "b": (2, [8, 1, 16]), "s": [8]},
                domain="com.microsoft",
                K=-32,
                N=-8,
                bits=4,
                block_size=32,
            ),
        ),
        odd(
            "operators/lstm-hidden-0",
            single("LSTM", {"x": [5, 1, 3], "w": weight(1, 16, 3), "r": weight(1, 16, 4)}, hidden_size=0),
        ),
        odd(
            "operators/lstm-direction-unknown",
            single(
                "LSTM",
                {"x": [5, 1, 3], "w": weight(1, 16, 3), "r": weight(1, 16, 4)},
                hidden_size=4,
                direction="up",
            ),
        ),
        bad("operators/lstm-without-weights", single("LSTM", {"x": [5, 1, 3]}, hidden_size=4)),
        odd(
            "operators/dequantize-block-0",
            single("DequantizeLinear", {"x": (3, [4, 4]), "s": weight(4, 4)}, version=21, block_size=0, axis=0),
        ),
        odd(
            "operators/dequantize-axis-9",
            single("DequantizeLinear", {"x": (3, [4, 4]), "s": weight(4)}, axis=9),
        ),
        bad(
            "operators/qlinear-conv-too-few-inputs",
            single("QLinearConv", {"x": (2, [1, 3, 8, 8]), "s": weight()}),
        ),
    ]


CASES: list[Case] = [*slices(), *reshapes(), *joins(), *convolutions(), *products()]
