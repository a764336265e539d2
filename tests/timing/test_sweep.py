"""Sweeps: sizes as `effaudit sweep` reads them, a linear layer on the roofline, and knees of synthetic throughputs."""

from __future__ import annotations

from collections.abc import Mapping
from math import log2
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from effaudit.audited import Audited, examine
from effaudit.device.types import Device
from effaudit.errors import UsageError
from effaudit.load import Given, read
from effaudit.timing.statistics import runs_of
from effaudit.timing.sweep import axes, batch_axes, compute_from, grid, points, static, turns
from effaudit.timing.types import ModelTime, SweepPoint, SweepTurn, WarmUp
from tests.examples.graphs import FLOAT16, Net
from tests.profiles import accelerator, device

PEAK, BANDWIDTH = 312e12, 2e12  # 156 FLOP, or 78 MACs, per byte


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> str:
    """batch x 4096 times 4096 x 4096 in 16 bits."""
    net = Net(FLOAT16)
    product = net.node("MatMul", [net.input(1, 4096), net.weight(4096, 4096)], (1, 4096))
    model = net.model(product)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    path = tmp_path_factory.mktemp("linear") / "linear.onnx"
    path.write_bytes(model.SerializeToString())
    return str(path)


@pytest.fixture
def a100(tmp_path: Path) -> Device:
    return device(tmp_path, accelerator(PEAK, BANDWIDTH))


def at(path: str, batch: int) -> Audited:
    return examine(path, Given({"batch": batch}))


@pytest.mark.parametrize(("id", "batch", "wanted"), [("s1-050", 4, 2.0), ("s1-054", 64, 32.0)])
def test_macs_per_byte_of_weights(linear: str, id: str, batch: int, wanted: float) -> None:
    found = static(at(linear, batch))
    assert found.weight_intensity == 2 * wanted, id
    assert found.macs == batch * 4096 * 4096 and found.regime is None


@pytest.mark.parametrize(
    ("id", "batch", "wanted"),
    [("s1-051", 4, "memory"), ("s1-053", 16, "memory"), ("s1-054", 64, "memory"), ("s1-057", 256, "compute")],
)
def test_the_regime_of_a_batch(linear: str, a100: Device, id: str, batch: int, wanted: str) -> None:
    assert static(at(linear, batch), a100).regime == wanted, id


def test_the_batch_from_which_it_is_compute_bound(linear: str, a100: Device) -> None:
    """2 B n^2 / (2 (n^2 + 2 B n)) >= 156, n = 4096: B >= 156 n / (n - 312)."""
    raw = read(linear)
    assert compute_from(raw, Given(), a100) == 169 == -(-156 * 4096 // (4096 - 312))
    assert static(at(linear, 168), a100).regime == "memory"
    assert static(at(linear, 169), a100).regime == "compute"


# ---- sizes
def test_sizes_are_read_as_effaudit_sweep_reads_them(linear: str) -> None:
    raw = read(linear)
    for varied in (axes(["batch=1,4,16"]), axes(["batch=1:16:x4"]), axes([], batches=["1,4", "16"])):
        assert [given.dims for _, given in grid(raw, Given({"other": 7}), varied)] == [
            {"other": 7, "batch": batch} for batch in (1, 4, 16)
        ]
        assert {axis.name for axis in varied} <= batch_axes(raw)
    both = grid(raw, Given(), axes(["seq=8,16"], batches=["1:2:1"]))
    assert [tuple(chosen.values()) for chosen, _ in both] == [("8", "1"), ("8", "2"), ("16", "1"), ("16", "2")]
    shaped = grid(raw, Given(), axes([], ["x=2x4096;x=4x4096"]))
    assert [given.shapes for _, given in shaped] == [{"x": (2, 4096)}, {"x": (4, 4096)}]
    assert grid(raw, Given(), ()) == (({}, Given()),)


def test_sizes_that_cannot_be_run(linear: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1,100 sizes to run; at most 1,000"):
        grid(read(linear), Given(), axes(["batch=1:110:1", "seq=1:10:1"]))
    with pytest.raises(UsageError, match="expected from:to:step"):
        axes([], batches=["8:1:x2"])
    with pytest.raises(UsageError, match="--batch: 'x' is no number"):
        grid(read(linear), Given(), axes([], batches=["x"]))
    net = Net()
    fixed = tmp_path / "fixed.onnx"
    fixed.write_bytes(net.model(net.node("Relu", [net.input(1, 4)], (1, 4))).SerializeToString())
    with pytest.raises(UsageError, match="leaves no batch dim open"):
        grid(read(str(fixed)), Given(), axes([], batches=["1,2"]))


# ---- measured
def timed(batch: int, seconds: float, path: str = "m.onnx", regime: str | None = None) -> ModelTime:
    """What a sweep reads of a model that took so long; all else is empty."""
    empty: dict[str, object] = dict.fromkeys(ModelTime.__struct_fields__)
    known = {
        "path": path,
        "runs": runs_of([seconds] * 10, batch),
        "warmup": WarmUp(0, True, ""),
        "macs": 1000 * batch,
        "intensity": 2.0 * batch,
        "weight_intensity": 4.0 * batch,
        "regime": regime,
        "warnings": (),
        "notes": (),
    }
    return ModelTime(**{**empty, **known})


def swept(seconds: Mapping[int, float], **more: str) -> list[tuple[dict[str, str], ModelTime]]:
    return [({"batch": str(batch), **more}, timed(batch, s)) for batch, s in seconds.items()]


def test_a_row_has_what_is_known_and_what_was_measured() -> None:
    rows = points(swept({1: 0.010, 4: 0.020}))
    first = SweepPoint("m.onnx", {"batch": "1"}, 1, 1000, 2.0, 4.0, None, 0.010, 0.0, 100.0, 100_000.0, None)
    assert rows[0] == replace(first, throughput_per_s=pytest.approx(100), mac_per_s=pytest.approx(1e5))
    assert rows[1].throughput_per_s == pytest.approx(200)
    assert rows[1].growth_ratio == pytest.approx(2**0.5 - 1), "twice as much after two doublings"


def test_growth_is_that_from_the_next_smaller_batch() -> None:
    """In whatever order they ran, and only among rows that differ in the batch alone."""
    rows = points(swept({4: 0.02, 1: 0.01, 2: 0.016}, seq="8") + swept({2: 0.1}, seq="16"))
    growth = {(row.values["seq"], row.batch): row.growth_ratio for row in rows}
    assert growth == {
        ("8", 1): None,
        ("8", 2): pytest.approx(125 / 100 - 1),
        ("8", 4): pytest.approx(200 / 125 - 1),
        ("16", 2): None,
    }
    assert [row.batch for row in rows] == [4, 1, 2, 2]


def turn(throughputs: Mapping[int, float]) -> SweepTurn:
    (found,) = turns(points(swept({batch: batch / rate for batch, rate in throughputs.items()})))
    return found


@pytest.mark.parametrize(
    ("throughputs", "best", "knee"),
    [
        ({1: 100, 2: 190, 4: 300, 8: 310, 16: 315}, 16, 4),
        ({1: 100, 2: 190, 4: 360}, 4, None),  # it still grows
        ({1: 100, 2: 90, 4: 80}, 1, 1),  # it never does
        ({1: 100, 2: 150, 4: 140, 8: 260, 16: 265}, 16, 8),  # one slow point is no knee
        ({1: 100, 16: 145, 64: 150}, 64, 1),  # 45 % over four doublings are 9.7 % each
        ({32: 100, 33: 102, 64: 108}, 64, 32),  # 2 % at once are no 56 % per doubling
        ({1: 100, 16: 147, 64: 150}, 64, 16),  # 47 % are 10.1 %
    ],
)
def test_the_knee(throughputs: dict[int, float], best: int, knee: int | None) -> None:
    found = turn(throughputs)
    assert (found.best_batch, found.knee_batch) == (best, knee)
    assert found.best_throughput_per_s == pytest.approx(max(throughputs.values()))


@given(st.dictionaries(st.integers(1, 512), st.floats(1.0, 1e6), min_size=2, max_size=10))
def test_no_larger_batch_beats_the_knee(throughputs: dict[int, float]) -> None:
    """By 1.1 per doubling, or before the first; and every smaller one is beaten by some."""
    knee, largest = turn(throughputs).knee_batch, max(throughputs)

    def beaten(batch: int) -> bool:
        return any(
            throughputs[other] >= throughputs[batch] * 1.1 ** max(1, log2(other / batch))
            for other in throughputs
            if other > batch
        )

    assert [batch for batch in sorted(throughputs) if batch < (knee or largest) and not beaten(batch)] == []
    assert knee is None or not beaten(knee)


def test_where_it_turns_compute_bound() -> None:
    measured = [
        ({"batch": str(b)}, timed(b, 0.01 * b, regime="compute" if b >= 256 else "memory")) for b in (4, 64, 256)
    ]
    rows = points(measured)
    assert turns(rows)[0].compute_from == 256
    assert turns(rows, search=lambda path, values: 169)[0].compute_from == 169
    assert turns(rows[:2])[0].compute_from is None
    asked: list[tuple[str, dict[str, str]]] = []
    both = points([({**values, "dim seq": "8"}, model) for values, model in measured])
    turns(both, search=lambda path, values: asked.append((path, dict(values))))
    assert asked == [("m.onnx", {"dim seq": "8"})]


def test_models_and_other_sizes_turn_apart() -> None:
    other = [(values, timed(int(values["batch"]), 0.5, "n.onnx")) for values, _ in swept({1: 1.0, 2: 1.0})]
    rows = points(swept({1: 1.0, 2: 1.0}, seq="8") + swept({1: 1.0, 2: 1.0}, seq="16") + other)
    assert [(one.path, one.values) for one in turns(rows)] == [
        ("m.onnx", {"seq": "8"}),
        ("m.onnx", {"seq": "16"}),
        ("n.onnx", {}),
    ]
    assert turns(points(swept({4: 1.0}))) == (), "one batch has no knee"
    assert turns(points([({"dim seq": "8"}, timed(1, 1.0)), ({"dim seq": "16"}, timed(1, 2.0))])) == ()
