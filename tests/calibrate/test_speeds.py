"""Speeds of kernels whose work and seconds are round numbers."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from effaudit.calibrate.measure import NetSample, Sample
from effaudit.calibrate.speeds import LONG_S, activation_byte_per_s, peak_mac_per_s, rates, weight_byte_per_s
from effaudit.device.types import OpClass
from effaudit.estimate.terms import Caches
from effaudit.estimate.types import Kernel, Pattern, Touch
from effaudit.quantity import Quantity

MB = 10**6
CACHES = Caches(1.0 * MB, 10.0 * MB)
BLANK = Pattern("", (), 1, 0, 0, 1, 1, 0, ())


def exact(n: int) -> Quantity:
    return Quantity(n, n)


def sample(
    seconds: float,
    macs: int = 0,
    op_class: OpClass = "conv",
    dtype: str = "float32",
    kind: str = "conv",
    ops: int = 0,
    touches: tuple[Touch, ...] = (),
) -> Sample:
    zero = exact(0)
    made = Kernel(0, "n", "Conv", op_class, dtype, exact(macs), exact(ops), zero, zero, zero, exact(7))
    return Sample(replace(made, pattern=replace(BLANK, kind=kind, touches=touches)), seconds)


def net(*samples: Sample) -> tuple[NetSample, ...]:
    return (NetSample("net", 1.0, samples, 0),)


def test_the_rate_of_a_class_is_that_of_its_middle_kernel() -> None:
    found = rates(net(*(sample(1e-3, n * MB) for n in (1, 5, 2)), sample(1e-3, op_class="softmax", ops=9)), "float32")
    unit, speed = found["conv"]
    assert (unit, speed.value, speed.low, speed.high, speed.count) == ("mac_per_s", 2e9, 1e9, 5e9, 3)
    assert set(found) == {"conv"}, "one kernel tells no rate"


def test_short_kernels_and_other_types_tell_nothing() -> None:
    long, short = [sample(1e-3, MB)] * 3, [sample(LONG_S / 2, MB)] * 3
    assert rates(net(*long, *short), "float32")["conv"][1].count == 3
    assert rates(net(*long), "int8") == {} and peak_mac_per_s(net(*short), "float32") is None


def test_a_class_without_products_counts_operations_or_what_it_writes() -> None:
    found = rates(
        net(*[sample(1e-3, op_class="softmax", ops=1000)] * 3, *[sample(1e-3, op_class="movement")] * 3), "float32"
    )
    assert found["softmax"][0] == found["movement"][0] == "op_per_s"
    assert (found["softmax"][1].value, found["movement"][1].value) == (pytest.approx(1e6), pytest.approx(7e3))


def test_the_peak_is_no_slip_of_a_clock() -> None:
    speeds = (1, 2, 3, 4, 900)
    assert peak_mac_per_s(net(*(sample(1e-3, n * MB) for n in speeds)), "float32") == 3e9
    assert peak_mac_per_s(net(*[sample(1e-3)] * 5), "float32") is None


def test_weights_are_read_from_beyond_the_caches() -> None:
    far = Touch("weight", 50 * MB, 100 * MB)
    near = Touch("weight", 50 * MB, 5 * MB)
    rows = [sample(1e-2, MB, kind="matmul row", touches=(far,))] * 3
    found = weight_byte_per_s(net(*rows), CACHES)
    assert found is not None and found.value == pytest.approx(5e9)
    assert weight_byte_per_s(net(*[sample(1e-2, MB, kind="matmul row", touches=(near,))] * 3), CACHES) is None
    assert weight_byte_per_s(net(*[sample(1e-2, MB, kind="matmul", touches=(far,))] * 3), CACHES) is None


@pytest.mark.parametrize(("distance", "far"), [(100 * MB, True), (8 * MB, False)])
def test_activations_are_read_from_where_they_are(distance: int, far: bool) -> None:
    touches = (Touch("read", 4 * MB, distance), Touch("write", 4 * MB, distance))
    adds = net(*[sample(1e-3, op_class="elementwise", kind="Add", touches=touches)] * 3)
    found = activation_byte_per_s(adds, CACHES, far=far)
    assert found is not None and found.value == pytest.approx(8e9)
    assert activation_byte_per_s(adds, CACHES, far=not far) is None
