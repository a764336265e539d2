"""TensorFlow Lite Micro: a TFLite flatbuffer, interpreted.

What the TFLite converter does is part of it: quantized pairs folded, integer inputs and outputs, batch norms and
constants folded, Relu, Relu6 and ReluN1To1 in the convolution, product, sum or pool before them (no kernel has Tanh as
its fused activation). Every tensor lies whole and apart: the planner knows no views and nothing in place
(kernels/reshape.cc copies unless it happens to find input and output at one address, squeeze.cc and expand_dims.cc
always copy), each rounded up to 16 bytes, in the order graph inputs, then outputs as they are made.
`GreedyMemoryPlanner` places the largest first, of equal ones the latest. Workspaces lie in the same arena while their
node runs.

TFLite's convolutions and pools know no padding and SAME. Any other takes a PAD before them, and a tensor for its
output, as PyTorch's symmetric padding does at stride 2 on even sizes. The interpreter's 2,451,840 bytes of arena for
TinyEngine's mcunetv2_large.tflite are the 96x112x112 input of such a depthwise convolution and its 96x114x114 copy;
MobileNetV2 1.0 at 224x224 has the same layer.
"""

from __future__ import annotations

from typing import Final

from effaudit.lower import explicit_pads
from effaudit.lower.activations import fuse, relu_like
from effaudit.runtimes._passes import INTEGER, in_order
from effaudit.runtimes._runtime import Runtime
from effaudit.runtimes._tflm import ALIGN, persistent, scratch

TAKE_ACTIVATIONS: Final = frozenset(
    """Conv ConvTranspose Gemm MatMul Add Sub Mul Div AveragePool GlobalAveragePool MaxPool GlobalMaxPool""".split()
)

RUNTIME = Runtime(
    name="tflm",
    title="TensorFlow Lite Micro",
    sources=(
        "https://github.com/mit-han-lab/tinyengine/blob/main/assets/mcunetv2_large.tflite",
        "https://github.com/tensorflow/tflite-micro/blob/main/tensorflow/lite/micro/docs/memory_management.md",
        "https://github.com/tensorflow/tflite-micro/blob/main/tensorflow/lite/micro/memory_planner/greedy_memory_planner.cc",
        "https://github.com/tensorflow/tflite-micro/blob/main/tensorflow/lite/micro/kernels/reshape.cc",
        "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs",
        "https://github.com/ARM-software/CMSIS-NN/tree/main/Source",
    ),
    lower=in_order(*INTEGER, lambda graph: fuse(graph, TAKE_ACTIVATIONS, relu_like), explicit_pads.before),
    planner="tflm",
    align=ALIGN,
    scratch=scratch,
    persistent=persistent,
    notes=(
        "padding that is neither none nor SAME is a PAD of its own, as in TFLite; a model trained with SAME has none",
        "tensors are taken in the order graph inputs, then as they are made; a .tflite file may number them otherwise, "
        "which decides between buffers of equal size",
    ),
)
