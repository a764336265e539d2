"""Sampling, blocks, crops and columns against runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from . import oracle
from .oracle import ALWAYS, check, ints, random

IMAGE = random(2, 8, 6, 4)


@pytest.mark.parametrize(
    ("opset", "mode", "taps"),
    [
        (16, "bilinear", 4),
        (16, "bicubic", 16),
        (16, "nearest", 0),
        (20, "linear", 4),
        (20, "cubic", 16),
        (22, "linear", 4),
    ],
)
def test_grid_sample(opset: int, mode: str, taps: int) -> None:
    graph = check("GridSample", [IMAGE, random(2, 3, 5, 2)], {"mode": mode}, opset=opset)
    assert oracle.cost(graph).ops == 2 * 8 * 15 * max(3 * taps - 1, 0)


def test_grid_sample_in_three_dims() -> None:
    graph = check("GridSample", [random(1, 2, 4, 5, 6), random(1, 3, 2, 7, 3)], {"mode": "linear"}, opset=20)
    assert oracle.cost(graph).ops == 2 * 42 * 23


@pytest.mark.parametrize("size", [(2, 3, 5, 6), (2, 3, 4, 5, 6)])
@pytest.mark.parametrize("constant", [[1], []])
def test_affine_grid(size: tuple[int, ...], constant: list[int]) -> None:
    n = len(size) - 2
    unknown = oracle.NEVER if constant else ALWAYS
    graph = check("AffineGrid", [random(2, n, n + 1), ints(*size)], opset=20, constant=constant, unknown=unknown)
    if constant:
        assert oracle.cost(graph).ops == 2 * np.prod(size[2:]) * n * 2 * n


@pytest.mark.parametrize(
    ("op", "opset", "attrs"),
    [
        ("DepthToSpace", 7, {}),
        ("DepthToSpace", 11, {"mode": "CRD"}),
        ("DepthToSpace", 13, {}),
        ("SpaceToDepth", 7, {}),
        ("SpaceToDepth", 13, {}),
    ],
)
def test_blocks(op: str, opset: int, attrs: dict[str, Any]) -> None:
    graph = check(op, [IMAGE], {"blocksize": 2, **attrs}, opset=opset)
    assert oracle.cost(graph).ops == 0


@pytest.mark.parametrize("op", ["DepthToSpace", "SpaceToDepth"])
def test_blocks_of_the_newest_version(op: str) -> None:
    made = IMAGE.reshape((2, 2, 12, 8) if op == "DepthToSpace" else (2, 32, 3, 2))
    check(op, [IMAGE], {"blocksize": 2, "mode": "CRD"}, opset=28, expected=[made])


@pytest.mark.parametrize(("axes", "size"), [(None, (3, 8, 9, 2)), ([2, 3], (9, 2)), ([-1], (7,))])
def test_center_crop_pad(axes: list[int] | None, size: tuple[int, ...]) -> None:
    attrs = {} if axes is None else {"axes": axes}
    check("CenterCropPad", [IMAGE, ints(*size)], attrs, opset=18, constant=[1])
    check("CenterCropPad", [IMAGE, ints(*size)], attrs, opset=18, unknown=ALWAYS)


@pytest.mark.parametrize(
    ("image", "block", "attrs"),
    [
        ((5, 5), (1, 5), {}),
        ((6, 6), (2, 2), {"strides": [2, 2]}),
        ((5, 5), (2, 3), {"pads": [0, 1, 0, 1]}),
        ((7,), (3,), {"dilations": [2]}),
        ((3, 4, 5), (1, 2, 3), {}),
    ],
)
def test_col2im(image: tuple[int, ...], block: tuple[int, ...], attrs: dict[str, Any]) -> None:
    rank = len(image)
    steps, dilations = attrs.get("strides", [1] * rank), attrs.get("dilations", [1] * rank)
    pads = attrs.get("pads", [0] * 2 * rank)
    windows = [
        (image[i] + pads[i] + pads[i + rank] - dilations[i] * (block[i] - 1) - 1) // steps[i] + 1 for i in range(rank)
    ]
    columns = random(2, 3 * int(np.prod(block)), int(np.prod(windows)))
    graph = check("Col2Im", [columns, ints(*image), ints(*block)], attrs, opset=18, constant=[1, 2])
    assert oracle.cost(graph).ops == columns.size
    check("Col2Im", [columns, ints(*image), ints(*block)], attrs, opset=18, unknown=ALWAYS)


@pytest.mark.parametrize(("pixels", "channels"), [("RGB", 3), ("BGR", 3), ("Grayscale", 1)])
def test_image_decoder(pixels: str, channels: int) -> None:
    """What is decoded decides the size; runtimes need Pillow for it."""
    made = random(4, 5, channels, dtype=np.uint8)
    stream = random(100, dtype=np.uint8)
    check("ImageDecoder", [stream], {"pixel_format": pixels}, opset=20, expected=[made], unknown=ALWAYS)


@pytest.mark.parametrize(
    ("op", "inputs", "attrs"),
    [
        ("GridSample", [IMAGE, random(2, 3, 5, 3)], {}),
        ("GridSample", [IMAGE, random(2, 3, 5)], {}),
        ("AffineGrid", [random(2, 4, 5), ints(1, 2, 3, 4)], {}),
        ("AffineGrid", [random(2, 2, 3), ints(1, 2, 3, 4, 5)], {}),
        ("DepthToSpace", [IMAGE], {"blocksize": 3}),
        ("SpaceToDepth", [IMAGE], {"blocksize": 0}),
        ("SpaceToDepth", [IMAGE[0]], {"blocksize": 2}),
        ("CenterCropPad", [IMAGE, ints(1, 2)], {}),
        ("Col2Im", [random(1, 5, 4), ints(4, 4), ints(2, 2)], {}),
    ],
)
def test_invalid_nodes_are_unknown_with_the_reason(op: str, inputs: list[Any], attrs: dict[str, Any]) -> None:
    graph = oracle.infer(oracle.single_node(op, inputs, attrs, opset=20, constant=range(1, len(inputs))))
    assert oracle.value(graph).why.startswith(f"invalid {op}")
