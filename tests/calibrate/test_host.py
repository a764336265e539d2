"""A calibration from end to end, of three tiny networks that really run: what is in it, never how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pytest
from msgspec.structs import replace

from effaudit.calibrate import layers
from effaudit.calibrate.fit import fit, key_of
from effaudit.calibrate.host import Calibration, _slowest, calibrate, networks, with_threads
from effaudit.calibrate.measure import bench, measured
from effaudit.calibrate.net import Net
from effaudit.calibrate.nets import fitted, unseen
from effaudit.calibrate.profile import document
from effaudit.device.facts import stated
from effaudit.device.types import Device
from effaudit.device.validate import problems
from effaudit.errors import RunError
from effaudit.estimate.terms import Caches
from effaudit.run.host import host
from effaudit.run.process import Limits
from effaudit.run.timed_types import Schedule
from effaudit.strict_yaml import convert
from tests.calibrate.planted import CACHES, sampled, small

FEW = Schedule(runs=5, warmup=1, profiled=3, budget_s=1.0, profiled_s=1.0)


def images() -> Net:
    net = Net("images")
    x = layers.conv(net, net.input(1, 3, 12, 12), 8, 3)
    net.output(layers.classify(net, layers.depthwise(net, x, 3), 5))
    return net


def rows() -> Net:
    net = Net("rows")
    net.output(layers.linear(net, layers.layer_norm(net, net.input(1, 6, 16)), 8))
    return net


def apart() -> Net:
    net = Net("apart")
    net.output(layers.conv(net, net.input(1, 3, 9, 9), 16, 3))
    return net


def broken() -> Net:
    net = Net("broken")
    net.output(net.node("NoSuchOperator", [net.input(2)], (2,)))
    return net


@pytest.fixture(scope="module")
def told() -> list[int]:
    return []


@pytest.fixture(scope="module")
def found(told: list[int]) -> Calibration:
    return calibrate((1,), told.append, seen=[images(), rows()], held=[apart()], schedule=FEW)


def test_networks_that_ran_are_kept_apart(found: Calibration) -> None:
    (one,) = found.measured
    assert (one.threads, [n.name for n in one.nets], [n.name for n in one.held_out]) == (
        1,
        ["images", "rows"],
        ["apart"],
    )
    assert found.version and found.rss_bytes and found.facts == host() and found.usage.seconds > 0


def test_each_kernel_has_a_pattern_and_seconds(found: Calibration) -> None:
    for net in (*found.measured[0].nets, *found.measured[0].held_out):
        assert net.samples and net.seconds > 0 and net.renaming >= 0
        assert all(sample.kernel.pattern is not None and sample.seconds > 0 for sample in net.samples)
        assert sum(sample.seconds for sample in net.samples) <= net.seconds * 1.0001


def test_kernels_are_those_of_the_optimized_graph(found: Calibration) -> None:
    """Whose activations are fused: no kernel is a Relu."""
    images_ = found.measured[0].nets[0]
    ops = [sample.kernel.op for sample in images_.samples]
    assert ops.count("Conv") == 2 and "Relu" not in ops
    assert sum(sample.kernel.macs.high or 0 for sample in images_.samples) >= 12 * 12 * 8 * (27 + 9) + 8 * 5


def test_costs_are_of_the_kinds_that_ran(found: Calibration) -> None:
    one = found.measured[0]
    assert set(one.fitted.costs) == {key_of(sample.kernel) for net in one.nets for sample in net.samples}


def test_progress_is_told_up_to_the_end(found: Calibration, told: list[int]) -> None:
    assert found and told == sorted(told) and (not told or told[-1] <= 3)


def test_it_makes_a_valid_profile(found: Calibration) -> None:
    device = convert(stated(document(found, "host", date(2026, 1, 31))), Device, "test")
    assert problems(device) == [] and [runtime.threads for runtime in device.runtimes] == [1]


def test_a_network_that_does_not_run_is_left_out() -> None:
    with bench([images(), broken(), rows()]) as on:
        ran = measured(on, FEW, Limits(seconds=60.0))
        assert [net.name for net in ran.nets] == ["images", "rows"]
        again = measured(on, FEW, Limits(seconds=60.0), {"rows", "broken"})
        assert [net.name for net in again.nets] == ["rows"], "only what is asked for, and afresh"


def test_networks_that_took_longer_than_their_kernels_elsewhere_are_the_slowest() -> None:
    nets = {net.name: net for net in sampled(small(120_000))}
    found = fit(tuple(nets.values()), CACHES)
    assert _slowest(nets, found, CACHES) == set()
    late = dict(list(nets.items())[:3])
    disturbed = nets | {name: replace(net, seconds=1.5 * net.seconds) for name, net in late.items()}
    assert _slowest(disturbed, found, CACHES) == set(late)


@pytest.mark.parametrize("nets", [[broken()], [rows(), broken()]])
def test_too_few_networks_are_no_calibration(nets: Sequence[Net]) -> None:
    with pytest.raises(RunError, match=f"ONNX Runtime ran {len(nets) - 1} of the {len(nets)} networks"):
        calibrate((1,), seen=nets, held=(), schedule=FEW)


def test_the_networks_of_a_calibration_are_counted() -> None:
    assert networks() == len(fitted()) + len(unseen())


def test_every_core_has_a_cache_of_its_own_and_all_share_the_last() -> None:
    assert with_threads(Caches(10.0, 100.0), 4) == Caches(40.0, 100.0)
    assert with_threads(Caches(10.0, 100.0), 16) == Caches(160.0, 160.0)
