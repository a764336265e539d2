"""What a renderer may see of a report. Field by field: docs/json.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import eq
from typing import TYPE_CHECKING, Any, Final, overload

import msgspec

from effaudit.findings import Finding
from effaudit.views.crossovers import Crossover
from effaudit.views.groups import Groups
from effaudit.views.hot import Hot

if TYPE_CHECKING:  # views that few reports ask for
    from effaudit.views.against import Against
    from effaudit.views.movement import Movement
    from effaudit.views.pareto import Pareto
    from effaudit.views.published.architectures import Architecture
    from effaudit.views.receptive_field import ReceptiveFields
    from effaudit.views.transformer import Transformer
    from effaudit.views.weights import WeightsReport
    from effaudit.views.winograd import Winograd

SCHEMA: Final = "effaudit.report/1"
TOP: Final = 5


class TensorType(msgspec.Struct, frozen=True):
    """A tensor's name, element type and shape: ints, expressions as text, None for an unknown rank."""

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None


def size(shape: tuple[int | str, ...] | None) -> str:
    """1x3x224x224, or [batch, 3, ...] where a dim is an expression, "?" where the rank is unknown."""
    if shape is None:
        return "?"
    if all(isinstance(dim, int) for dim in shape):
        return "x".join(map(str, shape)) or "scalar"
    return f"[{', '.join(map(str, shape))}]"


class NodeReport(msgspec.Struct, frozen=True):
    """One node's costs; None is unknown, `unpriced` then says why. `live` False: it never runs and is in no total."""

    name: str
    op: str
    domain: str
    kind: str
    outputs: tuple[TensorType, ...]
    params: int
    macs: int | None
    ops: int | None
    weight_bytes: int
    read_bytes: int | None
    write_bytes: int | None
    intensity: float | None
    unpriced: str | None
    why: str | None
    activation_bytes: int | None = 0
    kernel: str | None = None
    part: str | None = None
    live: bool = True
    macs_bounds: list[int | None] | None = None
    ops_bounds: list[int | None] | None = None
    read_bounds: list[int | None] | None = None
    write_bounds: list[int | None] | None = None
    nodes: tuple[NodeReport, ...] = ()


class Totals(msgspec.Struct, frozen=True):
    """Totals over the nodes that run."""

    nodes: int
    priced: int
    unpriced: int
    params: int
    params_stored: int
    buffers: int
    constant_elements: int
    weight_bytes: int
    weight_bytes_by: dict[str, int]
    macs: int | None
    macs_bounds: list[int | None]
    ops: int | None
    ops_bounds: list[int | None]
    flops: int | None
    flops_bounds: list[int | None]
    read_bytes: int | None
    read_bounds: list[int | None]
    write_bytes: int | None
    write_bounds: list[int | None]
    movement_bytes: int | None
    activations: int | None
    intensity: float | None
    intensity_bounds: list[float | None]
    weight_intensity: float | None
    weight_intensity_bounds: list[float | None]
    why: str | None


class LiveTensor(msgspec.Struct, frozen=True):
    name: str
    bytes: int


class MemoryReport(msgspec.Struct, frozen=True):
    """Memory figures in bytes, as `plan/liveness.py` defines them; None is unknown, `why` says why."""

    sum_bytes: int | None
    max_in_out_bytes: int | None
    live_bytes: int | None
    live_bounds: list[int | None]
    inplace_bytes: int | None
    body_live_bytes: int | None
    peak_node: str | None
    peak_step: int | None
    live_set: tuple[LiveTensor, ...]
    why: str | None


class DimReport(msgspec.Struct, frozen=True):
    value: int | None
    origin: str
    bounds: list[int | None]
    reason: str | None


class NodeReports(Sequence[NodeReport]):
    """The nodes of a model, made when they are looked at: a report of 200,000 nodes need not hold them all at once."""

    def __init__(self, make: Callable[[int], NodeReport], count: int) -> None:
        self._make = make
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NodeReports) and len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return _listed, (tuple(self),)

    @overload
    def __getitem__(self, index: int) -> NodeReport: ...
    @overload
    def __getitem__(self, index: slice) -> list[NodeReport]: ...
    def __getitem__(self, index: int | slice) -> NodeReport | list[NodeReport]:
        if isinstance(index, slice):
            return [self._make(i) for i in range(self._count)[index]]
        return self._make(range(self._count)[index])


def _listed(nodes: tuple[NodeReport, ...]) -> NodeReports:
    """Nodes that were made already, as when they come from another process."""
    return NodeReports(nodes.__getitem__, len(nodes))


class ModelReport(msgspec.Struct, frozen=True):
    """One audited model."""

    path: str
    producer: str
    ir_version: int
    opsets: dict[str, int]
    file_bytes: int
    read_bytes: int
    given: dict[str, dict[str, Any]]
    dims: dict[str, DimReport]
    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]
    totals: Totals
    sizes: dict[str, int]
    formulas: dict[str, str | None] | None
    part_formulas: dict[str, str] | None
    crossovers: tuple[Crossover, ...]
    memory: MemoryReport
    hot: tuple[Hot, ...]
    movement: Movement | None
    transformer: Transformer | None
    groups: Groups | None
    receptive_field: ReceptiveFields | None
    winograd: Winograd | None
    weights: WeightsReport | None
    against: tuple[Against, ...]
    nodes: NodeReports
    unpriced: tuple[dict[str, str], ...]
    findings: tuple[Finding, ...]


class Asked(msgspec.Struct, frozen=True):
    """What a report shows beside the default: views by name, group keys, published figures, the number of hot spots."""

    views: frozenset[str] = frozenset()
    group_by: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    top: int = TOP


VIEWS: Final = ("receptive-field", "winograd", "weights", "transformer", "movement")


class Report(msgspec.Struct, frozen=True):
    """The document of `effaudit report`."""

    schema: str
    version: str
    counting: str
    models: tuple[ModelReport, ...]
    baselines: tuple[Architecture, ...] = ()
    pareto: Pareto | None = None
