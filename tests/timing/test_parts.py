"""The small parts of a timed model: schedules, assumptions, the order of a run, ratings; on figures made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from effaudit.audited import Audited, examine
from effaudit.device.types import Device
from effaudit.errors import UsageError
from effaudit.load import Given, read
from effaudit.run.timed_types import KernelRun, Profile, Timed
from effaudit.timing.asked import TimeAsked
from effaudit.timing.fed import CHANCE, assumptions, fed, sized
from effaudit.timing.held import as_run, graph_made, memory
from effaudit.timing.model import _warmup
from effaudit.timing.rated import ratio, roofs, slow, times_of
from tests.laws.models import parse
from tests.profiles import accelerator, device
from tests.render.time.documents import kernel, node
from tests.save.models import written

# two branches, so that their order is free
NET = "m (float[N,8] x) => (float[N,8] z) { a = Relu(x) b = Neg(x) z = Add(a, b) }"
TIMED = Timed(0.1, 0.01, (), (0.001,), True, "1.31.1", (), None)


@pytest.fixture
def net(tmp_path: Path) -> str:
    return str(written(tmp_path / "m.onnx", parse(NET)))


@pytest.fixture
def audited(net: str) -> Audited:
    return examine(net, Given(dims={"N": 2}))


def ran(*names: str, op: str = "") -> tuple[KernelRun, ...]:
    return tuple(KernelRun(f"{name}_{i}", name, "CPU", 1e-6, 1.0, (), ((2, 8),), i) for name, i in _placed(names))


def _placed(names: tuple[str, ...]) -> list[tuple[str, int]]:
    return [(name, {"Relu": 0, "Neg": 1, "Add": 2}[name]) for name in names]


# ---- what is asked
def test_a_minute_is_enough_unless_runs_are_asked_for() -> None:
    assert (TimeAsked().schedule.runs, TimeAsked().schedule.budget_s) == (50, 60.0)
    assert TimeAsked(runs=200).schedule.budget_s == 150.0
    assert TimeAsked(seconds=20.0).schedule.budget_s == 10.0
    assert TimeAsked(profile=False).steps == 50 and TimeAsked(runs=7).steps == 17


def test_how_a_warm_up_ended() -> None:
    assert _warmup(replace(TIMED, warmup_s=(0.1, 0.1)), TimeAsked()).steady
    timed = replace(TIMED, warmup_s=(0.1, 0.1), steady=False)
    assert "as many as were asked for" in _warmup(timed, TimeAsked(warmup=2)).why
    assert "before times had settled" in _warmup(timed, TimeAsked()).why
    assert "before times had settled" in _warmup(timed, TimeAsked(warmup=3)).why


# ---- what is fed
def test_inputs_are_the_same_every_time(audited: Audited) -> None:
    one, two = fed(audited, None), fed(audited, None)
    assert one.origin == CHANCE and one.arrays["x"].shape == (2, 8)
    assert np.array_equal(one.arrays["x"], two.arrays["x"])


def test_only_what_nobody_gave_is_assumed(net: str, audited: Audited) -> None:
    assert assumptions(audited) == ()
    (said,) = assumptions(examine(net))
    assert "N=1, ASSUMED: give the real ones: --dim N=N" in said


def test_a_file_settles_what_is_open(net: str, tmp_path: Path) -> None:
    path = str(tmp_path / "in.npz")
    np.savez(path, x=np.full((5, 8), 2.0, np.float32))
    found = sized(read(net), Given(), path)
    assert found.graph.values["z"].shape == (5, 8) and assumptions(found) == ()
    assert fed(found, path).arrays["x"].sum() == 80.0
    with pytest.raises(UsageError, match="has the shape 5x8"):
        sized(read(net), Given(dims={"N": 4}), path)


# ---- the peak of memory
def test_nodes_stand_as_they_ran(audited: Audited) -> None:
    found = as_run(audited.graph, ran("Neg", "Relu", "Add"))
    assert found is not None and [one.op for one in found.nodes] == ["Neg", "Relu", "Add"]


@pytest.mark.parametrize("names", [("Neg", "Relu"), (), ("Add", "Neg", "Relu")])
def test_an_order_that_is_not_whole_is_none(audited: Audited, names: tuple[str, ...]) -> None:
    """Kernels missing, or one before those it reads."""
    assert as_run(audited.graph, ran(*names)) is None


def test_the_peak_beside_what_was_measured(audited: Audited) -> None:
    """a and b of 64 bytes each are alive with z, which is written over neither: it is the output."""
    profile = Profile(1, 0.001, ran("Relu", "Neg", "Add"), 192)
    found = memory(replace(TIMED, profile=profile), audited.graph)
    assert found is not None and (found.predicted_low, found.predicted_high, found.measured) == (192, 192, 192)
    found = memory(replace(TIMED, profile=replace(profile, peak_bytes=None, peak_why="too old")), audited.graph)
    assert found is not None and (found.measured, found.why) == (None, "too old")
    found = memory(replace(TIMED, profile_why="it crashed"), audited.graph)
    assert found is not None and (found.measured, found.why) == (None, "it crashed")
    assert memory(TIMED, None) is None


def test_why_there_is_no_graph(audited: Audited, tmp_path: Path) -> None:
    assert graph_made(replace(TIMED, optimized_why="no disk"), audited) == (None, "no disk")
    broken = tmp_path / "optimized.onnx"
    broken.write_bytes(b"\x0b")
    graph, why = graph_made(replace(TIMED, optimized=str(broken)), audited)
    assert graph is None and why.startswith("the graph that ONNX Runtime saved cannot be read: ")


# ---- ratings
def test_the_roof_is_the_longer_of_bytes_and_operations(audited: Audited, tmp_path: Path) -> None:
    """Each of the three reads and writes 64 bytes a tensor and computes 16 elements."""
    host: Device = device(tmp_path, accelerator(100.0, 1000.0, dtype="float32"))
    found = roofs(audited.graph, ran("Relu", "Neg", "Add"), host.runtimes[0], host)
    assert found == {"Relu_0": 0.16, "Neg_1": 0.16, "Add_2": pytest.approx(0.192)}
    assert roofs(audited.graph, (), host.runtimes[0], host) == {}


def test_a_node_has_the_ratio_of_its_kernels() -> None:
    times = times_of([kernel("a", 1.0), kernel("b", 3.0), kernel("b", 1.0)])
    assert times == {"kernel a": 1.0, "kernel b": 4.0}
    both = replace(node(0, "n", 2.0), kernels=("kernel a", "kernel b"))
    assert ratio(both, {"kernel a": 0.5, "kernel b": 2.0}, times) == 0.5
    assert ratio(both, {"kernel a": 0.5}, times) is None, "one of them is not known"
    assert ratio(replace(both, kernels=()), {"kernel a": 0.5}, times) is None


def test_slow_is_said_of_what_matters() -> None:
    assert slow(0.1, 0.5) and not slow(0.1, 0.001) and not slow(0.5, 0.5)
    assert not slow(None, 0.5) and not slow(0.1, None)
