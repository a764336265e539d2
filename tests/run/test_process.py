"""A model runs in a process of its own, and however that ends, the answer is what it computed or one line."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from effaudit.errors import RunError, UsageError
from effaudit.graph import Graph
from effaudit.load import read
from effaudit.run import Limits, execute
from tests.laws.models import parse
from tests.save.models import run, written

NEG = "m (float[2,3] x) => (float[2,3] y, float[2,3] z) { y = Neg(x) z = Exp(y) }"
X = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, empty again after every test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_it_computes_what_onnx_runtime_computes(tmp_path: Path, temporary: Path) -> None:
    """Of a path and of a graph, several inputs, all outputs and one; nothing is left, nothing written beside it."""
    path = written(tmp_path / "model.onnx", parse(NEG))
    feeds = [X, {"x": X["x"] + 1}]
    wanted = [run(path, feed) for feed in feeds]
    for model in (path, str(path), read(path)):
        for found, outputs in zip(execute(model, iter(feeds)), wanted, strict=True):
            np.testing.assert_array_equal([found["y"], found["z"]], outputs)
    assert [list(found) for found in execute(path, feeds, outputs=["z"], optimize="all")] == [["z"], ["z"]]
    assert sorted(os.listdir(tmp_path)) == ["model.onnx", "temporary"] and not list(temporary.iterdir())


def test_a_rewritten_graph_runs(tmp_path: Path) -> None:
    graph = read(written(tmp_path / "model.onnx", parse(NEG)))
    other = replace(graph, nodes=(replace(graph.nodes[0], op="Abs"), graph.nodes[1]), history=("abs",))
    assert execute(other, [{"x": -X["x"]}])[0]["y"].tolist() == X["x"].tolist()


def test_a_relative_path_and_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "model.onnx", parse("m (string[2] x) => (string[2] y) { y = Identity(x) }"))
    monkeypatch.chdir(tmp_path)
    assert execute("model.onnx", [{"x": np.array(["a", "é"])}])[0]["y"].tolist() == ["a", "é"]


def refused(
    model: Path | str | Graph, reason: str, temporary: Path, *, limits: Limits = Limits(), **feed: object
) -> str:
    """The one line of the error, which names the model and leaves nothing behind."""
    with pytest.raises(RunError, match=reason) as caught:
        execute(model, [feed or X], limits=limits)  # type: ignore[list-item]
    text = str(caught.value)
    assert "\n" not in text and len(text) < 700 and text.startswith(f"{model}: ")
    assert not list(temporary.iterdir())
    return text


def test_what_onnx_runtime_refuses(tmp_path: Path, temporary: Path) -> None:
    path = written(tmp_path / "model.onnx", parse(NEG))
    refused(path, "ONNX Runtime refuses it: .*Got: 2 Expected: 3", temporary, x=np.zeros((2, 2), np.float32))
    refused(path, "ONNX Runtime refuses it: .*Unexpected input data type", temporary, x=np.zeros((2, 3)))
    model = parse("m (float[2,3] x) => (float[2,3] y) { y = Nothing(x) }")
    refused(written(tmp_path / "model.onnx", model), "refuses it: .*Nothing", temporary)
    with pytest.raises(RunError, match=r"refuses it: .*nowhere"):
        execute(written(path, parse(NEG)), [X], outputs=["nowhere"])


def test_a_sequence_is_no_array(tmp_path: Path, temporary: Path) -> None:
    model = parse("m (float[2,3] x) => (seq(float[2,3]) y) { y = SequenceConstruct(x) }")
    refused(written(tmp_path / "model.onnx", model), "the output 'y' is no tensor", temporary)


def test_a_model_that_takes_too_long(tmp_path: Path, temporary: Path) -> None:
    model = parse("""m (float[2,3] x, int64 n, bool go) => (float[2,3] y)
    { y = Loop (n, go, x) <body = l (int64 i, bool go2, float[2,3] s) => (bool on, float[2,3] r)
                          { on = Identity(go2) r = Neg(s) }> }""")
    path = written(tmp_path / "model.onnx", model)
    feed = {**X, "n": np.array(1 << 60), "go": np.array(True)}
    start = time.monotonic()
    refused(path, "was stopped after 1.5 s, the limit", temporary, limits=Limits(seconds=1.5), **feed)
    assert time.monotonic() - start < 20


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold a process to its memory")
def test_a_model_that_takes_too_much_memory(tmp_path: Path, temporary: Path) -> None:
    model = parse("m (int64[1] n) => (float[?] y) { a = ConstantOfShape(n) y = Exp(a) }")
    path = written(tmp_path / "model.onnx", model)
    limits = Limits(memory_bytes=512 << 20)
    refused(path, r"needs more than the 512.0 MiB of memory", temporary, limits=limits, n=np.array([1 << 28]))
    assert execute(path, [{"n": np.array([8])}], limits=limits)[0]["y"].tolist() == [1.0] * 8


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("kill -SEGV $$", r"crashed \(SIGSEGV\)"),
        ("kill -KILL $$", r"was killed \(SIGKILL\), probably for want of memory"),
        ("echo 'the end' >&2; exit 7", "exit code 7: the end"),
    ],
)
def test_a_process_that_dies(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    path = written(tmp_path / "model.onnx", parse(NEG))
    (tmp_path / "python").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    refused(path, reason, temporary)


def test_without_onnx_runtime(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "model.onnx", parse(NEG))
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('not installed')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    refused(path, r"needs ONNX Runtime: pip install onnxruntime \(not installed\)", temporary)


def test_what_cannot_be_run_at_all(tmp_path: Path, temporary: Path) -> None:
    """Told before a process is started: no weights, no file, no inputs, unlike inputs, objects."""
    path = written(tmp_path / "model.onnx", parse(NEG))
    with pytest.raises(
        UsageError, match=r"sample:alexnet: it cannot be run: tensor '.*' has no elements: .* not there"
    ):
        execute("sample:alexnet", [X])
    with pytest.raises(UsageError, match="not a file on disk"):
        execute("https://example.org/model.onnx", [X])
    with pytest.raises(UsageError, match="nothing to feed"):
        execute(path, [])
    with pytest.raises(UsageError, match=r"feed 1 has the inputs \['y'\], the first has \['x'\]"):
        execute(path, [X, {"y": X["x"]}])
    with pytest.raises(UsageError, match="Python objects"):
        execute(path, [{"x": np.array([{}])}])
    assert not list(temporary.iterdir())


def test_this_process_never_imports_onnx_runtime(tmp_path: Path) -> None:
    path = written(tmp_path / "model.onnx", parse(NEG))
    code = f"""
import sys
import numpy as np
from effaudit.run import execute, ranges
execute({str(path)!r}, [{{"x": np.zeros((2, 3), np.float32)}}])
assert not {{"onnx", "onnxruntime"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
