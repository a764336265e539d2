"""TensorFlow Lite Micro: arenas its interpreter measured, workspaces as CMSIS-NN computes them."""

from __future__ import annotations

import numpy as np
import pytest

from effaudit.load import Given
from effaudit.lower.as_if import as_if
from effaudit.quantity import Quantity
from effaudit.runtimes import _cmsis_nn, find
from effaudit.runtimes._shapes import Window, window_of
from tests.lower.graphs import graph, n, ops
from tests.runtimes.planning import lowered, problem, tflm_arena

TFLM = find("tflm")
ONE = Given(dims={"batch": 1})
# tflite-micro's interpreter on MLPerf-Tiny's own int8 models: the non-persistent part of the arena ("head"), what is
# alive at the peak, and the persistent part ("tail") with 64-bit pointers: of the first also with a scale per output
# channel of its products.
MEASURED = {
    "ad-int8": (768, 768, (3216, 16592)),
    "kws-int8": (16000, 16000, (8272,)),
    "ic-int8": (49152, 49152, (6832,)),
    "vww-int8": (73728, 55296, (29952,)),
}


@pytest.mark.parametrize("name", MEASURED)
def test_arenas_of_mlperf_tiny(name: str) -> None:
    found = lowered(name, "tflm", ONE if name == "ad-int8" else None)
    head, alive, tails = MEASURED[name]
    need = problem(found, TFLM)
    assert (tflm_arena(need), need.floor) == (head, alive)
    assert all(b.size % 16 == 0 for b in need.buffers)
    kept = TFLM.persistent(found)
    assert kept.low <= min(tails) <= max(tails) <= kept.high <= 1.6 * max(tails) + 64


def test_the_floating_visual_wakeword_network() -> None:
    need = problem(lowered("vww", "tflm"), TFLM)
    assert (tflm_arena(need), need.floor) == (294_912, 221_184)


def test_nodes_of_the_converted_network() -> None:
    """DS-CNN: 9 convolutions with their activations inside, pool, reshape, dense, softmax."""
    assert ops(lowered("kws-int8", "tflm")) == [*["Conv"] * 9, "AveragePool", "Flatten", "Gemm", "Softmax"]


def test_reference_kernels_fit_the_arena_alone_and_cmsis_nn_may_need_more() -> None:
    found = lowered("kws-int8", "tflm")
    assert tflm_arena(problem(found, TFLM, lambda size: size.low)) == 16000
    # MVE, first depthwise convolution: 8,000 in, 8,000 out, 4 x 124 channels x 9 taps
    assert problem(found, TFLM, lambda size: size.high).floor == 8000 + 8000 + 4464


def conv(**attrs: object) -> Quantity:
    weights = attrs.pop("weights", (8, 4, 3, 3))
    shape = attrs.pop("shape", (1, 4, 6, 6))
    given = graph(n("Conv", "x k", "y", **attrs), inputs={"x": shape}, weights={"k": np.ones(weights, np.float32)})
    found = as_if(given, "int8")
    return TFLM.scratch(found, found.nodes[0])


def test_workspace_of_a_convolution() -> None:
    """Two columns of 3x3x4 int16: 144 bytes; MVE: four of 48 int8 lanes: 192."""
    assert (conv().low, conv().high) == (0, 192)
    assert "CMSIS-NN" in conv().why


def test_workspace_of_a_pointwise_convolution() -> None:
    assert conv(weights=(8, 4, 1, 1)).high == 16  # 4 x 4 where armclang compiles for DSP, 0 otherwise
    assert conv(weights=(8, 4, 1, 1), strides=[2, 2]) == Quantity(0, 0)


def test_workspace_of_a_depthwise_convolution() -> None:
    shape = (1, 200, 6, 6)
    assert conv(shape=shape, weights=(200, 1, 3, 3), group=200).high == 4464  # MVE; the 3x3 kernel of DSP needs none
    assert conv(shape=shape, weights=(200, 1, 3, 3), group=200, pads=[1, 1, 1, 1]).high == 4464
    assert conv(shape=shape, weights=(200, 1, 5, 5), group=200).high == 4 * 124 * 25
    assert conv(shape=(1, 400, 6, 6), weights=(400, 1, 5, 5), group=400).high == 2 * 400 * 25  # DSP has more
    assert conv(shape=(2, 200, 6, 6), weights=(200, 1, 5, 5), group=200) == Quantity(0, 0)  # the general kernel


def test_padding_of_pytorch_takes_a_tensor() -> None:
    """The interpreter measured 2,451,840 bytes of arena for TinyEngine's mcunetv2_large.tflite, whose first depthwise
    convolution of stride 2 is that of MobileNetV2 1.0 at 224x224: 96 channels of 112x112, padded to 114x114."""
    found = TFLM.lower(as_if(lowered("mobilenetv2", "as-written"), "int8"))
    need = problem(found, TFLM)
    assert need.floor == tflm_arena(need) == 2_451_840 == 96 * (112**2 + 114**2)


def test_floating_kernels_need_no_workspace() -> None:
    given = graph(n("Conv", "x w", "y"))
    assert TFLM.scratch(given, given.nodes[0]) == Quantity(0, 0)


@pytest.mark.parametrize(
    ("node", "shape", "low", "high"),
    [
        (n("AveragePool", "x", "y", kernel_shape=[2, 2]), (1, 40, 6, 6), 0, 160),
        (n("MaxPool", "x", "y", kernel_shape=[2, 2]), (1, 40, 6, 6), 0, 0),
        (n("ReduceMean", "x", "y", axes=[2, 3]), (1, 40, 6, 6), 192, 192),  # 160 of sums, 16 + 16 of indices
        (n("ReduceMax", "x", "y", axes=[2, 3]), (1, 40, 6, 6), 32, 32),
        (n("GlobalAveragePool", "x", "y"), (1, 40, 6, 6), 0, 192),
        (n("Sum", "x x x", "y"), (1, 4), 16, 32),
        (n("Sum", "x x", "y"), (1, 4), 0, 0),
        (n("Softmax", "x", "y"), (1, 4), 0, 0),
        (n("MatMul", "x k", "y"), (1, 4), 0, 32),  # MVE: a sum for each of 8 columns
        (n("MatMul", "x k", "y"), (1, 3, 4), 0, 80),  # run as a 1x1 convolution: 8 x 8 + 4 x 4
    ],
)
def test_workspaces_of_other_kernels(node: object, shape: tuple[int, ...], low: int, high: int) -> None:
    found = as_if(graph(node, inputs={"x": shape}, weights={"k": np.ones((4, 8), np.float32)}), "int8")
    size = TFLM.scratch(found, found.nodes[0])
    assert (size.low, size.high) == (low, high)


def test_workspace_of_a_transposed_convolution() -> None:
    """The reference kernel sums the whole output in int32: 8 x 8 x 4 x 4; CMSIS-NN a stripe of rows."""
    found = as_if(graph(n("ConvTranspose", "x w", "y")), "int8")
    size = TFLM.scratch(found, found.nodes[0])
    assert (size.low, size.high) == ((5 + 3) * 4 * 3 * 4, 8 * 8 * 4 * 4)


def test_an_operator_without_a_kernel_is_unknown_not_free() -> None:
    given = graph(n("Det", "x", "y"))
    size = TFLM.scratch(given, given.nodes[0])
    assert size.high is None
    assert "no kernel of Det" in size.why


def test_the_operand_of_a_matrix_product_may_be_transposed_into_the_tail() -> None:
    given = as_if(graph(n("MatMul", "x k", "y"), inputs={"x": (4, 100), "k": (100, 50)}), "int8")
    without = graph(n("MatMul", "x k", "y"), inputs={"x": (4, 100)}, weights={"k": np.ones((100, 50), np.float32)})
    scales = 50 * 8  # a constant operand may have one per output channel
    assert TFLM.persistent(given).high - TFLM.persistent(without).high == 5008 - scales
    assert TFLM.persistent(given).low == TFLM.persistent(without).low


def window(**known: object) -> Window:
    size = {"batch": 1, "channels": 4, "height": 1, "width": 10, "out_channels": 8, "out_height": 1, "out_width": 8}
    rest = {"kernel": (1, 3), "strides": (1, 1), "dilations": (1, 1), "pads": (0, 0), "groups": 1, "dtype": "int8"}
    return Window(**{**size, **rest, **known})


@pytest.mark.parametrize(
    ("given", "sizes"),
    [
        (window(), {"scalar": 48, "dsp": 48, "mve": 12}),  # one row of 3 x 4, not four columns of 16
        (window(pads=(0, 1), out_width=10), {"scalar": 48, "dsp": 48, "mve": 16}),
        (window(channels=3), {"scalar": 48, "dsp": 48, "mve": 64}),  # 1 x 3 is no multiple of 4: the general kernel
        (window(height=2), {"scalar": 48, "dsp": 48, "mve": 64}),
    ],
)
def test_the_row_kernel_of_mve(given: Window, sizes: dict[str, int]) -> None:
    """Values of arm_convolve_wrapper_s8_get_buffer_size{,_dsp,_mve}, compiled and run."""
    assert _cmsis_nn.conv_s8(given) == sizes


def test_16_bit_kernels() -> None:
    """Values of arm_convolve_wrapper_s16_* and arm_depthwise_conv_wrapper_s16_get_buffer_size_*, compiled and run."""
    assert _cmsis_nn.conv_s16(window()) == {"scalar": 48, "dsp": 48, "mve": 128}
    deep = window(groups=4, out_channels=4)
    assert _cmsis_nn.depthwise_s16(deep) == {"scalar": 0, "dsp": 24, "mve": 104}


def test_padding_that_the_node_leaves_to_be_worked_out() -> None:
    given = graph(n("Conv", "x w", "y", auto_pad="SAME_UPPER", strides=[2, 2]))
    assert window_of(given, given.nodes[0]).pads == (0, 0)
    given = graph(n("Conv", "x w", "y", auto_pad="SAME_LOWER", strides=[2, 2]))
    assert window_of(given, given.nodes[0]).pads == (1, 1)
