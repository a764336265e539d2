"""Weightless graphs of the networks that published measurements name, float32, one batch dim called `batch`.

`python -m benchmarks.zoo NAME FOLDER` writes one. Precision is no part of a graph: a quantized measurement is held
against the graph as if quantized.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.sketch import Sketch, save
from benchmarks.zoo import (
    bert,
    convnext,
    deeplab,
    densenet,
    efficientnet,
    googlenet,
    inception_v3,
    inception_v4,
    mcunet,
    mnasnet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    resnet,
    retinanet,
    shufflenet_v2,
    squeezenet,
    ssd,
    vgg,
    vit,
)
from benchmarks.zoo.tiny import SAMPLES

NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    **mobilenet_v1.NETWORKS,
    **mobilenet_v2.NETWORKS,
    **mobilenet_v3.NETWORKS,
    **resnet.NETWORKS,
    **squeezenet.NETWORKS,
    **googlenet.NETWORKS,
    **inception_v3.NETWORKS,
    **inception_v4.NETWORKS,
    **shufflenet_v2.NETWORKS,
    **densenet.NETWORKS,
    **efficientnet.NETWORKS,
    **mnasnet.NETWORKS,
    **mcunet.NETWORKS,
    **convnext.NETWORKS,
    **vgg.NETWORKS,
    **ssd.NETWORKS,
    **retinanet.NETWORKS,
    **deeplab.NETWORKS,
    **vit.NETWORKS,
    **bert.NETWORKS,
}
_SAMPLE_MODELS = Path(__file__).resolve().parents[2] / "sample_models"


def build(name: str, folder: Path) -> Path:
    """The model's path: of the shipped sample, or of a file written into `folder` unless it is there already.

    Its weights point to a file that does not exist. Raises KeyError for a name that is not of the zoo.
    """
    if name in SAMPLES:
        return _SAMPLE_MODELS / f"{SAMPLES[name]}.onnx"
    path = folder / f"{file_name(name)}.onnx"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        save(NETWORKS[name](), path, external=lambda weight: weight.data is None)
    return path


def file_name(name: str) -> str:
    """Of letters, digits, dots, dashes and underscores only; different for every name of the zoo."""
    return re.sub(r"[^\w.-]+", "_", name).strip("_")
