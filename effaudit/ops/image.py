"""Sampling and rearranging of images: grids, blocks, crops, columns."""

from __future__ import annotations

from collections.abc import Sequence

from effaudit import dims
from effaudit.dims import Dim
from effaudit.graph import UINT8, Shape, Value
from effaudit.ops._data import as_dim
from effaudit.ops._inputs import ranked
from effaudit.ops._registry import Context, Cost, cost, numel, shape, unpriced
from effaudit.ops._shapes import axis_of, length


def _fed(value: Value, count: int, name: str, ctx: Context) -> list[Dim]:
    """`count` dims that an integer input states, fresh ones where they are fed."""
    given = length(value)
    if given is not None and given != count:
        raise ValueError(f"{given} elements in {name}; {count} expected")
    data = value.data
    known = [None] * count if data is None else [as_dim(x) for x in data]
    return [ctx.data_dim(f"the values of {name} decide it") if dim is None else dim for dim in known]


@shape("GridSample")
def grid_sample(x: Value, grid: Value) -> Value:
    """https://onnx.ai/onnx/operators/onnx__GridSample.html"""
    image, points = ranked(x, "X"), ranked(grid, "grid")
    if len(image) < 3 or len(points) != len(image):
        raise ValueError(f"an input of rank {len(image)} with a grid of rank {len(points)}")
    if isinstance(points[-1], int) and points[-1] != len(image) - 2:
        raise ValueError(f"{points[-1]} coordinates per point for {len(image) - 2} spatial axes")
    return Value(x.encoding, (*image[:2], *points[1:-1]))


@cost("GridSample", kind="resize")
def grid_sample_cost(x: Value, grid: Value, *, mode: str = "linear", out: Value) -> Cost:
    """ops = numel(out) x (3 x taps - 1): taps products, taps - 1 sums and taps weights, where taps is 2 (linear) or
    4 (cubic) per spatial axis; 0 for nearest (a copy)"""
    assert x.shape is not None
    if mode == "nearest":
        return Cost()
    taps = (4 if mode in ("cubic", "bicubic") else 2) ** (len(x.shape) - 2)
    return Cost(0, out.numel * (3 * taps - 1))


@shape("AffineGrid")
def affine_grid(theta: Value, size: Value, *, ctx: Context) -> Value:
    """https://onnx.ai/onnx/operators/onnx__AffineGrid.html"""
    matrices = ranked(theta, "theta", 3)
    rows = matrices[1] if isinstance(matrices[1], int) else (length(size) or 0) - 2
    if rows not in (2, 3):
        if isinstance(matrices[1], int) or length(size) is not None:
            raise ValueError(f"matrices of {rows} rows; 2 or 3 expected")
        return Value(theta.encoding, None, why="the number of sizes fed decides the rank")
    stated = _fed(size, rows + 2, "size", ctx)
    return Value(theta.encoding, (stated[0], *stated[2:], rows))


@cost("AffineGrid", kind="resize")
def affine_grid_cost(theta: Value, size: Value, *, out: Value) -> Cost:
    """ops = numel(out) x 2 x coordinates (as many products and sums for each coordinate of each point)"""
    assert out.shape is not None
    return Cost(0, out.numel * (out.shape[-1] * 2))


def _block(input: Value, blocksize: int) -> Shape:
    if blocksize < 1:
        raise ValueError(f"a block of {blocksize}")
    return ranked(input, "input", 4)


def _split(dim: Dim, by: int) -> Dim:
    if isinstance(dim, int) and dim % by:
        raise ValueError(f"a dim of {dim} does not divide into blocks of {by}")
    return dims.floordiv(dim, by)


@shape("DepthToSpace")
def depth_to_space(input: Value, *, blocksize: int = 0) -> Value:
    """https://onnx.ai/onnx/operators/onnx__DepthToSpace.html"""
    n, c, h, w = _block(input, blocksize)
    return Value(input.encoding, (n, _split(c, blocksize * blocksize), h * blocksize, w * blocksize))


@shape("SpaceToDepth")
def space_to_depth(input: Value, *, blocksize: int = 0) -> Value:
    """https://onnx.ai/onnx/operators/onnx__SpaceToDepth.html"""
    n, c, h, w = _block(input, blocksize)
    return Value(input.encoding, (n, c * (blocksize * blocksize), _split(h, blocksize), _split(w, blocksize)))


@shape("CenterCropPad")
def center_crop_pad(input_data: Value, shape: Value, *, axes: Sequence[int] | None = None, ctx: Context) -> Value:
    """https://onnx.ai/onnx/operators/onnx__CenterCropPad.html"""
    made = list(ranked(input_data, "input_data"))
    places = range(len(made)) if axes is None else [axis_of(axis, len(made)) for axis in axes]
    for place, size in zip(places, _fed(shape, len(places), "shape", ctx), strict=True):
        made[place] = size
    return Value(input_data.encoding, tuple(made))


@cost("DepthToSpace", "SpaceToDepth", kind="movement")
def block_cost(input: Value, *, out: Value) -> Cost:
    """ops = 0 (elements are moved)"""
    return Cost()


@cost("CenterCropPad", kind="movement")
def center_crop_pad_cost(input_data: Value, shape: Value, *, out: Value) -> Cost:
    """ops = 0 (elements are moved)"""
    return Cost()


@shape("Col2Im")
def col2im(input: Value, image_shape: Value, block_shape: Value, *, ctx: Context) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Col2Im.html"""
    n, columns, _ = ranked(input, "input", 3)
    rank = length(image_shape) or length(block_shape)
    if rank is None:
        return Value(input.encoding, None, why="the number of dims fed decides the rank")
    volume = numel(_fed(block_shape, rank, "block_shape", ctx))
    if isinstance(volume, int) and volume > 0:
        channels = _split(columns, volume)
    else:
        channels = ctx.data_dim("the values of block_shape decide it", 0, columns)
    return Value(input.encoding, (n, channels, *_fed(image_shape, rank, "image_shape", ctx)))


@cost("Col2Im", kind="movement")
def col2im_cost(input: Value, image_shape: Value, block_shape: Value, *, out: Value) -> Cost:
    """ops = numel(input) additions"""
    return Cost(0, input.numel)


@shape("ImageDecoder")
def image_decoder(encoded_stream: Value, *, pixel_format: str = "RGB", ctx: Context) -> Value:
    """https://onnx.ai/onnx/operators/onnx__ImageDecoder.html"""
    reason = "the encoded image decides it"
    return Value(UINT8, (ctx.data_dim(reason, 1), ctx.data_dim(reason, 1), 1 if pixel_format == "Grayscale" else 3))


unpriced("ImageDecoder", kind="movement", reason="the encoded image fed decides how much is decoded")
