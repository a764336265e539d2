"""Worked examples that need a device: fit, roofline, latency, energy, each through the audit of a real graph."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from onnx import ModelProto, TensorProto

from effaudit.checks.subject import Limits
from effaudit.device.find import find
from effaudit.device.types import Device
from effaudit.energy import horowitz
from effaudit.energy.estimate import powered
from effaudit.energy.types import Circumstances
from effaudit.estimate.latency import setting
from effaudit.estimate.roofline import Point, ridges, roofline
from effaudit.estimate.types import NOTHING, Kernel, Latency, Seconds, Timed
from effaudit.fit.asked import FitAsked
from effaudit.fit.model import document as fit_document
from effaudit.fit.model import fit, parts
from effaudit.fit.pipeline import pipelines
from effaudit.fit.types import FitReport
from effaudit.load import Given
from effaudit.quantity import Quantity
from tests.profiles import KIB, MIB, accelerator, board, device, document

from .graphs import FLOAT, FLOAT16, INT8, Net
from .layers import conv

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "worked_examples.json"
FP16 = (
    312e12  # dense, https://www.nvidia.com/content/dam/en-zz/Solutions/Data-Center/a100/pdf/nvidia-a100-datasheet.pdf
)
BANDWIDTH = 2.0e12  # of the lessons' A100; the 80 GB part has 2.039e12

Figure = Callable[[Path], Any]
EXAMPLES: dict[str, Figure] = {}
# The same figures of graphs alone, or of patches: tests of those ids stand where these are tested.
ELSEWHERE = {
    **dict.fromkeys(("s0-192", "s0-193", "s1-050", "s1-054", "s2-051", "s2-052"), "test_intensity"),
    **dict.fromkeys(
        ("s3-078", "s3-079", "s3-080", "s3-133"), "tests.explain.test_worked_examples: a patch and its halo"
    ),
}


def example(id: str) -> Callable[[Figure], Figure]:
    def register(figure: Figure) -> Figure:
        assert id not in EXAMPLES
        EXAMPLES[id] = figure
        return figure

    return register


# ---- graphs
def held(params: int, dtype: int = FLOAT16, columns: int = 100_000) -> ModelProto:
    """One product with so many weights and small activations."""
    net = Net(FLOAT if dtype == TensorProto.INT4 else dtype)
    x = net.input(1, params // columns)
    if dtype != TensorProto.INT4:
        return net.model(net.node("MatMul", [x, net.weight(params // columns, columns)], (1, columns)))
    packed = net.weight(params // columns, columns, dtype=FLOAT16)
    net._tensors[-1].data_type = dtype
    net._tensors[-1].external_data[-1].value = str(params // 2)
    wide = net.node("DequantizeLinear", [packed, net.constant(1.0, "float32")], (params // columns, columns))
    return net.model(net.node("MatMul", [x, wide], (1, columns)))


def relu(elements: int, dtype: int = FLOAT16) -> ModelProto:
    net = Net(dtype)
    x = net.input(1, elements)
    return net.model(net.node("Relu", [x], (1, elements)))


def batched(rows: int, cin: int = 4096, cout: int = 4096, dtype: int = FLOAT16) -> ModelProto:
    net = Net(dtype)
    return net.model(net.node("MatMul", [net.input(rows, cin), net.weight(cin, cout)], (rows, cout)))


def one(
    folder: Path, graph: ModelProto, on: dict[str, Any] | Device, asked: FitAsked = FitAsked(), **dims: int
) -> FitReport:
    path = folder / "model.onnx"
    path.write_bytes(graph.SerializeToString())
    (report,) = fit(str(path), [on if isinstance(on, Device) else device(folder, on)], [asked], Given(dims))
    return report


def need(report: FitReport, memory: str) -> int:
    (row,) = (row for row in report.memory.rows if row.memory == memory)
    assert row.need_bytes is not None
    return row.need_bytes


def weights(report: FitReport) -> int:
    (item,) = (i for row in report.memory.rows for i in row.items if i.what == "weights")
    assert item.bytes is not None
    return item.bytes


def have(report: FitReport, memory: str) -> int:
    (row,) = (row for row in report.memory.rows if row.memory == memory)
    assert row.have_bytes is not None
    return row.have_bytes


def verdict(report: FitReport, check: str) -> str:
    return next(r.status for r in report.findings if r.check == check)


# ---- memories
@example("s0-004")
def _(folder: Path) -> float:
    return have(one(folder, relu(64), board(MIB, 512 * KIB)), "sram") / 1e6


@example("s1-006")
def _(folder: Path) -> float:
    report = one(folder, held(7 * 10**9), accelerator(FP16, BANDWIDTH, size=6 * 10**9))
    assert report.status == "does-not-fit"
    return weights(report) / have(report, "dram")


@example("s1-007")
def _(folder: Path) -> float:
    report = one(folder, held(7 * 10**9), board(256 * KIB, 256 * KIB))
    assert verdict(report, "flash") == "fail"
    return weights(report) / have(report, "flash")


def fits(folder: Path, params: int, dtype: int, size: int, kept: int = 0) -> bool:
    asked = FitAsked(reserve={"dram": kept} if kept else {})
    report = one(folder, held(params, dtype), accelerator(FP16, BANDWIDTH, size=size), asked)
    found = verdict(report, "ram")
    assert found in ("pass", "fail")
    return found == "pass"


EXAMPLES["s1-080"] = lambda folder: fits(folder, 7 * 10**9, TensorProto.INT4, 10 * 10**9)
EXAMPLES["s3-125"] = lambda folder: fits(folder, 7 * 10**9, FLOAT16, 12 * 10**9)
EXAMPLES["s3-126"] = lambda folder: fits(folder, 7 * 10**9, TensorProto.INT4, 8 * 10**9, 20 * 10**6 * 2)
EXAMPLES["s3-127"] = lambda folder: fits(folder, 13 * 10**9, TensorProto.INT4, 24 * 10**9, 6_710_886_400)


@example("s3-009")
def _(folder: Path) -> bool:
    """Its output alone, 64 x 56 x 56 floats, is more than all of the SRAM."""
    report = one(folder, conv(64, 56, 64, 3), board(8 * MIB, 512 * KIB))
    return verdict(report, "ram") == "fail"


@example("s3-077")
def _(folder: Path) -> float:
    report = one(folder, relu(147 * KIB, INT8), board(MIB, 400 * KIB, rules="as-written"))
    return 100 * need(report, "sram") / have(report, "sram")


@example("s3-085")
def _(folder: Path) -> float:
    return weights(one(folder, held(10**6, INT8, 1000), board(MIB, MIB))) / 1e6


def nano(**more: Any) -> dict[str, Any]:
    """1 MiB of flash, 256 KiB of SRAM; the runtime keeps something beside the arena, however little."""
    return board(MIB, 256 * KIB, state=1, **more)


def full(activations: int = 256 * KIB) -> ModelProto:
    """A million 8-bit weights, and so many bytes of activations alive at once."""
    net = Net(INT8)
    x = net.input(1, activations // 2)
    y = net.node("Relu", [x], (1, activations // 2))
    small = net.node("Slice", [y, *(net.constant([n]) for n in (0, 1000, 1))], (1, 1000))
    return net.model(net.node("MatMul", [small, net.weight(1000, 1000)], (1, 1000)))


@example("s3-086")
def _(folder: Path) -> str:
    report = one(folder, full(), nano(), FitAsked(runtime="as-written"))
    assert verdict(report, "ram") != "pass"
    return "no" if one(folder, full(), nano(rules="as-written")).status == "does-not-fit" else "yes"


@example("s3-106")
def _(folder: Path) -> float:
    report = one(folder, held(800_000, INT8, 1000), board(MIB, 256 * KIB, code=50 * KIB))
    margin = next(row.margin_bytes for row in report.memory.rows if row.memory == "flash")
    assert margin is not None and report.status == "fits"
    return margin / KIB


@example("s3-110")
def _(folder: Path) -> bool:
    return one(folder, relu(80 * KIB // 2, INT8), board(MIB, 256 * KIB, rules="as-written")).status == "fits"


@example("s4-042")
def _(folder: Path) -> int:
    return have(one(folder, relu(64, INT8), find("stm32f746")), "sram")


# ---- roofline
def a100(folder: Path) -> Device:
    return device(folder, accelerator(FP16, BANDWIDTH))


def point(on: Device, intensity: float, dtype: str = "float16") -> Point:
    """A kernel of this many FLOP per byte, as it lies on the roofline of a device."""
    count = Quantity(10**9, 10**9)
    flops = round(intensity * 10**9)
    kernel = Kernel(0, "node", "Op", "other", dtype, NOTHING, Quantity(flops, flops), NOTHING, count, NOTHING, NOTHING)
    timed = Timed(kernel, on.engines[0].name, None, None, None, 0.0, None, "unknown")
    where = setting(on, on.runtimes[0], 0, 0)
    found = roofline(Latency(Seconds(None, 0.0, None, ""), 0.0, 0.0, (timed,)), where)
    return found.points[0]


def of_batch(folder: Path, rows: int) -> FitReport:
    return one(folder, batched(rows), accelerator(FP16, BANDWIDTH))


def regime_of_batch(rows: int, folder: Path) -> str:
    return f"{of_batch(folder, rows).roofline.regime}-bound"


def regime_at(intensity: float, folder: Path) -> str:
    return f"{point(a100(folder), intensity).regime}-bound"


for _id, _rows in (("s1-051", 4), ("s1-053", 16), ("s1-057", 256), ("s1-059", 1024)):
    EXAMPLES[_id] = partial(regime_of_batch, _rows)
for _id, _intensity in (("s1-071", 1), ("s1-072", 3), ("s1-073", 32), ("s1-074", 512), ("s1-075", 1000)):
    EXAMPLES[_id] = partial(regime_at, _intensity)


def weights_alone(rows: int, folder: Path) -> float:
    """MACs per byte of weights: of the one kernel there is."""
    (row,) = of_batch(folder, rows).rows
    assert row.macs is not None
    return row.macs / (4096 * 4096 * 2)


EXAMPLES["s1-058"] = partial(weights_alone, 1024)
EXAMPLES["s1-060"] = partial(weights_alone, 512)


@example("s1-061")
def _(folder: Path) -> float:
    (corner,) = ridges(a100(folder))
    return corner.flop_per_byte / 2


def of_relu(folder: Path) -> Point:
    row = one(folder, relu(4096), accelerator(FP16, BANDWIDTH)).rows[0]
    assert row.intensity is not None
    return point(a100(folder), row.intensity)


@example("s1-063")
def _(folder: Path) -> float | None:
    return of_relu(folder).intensity


@example("s1-064")
def _(folder: Path) -> float | None:
    return of_relu(folder).below_ridge


@example("s1-065")
def _(folder: Path) -> float | None:
    return point(a100(folder), 1.0).below_ridge


@example("s1-070")
def _(folder: Path) -> str:
    return f"{of_relu(folder).regime}-bound"


@example("s3-004")
def _(folder: Path) -> float | None:
    return point(a100(folder), 3.2e9 / 400e3).intensity


@example("s3-006")
def _(folder: Path) -> float:
    return next(r.flop_per_byte for r in ridges(find("a100-80gb")) if r.dtype == "float32")


@example("s3-011")
def _(folder: Path) -> str:
    """3x3 in 8 bits: 18 operations for a byte read and a byte written, on a microcontroller whose ridge is 4."""
    on = device(folder, accelerator(4e9, 1e9, dtype="int8"))
    return f"{point(on, 18 / 2, 'int8').regime}-bound"


@example("s4-020")
def _(folder: Path) -> str:
    return f"{point(device(folder, accelerator(100e12, 900e9)), 200).regime}-bound"


# ---- latency and throughput
def timed(mac_per_s: float, **more: Any) -> dict[str, Any]:
    entry = {"engine": "cpu", "dtype": "float16", "rates": {"other": {"mac_per_s": mac_per_s}}, **more}
    return document(
        performance=[entry],
        memories=[{"name": "ram", "kind": "ram", "size_bytes": 10**9, "holds": ["weights", "activations", "code"]}],
    )


def seconds(folder: Path, macs: int, mac_per_s: float, **more: Any) -> float:
    report = one(folder, batched(1, 1000, macs // 1000), timed(mac_per_s, **more))
    assert report.latency_s.value is not None
    return report.latency_s.value


EXAMPLES["s3-113"] = lambda folder: 1000 * seconds(folder, 6 * 10**6, 60e6)
EXAMPLES["s3-116"] = lambda folder: 1000 * seconds(folder, 200 * 10**6, 100e6)


@example("s3-114")
def _(folder: Path) -> float:
    """Four lanes in place of one, on a model that takes 500 ms."""
    engine = {"name": "cpu", "kind": "simd", "clock_hz": 1e6}
    entry = {"engine": "cpu", "dtype": "float16", "rates": {"other": {"mac_per_cycle": 4 * 12}}}
    slow = {"engine": "cpu", "dtype": "float16", "rates": {"other": {"mac_per_cycle": 12}}}
    on = [document(engines=[engine], performance=[rate]) for rate in (slow, entry)]
    before, after = (one(folder, batched(1, 6000, 1000), {**d, "memories": timed(1)["memories"]}) for d in on)
    assert before.latency_s.value == pytest.approx(0.5)
    assert after.latency_s.value is not None
    return 1000 * after.latency_s.value


@example("s1-077")
def _(folder: Path) -> float | None:
    """16 inputs in a run of 80 ms."""
    net = Net(FLOAT16)
    x = net.input(16, 64)
    graph = net.model(net.node("MatMul", [x, net.weight(64, 64)], (16, 64)))
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    report = one(folder, graph, timed(1e23, per_inference_s=0.08), FitAsked(batches=(16,)), batch=16)
    return report.batches[0].throughput_per_s


@example("s4-043")
def _(folder: Path) -> float | None:
    return one(folder, batched(1, 1000, 1000), timed(1e23, per_inference_s=0.010)).throughput_per_s


@example("s4-046")
def _(folder: Path) -> float | None:
    """50 steps of 20 ms."""
    path = folder / "step.onnx"
    path.write_bytes(batched(1, 1000, 1000).SerializeToString())
    on = device(folder, timed(1e23, per_inference_s=0.020))
    (whole,) = pipelines(parts(str(path), [on], [FitAsked()], times=50))
    assert fit_document((), (whole,)).exit_code == 0
    return whole.latency_s.value


# ---- energy
def accesses(folder: Path, pj_per_byte: float) -> float:
    """Joules of the accesses of a model whose operations are free."""
    memory = {"name": "ram", "kind": "ram", "size_bytes": MIB, "holds": ["weights", "activations", "code"]}
    memory["read_energy_pj_per_byte"] = pj_per_byte
    free = {"mac_pj": {"float16": 0}, "op_pj": {"float16": 0}}
    report = one(folder, relu(4096), document(memories=[memory], energy=free))
    return next(j.value for j in report.energy.joules if j.basis == "operations") or 0.0


def relative(pj: float, to: float, folder: Path) -> float:
    return accesses(folder, pj) / accesses(folder, to)


# pJ per word, against 0.1 pJ in a register file as the lesson has it
for _id, _pj, _to in (
    ("s1-033", 0.5, 0.1),
    ("s1-034", 2, 0.1),
    ("s1-035", 5, 0.1),
    ("s1-036", 640, 0.1),
    ("s1-038", 640, 5),
):
    EXAMPLES[_id] = partial(relative, _pj, _to)


def convolution(folder: Path, mac_pj: float) -> tuple[float, float]:
    """(every weight read again for each MAC, none): a 7x7 convolution whose 9,408 weights lie in DRAM."""
    weights = {"name": "dram", "kind": "dram", "size_bytes": MIB, "holds": ["weights", "code"]}
    weights["read_energy_pj_per_byte"] = 160  # 640 pJ a word
    near = {
        "name": "ram",
        "kind": "ram",
        "size_bytes": 16 * MIB,
        "holds": ["activations"],
        "read_energy_pj_per_byte": 0,
    }
    free = {"mac_pj": {"float32": mac_pj}, "op_pj": {"float32": 0}}
    graph = conv(3, 224, 64, 7, s=2)
    report = one(folder, graph, document(memories=[weights, near], energy=free))
    found = next(j for j in report.energy.joules if j.basis == "operations")
    assert found.high is not None and sum(row.macs or 0 for row in report.rows) == 118_013_952
    return found.high - 118_013_952 * mac_pj * 1e-12, 118_013_952 * mac_pj * 1e-12


EXAMPLES["s1-043"] = lambda folder: 1000 * convolution(folder, 0.0)[0]


@example("s1-044")
def _(folder: Path) -> float:
    again, arithmetic = convolution(folder, 3.7)
    return again / arithmetic


EXAMPLES["s1-037"] = lambda _: horowitz.RELATIVE["DRAM"] * horowitz.ADD_PJ["int32"] / horowitz.MULTIPLY_PJ["float32"]
EXAMPLES["s1-040"] = lambda _: horowitz.mac_pj("float32")
EXAMPLES["s4-011"] = lambda _: horowitz.MULTIPLY_PJ["float32"] / horowitz.ADD_PJ["int32"]
EXAMPLES["s4-013"] = lambda _: float(horowitz.RELATIVE["DRAM"])


def watts(folder: Path, time: float, **around: float) -> float | None:
    on = device(folder, document(energy={"tdp_w": 300}))
    return powered(on.energy, Seconds(time, time, time, "test"), Circumstances(**around)).value


EXAMPLES["s4-030"] = lambda folder: watts(folder, 1.0, utilisation=0.7)


def at_work(folder: Path) -> FitReport:
    """100 TFLOP/s at 70 %, 300 W at 70 % and a PUE of 1.2, for 10 ms."""
    entry = {"engine": "gpu", "dtype": "float16", "rates": {"other": {"fraction_of_peak": 0.7}}}
    on = accelerator(100e12, 900e12, performance=[entry], energy={"tdp_w": 300})
    around = Circumstances(grid_g_per_kwh=400, utilisation=0.7, pue=1.2)
    return one(folder, batched(50_000, 1000, 7000), on, FitAsked(around=around))


@example("s4-033")
def _(folder: Path) -> float | None:
    report = at_work(folder)
    assert report.latency_s.value == pytest.approx(0.010)
    return report.energy.carbon_kg


@example("s4-044")
def _(folder: Path) -> float | None:
    return at_work(folder).energy.ops_per_w


# ---- the tests
@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    if not REFERENCE.exists():
        pytest.skip("the collection of worked examples is not here")
    return {entry["id"]: entry for entry in json.loads(REFERENCE.read_text())}


def test_every_example_of_a_profile_is_tested(reference: dict[str, Any]) -> None:
    wanted = {id for id, entry in reference.items() if entry["testable"] in ("profile", "graph+profile")}
    assert EXAMPLES.keys() | ELSEWHERE.keys() == wanted
    assert not EXAMPLES.keys() & ELSEWHERE.keys()


@pytest.mark.parametrize("id", EXAMPLES)
def test_value(id: str, reference: dict[str, Any], tmp_path: Path) -> None:
    value, found = reference[id]["computed_value"], EXAMPLES[id](tmp_path)
    if isinstance(value, str | bool):
        assert found == value
    else:
        assert found == pytest.approx(value, rel=1e-9)


def test_limits_hold_of_what_the_examples_say(tmp_path: Path) -> None:
    """A limit on either side of the estimate turns the verdict."""
    on = device(tmp_path, timed(60e6))
    path = tmp_path / "model.onnx"
    path.write_bytes(batched(1, 1000, 6000).SerializeToString())
    (report,) = fit(str(path), [on], [FitAsked(limits=Limits(latency_s=0.01))])
    assert report.status != "fits" and report.exit_code in (1, 4)
