"""ONNX's shape inference as far as knowledge goes: which dims of an output follow from the dims known of the inputs.

A rule answers -1 for a dim that is a known number: which number is not its business. An operator without a rule knows
its outputs where it knows all of its inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

import msgspec

from effaudit.dims import Dim
from effaudit.graph import Node
from effaudit.ops._registry import NCHWC

Known: TypeAlias = int | str | None
Shape: TypeAlias = tuple[Known, ...]
Outputs: TypeAlias = list[Shape | None]

MAX_RANK: Final = 64
NUMBER: Final = -1
EVERY: Final[Shape] = ("*",)  # every dim is a known number, however many there are


class Inputs(msgspec.Struct, frozen=True, gc=False):
    """A node, what is known of its inputs' shapes (None: not even the rank), and of their elements."""

    node: Node
    opset: int
    shapes: tuple[Shape | None, ...]
    elements: tuple[tuple[Dim, ...] | None, ...]

    def shape(self, place: int) -> Shape | None:
        return self.shapes[place] if place < len(self.shapes) else None

    def has(self, place: int) -> bool:
        return place < len(self.node.inputs) and bool(self.node.inputs[place])

    def given(self, place: int, attribute: str) -> tuple[Dim, ...] | None:
        """Numbers that were an attribute and became an input: None where not known, () where there are none."""
        if self.has(place):
            return self.elements[place]
        value = self.node.attrs.get(attribute, ())
        return tuple(value) if isinstance(value, (tuple, list)) else (value,)

    def target(self, place: int, attribute: str) -> Shape | None:
        """A shape that is an input: its numbers, or as many unknown dims (`getShapeInput`)."""
        numbers = self.given(place, attribute)
        if numbers is not None:
            return tuple(dim if type(dim) is int else None for dim in numbers)
        length = self.shape(place)
        return (None,) * length[0] if length and type(length[0]) is int and 0 <= length[0] < MAX_RANK else None


def infer(given: Inputs) -> Outputs:
    """The shapes known of a node's outputs, one each."""
    count = len(given.node.outputs)
    rule = RULES.get(given.node.op) if not given.node.domain else _blocked if given.node.domain == NCHWC else None
    try:
        found = rule(given) if rule is not None else _whole(given)
    except (TypeError, ValueError, IndexError, ZeroDivisionError):  # not a valid call: nothing is known
        found = []
    return [*found, *[None] * count][:count]


def _whole(given: Inputs) -> Outputs:
    """Known where everything is; the graph says which numbers, and how many."""
    for name, shape in zip(given.node.inputs, given.shapes, strict=True):
        if name and (shape is None or not all(type(dim) is int for dim in shape)):
            return []
    return [EVERY] * len(given.node.outputs)


def _blocked(given: Inputs) -> Outputs:
    """Channels in blocks: how many follows from weights and attributes, the batch stays what it is.

    core/graph/contrib_ops/nchwc_schema_defs.cc
    """
    shape = given.shape(0)
    if shape is None or len(shape) < 2:
        return []
    last = bool(given.node.attrs.get("channels_last", 0))
    spatial = shape[1:-1] if last and given.node.op == "ReorderInput" else shape[2:]
    numbers = tuple(NUMBER if type(dim) is int else None for dim in spatial)
    if last and given.node.op == "ReorderOutput":
        return [(shape[0], *numbers, NUMBER)]
    return [(shape[0], NUMBER, *numbers)]


def _first(given: Inputs) -> Outputs:
    return [given.shape(0)]


def _nothing(given: Inputs) -> Outputs:
    return []


def _of_shape(given: Inputs) -> Outputs:
    return [(NUMBER,)]


def broadcast(shapes: Iterable[Shape | None]) -> Shape | None:
    """`multidirectionalBroadcastShapeInference` of onnx/defs/shape_inference.h."""
    rows = list(shapes)
    if any(row is None for row in rows):
        return None
    known = [row for row in rows if row is not None]
    rank = max(map(len, known), default=0)
    return tuple(_joined([row[i - rank + len(row)] for row in known if i >= rank - len(row)]) for i in range(rank))


def _joined(dims: list[Known]) -> Known:
    numbers = [dim for dim in dims if type(dim) is int and dim != 1]
    if numbers:
        return numbers[0]
    names = {dim for dim in dims if type(dim) is not int}
    if not names:
        return 1
    return names.pop() if len(names) == 1 else None


def _elementwise(given: Inputs) -> Outputs:
    return [broadcast(given.shapes)]


def _matmul(given: Inputs) -> Outputs:
    a, b = given.shape(0), given.shape(3 if given.node.op == "QLinearMatMul" else 1)
    if a is None or b is None or not a or not b:
        return []
    left, right = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    batch = broadcast((left[:-2], right[:-2])) or ()
    rows = () if len(a) == 1 else left[-2:-1]
    return [(*batch, *rows, *(() if len(b) == 1 else right[-1:]))]


def _gemm(given: Inputs) -> Outputs:
    a, b = given.shape(0), given.shape(1)
    if a is None or b is None or len(a) != 2 or len(b) != 2:
        return []
    attrs = given.node.attrs
    return [(a[1 if attrs.get("transA") else 0], b[0 if attrs.get("transB") else 1])]


def _transpose(given: Inputs) -> Outputs:
    shape = given.shape(0)
    if shape is None:
        return []
    order = given.node.attrs.get("perm") or tuple(reversed(range(len(shape))))
    return [tuple(shape[i] for i in order)] if len(order) == len(shape) else []


def _reshape(given: Inputs) -> Outputs:
    target, source = given.target(1, "shape"), given.shape(0)
    if target is None:
        return []
    whole = source is not None and all(type(dim) is int for dim in source)
    found: list[Known] = []
    for i, dim in enumerate(target):
        if dim == 0 and not given.node.attrs.get("allowzero"):
            found.append(source[i] if source is not None and i < len(source) else None)
        elif dim == -1:
            found.append(NUMBER if whole else None)
        else:
            found.append(dim if dim is None else NUMBER)
    return [_product_left(tuple(found), target, source)]


def _product_left(found: Shape, target: Shape, source: Shape | None) -> Shape:
    """-1 is also known where the dims of the input that are not numbers are all copied by 0."""
    if source is None or -1 not in target or found[target.index(-1)] is not None:
        return found
    copied = {i for i, dim in enumerate(target) if dim == 0}
    if all(type(dim) is int or i in copied for i, dim in enumerate(source)):
        at = target.index(-1)
        return (*found[:at], NUMBER, *found[at + 1 :])
    return found


def _squeeze(given: Inputs) -> Outputs:
    shape, axes = given.shape(0), given.given(1, "axes")
    if shape is None or axes is None:
        return []
    if not axes:
        return [tuple(dim for dim in shape if dim != 1)] if all(type(dim) is int for dim in shape) else []
    gone = {axis % len(shape) for axis in axes if type(axis) is int} if shape else set()
    return [tuple(dim for i, dim in enumerate(shape) if i not in gone)]


def _unsqueeze(given: Inputs) -> Outputs:
    shape, axes = given.shape(0), given.given(1, "axes")
    if shape is None or axes is None:
        return []
    rank = len(shape) + len(axes)
    new = {axis % rank for axis in axes if type(axis) is int}
    rest = iter(shape)
    return [tuple(1 if i in new else next(rest, None) for i in range(rank))]


def _flatten(given: Inputs) -> Outputs:
    shape = given.shape(0)
    if shape is None:
        return []
    axis = given.node.attrs.get("axis", 1)
    axis += len(shape) if axis < 0 else 0
    return [tuple(NUMBER if all(type(d) is int for d in part) else None for part in (shape[:axis], shape[axis:]))]


def _concat(given: Inputs) -> Outputs:
    rows = [shape for shape in given.shapes if shape]
    if not rows or len(rows) != len(given.shapes) or len(set(map(len, rows))) != 1:
        return []
    axis = given.node.attrs.get("axis", 1) % len(rows[0])
    found: list[Known] = []
    for i, dims in enumerate(zip(*rows, strict=True)):
        numbers = [dim for dim in dims if type(dim) is int]
        if i == axis:
            found.append(NUMBER if len(numbers) == len(dims) else None)
        else:
            found.append(numbers[0] if numbers else next((dim for dim in dims if dim is not None), None))
    return [tuple(found)]


def _slice(given: Inputs) -> Outputs:
    shape = given.shape(0)
    if shape is None:
        return []
    if given.has(1):
        parts = [given.elements[i] for i in range(1, len(given.node.inputs)) if given.has(i)]
        if any(part is None for part in parts):
            return [(None,) * len(shape)]
        starts, ends = given.elements[1] or (), given.elements[2] or ()
        axes = given.elements[3] if given.has(3) else None
    else:
        starts, ends = (tuple(given.node.attrs.get(name, ())) for name in ("starts", "ends"))
        axes = given.node.attrs.get("axes")
    found = list(shape)
    for axis, start, end in zip(axes if axes is not None else range(len(starts)), starts, ends, strict=False):
        if type(axis) is int and not (start == 0 and end >= 2**31 - 1):
            found[axis] = NUMBER if type(shape[axis]) is int else None
    return [tuple(found)]


def _gather(given: Inputs) -> Outputs:
    data, indices = given.shape(0), given.shape(1)
    if data is None or indices is None or not data:
        return []
    axis = given.node.attrs.get("axis", 0) % len(data)
    return [(*data[:axis], *indices, *data[axis + 1 :])]


def _expand(given: Inputs) -> Outputs:
    shape, target = given.shape(0), given.target(1, "shape")
    return [] if shape is None or target is None else [broadcast((shape, target))]


def _windowed(given: Inputs) -> Outputs:
    """Convolution and pooling: batch, channels, then what the window makes of each dim."""
    x = given.shape(0)
    if x is None or len(x) < 2:
        return []
    w = given.shape({"Conv": 1, "ConvInteger": 1, "QLinearConv": 3}.get(given.node.op, len(given.shapes)))
    channels = x[1] if "Pool" in given.node.op else (w[0] if w else None)
    made = (x[0], channels, *(NUMBER if type(dim) is int else None for dim in x[2:]))
    return [made, made]


def _transposed(given: Inputs) -> Outputs:
    x = given.shape(0)
    if x is None or len(x) < 2:
        return []
    channels = NUMBER if given.shape(1) is not None else None
    return [(x[0], channels, *(NUMBER if type(dim) is int else None for dim in x[2:]))]


def _blocks(given: Inputs) -> Outputs:
    """DepthToSpace, SpaceToDepth: each dim times a number."""
    x = given.shape(0)
    return [] if x is None else [(*x[:1], *(NUMBER if type(dim) is int else None for dim in x[1:]))]


def _as_indices(given: Inputs) -> Outputs:
    return [given.shape(1)]


def _global_pool(given: Inputs) -> Outputs:
    x = given.shape(0)
    return [] if x is None else [(*x[:2], *(1,) * (len(x) - 2))]


def _split(given: Inputs) -> Outputs:
    shape, parts = given.shape(0), given.given(1, "split")
    if not shape or parts is None:
        return []
    axis = given.node.attrs.get("axis", 0) % len(shape)
    known = NUMBER if type(shape[axis]) is int else None
    return [(*shape[:axis], known, *shape[axis + 1 :])] * len(given.node.outputs)


def _reduce(given: Inputs) -> Outputs:
    shape, axes = given.shape(0), given.given(1, "axes")
    if shape is None or axes is None:
        return []
    if not axes and not given.node.attrs.get("noop_with_empty_axes"):
        axes = tuple(range(len(shape)))
    return [_reduced(shape, axes, given.node.attrs.get("keepdims", 1))]


def _arg_reduce(given: Inputs) -> Outputs:
    shape = given.shape(0)
    if shape is None:
        return []
    return [_reduced(shape, (given.node.attrs.get("axis", 0),), given.node.attrs.get("keepdims", 1))]


def _reduced(shape: Shape, axes: tuple[Dim, ...], keep: int) -> Shape:
    gone = {axis % len(shape) for axis in axes if type(axis) is int} if shape else set()
    if keep:
        return tuple(1 if i in gone else dim for i, dim in enumerate(shape))
    return tuple(dim for i, dim in enumerate(shape) if i not in gone)


def _scaled(given: Inputs) -> Outputs:
    """Pad, Tile, Resize: every dim changes, by numbers that are an input."""
    shape = given.shape(0)
    deciding = [i for i in range(1, len(given.node.inputs)) if given.has(i) and given.node.inputs[i]]
    if given.node.op == "Resize":  # a region of interest changes no shape where sizes or scales are given
        deciding = [i for i in deciding if i != 1]
    if given.node.op == "Pad":
        deciding = [i for i in deciding if i != 2]
    if shape is None:
        return []
    if any(given.elements[i] is None for i in deciding):
        return [(None,) * len(shape)]
    return [tuple(NUMBER if type(dim) is int else None for dim in shape)]


def _from_elements(given: Inputs) -> Outputs:
    """Range: elements alone decide."""
    return [EVERY] if all(part is not None for part in given.elements) else [(None,)]


def _constant_of_shape(given: Inputs) -> Outputs:
    return [given.target(0, "shape")]


def _recurrent(given: Inputs) -> Outputs:
    x, hidden = given.shape(0), given.node.attrs.get("hidden_size")
    if x is None or len(x) != 3:
        return []
    size = NUMBER if hidden is not None else None
    time, batch = (x[1], x[0]) if given.node.attrs.get("layout") else (x[0], x[1])
    return [(time, NUMBER, batch, size), (NUMBER, batch, size), (NUMBER, batch, size)]


def _dropout(given: Inputs) -> Outputs:
    shape = given.shape(0)
    return [shape, shape if given.opset >= 10 else None]


def _normalized(given: Inputs) -> Outputs:
    """The first output as the input; the statistics where all of it is known."""
    shape = given.shape(0)
    rest = EVERY if shape is not None and all(type(dim) is int for dim in shape) else None
    return [shape, *[rest] * (len(given.node.outputs) - 1)]


def _quantized(given: Inputs) -> Outputs:
    return [given.shape(0), (), ()]


def _where(given: Inputs) -> Outputs:
    return [broadcast(given.shapes[:3])]


def _top_k(given: Inputs) -> Outputs:
    shape, k = given.shape(0), given.given(1, "k")
    if not shape or k is None:
        return []
    axis = given.node.attrs.get("axis", -1) % len(shape)
    return [(*shape[:axis], NUMBER, *shape[axis + 1 :])] * 2


_SAME: Final = """Abs Acos Acosh And Asin Asinh Atan Atanh BitwiseNot Cast CastLike Ceil Celu Clip Cos Cosh CumSum
DequantizeLinear Elu Erf Exp Floor Gelu HardSigmoid HardSwish Hardmax Identity IsInf IsNan LeakyRelu Log LogSoftmax
LpNormalization LRN MeanVarianceNormalization Mish Neg Not QuantizeLinear RandomNormalLike RandomUniformLike Reciprocal
Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Tan Tanh ThresholdedRelu Trilu
ScatterElements ScatterND Scatter InstanceNormalization GroupNormalization ReverseSequence""".split()
_BROADCAST: Final = """Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less
LessOrEqual Max Mean Min Mod Mul Or PRelu Pow Sub Sum Xor""".split()
_REDUCE: Final = [f"Reduce{kind}" for kind in "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare".split()]
_POOLS: Final = "Conv ConvInteger QLinearConv MaxPool AveragePool LpPool".split()

RULES: Final[Mapping[str, Callable[[Inputs], Outputs]]] = {
    **dict.fromkeys(_SAME, _first),
    **dict.fromkeys(_BROADCAST, _elementwise),
    **dict.fromkeys(_REDUCE, _reduce),
    **dict.fromkeys(_POOLS, _windowed),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"), _global_pool),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    **dict.fromkeys(("Pad", "Tile", "Resize", "Upsample"), _scaled),
    "ConstantOfShape": _constant_of_shape,
    "Range": _from_elements,
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg_reduce),
    **dict.fromkeys(("NonZero", "NonMaxSuppression", "Unique", "Compress", "Loop", "StringSplit"), _nothing),
    **dict.fromkeys(("BatchNormalization", "LayerNormalization", "RMSNormalization"), _normalized),
    **dict.fromkeys(("MatMul", "MatMulInteger", "QLinearMatMul"), _matmul),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), _blocks),
    "ConvTranspose": _transposed,
    "GatherElements": _as_indices,
    "Gemm": _gemm,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Flatten": _flatten,
    "Concat": _concat,
    "Slice": _slice,
    "Gather": _gather,
    "Expand": _expand,
    "Split": _split,
    "Where": _where,
    "TopK": _top_k,
    "Dropout": _dropout,
    "DynamicQuantizeLinear": _quantized,
    "Shape": _of_shape,
}
