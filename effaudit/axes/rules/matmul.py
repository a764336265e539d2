"""Matrix products: the columns of a constant make the axis that comes out; the axis summed over is that of both."""

from __future__ import annotations

from effaudit.axes._registry import couples
from effaudit.axes.call import Call, Unsuited
from effaudit.axes.terms import Axes, Term, product, unify
from effaudit.ops._registry import MICROSOFT


@couples("MatMul", "MatMulInteger")
@couples("FusedMatMul", "TransposeMatMul", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", domain=MICROSOFT)
def matmul(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__MatMul.html"""
    if call.attr("transBatchA", 0) or call.attr("transBatchB", 0):
        raise Unsuited("FusedMatMul with transposed batches has no coupling rule")
    column = multiplied(call, 0, 1, call.attr("transA", 0), call.attr("transB", 0))
    op = call.node.op
    for slot in {"MatMulInteger": (3,), "MatMulIntegerToFloat": (3, 5, 6), "DynamicQuantizeMatMul": (2, 3, 4)}.get(
        op, ()
    ):
        call.vector(slot, column)


@couples("QLinearMatMul")
def qlinear_matmul(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__QLinearMatMul.html"""
    column = multiplied(call, 0, 3, 0, 0)
    for slot in (4, 5):
        call.vector(slot, column)


def multiplied(call: Call, left: int, right: int, flip_left: int, flip_right: int) -> Term:
    """The axes of a product with broadcast batches; returns that of the columns."""
    a, b, y = call.axes(left), call.axes(right), call.out()
    row, inner_a = _matrix(a, flip_left, first=True)
    inner_b, column = _matrix(b, flip_right, first=False)
    unify(inner_a, inner_b)
    tail = [t for t in (row if len(a) > 1 else None, column if len(b) > 1 else None) if t is not None]
    batch = y[: len(y) - len(tail)]
    call.same(tail, y[len(batch) :])
    call.broadcast(a[:-2], batch)
    call.broadcast(b[:-2], batch)
    call.made_by(right, column)
    call.made_by(left, row)
    return column


def _matrix(axes: Axes, flipped: int, *, first: bool) -> tuple[Term, Term]:
    if len(axes) == 1:
        return (Term(1), axes[0]) if first else (axes[0], Term(1))
    return (axes[-1], axes[-2]) if flipped else (axes[-2], axes[-1])


@couples("Gemm")
@couples("FusedGemm", domain=MICROSOFT)
def gemm(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__Gemm.html"""
    multiplied(call, 0, 1, call.attr("transA", 0), call.attr("transB", 0))
    call.broadcast(call.axes(2), call.out())


@couples("QGemm", domain=MICROSOFT)
def qgemm(call: Call) -> None:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftqgemm"""
    column = multiplied(call, 0, 3, call.attr("transA", 0), call.attr("transB", 0))
    for slot in (4, 5):
        call.vector(slot, column)
    call.broadcast(call.axes(6), call.out())


@couples("MatMulNBits", domain=MICROSOFT)
def matmul_nbits(call: Call) -> None:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftmatmulnbits"""
    if call.has(4):
        raise Unsuited("MatMulNBits with a group index has no coupling rule")
    x, w, y = call.axes(0), call.axes(1), call.out()
    why = "its weights are packed in blocks"
    call.same(x[:-1], y[:-1])
    unify(w[0], y[-1])
    call.fix(w[2:], why)
    count, size = w[1], call.attr("block_size")
    if call.has(3) or x[-1].size != count.size * size:  # zero points of several blocks share a byte
        call.fix((x[-1], count), why)
    else:
        unify(x[-1], product((count, Term(size, blocked=why))))
        call.follows("K", x[-1])
    for slot in (2, 3):  # per block: [N, blocks] or the same in one axis
        held = call.axes(slot)
        if held and held[0].size == w[0].size:
            unify(held[0], w[0])
            call.same(held[1:], (count,)) if slot == 2 else call.fix(held[1:], why)
        elif held:
            packed = count if slot == 2 else Term(held[0].size // w[0].size, blocked=why)
            unify(held[0], product((w[0], packed)))
    call.vector(5, w[0])
    call.follows("N", w[0])
    call.made_by(1, w[0])


@couples("Einsum")
def einsum(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__Einsum.html: axes of one letter are one axis"""
    equation = call.attr("equation", b"")
    text = (equation.decode() if isinstance(equation, bytes) else str(equation)).replace(" ", "")
    left, arrow, right = text.partition("->")
    parts = left.split(",")
    if not arrow:
        letters = left.replace(",", "").replace(".", "")
        right = ("..." if "..." in left else "") + "".join(sorted(c for c in letters if letters.count(c) == 1))
    named: dict[str, Term] = {}
    rest: list[Axes] = []
    every = [(part, call.axes(i)) for i, part in enumerate(parts)]
    for part, axes in (*every, (right, call.out())):
        before, dots, after = part.partition("...")
        middle = len(axes) - len(before) - len(after)
        if middle < 0 or (middle and not dots):
            raise Unsuited("its equation does not fit its inputs")
        for letter, term in zip(before + after, (*axes[: len(before)], *axes[len(before) + middle :]), strict=True):
            if term.size != 1 or letter not in named:
                if letter in named and named[letter].size != 1:
                    unify(named[letter], term)
                else:
                    named[letter] = term
        rest.append(axes[len(before) : len(before) + middle])
    for axes in rest[:-1]:
        call.broadcast(axes, rest[-1])
    _einsum_makers(call, parts, right, every)


def _einsum_makers(call: Call, parts: list[str], right: str, every: list[tuple[str, Axes]]) -> None:
    for slot, (part, axes) in enumerate(every):
        others = set("".join(p for i, p in enumerate(parts) if i != slot))
        if "..." in part:
            continue
        for letter, term in zip(part, axes, strict=True):
            if letter in right and letter not in others:
                call.made_by(slot, term)
