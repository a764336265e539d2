"""Energies: the table against its source, and each basis against its formula."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effaudit.device.dtypes import BITS, DTYPES
from effaudit.device.types import Device, Fact, Memory, Region
from effaudit.energy import horowitz
from effaudit.energy.estimate import energy, measured, powered
from effaudit.energy.operations import of_operations
from effaudit.energy.types import GRID_G_PER_KWH, Circumstances
from effaudit.estimate.memories import Share
from effaudit.estimate.types import NOTHING, Kernel, Seconds
from effaudit.quantity import Quantity
from tests.profiles import device, document

TABLE = Path(__file__).parents[3] / "shared" / "reference" / "energy.csv"
TIME = Seconds(0.5, 0.4, 0.8, "test")


def kernel(macs: int, ops: int = 0, dtype: str = "int8", weights: int = 0, moved: int = 0) -> Kernel:
    exact = [Quantity(n, n) for n in (macs, ops, weights, moved)]
    return Kernel(0, "node", "Conv", "conv", dtype, *exact, NOTHING, NOTHING)


def on(folder: Path, **energies: Any) -> Device:
    return device(folder, document(energy=energies))


@pytest.mark.skipif(not TABLE.exists(), reason="the table of energies is not here")
def test_the_table_is_its_sources() -> None:
    rows = {
        r["operation"]: float(r["energy_pj"])
        for r in csv.DictReader(TABLE.read_text().splitlines())
        if "horowitz" in r["table"]
    }
    assert {f"{name.replace('float', 'fp')}_add": pj for name, pj in horowitz.ADD_PJ.items()}.items() <= rows.items()
    assert {f"{n.replace('float', 'fp')}_mul": pj for n, pj in horowitz.MULTIPLY_PJ.items()}.items() <= rows.items()
    sizes = {"cache_8KB_read": 8 * 1024, "cache_32KB_read": 32 * 1024, "cache_1MB_read": 1024**2}
    assert {name: horowitz.SRAM_PJ_PER_64_BITS[size] for name, size in sizes.items()}.items() <= rows.items()
    assert horowitz.DRAM_PJ_PER_64_BITS[0] == rows["dram_access"]


def test_a_mac_is_a_product_and_a_sum() -> None:
    assert horowitz.mac_pj("float32") == pytest.approx(4.6)
    assert horowitz.mac_pj("int8") == pytest.approx(0.3), "added up in 32 bits"
    assert horowitz.mac_pj("uint8") == horowitz.mac_pj("int8")
    assert horowitz.mac_pj("int4") is None


@pytest.mark.parametrize(("size", "pj"), [(1, 10), (8 * 1024, 10), (8 * 1024 + 1, 20), (2**20, 100), (2**30, 100)])
def test_an_access_costs_as_much_as_its_array(size: int, pj: float) -> None:
    assert horowitz.sram_pj_per_byte(size) == pj / 8


def test_what_a_board_was_measured_at(tmp_path: Path) -> None:
    """MLPerf Tiny v1.2, ResNet8 on the NUCLEO-L4R5ZI: 6919.375 uJ for 12,501,632 MACs."""
    board = on(tmp_path, system_pj_per_mac={"int8": 6919.375e-6 / 12_501_632 * 1e12})
    found = measured(board.energy, [kernel(12_501_632)])
    assert found.value == pytest.approx(6919.375e-6)
    assert "whole board" in found.how


def test_a_type_that_was_not_measured_has_no_energy(tmp_path: Path) -> None:
    found = measured(on(tmp_path, system_pj_per_mac={"int8": 5}).energy, [kernel(10), kernel(10, dtype="float32")])
    assert found.value is None and "float32" in found.why


@given(st.floats(0.01, 1), st.floats(1, 3), st.floats(0.1, 1000))
def test_power_times_time(use: float, pue: float, watts: float) -> None:
    profile = _energy(watts)
    found = powered(profile, TIME, Circumstances(utilisation=use, pue=pue))
    assert found.value == pytest.approx(watts * use * pue * 0.5)
    assert found.low == pytest.approx(watts * use * pue * 0.4) and found.high == pytest.approx(watts * use * pue * 0.8)


def _energy(watts: float) -> Any:
    from effaudit.device.types import Energy, Fact

    return Energy(tdp_w=Fact(watts, "W", "test", "measured"))


def test_a_power_without_a_time_is_no_energy(tmp_path: Path) -> None:
    found = powered(on(tmp_path, tdp_w=10).energy, Seconds(None, 0.1, None, "no efficiency"), Circumstances())
    assert found.value is None and found.low == 0 and found.high is None


def test_a_tdp_bounds_from_above(tmp_path: Path) -> None:
    """It can pass a limit, never fail one: a device draws at least what it draws when idle."""
    assert powered(on(tmp_path, tdp_w=10).energy, TIME, Circumstances()).low == 0
    assert powered(on(tmp_path, tdp_w=10, idle_w=1).energy, TIME, Circumstances()).low == pytest.approx(0.4)
    assert powered(on(tmp_path, tdp_w=10).energy, TIME, Circumstances(utilisation=0.5)).low == pytest.approx(2.0)
    assert powered(on(tmp_path, active_w=10).energy, TIME, Circumstances()).low == pytest.approx(4.0)


BOUNDED = {"value": 0.04195, "low": 0.03873, "high": 0.04383}


def test_the_range_of_a_power_goes_with_that_of_the_time(tmp_path: Path) -> None:
    """The least power for the least time, the most for the most."""
    found = powered(on(tmp_path, active_w=BOUNDED).energy, TIME, Circumstances(utilisation=0.5, pue=2.0))
    assert found.value == pytest.approx(0.04195 * 0.5)
    assert found.low == pytest.approx(0.03873 * 0.4) and found.high == pytest.approx(0.04383 * 0.8)
    assert "0.04195 (0.03873 .. 0.04383) W" in found.how
    tdp = powered(on(tmp_path, tdp_w={"value": 350, "low": 300, "high": 400}).energy, TIME, Circumstances())
    assert tdp.low == 0 and tdp.high == pytest.approx(400 * 0.8)
    idle = on(tmp_path, tdp_w=10, idle_w={"value": 2, "low": 1}).energy
    assert powered(idle, TIME, Circumstances()).low == pytest.approx(1 * 0.4)


def test_the_range_of_what_networks_took_per_mac(tmp_path: Path) -> None:
    """GAP9: 3.2 pJ/MAC of one network, 27.6 of another."""
    board = on(tmp_path, system_pj_per_mac={"int8": {"value": 3.228, "low": 3.228, "high": 27.61}})
    found = measured(board.energy, [kernel(10**12)])
    assert (found.low, found.value, found.high) == pytest.approx((3.228, 3.228, 27.61))


@pytest.mark.parametrize(
    ("fact", "low", "high", "said"),
    [
        ({"value": 5}, 0.0, None, "least and most of other networks not known"),
        ({"value": 5, "low": 4}, 4.0, None, ", most of other networks not known"),
        ({"value": 5, "high": 6}, 0.0, 6.0, ", least of other networks not known"),
    ],
)
def test_one_network_bounds_no_other(
    tmp_path: Path, fact: dict[str, float], low: float, high: float | None, said: str
) -> None:
    found = measured(on(tmp_path, system_pj_per_mac={"int8": fact}).energy, [kernel(10**12)])
    assert found.value == pytest.approx(5) and found.low == pytest.approx(low) and found.high == high
    assert said in found.how


# ---- the table of operations
def memory(kind: str = "ram", **more: Any) -> Memory:
    fact = {name: Fact(value, "", "test", "measured") for name, value in more.items() if not isinstance(value, tuple)}
    return Memory("m", kind, regions=more.get("regions", ()), **fact)  # type: ignore[arg-type]


def region(size: int | None) -> Region:
    return Region("r", Fact(size, "B", "test", "vendor", note="test"))


@pytest.mark.parametrize(
    ("where", "pj"),
    [
        (memory(size_bytes=8192), 10 / 8),
        (memory(regions=(region(8192), region(8192))), 20 / 8),
        (memory("scratchpad", regions=(region(2**20),)), 100 / 8),
        (memory("dram"), 1300 / 8),
        (memory("flash", size_bytes=2**20, read_energy_pj_per_byte=3.0), 3.0),
    ],
)
def test_a_byte_costs_as_much_as_its_memory(where: Memory, pj: float) -> None:
    found = of_operations(None, [kernel(0, weights=1000, moved=0)], [Share(where, 1.0)], None)
    assert found.value == pytest.approx(1000 * pj * 1e-12)
    moved = of_operations(None, [of_bytes(1000)], (), where)
    assert moved.value == pytest.approx(1000 * pj * 1e-12)


def of_bytes(read: int) -> Kernel:
    return msgspec.structs.replace(kernel(0), read_bytes=Quantity(read, read))


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (memory("flash", size_bytes=2**20), "no energy of a byte of m is known; read_energy_pj_per_byte states it"),
        (memory("link"), "no energy of a byte of m is known"),
        (memory(), "the size of m is not known"),
        (memory(regions=(region(None), region(8192))), "the size of m is not known"),
        (None, "the profile names no memory of the weights"),
    ],
)
def test_a_byte_of_which_nothing_is_known_is_not_free(where: Memory | None, said: str) -> None:
    shares = () if where is None else (Share(where, 1.0),)
    found = of_operations(None, [kernel(10**6, weights=1000)], shares, None)
    assert found.value is None and found.high is None and said in found.why
    assert found.low == pytest.approx(0.3e-6), "that of the products"
    assert "weights" not in found.parts and found.parts["multiply-accumulates"] == pytest.approx(0.3e-6)
    free = of_operations(None, [kernel(10**6)], shares, where)
    assert free.value == pytest.approx(0.3e-6), "nothing lies there"


def test_each_product_reads_its_weight_again_at_the_most() -> None:
    ram = memory(size_bytes=8192)
    for dtype, size in (("int8", 1), ("bfloat16", 2), ("float32", 4), ("tfloat32", 4)):
        found = of_operations(None, [kernel(10**6, dtype=dtype, weights=4000)], [Share(ram, 1.0)], None)
        assert found.value is not None and found.high is not None
        assert found.high - found.value == pytest.approx((10**6 * size - 4000) * 10 / 8 * 1e-12)


@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_no_operation_is_free(dtype: str) -> None:
    """At its own price, bounded by a wider type's, or said to be missing; never a silent zero."""
    found = of_operations(None, [kernel(0, ops=10**6, dtype=dtype)], (), None)
    assert found.value is not None and found.low is not None
    if found.high is None:
        assert f"without operations of {dtype}, whose energy is not known" in found.how
        assert found.value == 0 and BITS[dtype] == 64
        return
    assert found.low <= found.value == found.high > 0
    if found.low == 0:
        wider = horowitz.WIDER[dtype]
        assert BITS[wider] >= BITS[dtype] and f"operations of {dtype} as {wider}, at the most" in found.how
        assert found.parts["operations as a wider type"] == found.value


def test_the_profiles_own_energies_with_their_range(tmp_path: Path) -> None:
    own = {"mac_pj": {"int8": {"value": 2, "low": 1, "high": 4}}, "op_pj": {"int8": {"value": 20, "low": 10}}}
    found = of_operations(on(tmp_path, **own).energy, [kernel(10**12, 10**12)], (), None)
    assert (found.low, found.value, found.high) == pytest.approx((11, 22, 24))


def test_the_table_of_operations_decides_nothing(tmp_path: Path) -> None:
    """Two to three orders below a board's: it is never the energy of a model."""
    report = energy(on(tmp_path), [kernel(10**6)], TIME, (), None, Circumstances())
    assert report.chosen is None and report.best is None and report.carbon_kg is None
    assert next(j for j in report.joules if j.basis == "operations").value == pytest.approx(0.3e-6)


def test_the_power_of_the_board_follows_the_runtime(tmp_path: Path) -> None:
    """Joules per MAC were measured under one runtime; a slower one takes more."""
    report = energy(
        on(tmp_path, system_pj_per_mac={"int8": 100}, active_w=2), [kernel(10**6)], TIME, (), None, Circumstances()
    )
    assert report.chosen == "power" and report.best is not None and report.best.value == pytest.approx(1.0)
    untimed = Seconds(None, 0.1, None, "no efficiency")
    report = energy(
        on(tmp_path, system_pj_per_mac={"int8": 100}, active_w=2), [kernel(10**6)], untimed, (), None, Circumstances()
    )
    assert report.chosen == "measured"


def test_measured_goes_before_power(tmp_path: Path) -> None:
    report = energy(
        on(tmp_path, system_pj_per_mac={"int8": 100}, tdp_w=10),
        [kernel(10**6, 10**5)],
        TIME,
        (),
        None,
        Circumstances(price_per_kwh=0.2, battery_j=10.0),
    )
    assert report.chosen == "measured" and report.best is not None
    joules = report.best.value
    assert joules == pytest.approx(1e-4)
    assert report.carbon_kg == pytest.approx(joules / 3.6e6 * GRID_G_PER_KWH / 1000)
    assert any("475" in note and "--grid" in note for note in report.notes), "a default is named"
    assert report.cost == pytest.approx(joules / 3.6e6 * 0.2)
    assert report.inferences_per_battery == pytest.approx(1e5)
    assert report.battery_s == pytest.approx(0.5e5)
    assert report.inferences_per_j == pytest.approx(1e4)
    assert report.ops_per_w == pytest.approx((2 * 10**6 + 10**5) / 1e-4)


def test_a_price_has_no_default(tmp_path: Path) -> None:
    report = energy(on(tmp_path, tdp_w=10), [kernel(10)], TIME, (), None, Circumstances())
    assert report.cost is None
    assert len(report.notes) == 3, "grid, utilisation and PUE are named as assumed"


def test_the_battery_of_the_profile(tmp_path: Path) -> None:
    whole = document(energy={"tdp_w": 10}, battery={"capacity_mah": 1000, "voltage_v": 3.7})
    report = energy(device(tmp_path, whole), [kernel(10)], TIME, (), None, Circumstances())
    assert report.inferences_per_battery == pytest.approx(1000 * 3.6 * 3.7 / 5)
