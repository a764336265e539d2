"""A host that was measured kernel by kernel, from the file alone: the kernels that ONNX Runtime really runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from effaudit.audited import Audited, examine
from effaudit.device.find import find
from effaudit.device.types import Device
from effaudit.estimate.executed import NOTE, Executed, executed, machine_of
from effaudit.estimate.latency import latency
from effaudit.estimate.work import kernels
from effaudit.fit.asked import FitAsked
from effaudit.fit.subject import subject_of
from effaudit.lower.ort_fusions import Machine
from effaudit.timing.predict import predicted
from tests.cli.in_process import Done, invoke
from tests.estimate.measured import ERROR, entry, host
from tests.lower.ort_fusions.saved import same_version, saved, this_machine
from tests.runtimes.ort_models import SAMPLES

NODE, INFERENCE = 1e-6, 5e-6
ISA = {8: "avx avx2 fma", 16: "avx avx2 avx512f", None: "sse4_1"}
# Every kernel costs its launch, its elements and its products, those of some kinds more.
COSTS = (
    {"kind": "conv", "launch_s": 2e-6, "mac_s": 1e-10, "output_s": 1e-10},
    {"kind": "pointwise", "launch_s": 3e-6, "mac_s": 2e-10, "output_s": 1e-10},
    {"kind": "depthwise", "launch_s": 4e-6, "mac_s": 3e-10},
    {"kind": "fully_connected", "launch_s": 5e-6, "mac_s": 4e-10},
    {"kind": "ReorderInput blocked", "launch_s": 6e-6, "output_s": 2e-10},
    {"kind": "ReorderOutput blocked", "launch_s": 7e-6, "output_s": 3e-10},
    *({"kind": kind, "launch_s": 8e-6, "output_s": 4e-10} for kind in ("elementwise", "pooling", "movement", "other")),
    *({"kind": kind, "launch_s": 9e-6} for kind in ("softmax", "matmul", "reduction", "normalization", "transposed")),
)
Command = Callable[..., Done]


def measured_host(folder: Path, rules: str = "ort", isa: str = "", *costs: dict[str, Any]) -> Device:
    """A host with those costs, whose processor is this one unless said otherwise."""
    runtime = {"name": "bare", "rules": rules, "engine": "cpu", "code_bytes": 0, "state_bytes": 0}
    engines = [{"name": "cpu", "kind": "simd", "cores": 1, "isa": isa or ISA[this_machine().block]}]
    facts = {"per_kernel_s": NODE, "per_inference_s": INFERENCE, "prediction_error": ERROR}
    return host(folder, entry(*(costs or COSTS), **facts), runtimes=[runtime], engines=engines)


def sample(name: str) -> Audited:
    return examine(str(SAMPLES / f"{name}.onnx"))


def made(audited: Audited, on: Device) -> Executed:
    lowered = subject_of(audited, on, FitAsked()).planned.graph
    found = executed(audited.graph, lowered, on, on.runtimes[0])
    assert found is not None
    return found


# ---- the kernels
@same_version
@pytest.mark.parametrize("name", ["ic", "vww", "unet", "kws", "ad"])
def test_the_file_alone_tells_what_the_saved_graph_tells(name: str, tmp_path: Path) -> None:
    on, audited = measured_host(tmp_path), sample(name)
    alone = subject_of(audited, on, FitAsked()).latency.total
    graph = predicted(saved(SAMPLES / f"{name}.onnx"), on, 1, (), (), 1.0).prediction.total
    assert alone.value == pytest.approx(graph.value, rel=1e-3)
    assert (alone.low, alone.high) == (pytest.approx(graph.low, rel=1e-3), pytest.approx(graph.high, rel=1e-3))


def test_fused_kernels_keep_the_name_of_the_first_node(tmp_path: Path) -> None:
    audited = sample("ic")
    names = {node.label for node in audited.graph.nodes}
    rows = subject_of(audited, measured_host(tmp_path), FitAsked()).latency.kernels
    convolutions = [row.kernel for row in rows if row.kernel.op == "Conv"]
    assert len(convolutions) == sum(node.op == "Conv" for node in audited.graph.nodes)
    assert all(kernel.node in names for kernel in convolutions)
    assert not any(row.kernel.op in ("Relu", "BatchNormalization") for row in rows)


def test_nodes_that_only_rename_cost_their_part(tmp_path: Path) -> None:
    on, audited = measured_host(tmp_path), sample("ad")
    found, subject = made(audited, on), subject_of(audited, on, FitAsked())
    assert subject.where.renaming == found.renaming
    without = latency(found.kernels, replace(subject.where, renaming=0)).total.value
    total = subject.latency.total.value
    assert total is not None and without is not None
    assert total - without == pytest.approx(found.renaming * NODE)


def test_other_rules_run_their_own_graph(tmp_path: Path) -> None:
    audited = sample("ic")
    plain = subject_of(audited, measured_host(tmp_path, "ort-plain"), FitAsked())
    assert [one.node for one in plain.kernels] == [one.node for one in kernels(plain.planned.graph)]
    assert all(kernel.pattern is not None for kernel in plain.kernels)
    assert NOTE not in plain.latency.notes


def test_memory_is_still_that_of_the_rules(tmp_path: Path) -> None:
    audited = sample("ic")
    on, bare = measured_host(tmp_path), measured_host(tmp_path, "ort")
    without = replace(bare, performance=())
    with_costs, none = (subject_of(audited, device, FitAsked()) for device in (on, without))
    assert with_costs.planned.arena == none.planned.arena
    assert with_costs.planned.graph == none.planned.graph
    assert with_costs.demands == none.demands


def test_a_profile_without_costs_is_estimated_as_ever() -> None:
    audited, board = sample("ic"), find("raspberry-pi-4")
    subject = subject_of(audited, board, FitAsked())
    assert executed(audited.graph, subject.planned.graph, board, subject.runtime) is None
    expected = latency(kernels(subject.planned.graph), subject.where)
    assert subject.latency == expected
    assert all(kernel.pattern is None for kernel in subject.kernels)


def test_as_if_quantized_it_is_timed_so(tmp_path: Path) -> None:
    rows = subject_of(sample("ad"), measured_host(tmp_path), FitAsked(quantize="int8")).kernels
    assert {row.dtype for row in rows} == {"int8"}


# ---- the processor
@pytest.mark.parametrize(
    ("isa", "expected"),
    [
        ("avx avx2 avx512f", Machine(16, signed=False)),
        ("avx avx2 fma", Machine(8, signed=False)),
        ("neon asimd", Machine(16, signed=True)),
    ],
)
def test_the_instructions_say_how_channels_lie(isa: str, expected: Machine, tmp_path: Path) -> None:
    on = measured_host(tmp_path, "ort", isa)
    assert machine_of(on, on.runtimes[0]) == expected


def test_where_no_kernel_in_blocks_was_measured_there_are_none(tmp_path: Path) -> None:
    on = measured_host(tmp_path, "ort", "avx avx512f", {"kind": "conv plain", "launch_s": 1e-6})
    assert machine_of(on, on.runtimes[0]) == Machine(None, signed=False)
    assert {node.domain for node in made(sample("ic"), on).graph.nodes} <= {"", "com.microsoft"}


# ---- the commands
@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """A command about a sample on a host whose profile lies in the user's folder, called `host`."""
    measured_host(tmp_path)
    (profile,) = tmp_path.glob("*.yaml")
    folder = tmp_path / "devices"
    folder.mkdir()
    profile.rename(folder / "host.yaml")
    monkeypatch.setenv("EFFAUDIT_DEVICES", str(folder))
    return lambda *arguments: invoke(capsys, monkeypatch, *arguments)


def test_fit_and_report_tell_the_same_time(run: Command) -> None:
    fit = json.loads(run("fit", "sample:ic", "--device", "host", "--json").out)["verdicts"][0]
    report = json.loads(run("report", "sample:ic", "--device", "host", "--json").out)["models"][0]["device"]
    assert fit["latency_s"] == report["latency_s"]
    assert fit["latency_s"]["value"] > INFERENCE
    assert NOTE in fit["notes"] and NOTE in report["notes"]


def test_the_first_screen_has_the_time_and_what_it_is_of(run: Command) -> None:
    done = run("fit", "sample:ic", "--device", "host")
    assert done.code == 0, done
    assert "time    " in done.out and "efficiency fitted to test rows" in done.out
    assert "note    times are of the graph as the optimizer of ONNX Runtime" in done.out


def test_batches_take_longer(run: Command) -> None:
    words = ("sweep", "sample:dynamic", "--device", "host", "--dim", "batch=1,8", "--dim", "sequence=16", "--json")
    points = json.loads(run(*words).out)["points"]
    one, eight = (point["device"]["latency_s"]["value"] for point in points)
    assert one < eight


def test_the_profile_is_listed_and_valid(run: Command) -> None:
    assert "host" in run("devices", "list").out
    assert run("devices", "show", "host").code == 0
