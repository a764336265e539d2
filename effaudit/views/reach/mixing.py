"""Operators that work position by position, or mix all positions along axes: norms, softmax, reductions, products."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from effaudit.errors import Undecided
from effaudit.ops._registry import MICROSOFT, Rules
from effaudit.ops._shapes import axis_of
from effaudit.ops.microsoft_nhwc import NHWC
from effaudit.views.reach.call import Call, Rule
from effaudit.views.reach.reach import Field

Axes = Callable[[Call, int], Iterable[int]]  # of an input of a given rank


def pointwise(call: Call, out: int) -> Field:
    """Every input position by position, broadcast."""
    return call.joined((call.pointwise(place, out) for place in range(len(call.fields))), out)


def everything(call: Call, out: int) -> Field:
    """Every output element may depend on every input element."""
    return call.joined((call.everything(place) for place in range(len(call.fields))), out)


def nothing(call: Call, out: int) -> Field:
    """What is read of its inputs are their shapes."""
    return {}


def chosen_by(what: str, place: int = 1) -> Rule:
    """An operator of which the elements of input `place` decide which positions it reads."""

    def rule(call: Call, out: int) -> Field:
        if call.field(place):
            raise Undecided(f"the {what} fed decide which positions it reads")
        raise Undecided(f"its {what} decide which positions it reads, and this view does not look into them")

    return rule


def mixing(axes: Axes) -> Rule:
    """Each position along `axes` is scaled by what all of them say: itself by itself, and through the mixture."""

    def rule(call: Call, out: int) -> Field:
        shape, wide = call.shape(), call.out(out)
        chosen = tuple(axes(call, len(shape)))
        if len(shape) != len(wide):
            raise Undecided("an output of another rank")
        parts = [call.mixed(call.field(0), chosen, shape)]
        if shape == wide:
            parts.append(call.field(0))
        parts.extend(_beside(call, place, out, chosen) for place in range(1, len(call.fields)))
        return call.joined(parts, out)

    return rule


def _beside(call: Call, place: int, out: int, axes: tuple[int, ...]) -> Field:
    """A second input of a norm: a residual that is normalized too, else scales, as if each reached every position."""
    if not call.field(place):
        return {}
    if call.shape(place) == call.out(out):
        return call.joined((call.mixed(call.field(place), axes, call.shape(place)), call.field(place)), out)
    return call.everything(place)


def reducing(call: Call, out: int) -> Field:
    """https://onnx.ai/onnx/operators/onnx__ReduceSum.html"""
    shape = call.shape()
    given = call.ints("axes", 1) if call.node.op not in ("ArgMax", "ArgMin") else (call.attr("axis", 0),)
    if not given and call.attr("noop_with_empty_axes", 0):
        return call.field(0)
    axes = {axis_of(axis, len(shape)) for axis in given} if given else set(range(len(shape)))
    kept = call.attr("keepdims", 1)
    places: list[int | None] = []
    new = 0
    for axis in range(len(shape)):
        places.append(None if axis in axes else new)
        new += 1 if kept or axis not in axes else 0
    return call.routed(call.field(0), shape, places)


def product(left: int = 0, right: int = 1, added: Sequence[int] = ()) -> Rule:
    """Matrix product of inputs `left` and `right`, which broadcast before their last two axes; FusedMatMul's flags."""

    def rule(call: Call, out: int) -> Field:
        if call.attr("transBatchA") or call.attr("transBatchB"):
            raise Undecided("a product over transposed batches")
        parts = []
        if call.field(left):
            inner = [-2, -1] if call.attr("transA", 0) else [-1, -2]
            parts.append(_operand(call, left, inner, 1 if len(call.shape(right)) == 1 else 2, out))
        if call.field(right):
            inner = [-1, -2] if call.attr("transB", 0) else [-2, -1]
            parts.append(_operand(call, right, inner, 1, out))
        parts.extend(call.pointwise(place, out) for place in added)
        return call.joined(parts, out)

    return rule


def _operand(call: Call, place: int, inner: Sequence[int], from_end: int, out: int) -> Field:
    """An operand of a matrix product: `inner` is its axis of products and the other one, which becomes the output's
    axis `from_end` from the end."""
    shape, wide = call.shape(place), call.out(out)
    if len(shape) == 1:
        return call.mixed(call.field(place), [0], shape)
    lead = len(shape) - 2
    others = len(wide) - (1 if 1 in (len(call.shape(p)) for p in _operands(call)) else 2)
    axes: list[int | None] = []
    for i in range(lead):
        at = others - lead + i
        axes.append(None if shape[i] == 1 != wide[at] else at)
    axes.extend([None, None])
    axes[inner[1]] = len(wide) - from_end
    return call.routed(call.field(place), shape, axes)


def _operands(call: Call) -> tuple[int, int]:
    return (0, 3) if call.node.op in ("QLinearMatMul", "QGemm") else (0, 1)


def last_axis(call: Call, out: int) -> Field:
    """A product with constant packed weights: mixes the last axis of its first input."""
    shape, wide = call.shape(), call.out(out)
    if len(shape) != len(wide):
        raise Undecided("an output of another rank")
    parts = [call.mixed(call.field(0), [len(shape) - 1], shape)]
    return call.joined([*parts, *(call.everything(place) for place in range(1, len(call.fields)))], out)


def einsum(call: Call, out: int) -> Field:
    """https://onnx.ai/onnx/operators/onnx__Einsum.html"""
    equation = str(call.attr("equation", "")).replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if "." in equation or len(terms) != len(call.fields) or any(len(set(term)) < len(term) for term in terms):
        raise Undecided("an Einsum with an ellipsis or a diagonal")
    target = right if arrow else "".join(sorted(c for c in set(left) - {","} if left.count(c) == 1))
    parts = []
    for place, term in enumerate(terms):
        field = call.field(place)
        if field:
            parts.append(call.routed(field, call.shape(place), [_index(target, c) for c in term]))
    return call.joined(parts, out)


def _index(target: str, letter: str) -> int | None:
    return target.index(letter) if letter in target else None


def attention(call: Call, out: int) -> Field:
    """All positions of a sequence see each other; the batch (axis 0) stays apart."""
    wide = call.out(out)
    parts = []
    for place in range(len(call.fields)):
        field = call.field(place)
        if field:
            shape = call.shape(place)
            batch = bool(shape and wide) and shape[0] == wide[0]
            parts.append(call.routed(field, shape, [0 if i == 0 and batch else None for i in range(len(shape))]))
    return call.joined(parts, out)


def recurrent(call: Call, out: int) -> Field:
    """All steps of a sequence see each other (the last one all of them); the batch stays apart.

    https://onnx.ai/onnx/operators/onnx__LSTM.html: layout 0 is steps x batch x features.
    """
    shape, wide = call.shape(), call.out(out)
    batch_first = bool(call.attr("layout", 0))
    batch = 0 if batch_first else 1
    place = 0 if batch_first else len(wide) - 2
    parts = [call.routed(call.field(0), shape, [place if i == batch else None for i in range(len(shape))])]
    return call.joined([*parts, *(call.everything(p) for p in range(1, len(call.fields)))], out)


def batch_norm(call: Call, out: int) -> Field:
    """https://onnx.ai/onnx/operators/onnx__BatchNormalization.html: stored statistics, but in training"""
    shape = call.shape()
    last = call.node.domain == NHWC
    channel = len(shape) - 1 if last else 1
    parts = []
    if call.attr("training_mode", 0) or out > 0:
        axes = [i for i in range(len(shape)) if i != channel]
        if out > 0:
            return call.routed(call.field(0), shape, [0 if i == channel else None for i in range(len(shape))])
        parts.append(call.mixed(call.field(0), axes, shape))
    parts.append(call.field(0))
    return call.joined([*parts, *(call.everything(p) for p in range(1, len(call.fields)))], out)


def gated(call: Call, out: int) -> Field:
    """One half of the last axis gates the other, or one input another."""
    if len([field for field in call.fields if field]) > 1:
        return pointwise(call, out)
    shape = call.shape()
    return call.mixed(call.field(0), [len(shape) - 1], shape)


def _spatial(call: Call, rank: int) -> range:
    return range(1, rank - 1) if call.node.domain == NHWC else range(2, rank)


def _from_axis(call: Call, rank: int) -> range:
    return range(call.axis(-1, rank), rank)


def _one_axis(call: Call, rank: int) -> Iterable[int]:
    return [call.axis(-1, rank)]


def _softmax(call: Call, rank: int) -> Iterable[int]:
    """Before version 13 all axes from `axis` on are one: https://onnx.ai/onnx/operators/onnx__Softmax.html"""
    if call.node.domain or call.opset >= 13:
        return [call.axis(-1, rank)]
    return range(call.axis(1, rank), rank)


def _scan(call: Call, rank: int) -> Iterable[int]:
    axes = call.ints("axis", 1)
    return [axis_of(axes[0], rank)] if axes else range(rank)


def _time(call: Call, rank: int) -> Iterable[int]:
    return [call.axis(0, rank, "time_axis")]


def _variance(call: Call, rank: int) -> Iterable[int]:
    return [axis_of(axis, rank) for axis in call.attr("axes", (0, 2, 3))]


def _channels(call: Call, rank: int) -> Iterable[int]:
    return [rank - 1 if call.node.domain == NHWC else 1]


def _but_batch(call: Call, rank: int) -> range:
    return range(1, rank)


def _kept_last(call: Call, rank: int) -> Iterable[int]:
    return [rank - 1]


REDUCTIONS: Final = """ReduceSum ReduceProd ReduceMax ReduceMin ReduceMean ReduceL1 ReduceL2 ReduceLogSum
ReduceLogSumExp ReduceSumSquare ArgMax ArgMin""".split()
POINTWISE_KINDS: Final = frozenset(("elementwise", "activation", "quantize", "random"))
NOT_POINTWISE: Final = frozenset(
    """RotaryEmbedding MRotaryEmbedding GemmaRotaryEmbedding HyperConnectionPreMix MurmurHash3 NGramHashMapping
    VarlenNGramHashMapping ComplexMul ComplexMulConj LinearAttentionGate QuantizeWithOrder DequantizeWithOrder
    Multinomial""".split()
)
RULES: Final[dict[tuple[str, str], Rule]] = {
    ("", "Shape"): nothing,
    ("", "Size"): nothing,
    ("", "DynamicQuantizeLinear"): mixing(lambda call, rank: range(rank)),
    **{("", op): mixing(_softmax) for op in ("Softmax", "LogSoftmax", "Hardmax")},
    (MICROSOFT, "QLinearSoftmax"): mixing(_one_axis),
    ("", "LayerNormalization"): mixing(_from_axis),
    ("", "RMSNormalization"): mixing(_from_axis),
    ("", "SimplifiedLayerNormalization"): mixing(_from_axis),
    (MICROSOFT, "SimplifiedLayerNormalization"): mixing(_from_axis),
    (MICROSOFT, "SkipLayerNormalization"): mixing(_kept_last),
    (MICROSOFT, "SkipSimplifiedLayerNormalization"): mixing(_kept_last),
    ("", "InstanceNormalization"): mixing(_spatial),
    (NHWC, "InstanceNormalization"): mixing(_spatial),
    ("", "GroupNormalization"): mixing(_but_batch),
    (MICROSOFT, "GroupNorm"): mixing(_but_batch),
    (MICROSOFT, "SkipGroupNorm"): mixing(_but_batch),
    ("", "LpNormalization"): mixing(_one_axis),
    ("", "MeanVarianceNormalization"): mixing(_variance),
    ("", "LRN"): mixing(_channels),
    (NHWC, "LRN"): mixing(_channels),
    ("", "CumSum"): mixing(_scan),
    ("", "CumProd"): mixing(_scan),
    ("", "TopK"): mixing(_one_axis),
    ("", "ReverseSequence"): mixing(_time),
    ("", "BatchNormalization"): batch_norm,
    (NHWC, "BatchNormalization"): batch_norm,
    **{("", op): reducing for op in REDUCTIONS},
    ("", "MatMul"): product(),
    ("", "MatMulInteger"): product(),
    ("", "QLinearMatMul"): product(0, 3),
    (MICROSOFT, "FusedMatMul"): product(),
    (MICROSOFT, "TransposeMatMul"): product(),
    (MICROSOFT, "MatMulIntegerToFloat"): product(),
    ("", "Gemm"): product(0, 1, [2]),
    (MICROSOFT, "FusedGemm"): product(0, 1, [2]),
    (MICROSOFT, "QGemm"): product(0, 3),
    (MICROSOFT, "GemmFastGelu"): product(),
    (MICROSOFT, "MatMulNBits"): last_axis,
    (MICROSOFT, "MatMulBnb4"): last_axis,
    ("", "Einsum"): einsum,
    **{("", op): attention for op in ("Attention", "RotaryEmbedding", "LinearAttention")},
    **{
        (MICROSOFT, op): attention
        for op in """Attention QAttention MultiHeadAttention GroupQueryAttention DecoderMaskedMultiHeadAttention
        DecoderMaskedSelfAttention RotaryEmbedding LinearAttention SparseAttention QOrderedAttention""".split()
    },
    **{("", op): recurrent for op in ("LSTM", "GRU", "RNN")},
    (MICROSOFT, "DynamicQuantizeLSTM"): recurrent,
    ("", "SwiGLU"): gated,
    (MICROSOFT, "BiasSplitGelu"): gated,
    ("", "NonMaxSuppression"): everything,
    (MICROSOFT, "IsAllFinite"): everything,
    ("", "Det"): everything,
    ("", "DeformConv"): chosen_by("offsets", 2),
    ("", "GridSample"): chosen_by("offsets"),
    **{("", op): chosen_by("regions") for op in ("RoiAlign", "MaxRoiPool")},
    **{("", op): chosen_by("indices") for op in ("GatherElements", "GatherND", "ScatterElements", "ScatterND")},
    **{("", op): chosen_by("values", 0) for op in ("NonZero", "Unique")},
    ("", "Compress"): chosen_by("conditions"),
    ("", "MaxUnpool"): chosen_by("indices"),
}


def by_kind(op: str, rules: Rules | None) -> Rule | None:
    """The rule of an operator that none of the tables names: pointwise where its kind is."""
    if rules is not None and rules.kind in POINTWISE_KINDS and op not in NOT_POINTWISE:
        return pointwise
    return None
