"""Receptive fields against what ONNX Runtime computes from one-hot inputs, and against published figures."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from time import process_time
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from onnx import ModelProto, TensorProto, helper, numpy_helper

from effaudit import operators
from effaudit.audited import Audited, examine
from effaudit.ops._registry import registered
from effaudit.views.reach import steps
from effaudit.views.reach.sliding import SAME
from effaudit.views.reach.walk import Walk, sources
from effaudit.views.receptive_field import SHAPES, FeatureMap, ReceptiveFields, exact, receptive_field

from ..examples.graphs import Net
from .chains import LENGTH, Build, Chain, chains, run


def audited(model: ModelProto, folder: Path) -> Audited:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return examine(path)


def fields(net: Net, folder: Path, *outputs: str) -> ReceptiveFields:
    return receptive_field(audited(net.model(*outputs), folder))


def row(found: ReceptiveFields, output: str) -> FeatureMap:
    (only,) = [r for r in found.rows if r.output == output]
    return only


def sizes(found: FeatureMap) -> list[int | None]:
    return [axis.size for axis in found.axes]


# ---- every position of random networks
def _interval(seen: Any, axis: int, position: int) -> tuple[float, float]:
    """What the analysis says that one position sees along the input's last axis."""
    low, high = seen.low, seen.high
    if seen.whole:
        return 0, LENGTH - 1
    for at, term in seen.terms:
        a, b = term.at(position) if at == axis else steps.hull(term, range(8))
        low, high = low + a, high + b
    return low, high


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(build=chains())
def test_every_position_sees_what_it_is_said_to(build: Build, tmp_path: Path) -> None:
    """Exactly, where no padding is in sight; never more than said, elsewhere."""
    plain, tainted = Chain(taint=False), Chain(taint=True)
    out, border = build(plain), build(tainted)
    if out == "x":
        return
    hot = run(plain.model(out), np.eye(LENGTH)[:, None, :]).sum(axis=1) > 0  # pixel x position
    edge = run(tainted.model(border), np.zeros((LENGTH, 1, LENGTH)))[0].sum(axis=0) > 0
    found = audited(plain.model(out), tmp_path)
    seen = Walk(registered()).graph(found.graph, sources(found.graph))[1][out]["x"][2]
    if seen.why:  # folding in two what does not add up over the two axes
        assert "Reshape parts an axis" in seen.why
        return
    widths = []
    for position in range(hot.shape[1]):
        pixels = np.flatnonzero(hot[:, position])
        low, high = _interval(seen, 2, position)
        if pixels.size:
            assert low <= pixels[0] and pixels[-1] <= high
        if not edge[position]:
            expected = (int(pixels[0]), int(pixels[-1])) if pixels.size else steps.NOTHING
            assert (low, high) == expected if pixels.size else low > high
            widths.append(pixels[-1] - pixels[0] + 1 if pixels.size else 0)
    rows = [r for r in receptive_field(found).rows if r.output == out]
    if rows and rows[0].scope == "window" and widths:
        (axis,) = rows[0].axes
        assert axis.size is not None and max(widths) <= axis.size


PADDED: list[tuple[str, dict[str, Any], int]] = [
    *[("Conv", {"auto_pad": mode, "strides": [s]}, k) for mode in SAME for s in (1, 2, 3) for k in (2, 3, 4)],
    ("Conv", {"auto_pad": "VALID", "strides": [2]}, 3),
    *[("ConvTranspose", {"auto_pad": mode, "strides": [s]}, k) for mode in SAME for s in (1, 2) for k in (3, 4)],
    *[("ConvTranspose", {"output_shape": [2 * LENGTH - 1], "strides": [2]}, k) for k in (3, 4)],
    *[("MaxPool", {"auto_pad": mode, "strides": [2], "kernel_shape": [k]}, 0) for mode in SAME for k in (2, 3)],
    ("AveragePool", {"ceil_mode": 1, "strides": [3], "kernel_shape": [3]}, 0),
]


@pytest.mark.parametrize(("op", "attrs", "kernel"), PADDED, ids=str)
def test_padding_that_the_size_decides(op: str, attrs: dict[str, Any], kernel: int, tmp_path: Path) -> None:
    """Every position of one window, the borders too: what it sees is what lies inside the input."""
    chain = Chain(taint=False)
    weights = [chain.ones(1, 1, kernel)] if kernel else []
    out = chain.node(op, ["x", *weights], (1, 0), **attrs)
    hot = run(chain.model(out), np.eye(LENGTH)[:, None, :]).sum(axis=1) > 0
    found = audited(chain.model(out), tmp_path)
    seen = Walk(registered()).graph(found.graph, sources(found.graph))[1][out]["x"][2]
    for position in range(hot.shape[1]):
        low, high = _interval(seen, 2, position)
        pixels = np.flatnonzero(hot[:, position])
        assert (max(low, 0), min(high, LENGTH - 1)) == (pixels[0], pixels[-1])


def test_the_oracle_finds_interior_positions() -> None:
    """Most positions of a plain network touch no border: the law above is no empty one."""
    chain = Chain(taint=True)
    out = chain.conv(chain.conv("x", 3, 1, 1, 1, 1), 3, 1, 1, 1, 1)
    edge = run(chain.model(out), np.zeros((LENGTH, 1, LENGTH)))[0].sum(axis=0) > 0
    assert edge.sum() == 4


# ---- whole maps of two axes, against one-hot rows and columns
def measured(model: ModelProto, name: str, shape: tuple[int, ...], axis: int) -> list[int]:
    """By position along the same axis of the output: how many rows (or columns) of the input it sees."""
    made = []
    for i in range(shape[axis]):
        x = np.zeros(shape, np.float32)
        x[(slice(None),) * axis + (i,)] = 1
        y = run(model, x, name)
        made.append(np.abs(y).sum(axis=tuple(j for j in range(y.ndim) if j != axis)) > 0)
    hot = np.array(made)
    return [int(np.flatnonzero(column)[-1] - np.flatnonzero(column)[0] + 1) for column in hot.T]


def with_ones(model: ModelProto) -> ModelProto:
    """The model with weights of 1 in place of the absent ones."""
    for tensor in model.graph.initializer:
        if tensor.external_data:
            ones = np.ones(tuple(tensor.dims), np.float32)
            tensor.CopyFrom(numpy_helper.from_array(ones, tensor.name))
    return model


def space_to_depth(net: Net, x: str) -> str:
    n, c, h, w = net.shape[x]
    return net.node("SpaceToDepth", [x], (n, 4 * c, h // 2, w // 2), blocksize=2)


def depth_to_space(net: Net, x: str) -> str:
    n, c, h, w = net.shape[x]
    return net.node("DepthToSpace", [x], (n, c // 4, 2 * h, 2 * w), blocksize=2, mode="CRD")


def upsampled(net: Net, x: str) -> str:
    n, c, h, w = net.shape[x]
    scales = net.constant([1, 1, 2, 2], np.float32)
    return net.node("Resize", [x, "", scales], (n, c, 2 * h, 2 * w), mode="linear")


def focus(net: Net, x: str) -> str:
    """The four pixels of each 2 x 2 cell as channels, by slices of step 2."""
    rows = [net.slice(x, 2, i, 32, 2) for i in (0, 1)]
    return net.concat([net.slice(row, 3, i, 32, 2) for row in rows for i in (0, 1)], 1)


def branches(net: Net, x: str) -> str:
    """Inception: kernels of 1, 3 and two of 3, and a pool, side by side."""
    parts = [net.conv(x, 2, 1), net.conv(x, 2, 3), net.conv(net.conv(x, 2, 3), 2, 3), net.pool(x, 3, 1, 1)]
    return net.concat(parts, 1)


def windows(net: Net, x: str) -> str:
    """Windows of 4 x 4 pixels, each summed up in all its pixels, put back: what window attention sees."""
    n, c, h, w = net.shape[x]
    cells = net.transpose(net.reshape(x, n, c, h // 4, 4, w // 4, 4), 0, 2, 4, 3, 5, 1)
    tokens = net.reshape(cells, n * h * w // 16, 16, c)
    mixed = net.node("MatMul", [net.weight(16, 16), tokens], net.shape[tokens])
    apart = net.reshape(mixed, n, h // 4, w // 4, 4, 4, c)
    return net.reshape(net.transpose(apart, 0, 5, 1, 3, 2, 4), n, c, h, w)


def channels_last(net: Net, x: str) -> str:
    return net.transpose(net.transpose(x, 0, 2, 3, 1), 0, 3, 1, 2)


BLOCKS: dict[str, tuple[Callable[[Net, str], str], int, str]] = {
    "space to depth": (space_to_depth, 2, "2"),
    "depth to space": (lambda net, x: depth_to_space(net, net.conv(x, 4, 3)), 3, "0.5"),
    "enlarged": (upsampled, 2, "0.5"),
    "enlarged, then convolved": (lambda net, x: net.conv(upsampled(net, x), 2, 3), 3, "0.5"),
    "focus": (focus, 2, "2"),
    "inception": (branches, 5, "1"),
    "windows": (windows, 4, "1"),
    "windows, then convolved": (lambda net, x: net.conv(windows(net, x), 2, 3), 8, "1"),
    "channels last and back": (lambda net, x: net.conv(channels_last(net, x), 2, 5), 5, "1"),
    "dilated": (lambda net, x: net.conv(net.conv(x, 2, 3, d=2), 2, 3, d=3), 11, "1"),
    "depthwise": (lambda net, x: net.conv(net.conv(x, 1, 3, g=1), 1, 3, 2, 1, g=1), 5, "2"),
}


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks(block: str, tmp_path: Path) -> None:
    build, size, stride = BLOCKS[block]
    net = Net()
    x = net.input(1, 1, 32, 32)
    out = build(net, net.conv(x, 1, 1))  # a convolution, so that both axes count as space
    model = net.model(out)
    found = row(receptive_field(audited(model, tmp_path)), out)
    assert [(a.axis, a.size, a.stride, a.scope) for a in found.axes] == [(i, size, stride, "window") for i in (2, 3)]
    ready = with_ones(model)
    for axis in (2, 3):
        assert max(measured(ready, x, (1, 1, 32, 32), axis)) == size


# ---- paths that see everything
def gated(net: Net, x: str) -> str:
    """Squeeze and excite."""
    n, c, *_ = net.shape[x]
    squeezed = net.node("GlobalAveragePool", [x], (n, c, 1, 1))
    return net.mul(x, net.unary("Sigmoid", net.conv(squeezed, c, 1)))


def instance_norm(net: Net, x: str) -> str:
    c = net.shape[x][1]
    return net.node("InstanceNormalization", [x, net.weight(c), net.weight(c)], net.shape[x])


@pytest.mark.parametrize("wide", [gated, instance_norm])
def test_everything_is_seen_but_by_the_local_paths(wide: Callable[[Net, str], str], tmp_path: Path) -> None:
    net = Net()
    x = net.input(1, 1, 32, 32)
    before = net.conv(x, 4, 3, 2, 1)
    after = net.conv(wide(net, before), 4, 3)
    found = fields(net, tmp_path, after)
    assert row(found, before).scope == "window"
    for axis in row(found, after).axes:
        assert (axis.scope, axis.size, axis.local, axis.stride) == ("global", 32, 7, "2")


def test_attention_sees_everything(tmp_path: Path) -> None:
    """A vision transformer: patches, their scores, their mixture."""
    net = Net()
    x = net.input(1, 3, 32, 32)
    patches = net.conv(x, 16, 8, 8, 0)
    tokens = net.transpose(net.reshape(patches, 1, 16, 16), 0, 2, 1)
    scores = net.unary("Softmax", net.matmul(tokens, net.transpose(tokens, 0, 2, 1)), axis=-1)
    out = net.add(net.matmul(scores, tokens), tokens)
    found = fields(net, tmp_path, out)
    assert sizes(row(found, patches)) == [8, 8]
    assert [a.scope for a in row(found, scores).axes] == ["global", "global"]
    assert [(a.size, a.local) for a in row(found, out).axes] == [(32, 8), (32, 8)]
    assert [found.rows[i].output for i in found.last] == [patches]


def test_a_part_of_the_input_is_not_all_of_it(tmp_path: Path) -> None:
    """The mean of the left half."""
    net = Net()
    x = net.input(1, 1, 32, 32)
    half = net.slice(net.conv(x, 1, 3, 1, 0), 3, 0, 14)
    out = net.global_pool(half)
    (height, width) = row(fields(net, tmp_path, out), out).axes
    assert (height.scope, height.size) == ("global", 32)
    assert (width.scope, width.size, width.padding, width.carried) == ("fixed", 16, 0, None)


def test_branches_of_different_strides_are_told(tmp_path: Path) -> None:
    net = Net()
    x = net.input(1, 1, 32, 32)
    slow, fast = net.conv(x, 1, 3, 2, 1), net.slice(net.slice(x, 2, 0, 16), 3, 0, 16)
    out = net.add(slow, fast)
    found = row(fields(net, tmp_path, out), out)
    assert found.notes == ("its branches differ in stride: 1 and 2",)
    # position 15 of the one sees rows 29..31, of the other row 15
    assert [(a.size, a.smallest, a.stride) for a in found.axes] == [(17, 3, None), (17, 3, None)]


def test_uneven_steps_have_no_stride(tmp_path: Path) -> None:
    """A map twice beside itself, and maps whose even columns come before the odd ones."""
    net = Net()
    x = net.conv(net.input(1, 1, 32, 32), 1, 3)
    tiled = net.node("Tile", [x, net.constant([1, 1, 1, 2])], (1, 1, 32, 64))
    sorted_ = net.concat([net.slice(x, 3, i, 32, 2) for i in (0, 1)], 3)
    folded = net.reshape(net.transpose(net.reshape(x, 1, 1, 32, 16, 2), 0, 1, 2, 4, 3), 1, 1, 32, 32)
    found = fields(net, tmp_path, tiled, sorted_, folded)
    for output in (tiled, sorted_, folded):
        assert [(a.size, a.stride) for a in row(found, output).axes] == [(3, "1"), (3, None)]


def test_several_inputs(tmp_path: Path) -> None:
    """A siamese pair, joined after one more convolution on the second."""
    net = Net()
    a, b = net.input(1, 1, 32, 32), net.input(1, 1, 32, 32)
    out = net.add(net.conv(a, 2, 3), net.conv(net.conv(b, 2, 3), 2, 3))
    found = [r for r in fields(net, tmp_path, out).rows if r.output == out]
    assert [(r.input, sizes(r)) for r in found] == [(a, [3, 3]), (b, [5, 5])]


def test_unknown_says_why(tmp_path: Path) -> None:
    net = Net()
    x = net.input(1, 1, 8, 8)
    offsets = net.conv(x, 18, 3)
    out = net.node("DeformConv", [x, net.weight(1, 1, 3, 3), offsets], (1, 1, 6, 6))
    after = net.relu(out)
    found = row(fields(net, tmp_path, after), after)
    assert found.scope == "unknown" and sizes(found) == [None, None]
    assert found.why.startswith("DeformConv ") and "the offsets fed decide" in found.why


@pytest.mark.parametrize("fed", [True, False])
def test_indices_are_fed_or_in_the_file(fed: bool, tmp_path: Path) -> None:
    net = Net()
    x = net.input(1, 1, 8, 8)
    y = net.conv(x, 1, 3)
    if fed:
        indices = net.node("Cast", [net.conv(x, 1, 3)], (1, 1, 8, 8), to=TensorProto.INT64)
    else:
        indices = net.constant(np.zeros((1, 1, 8, 8)))
    out = net.node("GatherElements", [y, indices], (1, 1, 8, 8), axis=2)
    found = row(fields(net, tmp_path, out), out)
    assert found.scope == "unknown"
    assert ("the indices fed decide" in found.why) == fed
    assert ("its indices decide" in found.why) != fed


@pytest.mark.parametrize("shape", [(36,), (1, 36)])
def test_flattened_maps_have_no_stride(shape: tuple[int, ...], tmp_path: Path) -> None:
    """Rows and columns on one axis of the output, be it the first one."""
    net = Net()
    out = net.reshape(net.conv(net.input(1, 1, 6, 6), 1, 3), *shape)
    found = row(fields(net, tmp_path, out), out)
    assert [(a.carried, a.size, a.stride) for a in found.axes] == [(len(shape) - 1, 3, None)] * 2


def test_operators_of_ones_own(tmp_path: Path) -> None:
    """A definition's kind says that its operator works position by position."""
    (tmp_path / "ops.yaml").write_text(
        "schema: effaudit.operators/1\noperators:\n"
        "  - {op: 'acme::Swish', inputs: [x], outputs: [{like: x}], macs: 0, ops: numel(x), kind: activation}\n"
    )
    net = Net()
    y = net.conv(net.input(1, 1, 16, 16), 2, 3)
    out = net.conv(net.node("Swish", [y], (1, 2, 16, 16), domain="acme"), 2, 3)
    model = renamed(net.model(out), "acme")
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    known = receptive_field(examine(path, operators=operators.read(tmp_path / "ops.yaml")))
    assert (row(known, out).scope, sizes(row(known, out))) == ("window", [5, 5])
    assert row(receptive_field(examine(path)), out).scope == "unknown"


def renamed(model: ModelProto, domain: str) -> ModelProto:
    model.opset_import.append(helper.make_opsetid(domain, 1))
    return model


def test_channels_last_convolutions(tmp_path: Path) -> None:
    """ONNX Runtime's own operators keep space at axes 1 and 2."""
    net = Net()
    x = net.input(1, 16, 20, 3)
    attrs = {"domain": "com.microsoft", "pads": [1, 0, 1, 0], "strides": [2, 1]}
    y = net.node("NhwcFusedConv", [x, net.weight(4, 3, 3, 5)], (1, 8, 16, 4), **attrs)
    y = net.node("NhwcMaxPool", [y], (), domain="com.microsoft", kernel_shape=[2, 2], strides=[2, 2])
    found = row(receptive_field(audited(renamed(net.model(y), "com.microsoft"), tmp_path)), y)
    assert [(a.axis, a.carried, a.size, a.stride, a.start, a.padding) for a in found.axes] == [
        (1, 1, 5, "4", "1", 1),
        (2, 2, 6, "2", "2.5", 0),
    ]


def test_fused_sums_are_branches(tmp_path: Path) -> None:
    """FusedConv adds its fourth input: the wider branch counts."""
    net = Net()
    x = net.input(1, 4, 16, 16)
    wide = net.conv(net.conv(x, 4, 3), 4, 5)
    y = net.node("FusedConv", [x, net.weight(4, 4, 3, 3), "", wide], (), domain="com.microsoft", pads=[1] * 4)
    found = row(receptive_field(audited(renamed(net.model(y), "com.microsoft"), tmp_path)), y)
    assert sizes(found) == [7, 7]


def test_quantized_networks_see_what_their_source_does() -> None:
    """The int8 samples are their float sources with quantization around every operator."""
    for name in ("ic", "kws", "vww"):
        plain, quantized = (receptive_field(examine(f"sample:{name}{suffix}")) for suffix in ("", "-int8"))
        seen = [{tuple(sizes(r)) for r in found.rows} for found in (plain, quantized)]
        assert seen[0] | {(1, 1)} == seen[1]  # the input itself is quantized first


def test_functions_are_looked_into(tmp_path: Path) -> None:
    """Two calls of a function that convolves twice."""
    net = Net()
    x = net.input(1, 4, 16, 16)
    w = net.weight(4, 4, 3, 3)
    first = net.node("Twice", [x, w], (), domain="local")
    out = net.node("Twice", [first, w], (), domain="local")
    model = renamed(net.model(out), "local")
    nodes = [
        helper.make_node("Conv", ["a", "k"], ["b"], pads=[1] * 4),
        helper.make_node("Conv", ["b", "k"], ["c"], pads=[1] * 4),
    ]
    model.functions.append(
        helper.make_function("local", "Twice", ["a", "k"], ["c"], nodes, [helper.make_opsetid("", 20)])
    )
    found = receptive_field(audited(model, tmp_path))
    assert sizes(row(found, first)) == [5, 5] and sizes(row(found, out)) == [9, 9]


def test_a_recurrent_layer_sees_the_whole_sequence(tmp_path: Path) -> None:
    """Frames of a waveform by a convolution, then an LSTM over them."""
    net = Net()
    x = net.input(1, 1, 64)
    y = net.node("Conv", [x, net.weight(8, 1, 4)], (1, 8, 31), strides=[2])
    steps_first = net.transpose(y, 2, 0, 1)
    weights = [net.weight(1, 16, 8), net.weight(1, 16, 4)]
    out = net.node("LSTM", [steps_first, *weights], (31, 1, 1, 4), hidden_size=4)
    found = fields(net, tmp_path, out)
    assert [(a.axis, a.carried, a.size) for a in row(found, steps_first).axes] == [(2, 0, 4)]
    assert [(a.scope, a.size) for a in row(found, out).axes] == [("global", 64)]


# ---- the partition
SAMPLES = sorted(p.stem for p in (Path(__file__).parents[2] / "sample_models").glob("*.onnx"))


@pytest.mark.parametrize("name", SAMPLES)
def test_every_output_is_a_row_or_not_spatial(name: str) -> None:
    model = examine(f"sample:{name}")
    found = receptive_field(model)
    made = {(i, out) for i, node in enumerate(model.graph.nodes) for out in node.outputs if out}
    rows = {(r.node, r.output) for r in found.rows}
    others = {(r.node, r.output) for r in found.not_spatial}
    assert rows | others == made and not rows & others
    assert all(r.why for r in found.not_spatial)
    assert all((r.scope == "unknown") == bool(r.why) for r in found.rows)
    msgspec.json.encode(found)


def test_shapes_are_no_pixels(tmp_path: Path) -> None:
    """What is computed from a shape depends on no pixel, though it depends on the input."""
    net = Net()
    x = net.input(1, 1, 8, 8)
    shape = net.node("Shape", [net.conv(x, 1, 3)], (4,))
    found = fields(net, tmp_path, shape)
    assert [(r.output, r.why) for r in found.not_spatial] == [(shape, SHAPES)]


# ---- published figures
def vgg16(net: Net, x: str) -> str:
    for channels, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(repeats):
            x = net.relu(net.conv(x, channels, 3))
        x = net.pool(x, 2, 2)
    return x


def resnet50_v1(net: Net, x: str) -> str:
    """Strides in the last unit of a stage, on its 3 x 3, as TF-Slim has it: the network of the Distill table."""
    x = net.pool(net.relu(net.conv(x, 64, 7, 2, 3)), 3, 2, 1)
    for stage, count in enumerate((3, 4, 6, 3)):
        for i in range(count):
            stride = 2 if i == count - 1 and stage < 3 else 1
            width = 64 * 2**stage
            y = net.conv(net.conv(net.conv(x, width, 1), width, 3, stride, 1), 4 * width, 1)
            x = net.relu(net.add(y, net.conv(x, 4 * width, 1, stride, 0)))
    return x


def mobilenet_v1(net: Net, x: str) -> str:
    x = net.conv(x, 32, 3, 2, 1)
    for channels, stride in (
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        *[(512, 1)] * 5,
        (1024, 2),
        (1024, 1),
    ):
        x = net.conv(net.conv(x, net.shape[x][1], 3, stride, 1, g=net.shape[x][1]), channels, 1)
    return x


# Distill 2019, table of receptive fields, and stride: https://distill.pub/2019/computing-receptive-fields/
PUBLISHED = {
    "vgg_16": (vgg16, 212, "32"),
    "resnet_v1_50": (resnet50_v1, 483, "32"),
    "mobilenet_v1": (mobilenet_v1, 315, "32"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_distill(name: str, tmp_path: Path) -> None:
    build, size, stride = PUBLISHED[name]
    net = Net()
    out = build(net, net.input(1, 3, 224, 224))
    found = row(fields(net, tmp_path, out), out)
    assert [(a.size, a.clipped, a.stride) for a in found.axes] == [(size, min(size, 224), stride)] * 2


def test_alexnet_and_mobilenet_v2() -> None:
    """Distill has 195 for alexnet_v2 and 491 for mobilenet_v2."""
    alexnet = receptive_field(examine("sample:alexnet"))
    (last,) = [alexnet.rows[i] for i in alexnet.last]
    assert (last.op, sizes(last)) == ("MaxPool", [195, 195])
    mobile = receptive_field(examine("sample:mobilenetv2"))
    (last,) = [mobile.rows[i] for i in mobile.last]
    assert sizes(last) == [491, 491]


@pytest.mark.parametrize(("layers", "size"), [(1, 3), (2, 5), (3, 7), (13, 27)])
def test_stacks_of_3x3(layers: int, size: int, tmp_path: Path) -> None:
    net = Net()
    x = net.input(1, 4, 40, 40)
    for _ in range(layers):
        x = net.conv(x, 4, 3)
    (height, width) = row(fields(net, tmp_path, x), x).axes
    assert (height.size, height.start, height.padding) == (size, "0", (size - 1) // 2)
    assert msgspec.structs.replace(width, axis=2, carried=2) == height


def test_hostile_graphs_end(tmp_path: Path) -> None:
    """Long patterns joined over and over: unknown past the bound, and soon."""
    net = Net()
    x = net.input(1, 1, 1, 60_000)
    y = net.conv(x, 1, 1)
    for i in range(400):
        y = net.concat([net.slice(y, 3, 1 + i, 60_000), net.slice(y, 3, 0, 1 + i)], 3)
    model = audited(net.model(y), tmp_path)
    start = process_time()
    found = row(receptive_field(model), y)
    assert process_time() - start < 20
    assert found.scope == "unknown" and "more work" in found.why


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Fraction(2), "2"),
        (Fraction(31, 2), "15.5"),
        (Fraction(-1, 4), "-0.25"),
        (Fraction(1, 3), "1/3"),
        (Fraction(1, 50), "0.02"),
        (Fraction(0), "0"),
    ],
)
def test_exact(number: Fraction, text: str) -> None:
    assert exact(number) == text
