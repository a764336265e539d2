"""com.microsoft operators that move, sample or compute element by element and belong to no larger family.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from effaudit import dims
from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.graph import BOOL, ENCODINGS, FLOAT, INT32, INT64, UINT8, Value
from effaudit.ops._data import scalar
from effaudit.ops._inputs import agreed, ranked
from effaudit.ops._registry import MICROSOFT, Context, Cost, cost, numel, shape, storage, unpriced
from effaudit.ops._shapes import axis_of, broadcast, known_ints
from effaudit.ops.image import grid_sample as sampled
from effaudit.ops.image import grid_sample_cost as sampled_cost
from effaudit.ops.indexing import gather_nd as picked
from effaudit.ops.movement import keep, moved
from effaudit.ops.movement import pad as padded
from effaudit.ops.quantize import DEQUANTIZE
from effaudit.ops.shaping import dims_from
from effaudit.ops.shaping import range_ as counted
from effaudit.ops.signal import fft_ops

BILINEAR = 11  # four products, three sums, four weights: as in `resize`


@shape("SampleOp", domain=MICROSOFT)
def sample_op(x: Value) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.SampleOp"""
    return x


@shape("ExpandDims", domain=MICROSOFT)
def expand_dims(x: Value, axis: Value) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.ExpandDims"""
    data, at = ranked(x, "X"), scalar(axis)
    if not isinstance(at, int):
        raise Undecided("the axis, which is not known")
    at = axis_of(at, len(data) + 1)
    return keep(x, (*data[:at], 1, *data[at:]))


@cost("SampleOp", domain=MICROSOFT, kind="movement")
def sample_op_cost(x: Value, *, out: Value) -> Cost:
    """free: a view of its input"""
    return Cost(0, 0, 0, 0)


@cost("ExpandDims", domain=MICROSOFT, kind="movement")
def expand_dims_cost(x: Value, axis: Value, *, out: Value) -> Cost:
    """free: a view of its input"""
    return Cost(0, 0, 0, 0)


storage("SampleOp", "ExpandDims", domain=MICROSOFT, view=True)


@shape("Trilu", domain=MICROSOFT)
def trilu(x: Value, k: Value | None = None, *, upper: int = 1) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.Trilu"""
    if len(ranked(x, "X")) < 2:
        raise ValueError("a matrix is needed")
    return Value(x.encoding, x.shape)


@shape("Pad", domain=MICROSOFT)
def pad(data: Value, pads: Value, value: Value | None = None, *, mode: str = "constant", ctx: Context) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.Pad"""
    return padded(data, pads, value, None, mode=mode, ctx=ctx)


@shape("UnfoldTensor", domain=MICROSOFT)
def unfold_tensor(input: Value, *, dim: int = -1, size: int, step: int = 1) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.UnfoldTensor"""
    data = ranked(input, "input")
    at = axis_of(dim, len(data))
    along = data[at]
    if size < 1 or step < 1 or (isinstance(along, int) and along < size):
        raise ValueError(f"slices of {size} every {step} from {along}")
    return Value(input.encoding, (*data[:at], dims.floordiv(along - size, step) + 1, *data[at + 1 :], size))


@cost("Trilu", "Pad", "UnfoldTensor", domain=MICROSOFT, kind="movement")
def copy_cost(*inputs: Value | None, out: Value) -> Cost:
    """no arithmetic: reads its input, writes every element of its output"""
    return Cost()


@shape("GatherND", domain=MICROSOFT)
def gather_nd(data: Value, indices: Value) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GatherND"""
    return picked(data, indices)


@shape("TorchEmbedding", domain=MICROSOFT)
def torch_embedding(
    weight: Value, indices: Value, padding_idx: Value | None = None, scale_grad_by_freq: Value | None = None
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.TorchEmbedding"""
    return Value(weight.encoding, (*ranked(indices, "indices"), ranked(weight, "weight", 2)[1]))


@cost("GatherND", domain=MICROSOFT, kind="movement")
def gather_nd_cost(data: Value, indices: Value, *, out: Value) -> Cost:
    """no arithmetic: reads its indices and the elements they pick"""
    return Cost(0, 0, moved((data, indices), out))


@cost("TorchEmbedding", domain=MICROSOFT, kind="embedding")
def torch_embedding_cost(weight: Value, indices: Value, *rest: Value | None, out: Value) -> Cost:
    """no arithmetic: reads its indices and the rows they pick"""
    return Cost(0, 0, moved((weight, indices), out))


@shape("GatherBlockQuantized", domain=MICROSOFT)
def gather_block_quantized(
    data: Value,
    indices: Value,
    scales: Value,
    zero_points: Value | None = None,
    *,
    bits: int = 4,
    block_size: int = 128,
    gather_axis: int = 0,
    quantize_axis: int = 1,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GatherBlockQuantized"""
    table = list(ranked(data, "data"))
    at = axis_of(gather_axis, len(table))
    axis_of(quantize_axis, len(table))
    if data.encoding == UINT8:
        if bits not in (2, 4, 8):
            raise ValueError(f"{bits} bits")
        table[-1] = table[-1] * (8 // bits)
    return Value(scales.encoding, (*table[:at], *ranked(indices, "indices"), *table[at + 1 :]))


@cost("GatherBlockQuantized", domain=MICROSOFT, kind="embedding")
def gather_block_quantized_cost(
    data: Value, indices: Value, scales: Value, zero_points: Value | None = None, *, bits: int = 4, out: Value
) -> Cost:
    """ops = 2 x numel(out) to dequantize, 1 x for float tables; reads the rows that are picked"""
    floats = data.encoding.dtype.startswith("float")
    stored = (
        ENCODINGS[22].nbytes(out.numel) if data.encoding == UINT8 and bits == 4 else data.encoding.nbytes(out.numel)
    )
    if data.encoding == UINT8 and bits == 2:
        stored = ENCODINGS[26].nbytes(out.numel)
    return Cost(0, (1 if floats else DEQUANTIZE) * out.numel, stored + indices.nbytes)


@shape("CropAndResize", domain=MICROSOFT)
def crop_and_resize(
    x: Value,
    rois: Value,
    batch_indices: Value,
    crop_size: Value,
    *,
    extrapolation_value: float = 0.0,
    mode: str = "bilinear",
    ctx: Context,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.CropAndResize"""
    data, boxes = ranked(x, "X", 4), ranked(rois, "rois", 2)
    known = known_ints(crop_size)
    if known is None:
        known = (ctx.data_dim("crop_size is fed"), ctx.data_dim("crop_size is fed"))
    if len(known) != 2:
        raise ValueError(f"crop_size holds {len(known)} numbers instead of 2")
    return Value(x.encoding, (boxes[0], data[1], *known))


@cost("CropAndResize", domain=MICROSOFT, kind="resize")
def crop_and_resize_cost(
    x: Value, rois: Value, batch_indices: Value, crop_size: Value, *, mode: str = "bilinear", out: Value
) -> Cost:
    """ops = 11 x numel(out) (four products, three sums, four weights), 0 for nearest"""
    return Cost(0, BILINEAR * out.numel if mode == "bilinear" else 0)


@shape("GridSample", domain=MICROSOFT)
def grid_sample(
    x: Value, grid: Value, *, align_corners: int = 0, mode: str = "bilinear", padding_mode: str = "zeros"
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GridSample"""
    ranked(x, "X", 4)
    return sampled(x, grid)


@cost("GridSample", domain=MICROSOFT, kind="resize")
def grid_sample_cost(x: Value, grid: Value, *, mode: str = "bilinear", out: Value) -> Cost:
    """ops = numel(out) x 11 (bilinear), x 47 (bicubic), 0 for nearest: products, sums and weights of 4 or 16 taps"""
    return sampled_cost(x, grid, mode=mode, out=out)


@shape("Range", domain=MICROSOFT)
def range_(start: Value, limit: Value, delta: Value | None = None, *, ctx: Context) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.Range"""
    one: float = 1.0 if start.encoding.dtype.startswith("float") else 1
    return counted(start, limit, delta or Value(start.encoding, (), (one,)), ctx=ctx)


@cost("Range", domain=MICROSOFT, kind="constant")
def range_cost(start: Value, limit: Value, delta: Value | None = None, *, out: Value) -> Cost:
    """ops = 2 x numel(out) (multiply, add)"""
    return Cost(0, 2 * out.numel)


@shape("CDist", domain=MICROSOFT)
def cdist(a: Value, b: Value, *, metric: str = "sqeuclidean") -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.CDist"""
    left, right = ranked(a, "A", 2), ranked(b, "B", 2)
    agreed("the length of a row", left[1], right[1])
    return Value(a.encoding, (left[0], right[0]))


@cost("CDist", domain=MICROSOFT, kind="reduction")
def cdist_cost(a: Value, b: Value, *, metric: str = "sqeuclidean", out: Value) -> Cost:
    """ops = numel(out) x columns x 3 (subtract, square, add up), + numel(out) roots for the euclidean distance"""
    if metric not in ("sqeuclidean", "euclidean"):
        raise ValueError(f"metric {metric!r} has no kernel to count")
    return Cost(0, out.numel * (3 * ranked(a, "A", 2)[1] + (metric == "euclidean")))


@shape("ComplexMul", "ComplexMulConj", domain=MICROSOFT)
def complex_mul(a: Value, b: Value) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.ComplexMul"""
    return Value(a.encoding, broadcast(ranked(a, "A"), ranked(b, "B")))


@cost("ComplexMul", "ComplexMulConj", domain=MICROSOFT, kind="elementwise")
def complex_mul_cost(a: Value, b: Value, *, out: Value) -> Cost:
    """ops = 3 x numel(out) (four products and two sums for a real and an imaginary part)"""
    return Cost(0, 3 * out.numel)


@shape("Inverse", domain=MICROSOFT)
def inverse(x: Value) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.Inverse"""
    data = ranked(x, "X")
    if len(data) < 2:
        raise ValueError("a matrix is needed")
    agreed("the side of a square matrix", data[-2], data[-1])
    return Value(x.encoding, data)


@cost("Inverse", domain=MICROSOFT, kind="linalg")
def inverse_cost(x: Value, *, out: Value) -> Cost:
    """ops = matrices x (2 n^3 - n^2): the divisions, products and differences of a Gauss-Jordan elimination in place"""
    data = ranked(x, "X")
    side = data[-1]
    return Cost(0, numel(data[:-2]) * side * side * (2 * side - 1))


@shape("IsAllFinite", domain=MICROSOFT)
def is_all_finite(*input: Value, isinf_only: int = 0, isnan_only: int = 0) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.IsAllFinite"""
    return Value(BOOL, ())


@cost("IsAllFinite", domain=MICROSOFT, kind="reduction")
def is_all_finite_cost(*input: Value, out: Value) -> Cost:
    """ops = numel of all inputs (one test each)"""
    total: Dim = 0
    for value in input:
        total = total + value.numel
    return Cost(0, total)


@shape("Rfft", domain=MICROSOFT)
def rfft(x: Value, *, normalized: int = 0, onesided: int = 1, signal_ndim: int = 1) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.Rfft"""
    data = ranked(x, "X")
    _signal(data, signal_ndim)
    return Value(x.encoding, (*data[:-1], dims.floordiv(data[-1], 2) + 1, 2))


@shape("Irfft", domain=MICROSOFT)
def irfft(x: Value, *, normalized: int = 0, onesided: int = 1, signal_ndim: int) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.Irfft"""
    data = ranked(x, "X")
    _signal(data[:-1], signal_ndim)
    return Value(x.encoding, (*data[:-2], 2 * (data[-2] - 1)))


def _signal(data: tuple[Dim, ...], signal_ndim: int) -> None:
    if not 1 <= signal_ndim <= len(data):
        raise ValueError(f"a signal of rank {signal_ndim} in an input of rank {len(data)}")


def _transforms(points: tuple[Dim, ...], signal_ndim: int) -> Cost:
    """One transform along each of the last `signal_ndim` axes, for every place of the others."""
    ops: Dim = 0
    for at in range(len(points) - signal_ndim, len(points)):
        ops = ops + numel(points[:at] + points[at + 1 :]) * fft_ops(points[at])
    return Cost(0, ops)


@cost("Rfft", domain=MICROSOFT, kind="signal")
def rfft_cost(x: Value, *, signal_ndim: int = 1, out: Value) -> Cost:
    """ops = transforms x 5 n ceil(log2 n), n the length of each; unknown where n is not a number"""
    return _transforms(ranked(x, "X"), signal_ndim)


@cost("Irfft", domain=MICROSOFT, kind="signal")
def irfft_cost(x: Value, *, signal_ndim: int = 1, out: Value) -> Cost:
    """ops = transforms x 5 n ceil(log2 n), n the length of each; unknown where n is not a number"""
    return _transforms(ranked(out, "Y"), signal_ndim)


@shape("DynamicTimeWarping", domain=MICROSOFT)
def dynamic_time_warping(input: Value, *, ctx: Context) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.DynamicTimeWarping"""
    rows, columns = ranked(input, "input", 2, 3)[-2:]
    least = dims.bounds(dims.maximum(rows, columns))[0]
    return Value(INT32, (2, ctx.data_dim("the costs fed decide the path", least or 0, rows + columns - 1)))


@cost("DynamicTimeWarping", domain=MICROSOFT, kind="other")
def dynamic_time_warping_cost(input: Value, *, out: Value) -> Cost:
    """ops = 3 x numel(input) (two comparisons, one addition); walking the path back is not counted"""
    return Cost(0, 3 * input.numel)


@shape("QuantizeBFP", domain=MICROSOFT)
def quantize_bfp(x: Value, *, bfp_type: int, block_dim: int = -1, ctx: Context) -> tuple[Value, Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QuantizeBFP"""
    data = ranked(x, "x")
    packed = Value(UINT8, (ctx.unknown_dim("bfp_type decides the size of the packed data"),))
    return packed, Value(INT64, (len(data),), data), Value(INT64, (len(data),))


@shape("DequantizeBFP", domain=MICROSOFT)
def dequantize_bfp(
    x: Value, shape: Value, strides: Value, *, bfp_type: int, block_dim: int = -1, dtype: int = 1, ctx: Context
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.DequantizeBFP"""
    stated = dims_from(shape, ctx, "the shape fed")
    return Value(ENCODINGS.get(dtype, FLOAT), stated, why="" if stated is not None else "its shape is fed")


unpriced(
    "QuantizeBFP",
    "DequantizeBFP",
    domain=MICROSOFT,
    reason="block floating point is packed as the hardware behind bfp_type defines",
)
