"""Tensors whose dims, types and bytes contradict one another, or that no machine could hold."""

from __future__ import annotations

from functools import partial

from ..case import JSON, TEXT, Case, bad, legal, odd
from ..wire import (
    BOOL,
    INT64,
    INT64_MAX,
    INT64_MIN,
    block,
    blocks,
    graph,
    i64,
    integer,
    model,
    node,
    operands,
    tensor,
    value,
)

TRILLION = 10**12


def dims_case(*dims: int, raw: bytes = b"") -> bytes:
    """An initializer with these dims, read by one Relu."""
    return model(graph([node("Relu", ["w"], ["y"], "relu")], [], [value("y")], [tensor("w", dims, raw)]))


def input_case(*dims: int | None) -> bytes:
    return model(graph([node("Relu", ["x"], ["y"], "relu")], [value("x", dims)], [value("y", dims)]))


def dims() -> list[Case]:
    return [
        odd("tensors/input-2^62", input_case(1 << 62)),
        odd("tensors/input-2^62-squared", input_case(1 << 62, 1 << 62)),
        odd("tensors/input-2^63-1", input_case(INT64_MAX, INT64_MAX, INT64_MAX)),
        legal("tensors/input-minus-1", input_case(-1, 4)),
        odd("tensors/input-minus-2", input_case(-2, 4)),
        odd("tensors/input-int64-min", input_case(INT64_MIN, 4)),
        legal("tensors/input-dim-unsaid", input_case(None, 4)),
        legal("tensors/input-0", input_case(0, 4)),
        bad("tensors/initializer-2^62", dims_case(1 << 62)),
        bad("tensors/initializer-2^63-1-squared", dims_case(INT64_MAX, INT64_MAX)),
        bad("tensors/initializer-10^12-of-4-bytes", dims_case(TRILLION, raw=bytes(4))),
        bad("tensors/initializer-minus-1", dims_case(-1, raw=bytes(16))),
        bad("tensors/initializer-minus-2-times-minus-2", dims_case(-2, -2, raw=bytes(16))),
        bad("tensors/initializer-int64-min", dims_case(INT64_MIN)),
        bad("tensors/raw-data-too-short", dims_case(4, 4, raw=bytes(60))),
        bad("tensors/raw-data-too-long", dims_case(4, 4, raw=bytes(68))),
        bad("tensors/raw-data-missing", dims_case(4, 4)),
        odd("tensors/data-twice", Tensors.twice()),
        bad("tensors/float-data-too-short", Tensors.floats(15)),
        bad("tensors/data-type-999", Tensors.typed(999)),
        bad("tensors/data-type-0", Tensors.typed(0)),
        bad("tensors/data-type-negative", Tensors.typed(-1)),
        bad("tensors/data-type-missing", Tensors.untyped()),
        bad("tensors/shape-operand-raw-too-short", Tensors.operand(bytes(12))),
        bad("tensors/shape-operand-raw-huge-dims", Tensors.operand(bytes(16), TRILLION)),
        odd("tensors/rank-million", partial(dims_case, *[1] * 1_000_000, raw=bytes(4)), runs=(TEXT, JSON)),
        odd("tensors/rank-million-packed", partial(Tensors.packed, 1_000_000)),
        odd("tensors/rank-million-input", partial(input_case, *[1] * 1_000_000), runs=(TEXT, JSON)),
        odd("tensors/rank-million-of-twos", partial(input_case, *[2] * 1_000_000)),
        odd("tensors/rank-5000-of-2^62", input_case(*[1 << 62] * 5_000)),
        *sparse(),
    ]


class Tensors:
    """Initializers whose parts contradict one another."""

    @staticmethod
    def model(*initializers: bytes) -> bytes:
        return model(graph([node("Relu", ["w"], ["y"], "relu")], [], [value("y")], initializers))

    @staticmethod
    def packed(rank: int) -> bytes:
        return Tensors.model(block(1, b"\x01" * rank) + integer(2, 1) + block(8, "w") + block(9, bytes(4)))

    @staticmethod
    def twice() -> bytes:
        return Tensors.model(tensor("w", [4], bytes(16), extra=block(4, bytes(16))))

    @staticmethod
    def floats(count: int) -> bytes:
        return Tensors.model(tensor("w", [4, 4], extra=block(4, bytes(4 * count))))

    @staticmethod
    def typed(dtype: int) -> bytes:
        return Tensors.model(tensor("w", [4, 4], bytes(64), dtype))

    @staticmethod
    def untyped() -> bytes:
        return Tensors.model(integer(1, 4) + block(8, "w") + block(9, bytes(16)))

    @staticmethod
    def operand(raw: bytes, count: int = 2) -> bytes:
        shape = tensor("s", [count], raw, INT64)
        return model(
            graph([node("Reshape", ["x", "s"], ["y"], "reshape")], [value("x", [4, 4])], [value("y")], [shape])
        )


def sparse() -> list[Case]:
    def one(values: bytes, indices: bytes, *dims: int) -> bytes:
        content = block(1, values) + block(2, indices) + b"".join([integer(3, dim) for dim in dims])
        inputs, _ = operands({"x": [1, 4]})
        matmul = node("MatMul", ["x", "w"], ["y"], "mm")
        return model(graph([matmul], inputs, [value("y", [1, 4])], extra=block(15, content)))

    values, indices = tensor("w", [2], bytes(8)), i64(0, 5)("")
    return [
        legal("tensors/sparse", one(values, indices, 4, 4)),
        odd("tensors/sparse-10^18", one(values, indices, 10**9, 10**9)),
        odd("tensors/sparse-index-out-of-range", one(values, i64(0, 10**15)(""), 4, 4)),
        odd("tensors/sparse-index-negative", one(values, i64(-1, INT64_MIN)(""), 4, 4)),
        bad("tensors/sparse-dims-negative", one(values, indices, -4, 4)),
        odd("tensors/sparse-counts-differ", one(values, i64(0, 1, 2)(""), 4, 4)),
        odd("tensors/sparse-indices-rank-3", one(values, i64(*range(8), dims=(2, 2, 2))(""), 4, 4)),
        odd("tensors/sparse-indices-10^12", one(values, tensor("", [TRILLION, 2], b"", INT64), 4, 4)),
        odd("tensors/sparse-values-10^12", one(tensor("w", [TRILLION], b""), indices, 4, 4)),
        odd("tensors/sparse-values-of-bools", one(tensor("w", [2], b"\1\1", BOOL), indices, 4, 4)),
        bad("tensors/sparse-values-missing", one(b"", indices, 4, 4)),
        bad(
            "tensors/sparse-empty",
            model(graph([node("Relu", ["w"], ["y"])], [], [value("y")], extra=blocks(15, [b""]))),
        ),
    ]


CASES: list[Case] = dims()
