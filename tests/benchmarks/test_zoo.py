"""The networks of `benchmarks.zoo` against the figures others publish for them, and against ONNX Runtime."""

from __future__ import annotations

import csv
import math
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from benchmarks.sketch import Sketch, Weight, save
from benchmarks.zoo import NETWORKS, SAMPLES, build, file_name
from benchmarks.zoo.assumed import ASSUMED
from benchmarks.zoo.published import PUBLISHED, VARIANTS, Published
from effaudit.audited import Audited, examine
from effaudit.load import Given

MEASURED = Path(__file__).resolve().parents[3] / "shared/reference/measured_latency.csv"
UNITS = {"k": 10**3, "M": 10**6, "G": 10**9}
FIGURES = {**{name: (NETWORKS[name], p) for name, p in PUBLISHED.items()}, **VARIANTS}


def _write(sketch: Sketch, folder: Path) -> Path:
    path = folder / "model.onnx"
    save(sketch, path, external=lambda weight: weight.data is None)
    return path


def _audit(sketch: Sketch, folder: Path) -> Audited:
    return examine(_write(sketch, folder))


@pytest.mark.parametrize("name", FIGURES)
def test_macs_and_parameters_are_the_published_ones(name: str, tmp_path: Path) -> None:
    network, published = FIGURES[name]
    audited = _audit(network(), tmp_path)
    assert audited.table.complete
    channels, elements = _normalized(audited)
    _met(published, published.macs, audited.table.low.macs + published.extra * elements)
    _met(
        published,
        published.params,
        audited.weights.params - {"both": 0, "folded": 1, "none": 2}[published.norms] * channels,
    )


def _normalized(audited: Audited) -> tuple[int, int]:
    """Channels and output elements of all batch norms."""
    shapes = [
        audited.graph.values[node.outputs[0]].shape for node in audited.graph.nodes if node.op == "BatchNormalization"
    ]
    return sum(shape[1] for shape in shapes), sum(map(math.prod, shapes))


def _met(published: Published, text: str, counted: int) -> None:
    if not text:
        return
    digits = Decimal(text.rstrip("kMG"))
    unit = UNITS.get(text[-1], 1)
    last = unit * Decimal(1).scaleb(int(digits.as_tuple().exponent)) if unit > 1 else Decimal(1)
    allowed = last + Decimal(published.within) * digits * unit
    assert abs(counted - digits * unit) < allowed, f"{counted:,} is not {text} of {published.source}"
    assert bool(published.within) == bool(published.why)


def test_bert_large_has_the_cost_that_its_sizes_give(tmp_path: Path) -> None:
    """https://arxiv.org/abs/1810.04805: 24 layers of 1024, 4096 between; two numbers for each of 384 tokens."""
    audited = _audit(NETWORKS["bert-99"](), tmp_path)
    tokens, d = 384, 1024
    layer = tokens * 12 * d * d + 2 * tokens * tokens * d
    assert audited.table.low.macs == 24 * layer + tokens * d * 2
    assert audited.weights.params == (30522 + 512 + 2 + 2) * d + 24 * (12 * d * d + 13 * d) + 2 * d + 2


def test_retinanet_has_the_parameters_of_torchvisions_with_another_backbone_and_more_classes(tmp_path: Path) -> None:
    """torchvision/models/detection/retinanet.py: 34,014,999 with 91 classes and the 53,120 of its norms frozen."""
    resnet50, resnext50, frozen = 25_557_032, 25_028_904, 53_120
    more_classes = (264 - 91) * 9 * (9 * 256 + 1)
    audited = _audit(NETWORKS["retinanet"](), tmp_path)
    assert audited.weights.params == 34_014_999 + frozen + resnext50 - resnet50 + more_classes
    assert audited.graph.values["boxes"].shape == (1, 120_087, 4)


# One of each way of spelling something that only running can prove: shuffles, slices, tokens, ceilings, resizing.
RUN = (
    "mcunet-vww0",
    "shufflenet_v2",
    "mobilenet_v3_small",
    "squeezenet1_1",
    "MobileNet v2 SSD (224)",
    "DeepLab V3 (513)",
)


@pytest.mark.parametrize("name", RUN)
def test_onnx_runtime_runs_it_and_agrees_on_every_shape(name: str, tmp_path: Path) -> None:
    sketch = NETWORKS[name]()
    sketch.weights = {key: _filled(weight) for key, weight in sketch.weights.items()}
    path = tmp_path / "model.onnx"
    save(sketch, path)
    onnx.checker.check_model(onnx.load(path))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = session.get_inputs()[0]
    batch = 1 if feed.shape[2] > 300 else 2
    results = session.run(None, {feed.name: np.ones([batch, *feed.shape[1:]], np.float32)})
    audited = examine(path, Given(dims={"batch": batch}))
    for output, result in zip(session.get_outputs(), results, strict=True):
        assert result.shape == audited.graph.values[output.name].shape


def _filled(weight: Weight) -> Weight:
    return weight if weight.data is not None else replace(weight, data=np.full(weight.dims, 0.01, np.float32).tobytes())


@pytest.mark.parametrize("name", ["resnet50", "shufflenet_v2", "vit", "bert-99", "ssd-mobilenet", "DeepLab V3 (513)"])
def test_macs_follow_the_batch(name: str, tmp_path: Path) -> None:
    path = _write(NETWORKS[name](), tmp_path)
    one, four = (examine(path, Given(dims={"batch": n})).table.low.macs for n in (1, 4))
    assert four == 4 * one


def test_a_network_is_written_once_and_takes_little_room(tmp_path: Path) -> None:
    path = build("resnet50", tmp_path)
    assert path.name == "resnet50.onnx" and path.stat().st_size < 100_000
    path.write_bytes(b"kept")
    assert build("resnet50", tmp_path).read_bytes() == b"kept"


def test_assumptions_are_about_networks_of_the_zoo() -> None:
    assert set(ASSUMED) <= set(NETWORKS)


def test_every_name_has_a_file_of_its_own() -> None:
    names = [file_name(name).lower() for name in NETWORKS]
    assert len(set(names)) == len(names)


def test_samples_are_the_networks_of_mlperf_tiny(tmp_path: Path) -> None:
    """https://arxiv.org/abs/2106.07597 and the reference models."""
    macs = {name: examine(build(name, tmp_path)).table.low.macs for name in SAMPLES}
    assert sorted(macs.values()) == [264_192, 2_656_768, 7_489_664, 12_501_632]


@pytest.mark.skipif(not MEASURED.is_file(), reason="no table of published measurements here")
def test_every_measured_network_is_there() -> None:
    with MEASURED.open() as file:
        assert {row["model"] for row in csv.DictReader(file)} <= {*NETWORKS, *SAMPLES}


def test_no_weight_is_shared_by_accident() -> None:
    """Two layers under one name would share their weights. RetinaNet's head and upsampling do so on purpose."""
    for name, network in NETWORKS.items():
        sketch = network()
        readers = Counter(value for node in sketch.nodes for value in node.input if value in sketch.weights)
        shared = {key for key, n in readers.items() if n > 1 and sketch.weights[key].data is None}
        assert all(key.startswith("head.") for key in shared) and (bool(shared) == (name == "retinanet")), name
        assert set(readers) == set(sketch.weights), name
