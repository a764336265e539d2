"""The fit of GPUs: it finds the numbers that made its samples, never sees the board it is held against, and says what
the profiles say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.latency import gpu_profiles
from benchmarks.latency.gpu import GPU, gpus, interval_factor, law_of, place_of_row, places, sample_of, scored, used
from benchmarks.latency.gpu_model import MIB, START, Board, Law, Sample, fit, seconds
from benchmarks.latency.gpu_work import CLASSES, kernels
from benchmarks.latency.rows import ROWS, Row, read, row
from effaudit.device.read import read_device
from effaudit.device.types import Device, Performance
from effaudit.estimate.latency import latency, setting

PROFILES = Path(__file__).resolve().parents[2] / "device_profiles"
TRUE = Law({**START, "conv": 0.85, "depthwise": 0.02, "fully_connected": 0.6, "launch_cycles": 7e3, "needed_w": 2.0})
BOARDS = (
    Board(130e12, 320e9, 1.6e9, 70.0, cache_bytes=4 * MIB),
    Board(36e12, 200e9, 1.8e9, 60.0, cache_bytes=2 * MIB),
    Board(624e12, 2039e9, 1.4e9, 400.0, cache_bytes=40 * MIB),
    Board(242e12, 300e9, 2.0e9, 72.0, cache_bytes=48 * MIB),
)
UNSEEN = Board(330e12, 933e9, 1.44e9, 165.0, cache_bytes=24 * MIB)
NETWORKS = ("resnet50", "ssd-mobilenet")
needs_rows = pytest.mark.skipif(not ROWS.exists(), reason="the published measurements are not there")


def samples(law: Law, boards: Sequence[Board]) -> list[Sample]:
    found = []
    for board in boards:
        for network in NETWORKS:
            for batch in (1, 256):
                made = Sample(network, "int8", batch, board, batch > 1, 1.0)
                found.append(msgspec.structs.replace(made, seconds=seconds(law, made)))
    return found


def test_fit_finds_what_made_the_samples() -> None:
    law = fit(samples(TRUE, BOARDS), held=("older_needed", "older_cycles", "dla", "grouped", "bandwidth"))
    for name in ("conv", "depthwise", "launch_cycles"):
        assert law.values[name] == pytest.approx(TRUE.values[name], rel=0.1), name
    for sample in samples(TRUE, [UNSEEN]):
        assert seconds(law, sample) == pytest.approx(sample.seconds, rel=0.03)


def test_what_is_held_stays() -> None:
    law = fit(samples(TRUE, BOARDS[:1]), held=("conv", "bandwidth"))
    assert (law.values["conv"], law.values["bandwidth"]) == (START["conv"], START["bandwidth"])


def test_power_limits_the_clock_of_products_only() -> None:
    rich = msgspec.structs.replace(UNSEEN, watts=1e9)
    assert TRUE.sustained(rich) == pytest.approx(1, rel=1e-3)
    assert TRUE.sustained(msgspec.structs.replace(UNSEEN, watts=None)) == 1
    assert TRUE.sustained(UNSEEN) == pytest.approx((0.5 / (0.5 + 2.0)) ** (1 / 3))
    alone = Sample("resnet50", "int8", 1, UNSEEN, False, 1.0)
    launches = sum(
        kernel.op_class not in ("elementwise", "movement", "softmax") for kernel in kernels("resnet50", "int8", 1)
    )
    assert seconds(TRUE, alone) > launches * TRUE.cycles(UNSEEN) / UNSEEN.clock_hz


def test_dlas_share_the_samples_of_a_batch() -> None:
    board = msgspec.structs.replace(UNSEEN, dla_op_per_s=100e12)
    alone, shared = (Sample("resnet50", "int8", 256, board, every, 1.0) for every in (False, True))
    macs = sum(kernel.macs.high or 0 for kernel in kernels("resnet50", "int8", 1))
    beside = 2 * macs / (0.4 * 100e12)
    assert seconds(TRUE, shared) == pytest.approx(1 / (1 / seconds(TRUE, alone) + 1 / beside), rel=1e-3)


def published(device: str, network: str, milliseconds: float, batch: int = 1, wrote: str = "x1_TRT") -> Row:
    columns = dict.fromkeys(Row.__struct_fields__, "") | dict.fromkeys(
        ("device_class", "clock_mhz", "model", "precision", "value", "unit", "statistic", "energy_uj_per_inf"), ""
    )
    return row(
        columns
        | {"device": device, "runtime": f"{device}{wrote}", "model": network, "precision": "int8", "batch": str(batch)}
        | {"metric": "latency", "value": str(milliseconds), "unit": "ms"}
    )


# MLPerf Inference v1.1 and v3.0, SingleStream: github.com/mlcommons/inference_results_v1.1, _v3.0
MEASURED = (("nvidia-t4", 0.8124, 0.498), ("nvidia-a30", 0.5145, 0.3127), ("nvidia-a100-80gb-sxm", 0.4628, 0.2879))


def rows_of(factor: dict[str, float]) -> list[Row]:
    return [
        published(device, network, factor.get(device, 1.0) * value)
        for device, *values in MEASURED
        for network, value in zip(NETWORKS, values, strict=True)
    ]


def test_a_board_is_never_seen_by_its_own_estimate() -> None:
    plain, slower = scored(rows_of({})), scored(rows_of({"nvidia-a30": 10.0}))
    assert len(plain) == len(slower) == 6 and all(one.known for one in plain)
    for one, other in zip(plain, slower, strict=True):
        same = (one.predicted, one.low, one.high) == (other.predicted, other.low, other.high)
        assert same == (one.row.device == "nvidia-a30")


def test_rows_of_several_gpus_count_as_one() -> None:
    wrote = ("A30x10_TRT", "A30x1_R4950G6_TRT", "DGX-A100_A100-SXM-80GB-MIG_1x1g.10gb_TRT", "G5500V7_A30x10_TRT")
    named = [msgspec.structs.replace(published("nvidia-a30", "resnet50", 1.0), wrote=text) for text in wrote]
    assert [gpus(one) for one in named] == [10, 1, 1, 10]
    assert sample_of(named[0]).seconds == pytest.approx(10e-3)


def test_boards_are_found_by_any_of_their_names() -> None:
    written = ("jetson-agx-orin", "nvidia-a10", "jetson-orin-nx-16gb", "nvidia-orin-nx")
    found = [place_of_row(published(one, "resnet50", 1.0)) for one in written]
    names = [None if place is None else place.name for place in found]
    assert names == ["nvidia-jetson-agx-orin-64gb", "nvidia-a10", *["nvidia-jetson-orin-nx-16gb"] * 2]
    assert place_of_row(published("2x intel-xeon-ice-lake", "resnet50", 1.0)) is places()["intel-xeon-ice-lake"]
    assert not used([published("a board nobody knows", "resnet50", 1.0)])


def test_interval_holds_nine_of_ten() -> None:
    errors = [0.01 * i * (-1) ** i for i in range(1, 11)]
    assert interval_factor(errors) == pytest.approx(np.exp(0.09))


def device(name: str) -> Device:
    return read_device(PROFILES / f"{name}.yaml", lambda base, _: str(PROFILES / f"{base}.yaml"))


def int8_of(found: Device) -> Performance:
    return next(entry for entry in found.performance if (entry.dtype, entry.engine) == ("int8", "gpu"))


def stated(fact: object) -> float:
    number = getattr(fact, "value", None)
    assert isinstance(number, int | float)
    return float(number)


@pytest.mark.parametrize("network", [*NETWORKS, "retinanet"])
@pytest.mark.parametrize("batch", [1, 16])
def test_estimates_from_the_profile_are_those_of_the_fit(network: str, batch: int) -> None:
    """The formula that is fitted is the one that estimates use."""
    found = device("nvidia-a30")
    entry, board = int8_of(found), places()["nvidia-a30"].boards["int8"]
    values = {name: stated(entry.rates[name].fraction_of_peak) for name in CLASSES}
    crossing = stated(entry.activation_fraction)
    law = Law(
        {**START, **values, "bandwidth": stated(entry.bandwidth_fraction), "cache_mib": 1.0}
        | {"launch_cycles": stated(entry.per_kernel_cycles)}
    )
    plain = msgspec.structs.replace(board, watts=None, cache_bytes=(1 / crossing - 1) * MIB)
    told = seconds(law, Sample(network, "int8", batch, plain, False, 1.0)) * batch
    total = latency(kernels(network, "int8", batch), setting(found, found.runtimes[0], 25_000_000, 10_000_000)).total
    assert total.value == pytest.approx(told, rel=1e-9)
    assert total.high is not None and total.low < told < total.high


def test_writing_again_changes_nothing() -> None:
    text = (PROFILES / "nvidia-a30.yaml").read_text(encoding="utf-8")
    head = gpu_profiles._with_source(text)
    assert gpu_profiles._with_source(head + gpu_profiles.MARK + "performance: []\n") == head
    assert text.startswith(head + gpu_profiles.MARK)
    without = re.sub(rf"  {gpu_profiles.KEY}: .*\n", "", head)
    assert gpu_profiles._with_source(without) == head


@needs_rows
def test_profiles_say_what_the_fit_gives() -> None:
    known = [one for one in used(read()) if (place := place_of_row(one)) is not None and place.kind == GPU]
    law = law_of(known, GPU)
    for name in ("nvidia-t4", "nvidia-a10", "nvidia-h100-sxm"):
        entry, board = int8_of(device(name)), places()[name].boards["int8"]
        for op_class in CLASSES:
            fraction = law.fraction(op_class) * law.sustained(board)
            assert stated(entry.rates[op_class].fraction_of_peak) == pytest.approx(fraction, rel=0.01), (name, op_class)
        assert stated(entry.per_kernel_cycles) == pytest.approx(law.cycles(board), rel=0.01)
        assert stated(entry.activation_fraction) == pytest.approx(law.crossing(board), rel=0.01)


@needs_rows
@pytest.mark.parametrize("name", ["nvidia-a100-80gb-sxm", "nvidia-l4", "nvidia-a2"])
def test_a_board_left_out_is_estimated_within_15_percent(name: str) -> None:
    known = [one for one in used(read()) if (place := place_of_row(one)) is not None and place.kind == GPU]
    own = [one for one in known if place_of_row(one) is places()[name]]
    law = law_of([one for one in known if one not in own], GPU)
    errors = [abs(seconds(law, sample_of(one)) / sample_of(one).seconds - 1) for one in own]
    assert len(own) >= 6 and np.median(errors) <= 0.15
