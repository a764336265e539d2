"""A network as a microcontroller's runtime executes it -> the counts that its latency is a sum over."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.zoo import NETWORKS, build
from benchmarks.zoo.tiny import SAMPLES
from effaudit.audited import examine
from effaudit.device.types import OpClass
from effaudit.estimate.rates import LIKE_CLASS
from effaudit.estimate.work import kernels
from effaudit.lower.as_if import as_if
from effaudit.runtimes import find

# Classes whose multiply-accumulates have a rate of their own; every other class with MACs runs like one of these.
CLASSES: Final[tuple[OpClass, ...]] = ("conv", "depthwise", "pointwise", "fully_connected")
# What a network is counted as: the MACs of these classes, then the elements that kernels write.
WIDTH: Final = len(CLASSES) + 1
# Whose kernels the runtimes run: the rules that lower the graph. Those that fold more than TFLM run as "ideal".
RULES: Final[Mapping[str, str]] = {
    "tflm": "tflm",
    "cmsis-nn": "tflm",
    "esp-nn": "tflm",
    "x-cube-ai": "st",
    "tinyengine": "tinyengine",
    "plumerai": "ideal",
    "hale": "ideal",
    "microtvm": "ideal",
    "microtvm-cmsis-nn": "ideal",
    "onnc": "ideal",
}

Work = tuple[float, ...]


def built(network: str) -> bool:
    """True where the project has the network that a measurement names."""
    return network in SAMPLES or network in NETWORKS


@cache
def work(network: str, rules: str) -> Work:
    """MACs of conv, depthwise, pointwise and fully connected kernels, and elements written: of a kernel without MACs
    its operations where they are more. Raises KeyError of a network that is not built."""
    with TemporaryDirectory() as folder:
        graph = examine(build(network, Path(folder))).graph
    counts = [0.0] * WIDTH
    for kernel in kernels(find(rules).lower(as_if(graph, "int8"))):
        macs, outputs, ops = kernel.macs.high or 0, kernel.outputs.high or 0, kernel.ops.high or 0
        if macs:
            counts[CLASSES.index(_class(kernel.op_class))] += macs
            counts[-1] += outputs
        else:
            counts[-1] += max(outputs, ops)
    return tuple(counts)


def _class(op_class: OpClass) -> OpClass:
    return op_class if op_class in CLASSES else next(c for c in LIKE_CLASS[op_class] if c in CLASSES)
