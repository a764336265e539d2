"""Patch-based execution: the first stage of a network runs tile by tile, so that its large maps never exist as a whole.

MCUNetV2 (Lin et al. 2021, https://arxiv.org/abs/2110.15352). A stage is all that makes one tensor; that tensor is
split into a grid of tiles, and for each the stage runs on the parts its tile needs, halo included. Parts that would
fall in the padding are neither computed nor stored. What halos overlap is computed again for every tile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise, product

import msgspec

from effaudit.dataflow import Flow
from effaudit.errors import UsageError
from effaudit.graph import Graph
from effaudit.plan.patches.memory import Feed, Keeping, keeping, peak, rest
from effaudit.plan.patches.spans import Blocked, Span, split
from effaudit.plan.patches.stage import Stage, compiled, prefix, settled
from effaudit.plan.storage import APART, Sharing
from effaudit.table import CostTable, price

Lengths = Mapping[str, int]
Part = Mapping[str, Span]  # what one part of one axis needs of every tensor


class Parts(msgspec.Struct, frozen=True):
    """A graph input as patches read it, in positions along each tiled axis: its whole size, what the first patch
    reads, the most that one patch reads, and the most that two neighbours both read (the halo)."""

    name: str
    size: tuple[int, ...]
    first: tuple[int, ...]
    largest: tuple[int, ...]
    halo: tuple[int, ...]


class Patched(msgspec.Struct, frozen=True):
    """A stage run patch by patch, and the rest of the graph after it.

    `stage` is the tensor the stage ends at, `nodes` the indices of its nodes, `grid` the number of tiles along each
    spatial axis, `tile` the largest tile of the tensor and `inputs` what patches read. Bytes: `stage_bytes` is the
    most of one patch under `feed` (the whole of the stage's tensor included), reached at the node `peak_node`;
    `rest_bytes` the most while all other nodes run. MACs: `stage_macs` of the stage run whole, `patched_macs` run
    patch by patch, `unclipped_macs` the same where parts in the padding are computed as if they were data (None where
    that cannot be told), `total_macs` of the whole graph (None where it is not known).
    """

    stage: str
    nodes: tuple[int, ...]
    grid: tuple[int, ...]
    tile: tuple[int, ...]
    inputs: tuple[Parts, ...]
    feed: Feed
    stage_bytes: int
    peak_node: str
    rest_bytes: int
    stage_macs: int
    patched_macs: int
    unclipped_macs: int | None
    total_macs: int | None

    @property
    def patched_bytes(self) -> int:
        """The most bytes alive at any time."""
        return max(self.stage_bytes, self.rest_bytes)

    @property
    def extra_macs(self) -> int:
        """MACs that only patch-based execution does; below 0 where it leaves out more than it repeats (positions that
        nothing reads, which a stage run whole computes all the same)."""
        return self.patched_macs - self.stage_macs

    @property
    def ratio(self) -> float | None:
        """MACs of the stage patch by patch over those of the stage run whole; None of a stage without any."""
        return self.patched_macs / self.stage_macs if self.stage_macs else None

    @property
    def extra_share(self) -> float | None:
        """Extra MACs as a share of those of the whole graph."""
        return self.extra_macs / self.total_macs if self.total_macs else None


def patched(
    graph: Graph,
    flow: Flow,
    stage: str,
    grid: Sequence[int],
    *,
    feed: Feed = "resident",
    sharing: Sharing = APART,
    table: CostTable | None = None,
) -> Patched:
    """The nodes that make the tensor `stage`, run over a grid of tiles of it.

    `grid` has one number per axis behind the first two (rows, columns). The shapes of the graph are numbers. `sharing`
    says which tensors may lie in the same bytes, inside a patch and after the stage; `table` are the prices of the
    graph, where the caller has them. Raises UsageError where no stage can end there, or the grid does not fit.
    """
    if stage not in graph.values:
        raise UsageError(f"patches: no tensor {stage!r} in the graph; give the name of a node's output")
    table, flow = table or price(graph, flow), settled(graph, flow)
    try:
        indices = prefix(graph, flow, stage)
        found = compiled(graph, flow, reversed(indices), stage, table)
        after = rest(graph, flow, indices, stage, sharing)
        extents = found.tensors[stage].extents
        if len(grid) != len(extents) or any(not 1 <= n <= size for n, size in zip(grid, extents, strict=False)):
            raise UsageError(
                f"patches: a grid {'x'.join(map(str, grid))} does not fit the map {_by(extents)} of {stage}"
            )
        parts = [needs(found, axis, count) for axis, count in enumerate(grid)]
        held = keeping(graph, flow, found, feed, sharing)
        return assembled(graph, found, parts, most_of_a_patch(found, held, kinds(parts)), after, feed, table)
    except Blocked as why:
        raise UsageError(f"patches: no stage can end at {stage}: {why}; choose a tensor before that") from None


def needs(stage: Stage, axis: int, count: int, *, clipped: bool = True) -> list[Part]:
    """What each of `count` parts along an axis needs of every tensor of a stage."""
    size = stage.tensors[stage.tensor].extents[axis]
    return [stage.needed(axis, span, clipped=clipped) for span in split(size, count)]


def kinds(parts: Sequence[Sequence[Part]]) -> list[list[Lengths]]:
    """Along each axis the lengths that parts need, without repetition: patches of equal sizes take equal memory."""
    return [list({tuple(found.values()): found for found in map(lengths_of, axis)}.values()) for axis in parts]


def most_of_a_patch(stage: Stage, held: Keeping, found: Sequence[Sequence[Lengths]]) -> tuple[int, int]:
    """(bytes, step) of the patch that takes the most, of all `kinds`."""
    patches = ({name: tuple(axis[name] for axis in patch) for name in stage.tensors} for patch in product(*found))
    return max((peak(stage, held, lengths) for lengths in patches), key=lambda most: most[0])


def lengths_of(part: Part) -> Lengths:
    """Positions of every tensor."""
    return {name: high - low for name, (low, high) in part.items()}


def assembled(
    graph: Graph,
    stage: Stage,
    parts: Sequence[Sequence[Part]],
    most: tuple[int, int],
    after: int,
    feed: Feed,
    table: CostTable,
) -> Patched:
    """Everything known of a stage and a grid."""
    grid = tuple(map(len, parts))
    try:
        unclipped = stage.macs([needs(stage, axis, count, clipped=False) for axis, count in enumerate(grid)])
    except Blocked:
        unclipped = None
    return Patched(
        stage=stage.tensor,
        nodes=tuple(step.index for step in stage.steps),
        grid=grid,
        tile=tuple(max(lengths_of(part)[stage.tensor] for part in axis) for axis in parts),
        inputs=tuple(_parts(stage, name, parts) for name in stage.inputs),
        feed=feed,
        stage_bytes=most[0],
        peak_node=graph.nodes[stage.steps[most[1]].index].label,
        rest_bytes=after,
        stage_macs=sum(step.macs for step in stage.steps),
        patched_macs=stage.macs(parts),
        unclipped_macs=unclipped,
        total_macs=table.total("macs").value,
    )


def _parts(stage: Stage, name: str, parts: Sequence[Sequence[Part]]) -> Parts:
    read = [[part[name] for part in axis] for axis in parts]
    return Parts(
        name,
        stage.tensors[name].extents,
        tuple(axis[0][1] - axis[0][0] for axis in read),
        tuple(max(high - low for low, high in axis) for axis in read),
        tuple(max((max(a[1] - b[0], 0) for a, b in pairwise(axis)), default=0) for axis in read),
    )


def _by(extents: Sequence[int]) -> str:
    return "x".join(map(str, extents))
