"""The caches that a machine leaves to tensors, found from times that they were planted in."""

from __future__ import annotations

import pytest

from effaudit.calibrate.caches import effective, stated
from effaudit.estimate.terms import Caches
from tests.calibrate.planted import sampled, small

KIB, MIB = 1024, 1 << 20
OWN, LAST = 256 * KIB, 16 * MIB


@pytest.mark.parametrize("share", [1.0, 0.25, 0.125])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_planted_last_level_is_found(share: float, threads: int) -> None:
    near = effective(sampled(small(2000)), {"L2": OWN, "L3": LAST}, 1).near_bytes
    planted = Caches(near * threads, LAST * share)
    found = effective(sampled(small(1_500_000), planted), {"L2": OWN, "L3": LAST}, threads)
    assert planted.far_bytes / 1.5 <= found.far_bytes <= planted.far_bytes * 1.5
    assert 0 < found.near_bytes <= OWN


def test_what_the_system_states_is_taken_and_the_rest_is_what_most_machines_have() -> None:
    assert stated({"L1d": 32 * KIB, "L2": OWN, "L3": LAST}) == (OWN, LAST)
    assert stated({"L1d": 32 * KIB, "L3": LAST}) == (32 * KIB, LAST)
    own, last = stated({})
    assert 0 < own < last
    assert stated({"L2": OWN})[0] == OWN and stated({"L2": OWN})[1] > OWN
    assert stated({"L2": 64 * MIB, "L3": LAST}) == (64 * MIB, 64 * MIB)
