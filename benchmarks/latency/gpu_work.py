"""A network as TensorRT executes it -> arrays of what its kernels compute and move.

Kernels of FUSED classes without MACs are part of others, as `effaudit.device.types.Performance.fused` has it: TensorRT
puts elementwise chains, transposes and the softmax of attention into the kernels around them
(https://docs.nvidia.com/deeplearning/tensorrt/latest/performance/fusion-catalog.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from benchmarks.sketch import save
from benchmarks.zoo import NETWORKS, bert
from effaudit.audited import examine
from effaudit.device.types import OpClass
from effaudit.estimate.types import Kernel
from effaudit.estimate.work import kernels as kernels_of
from effaudit.load import Given
from effaudit.lower.as_if import as_if
from effaudit.runtimes import find

RULES: Final = "ideal"
FUSED: Final[tuple[OpClass, ...]] = ("elementwise", "movement", "softmax")
# Classes with MACs that have a rate; the last takes every product of matrices.
CLASSES: Final[tuple[OpClass, ...]] = ("conv", "depthwise", "grouped", "fully_connected")
LIKE: Final[Mapping[OpClass, OpClass]] = {"pointwise": "conv", "transposed": "conv"}
# Tokens of a sample of MLPerf's `bert-99`, which are padded to 384. Assumed: what submitters leave out are the padding
# tokens, and at 384 several of their rows would be above the dense peak of the chip (the A100's by 1.4).
TOKENS: Final = 176

Work = Any  # kernels x (class or -1, MACs, bytes of weights, bytes of activations, launches), float64


def built(network: str) -> bool:
    """True where the project has the network that a measurement names."""
    return network in NETWORKS


@cache
def kernels(network: str, dtype: str, batch: int) -> tuple[Kernel, ...]:
    """The kernels of a network of the zoo as if stored in "int8" or "float32". Raises KeyError of one that is not
    built."""
    sketch = bert.bert_large(TOKENS) if network == "bert-99" else NETWORKS[network]()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        save(sketch, path, external=lambda weight: weight.data is None)
        graph = examine(path, Given({"batch": batch}, {})).graph
    return kernels_of(find(RULES).lower(graph if dtype == "float32" else as_if(graph, dtype)))


@cache
def work(network: str, dtype: str, batch: int) -> Work:
    """The kernels as numbers."""
    rows = [_numbers(kernel) for kernel in kernels(network, dtype, batch)]
    made = np.array(rows, dtype=float)
    made.setflags(write=False)
    return made


def _numbers(kernel: Kernel) -> tuple[float, ...]:
    macs, weights = kernel.macs.high or 0, kernel.weight_bytes.high or 0
    read, write = kernel.read_bytes.high or 0, kernel.write_bytes.high or 0
    if kernel.op_class in FUSED and not macs:
        return (-1, 0, weights, max(read - write, 0), 0)
    return (_place(kernel.op_class) if macs else -1, macs, weights, read + write, 1)


def _place(op_class: OpClass) -> int:
    found = LIKE.get(op_class, op_class)
    return CLASSES.index(found) if found in CLASSES else len(CLASSES) - 1
