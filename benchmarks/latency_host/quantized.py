"""Networks in int8, as ONNX Runtime's own quantizer writes them from random inputs."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from benchmarks.latency_host.nets.text import MINI, Sizes, bert
from benchmarks.latency_host.weights import filled
from benchmarks.sketch import Sketch, save
from benchmarks.zoo import NETWORKS as ZOO

How = Literal["qdq", "qoperator", "dynamic"]
BATCHES = 3  # of random inputs, for the ranges of activations


@dataclass(frozen=True)
class Quantized:
    sketch: Callable[[], Sketch]
    how: How
    source: str


class _Random(CalibrationDataReader):  # type: ignore[misc]
    """Images, or tokens and a mask of ones."""

    def __init__(self, g: Sketch) -> None:
        self._feeds: Iterator[dict[str, Any]] = iter([_feeds(g, seed) for seed in range(BATCHES)])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)


def _feeds(g: Sketch, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    feeds: dict[str, Any] = {}
    for value in g.inputs:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            feeds[value.name] = rng.standard_normal(shape, dtype=np.float32)
        else:
            low = 1 if "mask" in value.name else 0
            feeds[value.name] = rng.integers(low, 2, shape, dtype=np.int64)
    return feeds


def write(name: str, network: Quantized, path: Path) -> None:
    """Weights are signed and per channel; activations unsigned, or measured in each run where `how` is "dynamic"."""
    g = filled(network.sketch(), name)
    with tempfile.TemporaryDirectory(prefix="effaudit-int8-") as scratch:
        plain, folded = (Path(scratch) / file for file in ("plain.onnx", "folded.onnx"))
        save(g, plain)
        logging.disable(logging.WARNING)  # of the quantizer, about the steps it would like before it
        try:
            _quantize(network.how, g, plain, folded, path)
        finally:
            logging.disable(logging.NOTSET)


def _quantize(how: How, g: Sketch, plain: Path, folded: Path, path: Path) -> None:
    if how == "dynamic":
        quantize_dynamic(plain, path, weight_type=QuantType.QInt8, per_channel=True)
        return
    quant_pre_process(plain, folded, skip_symbolic_shape=True)
    quantize_static(
        folded,
        path,
        _Random(g),
        quant_format=QuantFormat.QDQ if how == "qdq" else QuantFormat.QOperator,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )


_SOURCE = "https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html"
NETWORKS: Mapping[str, Quantized] = {
    "resnet50_qdq": Quantized(ZOO["resnet50"], "qdq", _SOURCE),
    "mobilenet_v2_qdq": Quantized(ZOO["mobilenet_v2_1.0_224"], "qdq", _SOURCE),
    "resnet18_qoperator": Quantized(ZOO["resnet18"], "qoperator", _SOURCE),
    "bert_mini_64_qdq": Quantized(partial(bert, MINI, 64), "qdq", _SOURCE),
    "bert_base_128_dynamic": Quantized(partial(bert, Sizes(), 128), "dynamic", _SOURCE),
}
