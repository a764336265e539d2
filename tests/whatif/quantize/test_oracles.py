"""What a rewrite predicts, against the files that onnxruntime writes of the same model: dynamic quantization, N-bits
products, floats of 16 bits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import quantize_dynamic
from onnxruntime.quantization.matmul_bnb4_quantizer import MatMulBnb4Quantizer
from onnxruntime.transformers.float16 import convert_float_to_float16

from effaudit import whatif
from effaudit.audited import Audited, examine
from effaudit.save import save_model
from effaudit.weights import BUFFER, OTHER, PARAM, QUANTIZATION
from tests.whatif.quantize.nets import convolutions, decoder, products, recurrent

SAMPLES = Path(__file__).parents[3] / "sample_models"
NAMES = ("ic", "kws", "ad", "unet", "lstm", "dynamic", "decoder-gqa")


def figures(audited: Audited) -> dict[str, Any]:
    """MACs, other operations, bytes of every kind of constant, the peak, and how many of each operator."""
    found: dict[str, Any] = {kind: audited.weights.bytes_of(kind) for kind in (PARAM, BUFFER, QUANTIZATION, OTHER)}
    for cost in ("macs", "ops"):
        found[cost] = audited.table.total(cost)
    found["live"] = audited.memory.live_bytes
    found["operators"] = sorted(node.op for node in audited.graph.nodes if node.op != "Constant")
    return found


def compared(
    source: Path, folder: Path, step: str, oracle: Callable[[str, str], object]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The figures of onnxruntime's file and of the what-if."""
    logging.disable(logging.WARNING)
    target = folder / "oracle.onnx"
    oracle(str(source), str(target))
    change, after = whatif.apply(examine(source), whatif.parse("quantize", step))
    save_model(change.graph, folder / "ours.onnx")
    return figures(examine(target)), figures(after)


def dynamic(per_channel: bool) -> Callable[[str, str], object]:
    return lambda source, target: quantize_dynamic(source, target, per_channel=per_channel)


def constants(path: Path) -> dict[str, Any]:
    return {one.name: numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}


@pytest.mark.parametrize("name", NAMES)
def test_dynamic_quantization_is_that_of_onnxruntime(name: str, tmp_path: Path) -> None:
    for step, oracle in (("dynamic", dynamic(False)), ("dynamic,per-channel", dynamic(True))):
        theirs, ours = compared(SAMPLES / f"{name}.onnx", tmp_path, step, oracle)
        assert theirs == ours


@pytest.mark.parametrize("made", [convolutions, products, recurrent], ids=lambda made: made.__name__)
def test_every_constant_of_a_dynamic_model_is_that_of_onnxruntime(made: Any, tmp_path: Path) -> None:
    onnx.save(made(), tmp_path / "m.onnx")
    figures_of_theirs, figures_of_ours = compared(tmp_path / "m.onnx", tmp_path, "dynamic", dynamic(False))
    assert figures_of_theirs == figures_of_ours
    theirs, ours = constants(tmp_path / "oracle.onnx"), constants(tmp_path / "ours.onnx")
    stored = {name for name in theirs if name.endswith(("_quantized", "_scale", "_zero_point"))}
    assert len(stored) >= 6 and stored <= set(ours)
    for name in stored:
        assert theirs[name].dtype == ours[name].dtype
        np.testing.assert_array_equal(theirs[name], ours[name])


def nf4(source: str, target: str) -> None:
    quantizer = MatMulBnb4Quantizer(onnx.load(source), MatMulBnb4Quantizer.NF4, 64)
    quantizer.process()
    quantizer.model.save_model_to_file(target)


def n_bits(bits: int, group: int, symmetric: bool) -> Callable[[str, str], None]:
    def write(source: str, target: str) -> None:
        module = pytest.importorskip("onnxruntime.quantization.matmul_nbits_quantizer", exc_type=ImportError)
        quantizer = module.MatMulNBitsQuantizer(onnx.load(source), bits=bits, block_size=group, is_symmetric=symmetric)
        quantizer.process()
        quantizer.model.save_model_to_file(target)

    return write


PACKED = {
    "nf4": nf4,
    "int4": n_bits(4, 32, True),
    "int4,affine,group=128": n_bits(4, 128, False),
    "int8,weights-only,group=32": n_bits(8, 32, True),
}


@pytest.mark.parametrize("step", PACKED)
@pytest.mark.parametrize("name", ["lstm", "decoder-gqa"])
def test_packed_products_are_those_of_onnxruntime(name: str, step: str, tmp_path: Path) -> None:
    theirs, ours = compared(SAMPLES / f"{name}.onnx", tmp_path, f"{step},format=nbits", PACKED[step])
    assert theirs == ours
    one, other = constants(tmp_path / "oracle.onnx"), constants(tmp_path / "ours.onnx")
    assert len(one) > 3 and set(one) <= set(other)
    for key, array in one.items():
        np.testing.assert_array_equal(array, other[key])


DECODERS: dict[str, Callable[[], onnx.ModelProto]] = {
    "one layer": decoder,
    "two layers": partial(decoder, 2),
    "gated": partial(decoder, 2, gated=True),
    "wide": partial(decoder, 1, 128, 256),
    "narrow": partial(decoder, 1, 16, 48),
    "odd": partial(decoder, 1, 33, 70),
    "one token": partial(decoder, 2, tokens=1),
    "many tokens": partial(decoder, 1, tokens=40),
}


@pytest.mark.parametrize("name", DECODERS)
def test_packed_products_of_decoders_are_those_of_onnxruntime(name: str, tmp_path: Path) -> None:
    """With the two samples above, ten nets."""
    source = tmp_path / "m.onnx"
    onnx.save(DECODERS[name](), source)
    for step in ("int4", "int8,weights-only,group=32"):
        theirs, ours = compared(source, tmp_path, f"{step},format=nbits", PACKED[step])
        assert theirs == ours
        assert "MatMulNBits" in ours["operators"]


def halved(source: str, target: str) -> None:
    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "decoder-gqa"])
def test_sixteen_bits_are_those_of_onnxruntime(name: str, tmp_path: Path) -> None:
    theirs, ours = compared(SAMPLES / f"{name}.onnx", tmp_path, "fp16", halved)
    assert theirs == ours


def test_casts_of_inputs_stand_where_they_are_needed(tmp_path: Path) -> None:
    """onnxruntime's converter casts caches elsewhere: all but the peak is the same."""
    theirs, ours = compared(SAMPLES / "decoder-gqa.onnx", tmp_path, "fp16", halved)
    assert {**theirs, "live": 0} == {**ours, "live": 0}
