"""Matrix products. MACs: numel(out) x the contracted length; an einsum: the product of all its labels' sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from effaudit import dims
from effaudit.dims import Dim
from effaudit.graph import INT32, Shape, Value
from effaudit.ops._registry import Cost, cost, numel, shape
from effaudit.ops._shapes import broadcast


def matmul_shape(a: Shape, b: Shape) -> Shape:
    """numpy.matmul: 1-D operands get a unit axis that the result drops; leading axes broadcast."""
    if not a or not b:
        raise ValueError("a scalar operand")
    inner_a, inner_b = a[-1], b[-2] if len(b) > 1 else b[0]
    if isinstance(inner_a, int) and isinstance(inner_b, int) and inner_a != inner_b:
        raise ValueError(f"contracted dims {inner_a} and {inner_b} differ")
    lead = broadcast(a[:-2], b[:-2])
    return (*lead, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))


def contracted(a: Shape, b: Shape) -> Dim:
    """The contracted length; an int where either side knows it."""
    inner_b = b[-2] if len(b) > 1 else b[0]
    return a[-1] if isinstance(a[-1], int) else inner_b


def matmul_macs(a: Value, b: Value, out: Value) -> Dim:
    assert a.shape is not None and b.shape is not None
    return out.numel * contracted(a.shape, b.shape)


@shape("MatMul")
def matmul(a: Value, b: Value) -> Value:
    """https://onnx.ai/onnx/operators/onnx__MatMul.html"""
    assert a.shape is not None and b.shape is not None
    return Value(a.encoding, matmul_shape(a.shape, b.shape))


@cost("MatMul", kind="gemm")
def matmul_cost(a: Value, b: Value, *, out: Value) -> Cost:
    """macs = numel(out) x K"""
    return Cost(matmul_macs(a, b, out))


@shape("MatMulInteger")
def matmul_integer(a: Value, b: Value, a_zero_point: Value | None = None, b_zero_point: Value | None = None) -> Value:
    """https://onnx.ai/onnx/operators/onnx__MatMulInteger.html"""
    assert a.shape is not None and b.shape is not None
    return Value(INT32, matmul_shape(a.shape, b.shape))


@cost("MatMulInteger", kind="gemm")
def matmul_integer_cost(
    a: Value, b: Value, a_zero_point: Value | None = None, b_zero_point: Value | None = None, *, out: Value
) -> Cost:
    """macs = numel(out) x K; zero points are folded into the accumulation (no ops)"""
    return Cost(matmul_macs(a, b, out))


@shape("QLinearMatMul")
def qlinear_matmul(
    a: Value,
    a_scale: Value,
    a_zero_point: Value,
    b: Value,
    b_scale: Value,
    b_zero_point: Value,
    y_scale: Value,
    y_zero_point: Value,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__QLinearMatMul.html"""
    assert a.shape is not None and b.shape is not None
    return Value(y_zero_point.encoding, matmul_shape(a.shape, b.shape))


@cost("QLinearMatMul", kind="gemm")
def qlinear_matmul_cost(
    a: Value,
    a_scale: Value,
    a_zero_point: Value,
    b: Value,
    b_scale: Value,
    b_zero_point: Value,
    y_scale: Value,
    y_zero_point: Value,
    *,
    out: Value,
) -> Cost:
    """macs = numel(out) x K; ops = numel(out) x 2 to requantize (scale, round)"""
    return Cost(matmul_macs(a, b, out), 2 * out.numel)


def gemm_shape(a: Shape, b: Shape, trans_a: bool, trans_b: bool) -> Shape:
    """(M, N) of a rank-2 product. Raises ValueError on other ranks or contracted dims that differ."""
    if len(a) != 2 or len(b) != 2:
        raise ValueError(f"operands of rank {len(a)} and {len(b)}; both must be matrices")
    m, k = a[::-1] if trans_a else a
    k_b, n = b[::-1] if trans_b else b
    if isinstance(k, int) and isinstance(k_b, int) and k != k_b:
        raise ValueError(f"contracted dims {k} and {k_b} differ")
    return (m, n)


@shape("Gemm")
def gemm(
    a: Value,
    b: Value,
    c: Value | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Gemm.html"""
    assert a.shape is not None and b.shape is not None
    return Value(a.encoding, gemm_shape(a.shape, b.shape, bool(transA), bool(transB)))


@cost("Gemm", kind="gemm")
def gemm_cost(
    a: Value,
    b: Value,
    c: Value | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
    out: Value,
) -> Cost:
    """macs = M x N x K; ops = M x N each for C, alpha != 1 and beta != 1"""
    assert a.shape is not None
    extra = (c is not None) + (alpha != 1.0) + (c is not None and beta != 1.0)
    return Cost(out.numel * a.shape[0 if transA else 1], out.numel * extra)


class Equation:
    """A parsed einsum equation over known operand shapes; an ellipsis becomes the labels `...0`, `...1` and so on."""

    def __init__(self, equation: str, shapes: list[Shape]) -> None:
        if len(equation) > 1000:
            raise ValueError("an equation of more than 1,000 characters")
        left, arrow, right = equation.replace(" ", "").partition("->")
        terms = left.split(",")
        if len(terms) != len(shapes):
            raise ValueError(f"{len(terms)} terms for {len(shapes)} operands")
        widest = max(
            (len(s) - len(t.replace("...", "")) for t, s in zip(terms, shapes, strict=True) if "..." in t), default=0
        )
        self.sizes: dict[str, Dim] = {}
        labels = self.labels = [_labels(t, s, widest) for t, s in zip(terms, shapes, strict=True)]
        for term, operand in zip(labels, shapes, strict=True):
            if len(term) != len(operand):
                raise ValueError(f"{len(term)} labels for an operand of rank {len(operand)}")
            for label, size in zip(term, operand, strict=True):
                self.sizes[label] = dims.broadcast(self.sizes[label], size) if label in self.sizes else size
        if arrow:
            self.output = _labels(right, None, widest)
        else:
            counts = Counter(label for term in labels for label in term)
            ellipsis = [f"...{i}" for i in range(widest)]
            self.output = ellipsis + sorted(x for x, n in counts.items() if n == 1 and len(x) == 1)
        if any(label not in self.sizes for label in self.output) or len(set(self.output)) < len(self.output):
            raise ValueError("an output label that no operand has, or twice")

    @property
    def out_shape(self) -> Shape:
        return tuple(self.sizes[label] for label in self.output)

    def pairwise(self) -> tuple[Dim, Dim]:
        """(multiplications, additions of single operands) when operands are joined one after the other, left to right,
        and a label is summed as soon as nothing to come needs it. Both ONNX Runtime and PyTorch evaluate so."""
        summed: Dim = 0
        operands = []
        for i, term in enumerate(self.labels):
            elsewhere = {x for j, other in enumerate(self.labels) if j != i for x in other}.union(self.output)
            kept = [label for label in dict.fromkeys(term) if label in elsewhere]
            if len(kept) < len(set(term)):
                summed = summed + self._volume(term)
            operands.append(kept)
        products: Dim = 0
        joined = operands[0]
        for i, term in enumerate(operands[1:], 1):
            union = [*joined, *(label for label in term if label not in joined)]
            products = products + self._volume(union)
            needed = {x for other in operands[i + 1 :] for x in other}.union(self.output)
            joined = [label for label in union if label in needed]
        return products, summed

    def _volume(self, labels: Iterable[str]) -> Dim:
        return numel(self.sizes[label] for label in dict.fromkeys(labels))


def _labels(term: str, operand: Shape | None, widest: int) -> list[str]:
    head, dots, tail = term.partition("...")
    if not (head + tail).isalpha() and head + tail:
        raise ValueError(f"a malformed einsum term {term[:40]!r}")
    if not dots:
        return list(head)
    width = widest if operand is None else len(operand) - len(head) - len(tail)
    if width < 0:
        raise ValueError(f"{len(head) + len(tail)} labels for an operand of rank {len(operand or ())}")
    return [*head, *(f"...{i}" for i in range(widest - width, widest)), *tail]


@shape("Einsum")
def einsum(*inputs: Value, equation: str = "") -> Value:
    """https://onnx.ai/onnx/operators/onnx__Einsum.html"""
    parsed = Equation(equation, [v.shape for v in inputs if v.shape is not None])
    return Value(inputs[0].encoding, parsed.out_shape)


@cost("Einsum", kind="gemm")
def einsum_cost(*inputs: Value, equation: str = "", out: Value) -> Cost:
    """macs = prod(labels) (the sizes of all labels of both operands, after each has summed what only it has; several
    operands are joined left to right); ops = 1 per element of an operand that is summed on its own"""
    parsed = Equation(equation, [v.shape for v in inputs if v.shape is not None])
    return Cost(*parsed.pairwise())
