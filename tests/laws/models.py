"""Models for laws: written as text, with weights of ones, audited from a file that lives as long as the audit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx.parser
from onnx import ModelProto, numpy_helper

import effaudit
from effaudit.report import ModelReport

SAMPLE_FOLDER = Path(__file__).parents[2] / "sample_models"
SAMPLES = sorted(path.stem for path in SAMPLE_FOLDER.glob("*.onnx"))
# Sizes for every sample whose file leaves some open, beside its batch.
DYNAMIC: dict[str, tuple[str, ...]] = {
    "ad": ("batch",),
    "ad-int8": ("batch",),
    "bert-base": ("batch", "sequence"),
    "control-flow": ("batch", "sequence"),
    "dead-channels": ("batch",),
    "decoder-7b": ("batch", "past_sequence_length", "sequence_length"),
    "decoder-gqa": ("batch", "past_sequence_length", "sequence_length"),
    "dynamic": ("batch", "sequence"),
    "lstm": ("batch", "sequence"),
    "unet": ("batch",),
}


def parse(body: str, functions: str = "", **weights: tuple[int, ...]) -> ModelProto:
    """A model out of onnx's text form, with float initializers of ones by name and shape."""
    head = '<ir_version: 8, opset_import: ["": 17, "local": 1]>\n'
    model = onnx.parser.parse_model(head + body + functions)
    made = [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in weights.items()]
    model.graph.initializer.extend(made)
    return model


@contextmanager
def written(model: ModelProto) -> Iterator[str]:
    """The path of the model, as long as the context lasts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        yield str(path)


def audit(model: ModelProto, **dims: int) -> ModelReport:
    with written(model) as path:
        return effaudit.audit(path, dims=dims)


def sample(name: str, **dims: int) -> ModelReport:
    return effaudit.audit(f"sample:{name}", dims=dims)
