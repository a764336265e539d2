"""How much a kernel has of each term, counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effaudit.device.types import KernelCost
from effaudit.estimate.terms import COMPUTE, NO_CACHES, TERMS, Caches, amounts, caches_of
from effaudit.estimate.types import Touch
from tests.estimate.measured import host, kernel

NEAR, FAR = 1000, 10_000
CACHES = Caches(float(NEAR), float(FAR))


def test_terms_are_the_fields_of_a_cost() -> None:
    assert ("kind", *TERMS, "rows_count") == KernelCost.__struct_fields__
    assert set(amounts(kernel(), NO_CACHES)) == set(TERMS) and COMPUTE < set(TERMS)


def test_by_hand() -> None:
    touches = (Touch("weight", 400, 1 << 60), Touch("read", 100, 10), Touch("write", 50, None))
    found = amounts(
        kernel(macs=640, outputs=20, touches=touches, columns=16, runs=5, scratch=7, batches=3, steps=2, fed=11), CACHES
    )
    assert found == pytest.approx(
        {
            "launch_s": 1,
            "mac_s": 640,
            "load_s": 40,
            "op_s": 0,
            "fed_s": 11,
            "output_s": 20,
            "run_s": 5,
            "scratch_s": 7,
            "batch_s": 3,
            "step_s": 2,
            "weight_byte_s": 400,
            "near_weight_byte_s": 400,
            "far_weight_byte_s": 400,
            "near_byte_s": 50,
            "far_byte_s": 50,
        }
    )


def test_operations_count_where_there_are_no_products() -> None:
    assert amounts(kernel(ops=9), CACHES)["op_s"] == 9
    assert amounts(kernel(ops=9, macs=1), CACHES)["op_s"] == 0


def test_no_more_columns_are_worked_on_together_than_there_are_registers_for() -> None:
    assert amounts(kernel(macs=6400, columns=64), CACHES)["load_s"] == 100
    assert amounts(kernel(macs=6400, columns=1000), CACHES)["load_s"] == 100


def test_a_recurrent_matrix_counts_once_as_products_and_in_every_step_as_bytes() -> None:
    touches = (Touch("weight", 400, 1 << 60), Touch("again", 3600, 400))
    found = amounts(kernel(op_class="recurrent", macs=1000, touches=touches), Caches(100.0, 200.0))
    assert found["weight_byte_s"] == pytest.approx(4000)
    assert found["mac_s"] == pytest.approx(1000 - 900)
    assert found["near_weight_byte_s"] == pytest.approx(400 + 3600 * 3 / 4)


@given(distance=st.integers(0, 10**6), cache=st.floats(0, 10**6), more=st.floats(1, 10))
def test_a_larger_cache_loses_no_more(distance: int, cache: float, more: float) -> None:
    one = kernel(touches=(Touch("read", 100, distance),))
    small, large = (amounts(one, Caches(size, size))["near_byte_s"] for size in (cache, cache * more))
    assert 0 <= large <= small <= 100
    assert small == 0 or cache < distance


@given(far=st.integers(0, 10**6), touched=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 10**7)), max_size=5))
def test_what_comes_from_beyond_all_caches_comes_from_beyond_the_first(
    far: int, touched: list[tuple[int, int]]
) -> None:
    found = amounts(kernel(touches=tuple(Touch("weight", *one) for one in touched)), Caches(far / 3, far))
    assert found["far_weight_byte_s"] <= found["near_weight_byte_s"] <= found["weight_byte_s"]


def test_what_was_never_touched_is_in_no_cache() -> None:
    found = amounts(kernel(touches=(Touch("read", 100, None),)), Caches(1e12, 1e12))
    assert (found["near_byte_s"], found["far_byte_s"]) == (100, 100)


def test_a_kernel_without_a_pattern_has_no_amounts() -> None:
    from msgspec.structs import replace

    with pytest.raises(AssertionError):
        amounts(replace(kernel(), pattern=None), CACHES)


def test_caches_are_those_of_the_cores_at_work(tmp_path: Path) -> None:
    engines = [{"name": "cpu", "kind": "simd", "cores": 4}]
    on = host(tmp_path, near=NEAR, far=FAR)
    assert caches_of(on, on.engines[0]) == CACHES
    many = host(tmp_path, near=NEAR, far=FAR, engines=engines)
    assert caches_of(many, many.engines[0]) == Caches(4.0 * NEAR, FAR)
    crowded = host(tmp_path, near=NEAR, far=2 * NEAR, engines=engines)
    assert caches_of(crowded, crowded.engines[0]) == Caches(4.0 * NEAR, 4.0 * NEAR)
    bare = host(tmp_path)
    assert caches_of(bare, bare.engines[0]) == NO_CACHES
