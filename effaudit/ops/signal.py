"""Signal processing.

A Fourier transform of n points counts 5 n ceil(log2 n) ops, the usual figure of a radix-2 FFT (10 real operations per
butterfly), whatever n is and whether the signal is real or complex. It is never counted as a matrix product.
"""

from __future__ import annotations

from effaudit import dims
from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.graph import ENCODINGS, Encoding, Shape, Value
from effaudit.ops._data import as_dim, scalar
from effaudit.ops._inputs import agreed, ranked
from effaudit.ops._registry import Context, Cost, cost, numel, shape
from effaudit.ops._shapes import axis_of


def fft_ops(n: Dim) -> int:
    """The operations of one transform of `n` points."""
    if not isinstance(n, int):
        raise Undecided(f"the logarithm of {n}, the length of the transform")
    return 5 * n * max(n - 1, 0).bit_length()


def _sized(value: Value, name: str, ctx: Context) -> Dim:
    """A dim that a scalar input states. Raises ValueError where it is negative."""
    known = as_dim(scalar(value))
    if known is None:
        return ctx.data_dim(f"the {name} fed decides it")
    if isinstance(known, int) and known < 0:
        raise ValueError(f"a {name} of {known}")
    return known


def _dft_axis(axis: Value | None, rank: int, opset: int) -> int | None:
    """The axis transformed, or None where it is fed; the last one holds real and imaginary parts."""
    if axis is None:
        return rank - 2 if opset >= 20 else axis_of(1, rank)
    known = scalar(axis)
    if not isinstance(known, int):
        return None
    at = axis_of(known, rank)
    if at == rank - 1:
        raise ValueError("the last axis holds real and imaginary parts")
    return at


@shape("DFT")
def dft(
    input: Value,
    dft_length: Value | None = None,
    axis: Value | None = None,
    *,
    inverse: int = 0,
    onesided: int = 0,
    ctx: Context,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__DFT.html"""
    whole = ranked(input, "input")
    if len(whole) < 2:
        raise ValueError(f"an input of rank {len(whole)}; signal axes and a last axis of 1 or 2 expected")
    at = _dft_axis(axis, len(whole), ctx.opset)
    last = 1 if inverse and onesided else 2
    if at is None:
        if dft_length is None and not onesided:
            return Value(input.encoding, (*whole[:-1], last))
        return Value(input.encoding, (*(ctx.data_dim("the axis fed decides it") for _ in whole[:-1]), last))
    if dft_length is not None:
        points = _sized(dft_length, "dft_length", ctx)
    else:
        points = 2 * (whole[at] - 1) if last == 1 else whole[at]
    size = dims.floordiv(points, 2) + 1 if onesided and not inverse else points
    return Value(input.encoding, (*whole[:at], size, *whole[at + 1 : -1], last))


@cost("DFT", kind="signal")
def dft_cost(
    input: Value,
    dft_length: Value | None = None,
    axis: Value | None = None,
    *,
    inverse: int = 0,
    onesided: int = 0,
    ctx: Context,
    out: Value,
) -> Cost:
    """ops = transforms x 5 n ceil(log2 n), n the length of the transform; unknown where n is not a number"""
    assert input.shape is not None and out.shape is not None
    at = _dft_axis(axis, len(out.shape), ctx.opset)
    if at is None:
        raise Undecided("the axis fed")
    points = out.shape[at]
    if onesided and not inverse:
        stated = as_dim(scalar(dft_length))
        points = input.shape[at] if dft_length is None else stated if stated is not None else points
    transforms = numel(dim for i, dim in enumerate(out.shape[:-1]) if i != at)
    return Cost(0, transforms * fft_ops(points))


def _frame(signal: Value, window: Value | None, frame_length: Value | None, ctx: Context | None) -> Dim | None:
    """The length of a frame, or None where it is fed and no `ctx` can name it."""
    stated: list[Dim] = []
    if window is not None:
        stated.append(ranked(window, "window", 1)[0])
    known = as_dim(scalar(frame_length))
    if known is not None:
        stated.append(known)
    if stated:
        return agreed("frame_length", *stated)
    if frame_length is not None:
        return None if ctx is None else ctx.data_dim("the frame_length fed decides it", 1)
    return ranked(signal, "signal", 2, 3)[1]


@shape("STFT")
def stft(
    signal: Value,
    frame_step: Value,
    window: Value | None = None,
    frame_length: Value | None = None,
    *,
    onesided: int = 1,
    ctx: Context,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__STFT.html"""
    batch, samples, *_ = ranked(signal, "signal", 2, 3)
    points = _frame(signal, window, frame_length, ctx)
    assert points is not None
    step = as_dim(scalar(frame_step))
    frames: Dim
    if step is None:
        frames = ctx.data_dim("the frame_step fed decides it")
    elif isinstance(step, int) and step < 1:
        raise ValueError(f"a frame_step of {step}")
    else:
        frames = dims.floordiv(samples - points, step) + 1
        if isinstance(frames, int) and frames < 1:
            raise ValueError(f"a frame of {points} in a signal of {samples}")
    return Value(signal.encoding, (batch, frames, dims.floordiv(points, 2) + 1 if onesided else points, 2))


@cost("STFT", kind="signal")
def stft_cost(
    signal: Value,
    frame_step: Value,
    window: Value | None = None,
    frame_length: Value | None = None,
    *,
    out: Value,
) -> Cost:
    """ops = batch x frames x (5 n ceil(log2 n) + n with a window), n the length of a frame; unknown where n is not a
    number"""
    assert out.shape is not None
    points = _frame(signal, window, frame_length, None)
    if points is None:
        raise Undecided("the frame_length fed")
    return Cost(0, out.shape[0] * out.shape[1] * (fft_ops(points) + (points if window is not None else 0)))


def _output(dtype: int) -> Encoding:
    if dtype not in ENCODINGS:
        raise ValueError(f"output_datatype {dtype} is no data type")
    return ENCODINGS[dtype]


@shape("HannWindow", "HammingWindow", "BlackmanWindow")
def window_function(size: Value, *, output_datatype: int = 1, ctx: Context) -> Value:
    """https://onnx.ai/onnx/operators/onnx__HannWindow.html, https://onnx.ai/onnx/operators/onnx__HammingWindow.html,
    https://onnx.ai/onnx/operators/onnx__BlackmanWindow.html"""
    return Value(_output(output_datatype), (_sized(size, "size", ctx),))


@cost("HannWindow", "HammingWindow", kind="signal")
def cosine_window_cost(size: Value, *, out: Value) -> Cost:
    """ops = size x 4 (angle; cosine; multiply; subtract)"""
    return Cost(0, 4 * out.numel)


@cost("BlackmanWindow", kind="signal")
def blackman_window_cost(size: Value, *, out: Value) -> Cost:
    """ops = size x 8 (two cosine terms of 4: angle; cosine; multiply; add)"""
    return Cost(0, 8 * out.numel)


@shape("MelWeightMatrix")
def mel_weight_matrix(
    num_mel_bins: Value,
    dft_length: Value,
    sample_rate: Value,
    lower_edge_hertz: Value,
    upper_edge_hertz: Value,
    *,
    output_datatype: int = 1,
    ctx: Context,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__MelWeightMatrix.html"""
    bins: Shape = (
        dims.floordiv(_sized(dft_length, "dft_length", ctx), 2) + 1,
        _sized(num_mel_bins, "num_mel_bins", ctx),
    )
    return Value(_output(output_datatype), bins)


@cost("MelWeightMatrix", kind="signal")
def mel_weight_matrix_cost(
    num_mel_bins: Value,
    dft_length: Value,
    sample_rate: Value,
    lower_edge_hertz: Value,
    upper_edge_hertz: Value,
    *,
    out: Value,
) -> Cost:
    """ops = numel(out) x 2 (distance to the edge; divide by the width of the triangle)"""
    return Cost(0, 2 * out.numel)
