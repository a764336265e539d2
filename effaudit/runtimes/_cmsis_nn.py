"""Workspaces of CMSIS-NN kernels, in bytes, as its `*_get_buffer_size` functions compute them.

Read in https://github.com/ARM-software/CMSIS-NN at 99f736a63036613032f9b70de36b493bcd7802d4, Source/*/
*_get_buffer_sizes_*.c. Which one applies is decided when the library is built: a core with the M-profile vector
extension (MVE, "Helium": Cortex-M55, M85), with the DSP extension (M4, M7, M33), or with neither (M0, M3).
"""

from __future__ import annotations

from typing import Final

from effaudit.runtimes._shapes import Window

CH_IN_BLOCK_MVE: Final = 124  # Include/arm_nnsupportfunctions.h
REVERSE_EFFICIENT: Final = 16  # REVERSE_TCOL_EFFICIENT_THRESHOLD


def conv_s8(c: Window) -> dict[str, int]:
    """arm_convolve_wrapper_s8_get_buffer_size, by core; "dsp-armclang" where the compiler makes a difference."""
    dense = c.channels // c.groups == c.channels
    pointwise = c.pads == (0, 0) and c.kernel == (1, 1) and c.dilations == (1, 1) and dense
    if pointwise:
        fast = c.strides == (1, 1)
        return {"scalar": 0, "dsp": 0, "dsp-armclang": 4 * c.channels if fast else 0, "mve": 0}
    columns = _columns(c)
    general = 2 * -(-columns // 4) * 4 * 2  # two columns of int16
    row = c.height == 1 and c.dilations[1] == 1 and c.kernel[0] == 1 and (c.strides[1] * c.channels) % 4 == 0 and dense
    vector = 4 * -(-columns // 16) * 16
    if row:
        vector = _conv_row_mve(c, vector)
    return {"scalar": general, "dsp": general, "mve": vector}


def _conv_row_mve(c: Window, otherwise: int) -> int:
    """arm_convolve_1_x_n_s8_get_buffer_size_mve"""
    pad, kernel, stride = c.pads[1], c.kernel[1], c.strides[1]
    asymmetric = ((c.out_width - 1) * stride + kernel - c.width) % 2
    right = max(1, (pad + asymmetric + stride - 1) // stride) if pad + asymmetric else 0
    left = max(1, (pad + stride - 1) // stride) if pad else 0
    if right + max(c.out_width - (right + left), 0) + left != c.out_width:
        return otherwise
    at_left = pad * c.channels
    at_right = right * c.channels if asymmetric else at_left
    return max(kernel * c.channels + at_left, (kernel - 1) * c.channels + at_right)


def conv_s16(c: Window) -> dict[str, int]:
    """arm_convolve_wrapper_s16_get_buffer_size, by core."""
    columns = _columns(c)
    return {"scalar": 2 * columns * 2, "dsp": 2 * columns * 2, "mve": 4 * -(-columns // 8) * 8 * 2}


def depthwise_s8(c: Window) -> dict[str, int]:
    """arm_depthwise_conv_wrapper_s8_get_buffer_size, by core."""
    optimised = c.channels == c.out_channels and c.batch == 1 and c.dilations == (1, 1)
    vector = 4 * CH_IN_BLOCK_MVE * c.taps if optimised else 0
    small = c.kernel == (3, 3) and max(c.pads) <= 1
    return {"scalar": 0, "dsp": 2 * c.channels * c.taps if optimised and not small else 0, "mve": vector}


def depthwise_s16(c: Window) -> dict[str, int]:
    """arm_depthwise_conv_wrapper_s16_get_buffer_size, by core."""
    fast = c.channels == c.out_channels and c.dilations == (1, 1) and c.taps < 512
    return {
        "scalar": 0,
        "dsp": 2 * c.channels * c.taps if fast else 0,
        "mve": 4 * c.channels * c.taps * 2 + 8 if fast else 0,
    }


def transpose_conv_s8(c: Window) -> dict[str, int]:
    """arm_transpose_conv_s8_get_buffer_size plus arm_transpose_conv_s8_get_reverse_conv_buffer_size, by core."""
    if max(c.strides) <= 2 and c.channels > REVERSE_EFFICIENT:
        columns, reverse = _columns(c), c.channels * c.taps * c.out_channels
        return {
            "scalar": 2 * -(-columns // 4) * 4 * 2 + reverse,
            "dsp": 2 * -(-columns // 4) * 4 * 2 + reverse,
            "mve": 4 * -(-columns // 16) * 16 + reverse,
        }
    wide = ((c.width - 1) * c.strides[1] + max(c.kernel[1], c.strides[0])) * c.out_channels
    size = wide * max(c.kernel[0], c.strides[0]) * 4
    return {"scalar": size, "dsp": size, "mve": size}


def fully_connected_s8(out_channels: int) -> dict[str, int]:
    """arm_fully_connected_s8_get_buffer_size, by core (the kernel sums of MVE)."""
    return {"scalar": 0, "dsp": 0, "mve": 4 * out_channels}


def average_pool(channels: int) -> dict[str, int]:
    """arm_avgpool_s8_get_buffer_size and _s16_, by core."""
    return {"scalar": 0, "dsp": 4 * channels, "mve": 0}


def _columns(c: Window) -> int:
    """Elements of one im2col column; of all groups, as the source has it."""
    return c.taps * c.channels
