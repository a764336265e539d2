"""What a renderer may see of a fit. Field by field: docs/json-fit.md. Bytes, seconds, joules; None is unknown."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from effaudit.checks.types import Result, Status
from effaudit.energy.types import EnergyReport
from effaudit.estimate.roofline import Ridge
from effaudit.report import DimReport, LiveTensor
from effaudit.serving.types import Serving

SCHEMA: Final = "effaudit.fit/1"

# "fits-with": not as it is, but with one of the knobs that change no number the model computes.
Verdict: TypeAlias = Literal["fits", "fits-with", "does-not-fit", "unknown"]
EXIT_CODES: Final = {"fits": 0, "fits-with": 1, "does-not-fit": 1, "unknown": 4}


class ItemReport(msgspec.Struct, frozen=True):
    """What takes bytes in a memory, and how that is known. `place`: "piece" has to lie in one piece with all
    that is so, "anywhere" may lie there or in another region, "elsewhere" lies in another."""

    what: str
    bytes: int | None
    bounds: tuple[int, int | None]
    basis: str
    place: str


class MemoryRow(msgspec.Struct, frozen=True):
    """A memory of the device. `have_bytes` is all of it, `contiguous_bytes` its largest region. `margin_bytes` is what
    is left at the most that is needed: the less of all of it minus the whole need, and the largest region minus the
    items that are not "elsewhere". Negative where that does not fit; None where nothing bounds the need, or the size is
    not known."""

    memory: str
    kind: str
    need_bytes: int | None
    need_bounds: tuple[int, int | None]
    have_bytes: int | None
    contiguous_bytes: int | None
    margin_bytes: int | None
    items: tuple[ItemReport, ...]


class FitMemory(msgspec.Struct, frozen=True):
    """The arena under the runtime's rules. `arena_constant_bytes` goes into the C file: the arena with workspaces and
    what the runtime keeps in it, at the most, in multiples of 16. `floor_bytes`: no plan under these rules needs less,
    `floor_rule` says why."""

    rows: tuple[MemoryRow, ...]
    rules: str
    planner: str
    arena_bytes: int | None
    arena_bounds: tuple[int, int | None]
    arena_constant_bytes: int | None
    floor_bytes: int
    floor_rule: str
    peak_node: str | None
    live_set: tuple[LiveTensor, ...]


class KernelRow(msgspec.Struct, frozen=True):
    """A kernel on the device. `attainable_flop_per_s` and `regime` are those of the roofline. `memory` is the one that
    its bytes take longest of. `limiter` is what decides `seconds`: "compute", "memory", "overhead" (the launch),
    "absorbed" (no rate and no bandwidth of its own: its time is in the rates of the others) or "unknown"."""

    node: str
    op: str
    op_class: str
    dtype: str
    engine: str
    macs: int | None
    bytes: int | None
    intensity: float | None
    regime: str | None
    attainable_flop_per_s: float | None
    compute_s: float | None
    memory_s: float | None
    overhead_s: float | None
    seconds: float | None
    limiter: str
    memory: str


class SecondsReport(msgspec.Struct, frozen=True):
    """A figure with bounds and where they come from."""

    value: float | None
    low: float
    high: float | None
    basis: str


class RooflineReport(msgspec.Struct, frozen=True):
    """The roofline of the whole model. `regime` is what takes longer at the peaks, operations ("compute") or bytes
    ("memory"). The shares are of the estimated time: `bound` names the largest, "compute", "memory" or "overhead"
    (launches); `memories` has the part of each memory."""

    ridges: tuple[Ridge, ...]
    intensity: float | None
    regime: str | None
    bound: str | None
    compute_share: float | None
    memory_share: float | None
    overhead_share: float | None
    memories: dict[str, float]


class BatchRow(msgspec.Struct, frozen=True):
    """The model at a batch size. `regime` is that of the roofline, `bound` what most of the estimated time goes to:
    "compute", "memory" or "overhead" (launches)."""

    batch: int
    intensity: float | None
    latency_s: SecondsReport
    throughput_per_s: float | None
    memory_share: float | None
    regime: str | None
    bound: str | None


class PlacementReport(msgspec.Struct, frozen=True):
    """Where nodes run: `partitions` are the numbers of nodes of each part that the engine runs; `left` the nodes that
    run elsewhere, with the reason."""

    engine: str
    fallback: str
    nodes: int
    taken: int
    partitions: tuple[int, ...]
    transfers: int
    transfer_bytes: int | None
    left: tuple[tuple[str, str], ...]


class Knob(msgspec.Struct, frozen=True):
    """A change, really made and planned: what it needs then, whether `memory` holds it (`held`: pass, fail, unknown),
    and whether the model `fits`, all else considered. `lossless`: it changes no number that the model computes.
    `option` is what shows it."""

    what: str
    memory: str
    need_bytes: int
    need_bounds: tuple[int, int | None]
    held: str
    fits: bool
    lossless: bool
    cost: str
    option: str


class Bottleneck(msgspec.Struct, frozen=True):
    """What decides: the finding of `check` at `where`, with its `status`. `share` is how much of its limit is taken (of
    one that must be reached: the limit over what is reached), the least of a failure and the most of a pass; None where
    that is not known. All are empty, and the status "skipped", where nothing is held against a limit. `text` says it in
    words."""

    check: str
    where: str
    status: Status
    share: float | None
    text: str


class Suggestion(msgspec.Struct, frozen=True):
    """A change after which the model fits. `steps` are the what-ifs, `options` how it then has to run (an order,
    patches, a planner: these change no number), `command` the words of the command line that shows it. `loss` stands
    for what the network may have lost, 0 to 1 (`effaudit.whatif.types.Change`; None where no weights tell), `retrain`
    says that nobody would ship it without training. Bytes, MACs and seconds are those of the changed model; None is
    unknown."""

    steps: tuple[str, ...]
    options: tuple[str, ...]
    command: tuple[str, ...]
    loss: float | None
    retrain: bool
    params: int
    weight_bytes: int
    macs: int | None
    arena_bytes: int | None
    arena_bounds: tuple[int, int | None]
    latency_s: float | None
    notes: tuple[str, ...]


class Suggestions(msgspec.Struct, frozen=True):
    """The change that loses least, and the changes that no other beats in loss, weights, arena and MACs at once, from
    the least loss to the most. `tried` is how many were really made and judged; `why` says why there is none."""

    smallest: Suggestion | None
    front: tuple[Suggestion, ...]
    tried: int
    why: str


class FitReport(msgspec.Struct, frozen=True):
    """One model on one device. `options` are the words of the command line that ask for the same device, runtime,
    element type, plan and reserve again; the sizes that go with them are `given`. `times` is how often a pipeline runs
    it. `bottleneck` is what decides. One run makes `per_run` of
    what `counts` says: "inferences" (the batch) or "tokens" (of all sequences). `latency_s` and `energy_j` are of one
    run, `throughput_per_s` counts inferences or tokens. `proof` is why it cannot fit, None where that is not proven.
    `notes`: what explains the figures first, then the runtime, then the device. `suggestions` are there where they were
    asked for and it does not fit."""

    model: str
    times: int
    device: str
    title: str
    options: tuple[str, ...]
    given: dict[str, dict[str, Any]]
    dims: dict[str, DimReport]
    status: Verdict
    exit_code: int
    bottleneck: Bottleneck
    proof: str | None
    runtime: str
    runtime_title: str
    quantize: str | None
    findings: tuple[Result, ...]
    memory: FitMemory
    counts: str
    per_run: int
    latency_s: SecondsReport
    throughput_per_s: float | None
    energy_j: SecondsReport | None
    energy: EnergyReport
    roofline: RooflineReport
    placement: PlacementReport | None
    rows: tuple[KernelRow, ...]
    batches: tuple[BatchRow, ...]
    compute_bound_from: int | None
    serving: Serving | None
    knobs: tuple[Knob, ...]
    rewrites: tuple[str, ...]
    notes: tuple[str, ...]
    suggestions: Suggestions | None = None


class Pipeline(msgspec.Struct, frozen=True):
    """Several models run one after the other, each so many times: sums of time and energy, weights side by side, one
    arena after the other."""

    device: str
    status: Verdict
    exit_code: int
    parts: tuple[tuple[str, int], ...]
    latency_s: SecondsReport
    energy_j: SecondsReport | None
    rows: tuple[MemoryRow, ...]
    findings: tuple[Result, ...]


class FitDocument(msgspec.Struct, frozen=True):
    """The document of `effaudit fit`."""

    schema: str
    version: str
    counting: str
    verdicts: tuple[FitReport, ...]
    pipelines: tuple[Pipeline, ...]
    exit_code: int
