"""Saved models: everything but the order of nodes is as it was, and onnx and ONNX Runtime find the same model."""

from __future__ import annotations

import os
import random
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from effaudit.dataflow import reads
from effaudit.errors import LoadError, UsageError
from effaudit.graph import Graph
from effaudit.load import read
from effaudit.plan.order import apply_order
from effaudit.save import save_reordered, target
from tests.laws.dags import dags
from tests.laws.models import parse

DIAMOND = """m (float[2,3] x) => (float[2,3] y)
{ a = Relu(x) b = Sigmoid(x) k = Constant <value = float {2.0}> () c = Mul(b, k) y = Add(a, c) }"""
BRANCHES = """m (float[2,3] x, bool yes, int64 n) => (float[2,3] y, float[2,3] z)
{ a = Relu(x)
  b = Sigmoid(x)
  y = If (yes) <then_branch = t () => (float[2,3] p) { p = Add(a, b) },
                else_branch = e () => (float[2,3] q) { q = Sub(a, x) }>
  c = Neg(b)
  z = Loop (n, yes, c) <body = l (int64 i, bool go, float[2,3] s) => (bool on, float[2,3] r)
                        { on = Identity(go) r = Add(s, a) }>
}"""


def any_order(graph: Graph, seed: int) -> tuple[int, ...]:
    """A topological order, drawn by chance."""
    draw = random.Random(seed)
    missing = {name for node in graph.nodes for name in node.outputs if name}
    left, order = list(range(len(graph.nodes))), []
    while left:
        ready = [i for i in left if missing.isdisjoint(reads(graph.nodes[i]))]
        order.append(draw.choice(ready))
        left.remove(order[-1])
        missing.difference_update(graph.nodes[order[-1]].outputs)
    return tuple(order)


def outputs(path: Path) -> list[np.ndarray]:
    """What ONNX Runtime computes from numbers drawn once for all."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    draw = np.random.default_rng(0)
    types = {"tensor(float)": np.float32, "tensor(bool)": np.bool_, "tensor(int64)": np.int64}
    feed = {i.name: np.asarray(3 * draw.standard_normal(i.shape)).astype(types[i.type]) for i in session.get_inputs()}
    return session.run(None, feed)  # type: ignore[no-any-return]


def check_saved(path: Path, saved: Path, order: tuple[int, ...]) -> None:
    """The saved model is the one at `path` with its nodes, as they were read, in `order`."""
    before, after = onnx.load(path), onnx.load(saved)
    onnx.checker.check_model(os.fspath(saved))
    graph = read(path)
    assert [n.outputs for n in read(saved).nodes] == [graph.nodes[i].outputs for i in order]
    rest = [n.SerializeToString(deterministic=True) for n in before.graph.node]
    assert sorted(rest) == sorted(n.SerializeToString(deterministic=True) for n in after.graph.node)
    before.graph.ClearField("node")
    after.graph.ClearField("node")
    assert before == after
    assert path.stat().st_size == saved.stat().st_size


def written(folder: Path, model: ModelProto) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@settings(max_examples=40, deadline=None)
@given(dags(), st.integers(0, 10**6))
def test_everything_else_stays(tmp_path_factory: pytest.TempPathFactory, model: ModelProto, seed: int) -> None:
    folder = tmp_path_factory.mktemp("saved")
    path = written(folder, model)
    order = any_order(read(path), seed)
    save_reordered(path, order, folder / "new.onnx")
    check_saved(path, folder / "new.onnx", order)
    for old, new in zip(outputs(path), outputs(folder / "new.onnx"), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("text", [DIAMOND, BRANCHES], ids=["constant", "bodies"])
@pytest.mark.parametrize("seed", range(4))
def test_constants_and_bodies(tmp_path: Path, text: str, seed: int) -> None:
    """The bodies of If and Loop read tensors from around them."""
    path = written(tmp_path, parse(text))
    order = any_order(read(path), seed)
    save_reordered(path, order, tmp_path / "new.onnx")
    check_saved(path, tmp_path / "new.onnx", order)
    for old, new in zip(outputs(path), outputs(tmp_path / "new.onnx"), strict=True):
        np.testing.assert_array_equal(old, new)


def test_an_unsorted_file_with_equal_names(tmp_path: Path) -> None:
    """The order counts the nodes as they were read, sorted; the checker refuses the file as it was, not the new one."""
    model = parse(DIAMOND)
    for node in model.graph.node:
        node.name = "same"
    model.graph.node.sort(key=lambda node: node.output[0], reverse=True)
    path = written(tmp_path, model)
    graph = read(path)
    assert not graph.source.sorted
    order = any_order(graph, 1)
    save_reordered(graph, order, tmp_path / "new.onnx")
    assert read(tmp_path / "new.onnx").source.sorted
    check_saved(path, tmp_path / "new.onnx", order)


def test_the_graph_may_have_been_reordered_before(tmp_path: Path) -> None:
    path = written(tmp_path, parse(DIAMOND))
    graph = apply_order(read(path), (2, 1, 3, 0, 4))
    save_reordered(graph, (1, 0, 2, 3, 4), tmp_path / "new.onnx")
    check_saved(path, tmp_path / "new.onnx", (1, 2, 3, 0, 4))


def test_the_given_order_is_a_copy(tmp_path: Path) -> None:
    path = written(tmp_path, parse(DIAMOND))
    save_reordered(path, range(5), tmp_path / "new.onnx")
    assert (tmp_path / "new.onnx").read_bytes() == path.read_bytes()


def test_a_sample(tmp_path: Path) -> None:
    graph = read("sample:control-flow")
    save_reordered("sample:control-flow", any_order(graph, 5), tmp_path / "new.onnx")
    assert {node.outputs for node in read(tmp_path / "new.onnx").nodes} == {node.outputs for node in graph.nodes}


def test_fields_in_any_order(tmp_path: Path) -> None:
    """Initializers, the graph's name and unknown fields lie between the nodes; protobuf reads them anyhow."""
    model = parse(DIAMOND, w=(2, 3))
    nodes = [_field(1, node.SerializeToString()) for node in model.graph.node]
    model.graph.ClearField("node")
    rest = model.graph.SerializeToString()
    unknown = _field(1000, b"u" * 300)
    body = nodes[0] + rest + nodes[1] + unknown + nodes[2] + nodes[3] + unknown + nodes[4]
    model.ClearField("graph")
    path = tmp_path / "model.onnx"
    path.write_bytes(unknown + _field(7, body) + model.SerializeToString())
    order = (1, 2, 0, 3, 4)
    save_reordered(path, order, tmp_path / "new.onnx")
    check_saved(path, tmp_path / "new.onnx", order)
    assert nodes[1] + rest + nodes[2] + unknown + nodes[0] in (tmp_path / "new.onnx").read_bytes()


def _field(number: int, content: bytes) -> bytes:
    def number_bytes(value: int) -> bytes:
        return bytes([value & 127 | 128]) + number_bytes(value >> 7) if value > 127 else bytes([value])

    return number_bytes(number << 3 | 2) + number_bytes(len(content)) + content


def test_a_graph_in_pieces_is_refused(tmp_path: Path) -> None:
    """Protobuf merges them; a node cannot change places between the two."""
    path = written(tmp_path, parse(DIAMOND))
    node = helper.make_node("Relu", ["y"], ["z"])
    path.write_bytes(path.read_bytes() + _field(7, _field(1, node.SerializeToString())))
    with pytest.raises(UsageError, match="holds its graph in 2 pieces"):
        save_reordered(path, (1, 0, 2, 3, 4, 5), tmp_path / "new.onnx")
    assert not (tmp_path / "new.onnx").exists()


def test_large_nodes_are_streamed(tmp_path: Path) -> None:
    """Constant nodes of 6 MB change places; the copy takes less memory than one of them."""
    values = np.random.default_rng(0).standard_normal((2, 3, 1 << 19)).astype(np.float32)
    nodes = [
        helper.make_node("Constant", [], [f"k{i}"], value=numpy_helper.from_array(v)) for i, v in enumerate(values)
    ]
    nodes.append(helper.make_node("Add", ["k0", "k1"], ["s"]))
    nodes.append(helper.make_node("Add", ["x", "s"], ["y"]))
    io = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3, 1 << 19]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", io[:1], io[1:])
    path = written(tmp_path, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    tracemalloc.start()
    save_reordered(path, (1, 0, 2, 3), tmp_path / "new.onnx")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
    check_saved(path, tmp_path / "new.onnx", (1, 0, 2, 3))


# ---- external data
@pytest.fixture
def external(tmp_path: Path) -> Path:
    """A model whose weight, and whose Constant node's tensor in a body, lie in files beside it."""
    model = parse("m (float[2,3] x) => (float[2,3] y) { a = Relu(x) b = Add(a, w) c = Neg(x) y = Add(b, c) }", w=(2, 3))
    path = tmp_path / "home" / "model.onnx"
    path.parent.mkdir()
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


def test_external_data_stays_beside_the_model(external: Path) -> None:
    saved = external.parent / "new.onnx"
    save_reordered(external, (2, 0, 1, 3), saved)
    assert sorted(p.name for p in external.parent.iterdir()) == ["model.onnx", "new.onnx", "weights.bin"]
    check_saved(external, saved, (2, 0, 1, 3))
    np.testing.assert_array_equal(outputs(external)[0], outputs(saved)[0])


def test_external_data_elsewhere_is_refused(external: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"weights lie in 'weights\.bin'.*save it beside the model"):
        save_reordered(external, (2, 0, 1, 3), tmp_path / "new.onnx")
    assert not (tmp_path / "new.onnx").exists()


def test_external_data_in_a_body_is_seen(tmp_path: Path) -> None:
    model = parse(BRANCHES)
    tensor = numpy_helper.from_array(np.ones((2, 3), np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="inner.bin")
    model.graph.node[2].attribute[0].g.initializer.append(tensor)
    (tmp_path / "home").mkdir()
    path = written(tmp_path / "home", model)
    with pytest.raises(UsageError, match=r"weights lie in 'inner\.bin'"):
        save_reordered(path, range(5), tmp_path / "new.onnx")


# ---- what may not be written over, and where nothing can be written
def test_files_of_the_model_are_never_written_over(external: Path) -> None:
    alias = external.parent / "alias.onnx"
    alias.symlink_to(external)
    before = {p: p.read_bytes() for p in external.parent.iterdir()}
    for path in (*before, external.parent / ".." / "home" / "model.onnx"):
        with pytest.raises(UsageError, match="a file of the model itself"):
            save_reordered(external, (2, 0, 1, 3), path)
    assert {p: p.read_bytes() for p in external.parent.iterdir()} == before


def test_an_older_result_is_replaced(tmp_path: Path) -> None:
    path = written(tmp_path, parse(DIAMOND))
    (tmp_path / "new.onnx").write_bytes(b"old")
    save_reordered(path, (1, 0, 2, 3, 4), tmp_path / "new.onnx")
    check_saved(path, tmp_path / "new.onnx", (1, 0, 2, 3, 4))


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("nowhere/new.onnx", "there is no folder"),
        ("folder", "a directory; give a file name"),
        ("", "give a path"),
        ("-", "give a path"),
        ("pipe", "not a regular file"),
    ],
)
def test_impossible_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str, reason: str) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, parse(DIAMOND))
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match=reason):
        save_reordered("model.onnx", (1, 0, 2, 3, 4), to)
    assert sorted(os.listdir()) == ["folder", "model.onnx", "pipe"]


def test_a_target_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the system says it; a superuser may write anywhere, so the refusal is the system's call, not a mode."""
    path = written(tmp_path, parse(DIAMOND))

    def refuse(*_: object, **__: object) -> tuple[int, str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(UsageError, match="cannot be written: Permission denied"):
        save_reordered(path, (1, 0, 2, 3, 4), tmp_path / "new.onnx")


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, parse(DIAMOND))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UsageError, match="No space left on device"):
        save_reordered(path, (1, 0, 2, 3, 4), tmp_path / "new.onnx")
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_a_source_that_shrinks_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, parse(DIAMOND))
    monkeypatch.setattr(target, "_chunks", lambda *_: iter(()))
    with pytest.raises(LoadError, match="changed while it was read"):
        save_reordered(path, (1, 0, 2, 3, 4), tmp_path / "new.onnx")
    assert os.listdir(tmp_path) == ["model.onnx"]


@pytest.mark.parametrize("name", ["-", "https://example.org/model.onnx", ""])
def test_what_lies_on_no_disk_cannot_be_copied(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="not a file on disk"):
        save_reordered(name, (), tmp_path / "new.onnx")


def test_an_order_that_is_none(tmp_path: Path) -> None:
    path = written(tmp_path, parse(DIAMOND))
    with pytest.raises(UsageError, match="no permutation of the 5 nodes"):
        save_reordered(path, (0, 1), tmp_path / "new.onnx")
    with pytest.raises(UsageError, match=r"model\.onnx: Add 'y' is placed before the node that makes 'a'"):
        save_reordered(path, (4, 0, 1, 2, 3), tmp_path / "new.onnx")


def test_a_graph_that_is_not_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, parse(DIAMOND))
    graph = read(path)
    written(tmp_path, parse(DIAMOND.replace("Add(a, c)", "Add(c, a)")))
    with pytest.raises(UsageError, match="not those of the graph that is to be saved"):
        save_reordered(graph, range(5), tmp_path / "new.onnx")


def test_nothing_is_imported_that_loads_weights(tmp_path: Path) -> None:
    path = written(tmp_path, parse(DIAMOND))
    code = f"""
import sys
from effaudit.save import save_reordered, target
save_reordered({os.fspath(path)!r}, (1, 0, 2, 3, 4), {os.fspath(tmp_path / "new.onnx")!r})
assert not {{"onnx", "numpy", "onnxruntime"}} & set(sys.modules)
"""
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0
