"""How far estimates are off, as a person would count it."""

from __future__ import annotations

from datetime import date

import pytest
from msgspec.structs import replace

from effaudit.calibrate.error import COVERED, LEAST_FACTOR, error_of, estimated_s
from effaudit.calibrate.profile import document, runtime_of
from effaudit.device.facts import stated
from effaudit.device.types import Device, DeviceRuntime
from effaudit.strict_yaml import convert
from tests.calibrate.machines import calibration

FOUND = calibration((1,))


@pytest.fixture(scope="module")
def device() -> Device:
    return convert(stated(document(FOUND, "host", date(2026, 1, 31))), Device, "test")


@pytest.fixture(scope="module")
def runtime(device: Device) -> DeviceRuntime:
    return runtime_of(device, 1)


def test_by_hand(device: Device, runtime: DeviceRuntime) -> None:
    net = FOUND.measured[0].nets[0]
    estimate = estimated_s(net, device, runtime)
    assert estimate is not None
    nets = [replace(net, seconds=estimate * factor) for factor in (1.0, 2.0, 0.8, 1.25, 1.6)]
    error = error_of(nets, device, runtime)
    assert error is not None
    assert error.median_ratio == pytest.approx(0.25)  # 0, 0.5, 0.25, 0.2, 0.375
    assert (error.interval, error.covered, error.count) == (pytest.approx(2.0), 1.0, 5)


def test_nine_of_ten_lie_within_the_interval(device: Device, runtime: DeviceRuntime) -> None:
    net = FOUND.measured[0].nets[0]
    estimate = estimated_s(net, device, runtime)
    assert estimate is not None
    nets = [replace(net, seconds=estimate * (1 + i / 10)) for i in range(20)]
    error = error_of(nets, device, runtime)
    assert error is not None and error.covered >= COVERED
    assert error.interval == pytest.approx(1 + 17 / 10) and error.covered == pytest.approx(0.9)


def test_no_machine_is_as_steady_as_a_fit(device: Device, runtime: DeviceRuntime) -> None:
    net = FOUND.measured[0].nets[0]
    estimate = estimated_s(net, device, runtime)
    assert estimate is not None
    error = error_of([replace(net, seconds=estimate)], device, runtime)
    assert error is not None and error.interval == LEAST_FACTOR and error.median_ratio == 0


def test_what_the_profile_does_not_tell_of_is_not_counted(device: Device, runtime: DeviceRuntime) -> None:
    assert error_of([], device, runtime) is None
    bare = replace(device, performance=())
    assert estimated_s(FOUND.measured[0].nets[0], bare, runtime) is None
    assert error_of(FOUND.measured[0].nets, bare, runtime) is None


def test_nodes_that_only_rename_bytes_cost_what_every_node_costs(device: Device, runtime: DeviceRuntime) -> None:
    net = FOUND.measured[0].nets[0]
    one, two = (estimated_s(replace(net, renaming=n), device, runtime) for n in (0, 10))
    per_kernel = device.performance[0].per_kernel_s
    assert one is not None and two is not None and per_kernel is not None and per_kernel.value
    assert two - one == pytest.approx(10 * per_kernel.value)
