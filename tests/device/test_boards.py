"""Profiles of microcontroller boards and embedded accelerators against figures published elsewhere."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest

from effaudit.audited import examine
from effaudit.device.contiguous import largest_contiguous, total_size
from effaudit.device.find import find
from effaudit.device.types import Device, Fact
from effaudit.estimate.latency import latency, setting
from effaudit.estimate.types import Kernel, Latency
from effaudit.estimate.work import kernels
from effaudit.quantity import Quantity
from effaudit.runtimes import find as runtime_named

KIB = 1024


@cache
def executed(sample: str, rules: str) -> tuple[Kernel, ...]:
    return tuple(kernels(runtime_named(rules).lower(examine(f"sample:{sample}-int8").graph)))


def timed(device: Device, work: tuple[Kernel, ...]) -> Latency:
    weights = sum(one.weight_bytes.high or 0 for one in work)
    return latency(work, setting(device, device.runtimes[0], weights, 0))


def estimated(name: str, sample: str) -> float:
    device = find(name)
    seconds = timed(device, executed(sample, device.runtimes[0].rules)).total.value
    assert seconds is not None
    return seconds


# Devicetrees of Zephyr (stm32f746.dtsi, stm32h743.dtsi, stm32h7a3.dtsi, nrf52840_qiaa.dtsi), the CMSIS pack of the
# STM32U5, memmap_default.ld of the Pico SDK, docs/AHBAddresses.md of ai8x-synthesis.
@pytest.mark.parametrize(
    ("name", "memory", "contiguous", "total"),
    [
        ("stm32f746", "sram", 320 * KIB, 320 * KIB),
        ("stm32h743", "sram", 512 * KIB, 992 * KIB),
        ("stm32h7a3", "sram", 1024 * KIB, 1312 * KIB),
        ("stm32u575", "sram", 768 * KIB, 768 * KIB),
        ("rp2040", "sram", 264 * KIB, 264 * KIB),
        ("nrf52840", "sram", 256 * KIB, 256 * KIB),
        ("max78000", "cnn_weights", 442_368, 442_368),
        ("max78000", "cnn_data", 512 * KIB, 512 * KIB),
    ],
)
def test_the_largest_contiguous_range_is_that_of_the_memory_map(
    name: str, memory: str, contiguous: int, total: int
) -> None:
    found = next(one for one in find(name).memories if one.name == memory)
    assert (largest_contiguous(found), total_size(found)) == (contiguous, total)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("cortex-m0plus", "st-nucleo-g0b1re"),
        ("cortex-m4", "st-nucleo-l4r5zi"),
        ("cortex-m7", "st-nucleo-h743zi"),
        ("Cortex-M7/STM32H743", "st-nucleo-h743zi"),
        ("cortex-m33", "st-nucleo-u575zi-q"),
        ("cortex-m85", "renesas-ek-ra8d1"),
        ("ethos-u55", "arm-corstone-300"),
        ("NUCLEO_L4R5ZI", "st-nucleo-l4r5zi"),
        ("DISCO_F746NG", "st-stm32f746-disco"),
    ],
)
def test_the_name_of_a_core_is_one_board(alias: str, name: str) -> None:
    assert find(alias).name == name


def with_macs(device: Device, per_cycle: int) -> Device:
    """The device with another configuration of its NPU."""
    npu = device.engines[0]
    fact = Fact(per_cycle, "MAC/cycle", npu.peaks["int8"].dense_mac_per_cycle.source, "vendor")  # type: ignore[union-attr]
    peak = msgspec.structs.replace(npu.peaks["int8"], dense_mac_per_cycle=fact)
    changed = msgspec.structs.replace(npu, peaks={**npu.peaks, "int8": peak})
    return msgspec.structs.replace(device, engines=(changed, *device.engines[1:]))


@pytest.mark.parametrize("macs", [32, 64, 128, 256])
def test_the_autoencoder_is_bound_by_flash_on_an_ethos_u55_of_any_size(macs: int) -> None:
    """Vela 5.2.0 gives 0.402 ms for 64, 128 and 256 MAC/cycle alike: it compresses the weights by a quarter."""
    device = with_macs(find("ethos-u55"), macs)
    work = executed("ad", device.runtimes[0].rules)
    found = timed(device, work)
    products = [one for one in found.kernels if one.kernel.macs.low]
    assert {(one.limiter, one.memory) for one in products} == {("memory", "flash")}
    assert found.total.value == pytest.approx(sum(one.weight_bytes.low for one in work) / 500e6, rel=0.02)


# Vela 5.2.0: --accelerator-config ethos-u55-128 --system-config Ethos_U55_High_End_Embedded --memory-mode Shared_Sram.
@pytest.mark.parametrize(("sample", "milliseconds"), [("ad", 0.402), ("ic", 0.403), ("kws", 0.180), ("vww", 0.442)])
def test_the_estimate_is_near_that_of_vela(sample: str, milliseconds: float) -> None:
    """The weights of the vww model are four fifths zeros, which Vela compresses most."""
    assert 0.8 < 1e3 * estimated("arm-corstone-300", sample) / milliseconds < 1.5


# MLPerf Tiny v1.0 (xG24, GAP9) and v1.2 (NDP120): inferences per second.
@pytest.mark.parametrize(
    ("name", "per_second"),
    [
        ("silabs-xg24", {"ad": 184.230, "ic": 8.269, "kws": 27.563, "vww": 8.960}),
        ("gap9", {"ad": 5691.597, "ic": 1622.799, "kws": 2103.206, "vww": 889.048}),
        ("ndp120", {"ic": 195.238, "kws": 675.024, "vww": 243.883}),
    ],
)
def test_an_accelerator_that_was_measured_comes_out_as_measured(name: str, per_second: dict[str, float]) -> None:
    ratios = [estimated(name, sample) * speed for sample, speed in per_second.items()]
    assert all(0.8 < ratio < 1.25 for ratio in ratios), ratios


def convolution(channels: int, out: int, side: int) -> Kernel:
    """3x3, padded, int8."""
    outputs, exact = out * side * side, lambda n: Quantity(n, n)
    return Kernel(
        0,
        "conv",
        "Conv",
        "conv",
        "int8",
        exact(9 * channels * outputs),
        exact(0),
        exact(9 * channels * out),
        exact(channels * side * side),
        exact(outputs),
        exact(outputs),
        channels=(channels, out),
    )


# ai8x-synthesis: cycles asserted in izer/test/test_cycles.py (3 -> 64 channels), as izer/latency.py gives (the others).
@pytest.mark.parametrize(
    ("channels", "out", "side", "cycles"), [(3, 64, 32, 67_981), (64, 64, 32, 67_980), (128, 64, 16, 34_132)]
)
def test_a_convolution_on_the_max78000_takes_the_cycles_of_its_maker(
    channels: int, out: int, side: int, cycles: int
) -> None:
    found = timed(find("max78000"), (convolution(channels, out, side),)).total.value
    assert found == pytest.approx(cycles / 50e6, rel=0.05)
