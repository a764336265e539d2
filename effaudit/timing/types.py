"""What a renderer may see of real runs. Field by field: docs/json-time.md. Seconds and bytes; None is unknown."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from effaudit.fit.types import SecondsReport
from effaudit.report import DimReport, TensorType

SCHEMA: Final = "effaudit.time/1"
Verdict: TypeAlias = Literal["no difference", "slower", "faster"]


class Host(msgspec.Struct, frozen=True):
    """The machine and the runtime that times are of. `fingerprint` is a hash of all fields that times depend on:
    figures of different fingerprints are not to be compared. `isa`: the vector and matrix instructions that kernels are
    written for. What cannot be read is None."""

    processor: str | None
    architecture: str
    cores: int | None
    threads: int | None
    governor: str | None
    max_clock_hz: int | None
    memory_bytes: int | None
    caches: dict[str, int]
    system: str
    python: str
    onnxruntime: str
    providers: tuple[str, ...]
    fingerprint: str
    isa: tuple[str, ...] = ()


class Runs(msgspec.Struct, frozen=True):
    """Statistics of the steady runs. `p99_s` only from 100 runs on. `mad_s`: the median of |run - median|. `iqr_ratio`:
    the middle half of the runs over the median. `noise_ratio`: half the width of the 95 % interval of the median, over
    the median: differences below it mean nothing; None below 6 runs, of which no such interval can be told.
    `throughput_per_s`: samples per second, batch / p50."""

    n: int
    min_s: float
    p50_s: float
    p90_s: float
    p99_s: float | None
    mean_s: float
    max_s: float
    mad_s: float
    iqr_ratio: float
    noise_ratio: float | None
    batch: int
    throughput_per_s: float


class WarmUp(msgspec.Struct, frozen=True):
    """Runs before those that count. `steady`: the times had settled; else the warm-up was ended by its number or by the
    clock, as `why` says."""

    n: int
    steady: bool
    why: str


class KernelTime(msgspec.Struct, frozen=True):
    """A kernel that ran: a node of the optimized graph. `seconds` are its share of an unprofiled run. `nodes`: labels
    of
    the nodes of the model that it computes, () where none is known (`why`). `consistent`: whether its outputs have the
    shapes of those nodes' outputs; None where there is nothing to compare."""

    name: str
    op: str
    seconds: float
    share: float
    calls: float
    nodes: tuple[str, ...]
    consistent: bool | None
    why: str | None
    predicted_s: float | None = None
    limiter: str | None = None


class NodeTime(msgspec.Struct, frozen=True):
    """A node of the model: `seconds` of the kernels that compute it, split by their predicted or counted work where
    they compute several; `kernels` are these. None where no kernel is known to compute it (folded away, fused into
    `fused_into`). `mac_per_s` and `byte_per_s` are over `seconds`; `efficiency` is the host's roofline time over
    `seconds` (1: as fast as the host can), None without a calibrated host. `slow`: a node that takes part of the time
    worth naming and does little for it, as `effaudit.timing.rated` says. `kind`, `params` and `shape` (of the first
    output) are those of the report."""

    index: int
    name: str
    op: str
    seconds: float | None
    share: float | None
    kernels: tuple[str, ...]
    macs: int | None
    ops: int | None
    bytes: int | None
    mac_per_s: float | None
    byte_per_s: float | None
    efficiency: float | None
    predicted_s: float | None
    why: str | None
    kind: str = ""
    params: int | None = None
    shape: tuple[int | str, ...] | None = None
    slow: bool = False


class Attribution(msgspec.Struct, frozen=True):
    """How far kernels were told apart: seconds attributed over all kernel seconds, and of the attributed kernels with
    something to compare the part whose shapes are consistent."""

    kernels: int
    attributed_ratio: float
    consistent_ratio: float | None


class PeakMemory(msgspec.Struct, frozen=True):
    """Bytes above the weights at the peak of one run: what liveness says of the graph as ONNX Runtime optimized it, and
    what its own profile measured."""

    predicted_low: int
    predicted_high: int | None
    measured: int | None
    why: str | None


class Worst(msgspec.Struct, frozen=True):
    """A kernel whose prediction is far off, and what of it the estimate took as its limit."""

    kernel: str
    op: str
    nodes: tuple[str, ...]
    seconds: float
    predicted_s: float
    ratio: float
    why: str


class Prediction(msgspec.Struct, frozen=True):
    """What the profile of `device` says of one inference, held against the measured median. `error_ratio` is
    |predicted / measured - 1|."""

    device: str
    threads: int | None
    total: SecondsReport
    error_ratio: float | None
    worst: tuple[Worst, ...]
    notes: tuple[str, ...]


class ModelTime(msgspec.Struct, frozen=True):
    """One model at one size, run. `inputs_from` says what was fed. `plain` are runs without optimizations in turns with
    optimized ones, of which they take `plain_ratio` times as long; None where there are none, as in `notes`.
    `slower_optimized` says that the optimized graph is the slower one, beyond the noise. `profiled_ratio`: a whole run
    with the profiler on, over the median without. `regime` is that of the roofline of the profile asked for."""

    path: str
    given: dict[str, dict[str, Any]]
    dims: dict[str, DimReport]
    inputs: tuple[TensorType, ...]
    inputs_from: str
    provider: str
    threads: int
    optimize: str
    runs: Runs
    warmup: WarmUp
    session_s: float
    first_s: float
    rss_bytes: int | None
    plain: Runs | None
    slower_optimized: bool
    memory: PeakMemory | None
    attribution: Attribution | None
    nodes: tuple[NodeTime, ...]
    kernels: tuple[KernelTime, ...]
    unattributed_s: float | None
    profiled_ratio: float | None
    predicted_s: float | None
    prediction: Prediction | None
    macs: int | None
    intensity: float | None
    regime: str | None
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    weight_intensity: float | None = None
    plain_ratio: float | None = None


class Versus(msgspec.Struct, frozen=True):
    """Two models run in turns. `ratio` is the second's time over the first's, with its interval at `confidence`;
    `verdict` is of the second, and other than "no difference" only where the whole interval lies above 1 + `effect` or
    below 1 / (1 + `effect`). The interval is None where there are too few rounds for this confidence."""

    first: str
    second: str
    first_runs: Runs
    second_runs: Runs
    rounds: int
    ratio: float
    low: float | None
    high: float | None
    confidence: float
    effect: float
    verdict: Verdict
    warnings: tuple[str, ...]
    provider: str = "CPU"
    threads: int = 1
    optimize: str = "all"
    notes: tuple[str, ...] = ()


class SweepPoint(msgspec.Struct, frozen=True):
    """One size of a measured sweep. `values` are those of what varies. `intensity` is FLOP per byte read and written,
    `weight_intensity` FLOP per byte of weights. `regime` is that of the roofline of a calibrated host or a device, at
    its peaks: "compute" or "memory"; None without one. `growth_ratio`: how much the throughput grew per doubling of the
    batch since the next smaller one (1: twice as much; over less than a doubling how much in all), None where there is
    none."""

    path: str
    values: dict[str, str]
    batch: int
    macs: int | None
    intensity: float | None
    weight_intensity: float | None
    regime: str | None
    p50_s: float
    noise_ratio: float | None
    throughput_per_s: float
    mac_per_s: float | None
    growth_ratio: float | None


class SweepTurn(msgspec.Struct, frozen=True):
    """Where a model's character changes over the batches of a sweep, all else as `values` say. `compute_from` is the
    smallest batch at which it is compute-bound, None where none is known to be. `best_batch` has the best measured
    throughput. From `knee_batch` on no larger batch gained 10 % of throughput per doubling; None where it still does.
    """

    path: str
    values: dict[str, str]
    compute_from: int | None
    best_batch: int
    best_throughput_per_s: float
    knee_batch: int | None


class TimeDocument(msgspec.Struct, frozen=True):
    """The document of `effaudit time`."""

    schema: str
    version: str
    counting: str
    host: Host
    models: tuple[ModelTime, ...]
    versus: tuple[Versus, ...]
    sweep: tuple[SweepPoint, ...] = ()
    turns: tuple[SweepTurn, ...] = ()
