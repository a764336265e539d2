"""Documents of `effaudit time` made by hand: of a usual run, of one of which little is known, of a comparison."""

from __future__ import annotations

from msgspec.structs import replace

from effaudit.fit.types import SecondsReport
from effaudit.report import DimReport, TensorType
from effaudit.timing.types import (
    SCHEMA,
    Attribution,
    Host,
    KernelTime,
    ModelTime,
    NodeTime,
    PeakMemory,
    Prediction,
    Runs,
    SweepPoint,
    SweepTurn,
    TimeDocument,
    Versus,
    WarmUp,
    Worst,
)

HOST = Host(
    processor="Brand Model 9",
    architecture="x86_64",
    cores=2,
    threads=4,
    governor="performance",
    max_clock_hz=3_000_000_000,
    memory_bytes=32 << 30,
    caches={"L1d": 32768},
    system="Linux",
    python="3.11.0",
    onnxruntime="1.31.1",
    providers=("CPUExecutionProvider",),
    fingerprint="0123456789abcdef",
)
UNKNOWN_HOST = replace(
    HOST, processor=None, cores=None, governor=None, max_clock_hz=None, memory_bytes=None, caches={}, providers=()
)
RUNS = Runs(
    n=50,
    min_s=0.0010,
    p50_s=0.0012,
    p90_s=0.0014,
    p99_s=None,
    mean_s=0.00125,
    max_s=0.002,
    mad_s=0.00002,
    iqr_ratio=0.03,
    noise_ratio=0.008,
    batch=1,
    throughput_per_s=1 / 0.0012,
)


def node(index: int, name: str, seconds: float | None = None) -> NodeTime:
    """A node; without seconds one that no kernel computes."""
    known = seconds is not None
    return NodeTime(
        index=index,
        name=name,
        op="Conv" if known else "Relu",
        seconds=seconds,
        share=seconds / 0.0012 if seconds is not None else None,
        kernels=(f"kernel {name}",) if known else (),
        macs=1_000_000 if known else 0,
        ops=1000,
        bytes=64_000,
        mac_per_s=1e6 / seconds if seconds else None,
        byte_per_s=64e3 / seconds if seconds else None,
        efficiency=None,
        predicted_s=None,
        why=None if known else "fused into another",
        kind="conv" if known else "activation",
        params=900 if known else 0,
        shape=(1, 16, 32, 32),
    )


def kernel(name: str, seconds: float, *nodes: str) -> KernelTime:
    consistent, why = (True, None) if nodes else (None, "a reorder of channels")
    return KernelTime(f"kernel {name}", "Conv", seconds, seconds / 0.0012, 1.0, nodes, consistent, why)


def model(name: str = "some/model.onnx", part: str = "layer", count: int = 12) -> ModelTime:
    """A usual run of a model of `count` nodes that are kernels and one that is none."""
    times = [0.0001 / (i + 1) for i in range(count)]
    return ModelTime(
        path=name,
        given={"dims": {}, "shapes": {}},
        dims={"batch": DimReport(1, "assumed", [1, 1], None)},
        inputs=(TensorType(f"{part} in", "float32", (1, 3, 32, 32)),),
        inputs_from="drawn by chance",
        provider="CPU",
        threads=1,
        optimize="all",
        runs=RUNS,
        warmup=WarmUp(7, True, ""),
        session_s=0.05,
        first_s=0.004,
        rss_bytes=80 << 20,
        plain=replace(RUNS, p50_s=0.0024),
        slower_optimized=False,
        memory=PeakMemory(196_608, 196_608, 196_608, None),
        attribution=Attribution(count + 1, 0.97, 1.0),
        nodes=(*(node(i, f"{part}{i}", time) for i, time in enumerate(times)), node(count, f"{part} fused")),
        kernels=(*(kernel(f"{part}{i}", time, f"{part}{i}") for i, time in enumerate(times)), kernel(part, 0.00001)),
        unattributed_s=0.00001,
        profiled_ratio=1.2,
        predicted_s=None,
        prediction=None,
        macs=12_000_000,
        intensity=12.5,
        regime=None,
        warnings=(),
        notes=(),
        plain_ratio=2.0,
    )


def predicted(name: str = "host.yaml", part: str = "layer") -> ModelTime:
    """The same held against a profile of its host."""
    plain = model(part=part)
    nodes = [replace(one, efficiency=0.5, predicted_s=one.seconds) for one in plain.nodes[:-1]]
    worst = Worst(f"kernel {part}0", "Conv", (f"{part}0",), 0.0001, 0.0003, 3.0, f"memory: {part}")
    total = SecondsReport(0.0013, 0.0011, 0.0015, "measured")
    return replace(
        plain,
        nodes=(replace(nodes[0], efficiency=0.05, slow=True), *nodes[1:], plain.nodes[-1]),
        predicted_s=0.0013,
        prediction=Prediction(name, 1, total, 0.083, (worst,) * 5, (f"a note of {name}",)),
        regime="compute",
    )


def bare(name: str = "m.onnx") -> ModelTime:
    """Everything unknown that may be."""
    return replace(
        model(name),
        dims={},
        inputs=(TensorType(name, "float32", None),),
        runs=replace(RUNS, n=3, noise_ratio=None),
        warmup=WarmUp(0, False, f"the time was up: {name}"),
        rss_bytes=None,
        plain=None,
        memory=PeakMemory(0, None, None, f"no profile of {name}"),
        attribution=None,
        nodes=(),
        kernels=(),
        unattributed_s=None,
        profiled_ratio=None,
        macs=None,
        intensity=None,
        warnings=(f"{name} is noisy",) * 3,
        notes=(f"a note of {name}",) * 30,
    )


def versus(first: str = "a.onnx", second: str = "b.onnx", *, told: bool = True) -> Versus:
    slower = replace(RUNS, p50_s=0.0013)
    low, high = (1.07, 1.1) if told else (None, None)
    return Versus(
        first,
        second,
        RUNS,
        slower,
        50,
        1.083,
        low,
        high,
        0.999,
        0.02,
        "slower" if told else "no difference",
        (f"{first} warned",),
        notes=(f"a note of {second}",),
    )


def document(*models: ModelTime, pairs: tuple[Versus, ...] = (), host: Host = HOST) -> TimeDocument:
    return TimeDocument(SCHEMA, "0.1.0", "effaudit-macs/1", host, models, pairs)


def swept(name: str = "m.onnx") -> TimeDocument:
    """Two batches of one model."""
    models = [
        replace(
            model(name),
            given={"dims": {"batch": batch}, "shapes": {}},
            dims={"batch": DimReport(batch, "given", [batch, batch], None)},
            runs=replace(RUNS, batch=batch, p50_s=0.001 * batch),
        )
        for batch in (1, 4)
    ]
    points = tuple(
        SweepPoint(
            name,
            {"batch": str(one.runs.batch), name: name},
            one.runs.batch,
            one.macs,
            one.intensity,
            2.0 * one.runs.batch,
            "memory" if one.runs.batch == 1 else "compute",
            one.runs.p50_s,
            0.01,
            1000.0,
            12e9,
            None if one.runs.batch == 1 else 0.5,
        )
        for one in models
    )
    turn = SweepTurn(name, {name: name}, 4, 4, 1000.0, 4)
    return replace(document(*models), sweep=points, turns=(turn,))
