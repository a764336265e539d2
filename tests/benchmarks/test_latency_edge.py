"""Latency of phones, NPUs and single-board computers: the fit, its rules for boards that were not measured, its score.

Times of Hexagon are those of Qualcomm AI Hub (https://github.com/quic/ai-hub-models, commit 52c080d245).
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.latency import edge, edge_ship
from benchmarks.latency.edge_boards import PROFILES, facts_of, place_of
from benchmarks.latency.edge_model import CLASSES, WIDTH, Board, Costs, Fitted, Sample, fit, seconds, work
from benchmarks.latency.rows import ROWS, Row, read, row
from benchmarks.zoo import build
from effaudit.audited import examine
from effaudit.device.find import find
from effaudit.estimate.latency import latency, setting
from effaudit.estimate.rates import engine_of
from effaudit.estimate.work import kernels
from effaudit.lower.as_if import as_if
from effaudit.runtimes import find as rules

NETWORKS = ("resnet18", "mobilenet_v2", "squeezenet1_1", "shufflenet_v2", "googlenet", "mnasnet05", "resnet50")
# conv, pointwise, depthwise, fully connected, matmul, elementwise, movement, bandwidth, per kernel, per inference
TRUE: Costs = (0.6, 0.5, 0.1, 0.3, 0.3, 0.2, 0.1, 0.4, 4e-5, 2e-4)
START: Costs = (0.3, 0.3, 0.2, 0.3, 0.3, 0.1, 0.1, 0.7, 2e-5, 1e-4)
SLOW, FAST = Board(2e10, 5e9), Board(8e10, 2e10)

FIELDS = (
    "device device_class processor clock_mhz accelerator runtime model macs precision batch metric value unit "
    "statistic energy_uj_per_inf effective_mac_per_s suite submitter division source note"
).split()
# ms under TensorFlow Lite, float
TFLITE = {
    "qualcomm-qcs8550-proxy": {"resnet18": 1.317, "mobilenet_v2": 0.898, "squeezenet1_1": 0.67, "resnet50": 2.198},
    "qualcomm-snapdragon-8gen3": {"resnet18": 0.924, "mobilenet_v2": 0.593, "squeezenet1_1": 0.45, "resnet50": 1.6},
}

needs_rows = pytest.mark.skipif(not ROWS.is_file(), reason="the reference measurements are not here")


def measured(board: str, network: str, ms: float) -> Row:
    fields = dict.fromkeys(FIELDS, "")
    fields |= {"device": board, "device_class": "phone/NPU", "accelerator": "NPU", "runtime": "AI Hub tflite"}
    fields |= {"model": network, "precision": "fp16 (float model)", "batch": "1", "metric": "latency"}
    return row({**fields, "value": str(ms), "unit": "ms"})


def hexagons(factor: float = 1.0, of: str = "") -> list[Row]:
    """The measurements above, those of one board longer by a factor."""
    return [
        measured(board, network, ms * (factor if board == of else 1.0))
        for board, times in TFLITE.items()
        for network, ms in times.items()
    ]


def made(board: int, facts: Board, slowness: float = 1.0) -> list[Sample]:
    """Times that the model itself gives."""
    return [Sample(n, "float32", board, slowness * seconds(TRUE, facts, work(n, "float32"))) for n in NETWORKS]


def test_a_fit_finds_what_made_the_times() -> None:
    found = fit([*made(0, SLOW), *made(1, FAST)], [SLOW, FAST], START)
    unseen = Board(4e10, 1e10)
    for network in ("inception_v3", "mobilenet_v3_large", "wideresnet50"):
        kernels_ = work(network, "float32")
        assert seconds(found.costs, unseen, kernels_) == pytest.approx(seconds(TRUE, unseen, kernels_), rel=0.15)
    errors = [
        abs(math.log(seconds(found.costs, board, work(s.network, s.dtype)) / s.seconds))
        for i, board in enumerate((SLOW, FAST))
        for s in made(i, board)
    ]
    assert sum(errors) / len(errors) < 0.03


def test_a_fit_finds_how_much_slower_each_board_is() -> None:
    one = Board()
    samples = [
        Sample(s.network, s.dtype, i, slow * s.seconds) for i, slow in enumerate((1.0, 3.0)) for s in made(0, FAST)
    ]
    start = tuple(cost * (8e10 if i < 7 else 2e10 if i == 7 else 1) for i, cost in enumerate(START))
    found = fit(samples, [one, one, one], start, scaled=True)
    assert found.slowness[1] / found.slowness[0] == pytest.approx(3.0, rel=0.02)
    assert found.slowness[2] == 1.0  # nothing of it was measured


def test_a_fit_stays_below_what_is_possible() -> None:
    most = (*(0.2,) * 7, 2.0, 1e-3, 1e-1)
    assert max(fit(made(0, SLOW), [SLOW], START, most=most).costs[:7]) <= 0.2 * (1 + 1e-9)


def test_nothing_to_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        fit([], [SLOW], START)


@settings(max_examples=25)
@given(factor=st.floats(1.1, 10))
def test_more_of_everything_is_faster(factor: float) -> None:
    better = Board(SLOW.compute * factor, SLOW.bandwidth * factor)
    kernels_ = work("mobilenet_v2", "int8")
    fast, slow = seconds(TRUE, better, kernels_), seconds(TRUE, SLOW, kernels_)
    assert slow / factor < fast < slow  # the overhead stays


def test_weights_that_stay_on_chip_do_not_stream() -> None:
    kernels_ = work("resnet50", "int8")
    total = float(kernels_[:, 2].sum())
    streamed = [seconds(TRUE, Board(1e18, 1e9, part * total, 0.0), kernels_) for part in (0.0, 0.5, 1.0)]
    overhead = len(kernels_) * TRUE[-2] + TRUE[-1]
    assert streamed[2] == pytest.approx(overhead, rel=1e-3)
    assert streamed[0] - overhead == pytest.approx(total / (TRUE[7] * 1e9), rel=0.01)
    assert streamed[1] - overhead == pytest.approx((streamed[0] - overhead) / 2, rel=0.01)


def entry(**slow: float) -> edge.Entry:
    """A fit of versions of Hexagon: v73=1.0."""
    versions = tuple(int(name[1:]) for name in slow)
    return edge.Entry(Fitted((1.0,) * WIDTH, tuple(slow.values())), tuple(slow), versions)


def test_a_version_of_hexagon_lies_between_its_neighbours() -> None:
    found = entry(v73=1.0, v79=0.5, v81=0.4)
    assert edge.slowness(73, found) == pytest.approx(1.0)
    assert edge.slowness(75, found) == pytest.approx(math.sqrt(0.5))  # half way in generations, not in numbers
    assert edge.slowness(85, found) < 0.4
    assert edge.slowness(69, found) == pytest.approx(1 / math.sqrt(0.5))
    assert edge.slowness(68, entry(v73=2.0)) == 2.0


@given(st.lists(st.floats(0, 5), min_size=1, max_size=60))
def test_an_interval_holds_its_share(errors: list[float]) -> None:
    factor = edge.interval(errors)
    inside = sum(error <= math.log(factor) + 1e-9 for error in errors)
    assert inside >= edge.SHARE * len(errors) - 1e-9
    assert any(math.isclose(math.log(factor), error, abs_tol=1e-9) for error in errors)


@pytest.mark.parametrize("board", TFLITE)
def test_a_board_is_estimated_without_its_measurements(board: str) -> None:
    before, after = (edge.scored(hexagons(factor, board), ()) for factor in (1.0, 5.0))
    for one, other in zip(before, after, strict=True):
        if one.row.device == board:
            assert one.predicted == other.predicted
        else:  # this one has seen them
            assert other.predicted == pytest.approx(5 * one.predicted)


def test_the_score_says_which_boards_have_sisters() -> None:
    found = edge.scored([*hexagons(), measured("qualcomm-snapdragon-x-elite", "resnet18", 1.435)], ())
    known = {one.row.device: one.known for one in found}
    assert known == {
        "qualcomm-qcs8550-proxy": True,  # v73, as the X Elite
        "qualcomm-snapdragon-x-elite": True,
        "qualcomm-snapdragon-8gen3": False,
    }
    assert all(one.low <= one.predicted <= one.high for one in found)
    assert len(edge.tables(found).splitlines()) == 4


def test_one_board_alone_is_estimated_without_bounds() -> None:
    (found,) = edge.scored([measured("qualcomm-snapdragon-8gen3", "resnet18", 0.924)], ())
    assert (found.low, found.high, found.known, found.inside) == (0.0, math.inf, False, True)
    assert 1e-5 < found.predicted < 1e-1


def test_a_board_nobody_describes_is_left_out() -> None:
    assert place_of(measured("acme-phone", "resnet18", 1.0)) is None
    assert edge.cases([measured("acme-phone", "resnet18", 1.0)]) == ()
    assert edge.cases([measured("qualcomm-snapdragon-8gen3", "no-such-network", 1.0)]) == ()


def test_the_other_chips_of_ai_hub_are_read() -> None:
    found = edge.extra()
    assert {(case.place.board, case.place.generation) for case in found} == {
        ("qualcomm-qcs8450", 69),
        ("qualcomm-snapdragon-8-elite", 79),
        ("qualcomm-snapdragon-8-elite-gen5", 81),
    }
    assert len(found) == 217
    assert all("github.com/quic/ai-hub-models/blob/" in case.row.source for case in found)


@pytest.mark.parametrize(
    ("board", "runtime", "dtype", "network"),
    [
        ("qualcomm-snapdragon-8gen3", "qnn", "float16", "resnet50"),
        ("qualcomm-qcs8550", "tflite", "int8", "mobilenet_v2"),
        ("raspberry-pi-4b", "tflite-ruy", "float32", "mobilenet-v1-1.0-224-non-quantized"),
        ("hardkernel-odroid-n2plus", "armnn-neon", "int8", "efficientnet-lite0-quantized"),
        ("rockchip-rk3588s-cpu", "armnn-opencl", "float32", "mobilenet-v2-1.0-96-non-quantized"),
        ("coral-edgetpu-usb", "edgetpu", "int8", "VGG16 (224)"),
    ],
)
def test_the_fit_estimates_as_the_profile_does(
    tmp_path: Path, board: str, runtime: str, dtype: str, network: str
) -> None:
    """Both write the same formula: here over arrays, there kernel by kernel."""
    device = find(board, (PROFILES,))
    chosen = next(one for one in device.runtimes if one.name == runtime)
    graph = examine(build(network, tmp_path)).graph
    graph = rules("ideal").lower(
        as_if(graph, {"float16": "fp16", "int8": "int8"}[dtype]) if dtype != "float32" else graph
    )
    all_kernels = kernels(graph)
    weights = sum(kernel.weight_bytes.high or 0 for kernel in all_kernels)
    told = latency(all_kernels, setting(device, chosen, weights, 1)).total.value
    assert told == pytest.approx(seconds(*shipped(board, runtime, dtype), work(network, dtype)), rel=1e-6)


def shipped(board: str, runtime: str, dtype: str) -> tuple[Costs, Board]:
    """The numbers that the profile states, absolute, and what they are on."""
    device = find(board, (PROFILES,))
    entry_ = next(p for p in device.performance if (p.runtime, p.dtype) == (runtime, dtype))
    engine = engine_of(device, entry_.engine)
    assert engine is not None
    clock = engine.clock_hz.value * (engine.cores.value if engine.cores else 1) if engine.clock_hz else 1.0
    rates = []
    for name in CLASSES:
        rate = entry_.rates[name]
        if rate.fraction_of_peak is not None:
            rates.append(rate.fraction_of_peak.value * engine.peaks[dtype].dense_op_per_s.value / 2)
        else:
            per_s, per_cycle = rate.mac_per_s or rate.op_per_s, rate.mac_per_cycle or rate.op_per_cycle
            rates.append(per_s.value if per_s else per_cycle.value * clock)
    memories = [memory for memory in device.memories if "weights" in memory.holds]
    bandwidth = memories[-1].read_bandwidth_byte_per_s.value * entry_.bandwidth_fraction.value
    resident = memories[0].size_bytes.value if len(memories) > 1 else 0.0
    crossing = entry_.activation_fraction.value if entry_.activation_fraction else 1.0
    costs = (*rates, bandwidth, entry_.per_kernel_s.value, entry_.per_inference_s.value)
    return costs, Board(1.0, 1.0, resident, crossing)


@pytest.mark.parametrize("name", (*edge_ship.HEXAGONS, *edge_ship.BOARDS, edge_ship.EDGE_TPU))
def test_every_written_number_says_that_it_was_fitted(name: str) -> None:
    text = (Path(PROFILES) / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.count(edge_ship.MARK) == 1
    device = find(name, (PROFILES,))
    assert device.performance
    for entry_ in device.performance:
        facts = [fact for rate in entry_.rates.values() for fact in (rate.mac_per_s, rate.mac_per_cycle) if fact]
        assert {(fact.status, fact.source) for fact in facts} <= {("fitted", edge_ship.SOURCE)}
        assert entry_.prediction_error is not None and entry_.prediction_error.rows_count.value >= 15


def test_a_cpu_scales_by_cores_clock_and_width() -> None:
    device = find("raspberry-pi-4b", (PROFILES,))
    engine = engine_of(device, "cpu")
    assert engine is not None
    found = facts_of(device, engine)
    assert found is not None and found.compute == 4 * 4 * 1.8e9
    halved = facts_of(device, engine, 0.9e9)
    assert halved is not None and halved.compute == found.compute / 2


@cache
def ruy() -> list[Row]:
    return [one for one in read() if one.runtime == "tflite-ruy"]


@needs_rows
def test_single_board_computers_that_were_left_out() -> None:
    found = edge.scored(ruy(), ())
    errors = sorted(abs(one.error) for one in found)
    assert len(found) == 86
    assert errors[len(errors) // 2] <= 0.15
    assert sum(one.inside for one in found) / len(found) >= 0.8


@needs_rows
def test_the_profiles_carry_the_fit() -> None:
    seen = edge.cases(ruy())
    costs = edge.entry_of(("cpu", "tflite-ruy", "int8"), seen, {}).fitted.costs
    for board, width in (("raspberry-pi-4b", 4), ("rockchip-rk3588s-cpu", 8), ("raspberry-pi-zero-2w", 4)):
        entry_ = next(p for p in find(board, (PROFILES,)).performance if (p.runtime, p.dtype) == ("tflite-ruy", "int8"))
        assert entry_.rates["pointwise"].mac_per_cycle.value == pytest.approx(costs[1] * width, rel=1e-3)
        assert entry_.per_kernel_s.value == pytest.approx(costs[-2], rel=1e-3)
