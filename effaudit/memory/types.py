"""What a renderer may see of a memory plan. Field by field: docs/json.md. Sizes are bytes; None is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from effaudit.findings import Finding
from effaudit.report import DimReport, LiveTensor, TensorType
from effaudit.runtimes import DEFAULT

if TYPE_CHECKING:  # few documents have them
    from effaudit.memory.kernels import KernelReport
    from effaudit.memory.sequences import CacheReport, ScoresReport
    from effaudit.memory.training import TrainingReport
    from effaudit.plan.patches import Parts

SCHEMA: Final = "effaudit.memory/1"


class BufferReport(msgspec.Struct, frozen=True):
    """A storage of the arena: alive in the steps [start, end), at `offset`. `others` are the tensors that share it."""

    name: str
    bytes: int | None
    bounds: list[int | None]
    start: int
    end: int
    offset: int | None
    others: tuple[str, ...] = ()


class StepReport(msgspec.Struct, frozen=True):
    """A node that runs. `live_bytes` are the activations that exist while it does, each whole and apart;
    `storage_bytes` what of the arena is in use. `born` are its outputs, `dies` what nothing reads after it."""

    step: int
    node: str
    op: str
    live_bytes: int | None
    live_bounds: list[int | None]
    storage_bytes: int | None
    alive: int
    born: tuple[LiveTensor, ...]
    dies: tuple[str, ...]


class OrderReport(msgspec.Struct, frozen=True):
    """The best order of the nodes that was found. `floor_bytes`: no order needs less. `method` "given": the order of
    the file is as good as any found."""

    live_bytes: int
    floor_bytes: int
    proven: bool
    method: str
    states: int


class PatchReport(msgspec.Struct, frozen=True):
    """The first nodes run patch by patch: up to the tensor `stage`, which is kept whole, over `grid` tiles of it.

    `stage_bytes` is the most while a patch runs, `rest_bytes` the most after the stage, `patched_bytes` the larger of
    the two. The input of the graph is kept whole; in the `streamed` figures it is fed patch by patch. `stage_macs` are
    those of the stage run whole, `patched_macs` patch by patch, what lies in the padding left out (`unclipped_macs`:
    computed as if it were data). `extra_share` is of the MACs of the whole graph.
    """

    stage: str
    nodes: tuple[str, ...]
    grid: tuple[int, ...]
    tile: tuple[int, ...]
    inputs: tuple[Parts, ...]
    stage_bytes: int
    stage_streamed_bytes: int
    rest_bytes: int
    patched_bytes: int
    patched_streamed_bytes: int
    peak_node: str
    stage_macs: int
    patched_macs: int
    unclipped_macs: int | None
    extra_macs: int
    ratio: float | None
    extra_share: float | None


class Workspace(msgspec.Struct, frozen=True):
    """The workspace of a node's kernel."""

    node: str
    bytes: int | None
    bounds: list[int | None]


class Remedy(msgspec.Struct, frozen=True):
    """A change that lowers the arena: to how many bytes, what it costs, and the option that shows it ("" where there
    is none)."""

    what: str
    arena_bytes: int
    saves: float
    cost: str
    option: str


class MemoryFigures(msgspec.Struct, frozen=True):
    """Every figure by its name, of the graph as the runtime executes it. The names: docs/memory.md."""

    runtime: str
    planner: str
    align: int
    inputs_pinned: bool
    sum_bytes: int | None
    max_in_out_bytes: int | None
    live_bytes: int | None
    live_bounds: list[int | None]
    inplace_bytes: int | None
    inplace_bounds: list[int | None]
    body_live_bytes: int | None
    best_order_bytes: int | None
    best_order: OrderReport | None
    arena_bytes: int | None
    arena_bounds: list[int | None]
    floor_bytes: int
    gap: float | None
    proven_optimal: bool | None
    scratch_bytes: int | None
    scratch_bounds: list[int | None] | None
    arena_with_scratch_bounds: list[int | None] | None
    persistent_bytes: int | None
    persistent_bounds: list[int | None] | None
    patched_bytes: int | None
    patched: PatchReport | None
    training_bytes: int | None
    training: TrainingReport | None
    peak_node: str | None
    peak_step: int | None
    live_set: tuple[LiveTensor, ...]
    workspaces: tuple[Workspace, ...]
    buffers: tuple[BufferReport, ...]
    timeline: tuple[StepReport, ...]
    seconds: float | None
    why: str | None


class ModelMemory(msgspec.Struct, frozen=True):
    """One model under one runtime. `kernels` are the working sets of its layers, where they are asked for."""

    path: str
    given: dict[str, dict[str, Any]]
    dims: dict[str, DimReport]
    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]
    nodes: int
    runtime: str
    sources: tuple[str, ...]
    rewrites: tuple[str, ...]
    notes: tuple[str, ...]
    memory: MemoryFigures
    kv_cache: CacheReport | None
    scores: ScoresReport | None
    kernels: tuple[KernelReport, ...] | None
    remedies: tuple[Remedy, ...]
    findings: tuple[Finding, ...]

    @property
    def how(self) -> str:
        """How it is run, to follow its name."""
        name = self.memory.runtime
        return "as written" if name == DEFAULT else f"as {self.runtime} runs it ({name})"


class MemoryDocument(msgspec.Struct, frozen=True):
    """The document of `effaudit memory`."""

    schema: str
    version: str
    models: tuple[ModelMemory, ...]
