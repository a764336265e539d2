"""Predictions by a host of round numbers: sums by hand, beside made-up measurements."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from effaudit.audited import Audited, examine
from effaudit.device.types import Device
from effaudit.errors import UsageError
from effaudit.graph import Graph
from effaudit.run.timed_types import KernelRun, Profile, Timed
from effaudit.timing.predict import MOST, Predicted, predicted, runtime_with
from effaudit.timing.rated import with_predictions
from effaudit.timing.told import NOTHING, told
from effaudit.timing.types import KernelTime
from tests.estimate.measured import ERROR, entry, host
from tests.laws.models import parse
from tests.render.time.documents import node
from tests.save.models import written

# 2 x 8 times 8 x 4; a view in between; 8 elements each
NET = """m (float[2,8] x) => (float[1,8] z) {
  a = MatMul(x, w)
  b = Flatten<axis=0>(a)
  c = Sigmoid(b)
  z = Sigmoid(c)
}"""
LAUNCH, MAC, OUT, NODE, INFERENCE = 2e-6, 1e-8, 1e-7, 1e-6, 20e-6
PRODUCT = LAUNCH + NODE + 64 * MAC
SIGMOID = NODE + 8 * OUT
COSTS = (
    {"kind": "fully_connected", "launch_s": LAUNCH, "mac_s": MAC, "rows_count": 7},
    {"kind": "Sigmoid", "output_s": OUT, "rows_count": 3},
)
OPS = ("MatMul", "Flatten", "Sigmoid", "Sigmoid")


def profile(folder: Path, *costs: dict[str, Any], **more: Any) -> Device:
    facts = {"per_kernel_s": NODE, "per_inference_s": INFERENCE, "prediction_error": ERROR}
    return host(folder, entry(*(costs or COSTS), **facts), **more)


@pytest.fixture
def audited(tmp_path: Path) -> Audited:
    return examine(str(written(tmp_path / "m.onnx", parse(NET, w=(8, 4)))))


@pytest.fixture
def graph(audited: Audited) -> Graph:
    return audited.graph


def ran(graph: Graph, *places: int) -> tuple[KernelRun, ...]:
    """The kernels of nodes, each of a microsecond."""
    made = []
    for i in places or range(len(graph.nodes)):
        one = graph.nodes[i]
        shape = graph.values[one.outputs[0]].shape
        assert shape is not None
        made.append(KernelRun(one.name or f"{one.op}_{i}", one.op, "CPU", 1e-6, 1.0, (), (tuple(map(int, shape)),), i))  # type: ignore[arg-type]
    return tuple(made)


def times(runs: Sequence[KernelRun], *seconds: float) -> list[KernelTime]:
    """What each of them took; a microsecond where it is not said."""
    given = (*seconds, *(1e-6 for _ in runs[len(seconds) :]))
    return [KernelTime(r.name, r.op, s, 0.0, 1.0, (f"n{i}",), True, None) for i, (r, s) in enumerate(zip(runs, given))]


def of(graph: Graph, on: Device, *seconds: float, measured_s: float = 1e-4, threads: int = 1) -> Predicted:
    runs = ran(graph)
    return predicted(graph, on, threads, runs, times(runs, *seconds), measured_s)


# ---- the whole
def test_the_total_is_the_sum_by_hand(graph: Graph, tmp_path: Path) -> None:
    found = of(graph, profile(tmp_path))
    total = INFERENCE + PRODUCT + NODE + 2 * SIGMOID
    assert found.prediction.total.value == pytest.approx(total)
    assert found.prediction.error_ratio == pytest.approx(abs(total / 1e-4 - 1))
    assert (found.prediction.total.low, found.prediction.total.high) == (
        pytest.approx(total / 1.5),
        pytest.approx(total * 1.5),
    )
    assert (found.prediction.device, found.prediction.threads) == ("host", 1)


def test_kernels_and_what_every_inference_takes_add_up(graph: Graph, tmp_path: Path) -> None:
    found = of(graph, profile(tmp_path))
    assert found.seconds == (
        pytest.approx(PRODUCT),
        pytest.approx(NODE),
        pytest.approx(SIGMOID),
        pytest.approx(SIGMOID),
    )
    assert sum(s or 0.0 for s in found.seconds) + INFERENCE == pytest.approx(found.prediction.total.value)
    assert found.limiters == ("overhead", None, "overhead", "overhead")


def test_nothing_measured_enters_the_prediction(graph: Graph, tmp_path: Path) -> None:
    on = profile(tmp_path)
    one, two = of(graph, on, measured_s=1.0), of(graph, on, 5.0, 6.0, 7.0, 8.0, measured_s=2.0)
    assert one.seconds == two.seconds and one.prediction.total == two.prediction.total


def test_a_kernel_that_runs_several_times(graph: Graph, tmp_path: Path) -> None:
    runs = [replace(run, calls=3.0) for run in ran(graph)]
    found = predicted(graph, profile(tmp_path), 1, runs, times(runs), 1e-4)
    assert found.seconds[0] == pytest.approx(3 * PRODUCT)


def test_a_kernel_of_no_node_is_not_predicted(graph: Graph, tmp_path: Path) -> None:
    runs = (*ran(graph), KernelRun("MemcpyToHost_9", "MemcpyToHost", "CPU", 1e-6, 1.0, (), ((2, 8),), None))
    found = predicted(graph, profile(tmp_path), 1, runs, times(runs), 1e-4)
    assert found.seconds[-1] is None and found.limiters[-1] is None and found.prediction.total.value is not None


# ---- what a profile does not tell
def test_a_kind_that_is_not_known_leaves_the_total_unknown(graph: Graph, tmp_path: Path) -> None:
    found = of(graph, profile(tmp_path, COSTS[1]))
    assert found.prediction.total.value is None and found.prediction.error_ratio is None
    assert found.seconds[0] is None and found.seconds[2] == pytest.approx(SIGMOID)
    assert found.limiters[0] == "unknown" and "float32 on cpu" in found.prediction.total.basis


def test_a_profile_that_was_not_measured_by_kinds(graph: Graph, tmp_path: Path) -> None:
    """Nodes that only rename bytes are no kernels there."""
    rates = {"fully_connected": {"mac_per_s": 1e8}, "elementwise": {"op_per_s": 1e6}}
    on = host(tmp_path, {"engine": "cpu", "dtype": "float32", "rates": rates, "per_kernel_s": NODE})
    found = of(graph, on)
    assert found.seconds[0] == pytest.approx(64 / 1e8 + NODE) and found.seconds[1] is None
    assert found.prediction.total.value == pytest.approx(sum(s for s in found.seconds if s is not None))


# ---- threads
def measured_with(folder: Path, *threads: int) -> Device:
    runtimes = [
        {"name": f"with-{n}", "rules": "ideal", "engine": "cpu", "code_bytes": 0, "state_bytes": 0, "threads": n}
        for n in threads
    ]
    made = [{**entry(*COSTS, per_kernel_s=n * NODE), "runtime": f"with-{n}"} for n in threads]
    return host(folder, *made, runtimes=runtimes)


def test_the_runtime_is_that_of_so_many_threads(graph: Graph, tmp_path: Path) -> None:
    on = measured_with(tmp_path, 1, 4)
    assert [runtime_with(on, n).name for n in (1, 4)] == ["with-1", "with-4"]
    assert of(graph, on, threads=4).seconds[1] == pytest.approx(4 * NODE)


def test_other_numbers_of_threads_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^host: was measured with 1, 4 threads, not with 2: effaudit devices calib"):
        runtime_with(measured_with(tmp_path, 1, 4), 2)


def test_a_profile_that_says_nothing_of_threads_is_taken_as_it_is(tmp_path: Path) -> None:
    on = profile(tmp_path)
    assert runtime_with(on, 7) == on.runtimes[0]


# ---- the worst
def test_what_is_far_off_and_matters_is_explained(graph: Graph, tmp_path: Path) -> None:
    found = of(graph, profile(tmp_path), 40e-6, 9e-6, SIGMOID * 1.1, 30e-6).prediction.worst
    assert [worst.op for worst in found] == ["MatMul", "Sigmoid"], "by what they are wrong by"
    first = found[0]
    assert (first.nodes, first.seconds, first.predicted_s) == (("n0",), 40e-6, pytest.approx(PRODUCT))
    assert first.ratio == pytest.approx(PRODUCT / 40e-6)
    assert first.why == "the estimate is mostly the launch; kind 'fully_connected', fitted to 7 kernels"


def test_too_long_an_estimate_is_as_wrong(graph: Graph, tmp_path: Path) -> None:
    slow = {**COSTS[1], "output_s": 1e-5}
    (worst,) = of(graph, profile(tmp_path, COSTS[0], slow), PRODUCT, NODE, 8e-5, 2e-6).prediction.worst
    assert worst.ratio > 20 and worst.why.startswith("the estimate is mostly multiply-accumulates and elements;")


def test_what_takes_no_time_is_not_worth_a_word(graph: Graph, tmp_path: Path) -> None:
    assert of(graph, profile(tmp_path), 40e-6, measured_s=1.0).prediction.worst == ()


def test_a_kind_that_is_taken_like_another_says_so(graph: Graph, tmp_path: Path) -> None:
    like = {"kind": "matmul", "mac_s": MAC}
    (worst,) = of(graph, profile(tmp_path, like, COSTS[1]), 1e-3, NODE, SIGMOID, SIGMOID).prediction.worst
    assert worst.why.endswith("no kernel of kind 'fully_connected' was measured, it is taken like 'matmul'")


def test_a_type_that_is_taken_like_another_says_so(graph: Graph, tmp_path: Path) -> None:
    on = host(tmp_path, entry(*COSTS, dtype="int8"))
    assert of(graph, on, 1e-3).prediction.worst[0].why.endswith("float32 is taken like int8, fitted to 7 kernels")


def test_rates_say_that_they_are_rates(graph: Graph, tmp_path: Path) -> None:
    on = host(tmp_path, {"engine": "cpu", "dtype": "float32", "rates": {"other": {"mac_per_s": 1e8}}})
    assert "at the rate of its class" in of(graph, on, 1e-3).prediction.worst[0].why


def test_no_more_than_a_handful_is_named(tmp_path: Path) -> None:
    lines = "".join(f"t{i + 1} = Sigmoid(t{i}) " for i in range(MOST + 4))
    text = f"m (float[8] t0) => (float[8] t{MOST + 4}) {{ {lines} }}"
    graph = examine(str(written(tmp_path / "m.onnx", parse(text)))).graph
    found = of(graph, profile(tmp_path), *(1e-4 * (i + 1) for i in range(MOST + 4))).prediction.worst
    assert [worst.seconds for worst in found] == pytest.approx([1e-4 * i for i in range(MOST + 4, 4, -1)])


# ---- nodes
def test_nodes_share_what_is_predicted_of_their_kernels_as_they_share_their_time() -> None:
    ran_ = [KernelTime(n, "Op", s, 0.0, 1.0, (), None, None, p) for n, s, p in (("a", 4.0, 2.0), ("b", 1.0, 3.0))]
    nodes = [
        replace(node(0, "one", 1.0), kernels=("a",)),
        replace(node(1, "two", 3.0), kernels=("a",)),
        replace(node(2, "three", 1.0), kernels=("b",)),
        node(3, "none"),
    ]
    found = [one.predicted_s for one in with_predictions(nodes, ran_)]
    assert found == [pytest.approx(0.5), pytest.approx(1.5), pytest.approx(3.0), None]


def test_kernels_and_nodes_of_a_run_add_up_to_the_prediction(audited: Audited, tmp_path: Path) -> None:
    runs = ran(audited.graph)
    seconds = [4e-6, 1e-6, 2e-6, 3e-6]
    made = [replace(run, seconds=s) for run, s in zip(runs, seconds, strict=True)]
    timed = Timed(0.1, 0.01, (), (10e-6,), True, "1.31.1", (), None, Profile(3, 11e-6, tuple(made)))
    found = told(audited, audited.graph, timed, 10e-6, profile(tmp_path), 1)
    assert found.prediction is not None and found.prediction.total.value is not None
    kernels = sum(kernel.predicted_s or 0.0 for kernel in found.kernels)
    assert kernels == pytest.approx(found.prediction.total.value - INFERENCE)
    assert sum(one.predicted_s or 0.0 for one in found.nodes) == pytest.approx(kernels)


def test_without_a_profile_nothing_is_predicted(audited: Audited) -> None:
    timed = Timed(0.1, 0.01, (), (10e-6,), True, "1.31.1", (), None, Profile(3, 11e-6, ran(audited.graph)))
    found = told(audited, audited.graph, timed, 10e-6, None, 1)
    assert found.prediction is None and all(kernel.predicted_s is None for kernel in found.kernels)
    assert told(audited, None, timed, 10e-6, None, 1) == NOTHING
    assert told(audited, audited.graph, replace(timed, profile=None), 10e-6, None, 1) == NOTHING


def test_what_one_inference_takes_is_in_no_kernel(graph: Graph, tmp_path: Path) -> None:
    one = of(graph, profile(tmp_path)).seconds
    more = host(tmp_path, entry(*COSTS, per_kernel_s=NODE, per_inference_s=1.0, prediction_error=ERROR))
    assert np.allclose([s or 0 for s in one], [s or 0 for s in of(graph, more).seconds])
