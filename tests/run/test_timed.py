"""What a timed run gives back is what a session made by hand gives: names, shapes, files; never how long it took."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from effaudit.audited import examine
from effaudit.errors import RunError
from effaudit.graph import Graph
from effaudit.load import Given, read
from effaudit.run import random_inputs
from effaudit.run.process import Limits, workplace
from effaudit.run.providers import PROVIDERS, runtime_name
from effaudit.run.timed import known, timed
from effaudit.run.timed_types import Schedule, Timed
from tests.laws.models import DYNAMIC, SAMPLE_FOLDER, parse
from tests.run.shim import broken
from tests.save.models import written

NEG = "m (float[2,3] x) => (float[2,3] z) { y = Neg(x) z = Exp(y) }"
X = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}
FEW = Schedule(runs=5, warmup=2, profiled=3)


@pytest.fixture
def place() -> Iterator[str]:
    with workplace() as folder:
        yield folder


def profiled(path: Path, feed: dict[str, Any], folder: str, *, plain: bool = False) -> list[dict[str, Any]]:
    """The kernels of one run of a session made by hand."""
    options = ort.SessionOptions()
    options.enable_profiling = True
    options.enable_mem_pattern = False
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.profile_file_prefix = os.path.join(folder, "by-hand")
    if plain:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    session.run(None, feed)
    events = json.loads(Path(session.end_profiling()).read_bytes())
    return [event for event in events if event["cat"] == "Node"]


def shapes(rows: list[dict[str, list[int]]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(dims) for row in rows for dims in row.values())


@pytest.mark.parametrize("optimize", ["all", "none"])
@pytest.mark.parametrize("name", ["ic", "lstm", "control-flow", "decoder-gqa", "kws-int8"])
def test_a_sample(name: str, optimize: Any, place: str) -> None:
    path = SAMPLE_FOLDER / f"{name}.onnx"
    feed = random_inputs(examine(path, Given(dims=dict.fromkeys(DYNAMIC.get(name, ()), 3))).graph, 1)[0]
    found = timed(path, feed, FEW, folder=place, optimize=optimize)
    assert (len(found.warmup_s), len(found.seconds), found.steady) == (2, 5, False)
    assert min(found.session_s, found.first_s, *found.warmup_s, *found.seconds) > 0
    assert (found.version, found.providers) == (ort.__version__, ("CPUExecutionProvider",))
    assert found.rss_bytes is None or 1 << 24 < found.rss_bytes < 1 << 30
    profile = found.profile
    assert profile is not None and not found.profile_why and profile.runs == 3 and profile.seconds > 0
    events = profiled(path, feed, place, plain=optimize == "none")
    kernels = {(k.name, k.op, k.index): k for k in profile.kernels}
    wanted = {(e["name"][:-12], e["args"]["op_name"], int(e["args"]["node_index"])): e["args"] for e in events}
    assert set(kernels) == set(wanted) and len(kernels) == len(profile.kernels)
    assert sum(kernel.calls for kernel in profile.kernels) == len(events)
    for key, kernel in kernels.items():
        assert kernel.provider == "CPUExecutionProvider" and kernel.seconds > 0
        assert kernel.output_shapes == shapes(wanted[key]["output_type_shape"])
        assert kernel.input_shapes == shapes(wanted[key]["input_type_shape"])
    first = events[0]["args"]
    base = int(first["mem_bytes_requested_in_use"]) - int(first["mem_requested_in_use_delta"])
    assert profile.peak_bytes == max(int(e["args"]["mem_bytes_requested_in_use"]) for e in events) - base
    named = {node.name for node in every(onnx.load(found.optimized, load_external_data=False).graph)}
    assert not found.optimized_why and {k.name for k in profile.kernels if k.op != "Memcpy"} & named
    assert all(k.name in named or k.name.startswith(f"{k.op}_") for k in profile.kernels)
    assert {node.name for node in read(found.optimized).nodes} <= named
    assert os.path.getsize(found.optimized) <= 2 * path.stat().st_size


def every(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from every(attribute.g)


def test_times_of_large_weights_leave_none_on_disk(tmp_path: Path, place: str) -> None:
    """Weights lie beside the model or within it; those of the optimized graph are not written anywhere."""
    model = parse("m (float[1,512] x) => (float[1,512] y) { y = MatMul(x, w) }", w=(512, 512))
    for external in (False, True):
        path = tmp_path / f"{external}.onnx"
        onnx.save(model, path, save_as_external_data=external, location=f"{external}.bin", size_threshold=0)
        with workplace() as folder:
            found = timed(path, {"x": np.ones((1, 512), np.float32)}, FEW, folder=folder)
            sizes = {name: os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)}
            assert found.profile is not None and os.path.basename(found.optimized) in sizes
            assert max(sizes.values()) < 1 << 16


def test_a_rewritten_graph_and_what_is_known_of_it(tmp_path: Path, place: str) -> None:
    graph = read(written(tmp_path / "model.onnx", parse(NEG)))
    assert known(graph) == {"nodes": 2, "loops": False, "weight_bytes": 0}
    assert known(read(SAMPLE_FOLDER / "control-flow.onnx"))["loops"]
    seen: list[int] = []
    found = timed(graph, X, FEW, folder=place, each=seen.append)
    assert found.profile is not None and {k.op for k in found.profile.kernels} == {"Neg", "Exp"}
    assert all(0 <= n <= 9 for n in seen)


def test_without_a_profile(tmp_path: Path, place: str) -> None:
    path = written(tmp_path / "model.onnx", parse(NEG))
    found = timed(path, X, Schedule(runs=4, warmup=0, profiled=0), folder=place)
    assert (found.profile, found.profile_why, found.optimized, found.warmup_s) == (None, "", "", ())
    assert "not profiled" in found.optimized_why and len(found.seconds) == 4


def test_a_budget_ends_the_runs_but_not_before_the_least(tmp_path: Path, place: str) -> None:
    path = written(tmp_path / "model.onnx", parse(NEG))
    found = timed(path, X, Schedule(runs=10**6, budget_s=1e-9, least=4, profiled=0), folder=place)
    assert len(found.seconds) == 4 and not found.warmup_s and not found.steady


@pytest.mark.parametrize("threads", [1, 2])
def test_the_session_is_that_of_a_script(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """Every option but the threads and the log is ONNX Runtime's own."""
    note = tmp_path / "options.json"
    names = [name for name in dir(ort.SessionOptions()) if not name.startswith("_") and name[0] != "a"]
    code = f"import json; names = {names!r}; json.dump({{n: str(getattr(options, n)) for n in names"
    code += f" if not callable(getattr(options, n))}}, open({str(note)!r}, 'w'))"
    broken(tmp_path, monkeypatch, code, when="not options.enable_profiling")
    path = written(tmp_path / "model.onnx", parse(NEG))
    timed(path, X, Schedule(runs=1, warmup=0, profiled=0), folder=place, limits=Limits(threads=threads))
    plain = ort.SessionOptions()
    wanted = {n: str(getattr(plain, n)) for n in names if not callable(getattr(plain, n))}
    wanted |= {"intra_op_num_threads": str(threads), "inter_op_num_threads": "1", "log_severity_level": "4"}
    assert json.loads(note.read_text()) == wanted


def test_a_node_with_a_name_full_of_quotes(tmp_path: Path, place: str) -> None:
    model = parse(NEG)
    model.graph.node[0].name = 'a"b\\c\n{é,'
    found = timed(written(tmp_path / "model.onnx", model), X, FEW, folder=place)
    assert found.profile is not None and found.profile.kernels[0].name == 'a"b\\c\n{é,'


# ---- providers
def test_providers_have_the_names_that_onnx_runtime_knows() -> None:
    mine = {runtime_name(one) for one in PROVIDERS}
    assert mine - {"ROCMExecutionProvider"} <= set(ort.get_all_providers())  # newer ones dropped it


@pytest.mark.parametrize("provider", ["CUDA", "DirectML", "QNN"])
def test_a_provider_that_is_not_there(tmp_path: Path, place: str, provider: Any) -> None:
    path = written(tmp_path / "model.onnx", parse(NEG))
    if runtime_name(provider) in ort.get_available_providers():
        pytest.skip("it is there")
    with pytest.raises(RunError) as caught:
        timed(path, X, FEW, folder=place, provider=provider)
    text = str(caught.value)
    assert text.startswith(f"{path}: this ONNX Runtime has no provider {provider} (it has ") and "CPU" in text
    assert PROVIDERS[provider][1] in text and "\n" not in text


def test_a_provider_that_silently_falls_back(tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said to be there, but the session runs on the CPU."""
    broken(
        tmp_path,
        monkeypatch,
        "more['providers'] = ['CPUExecutionProvider']",
        when="setattr(real, 'x', 1) is None",
    )
    shim = tmp_path / "shim" / "onnxruntime.py"
    shim.write_text(
        shim.read_text() + "real.get_available_providers = lambda: ['CUDAExecutionProvider', 'CPUExecutionProvider']\n"
    )
    path = written(tmp_path / "model.onnx", parse(NEG))
    with pytest.raises(RunError, match="could not start its provider CUDA and fell back to CPU; needed: pip install"):
        timed(path, X, FEW, folder=place, provider="CUDA")


def test_two_runs_of_the_same_kind_differ_in_their_times_alone(tmp_path: Path) -> None:
    def frozen(found: Timed) -> Any:
        assert found.profile is not None
        return [(k.name, k.calls, k.output_shapes) for k in found.profile.kernels], found.profile.peak_bytes

    path = written(tmp_path / "model.onnx", parse(NEG))
    results = []
    for model in (path, str(path), read(path)):
        assert isinstance(model, (Path, str, Graph))
        with workplace() as folder:
            results.append(frozen(timed(model, X, FEW, folder=folder)))
    assert results[0] == results[1] == results[2]
