"""Tables of a memory plan: a row per model, every figure, the timeline, the arena's layout, what lowers it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from effaudit.memory.types import MemoryDocument, ModelMemory
from effaudit.runtimes import DEFAULT
from effaudit.tables.table import BYTES, EXACT, NONE, SHARE, TEXT, Cell, Column, Table, number

SUMMARY: Final = (
    Column("model", "model", width=24),
    Column("runtime", "runtime", width=10),
    Column("arena_bytes", "arena", BYTES),
    Column("floor_bytes", "floor", BYTES),
    Column("gap", "gap", SHARE),
    Column("proven_optimal", "proven", width=6),
    Column("planner", "planner", width=8, spare=True),
    Column("live_bytes", "live", BYTES),
    Column("sum_bytes", "sum", BYTES, spare=True),
    Column("peak_node", "peak at", width=14, spare=True),
)
TIMELINE: Final = (
    Column("step", "step", EXACT, 5),
    Column("node", "node", width=18),
    Column("op", "op", width=8, spare=True),
    Column("live_bytes", "live", BYTES, 9),
    Column("storage_bytes", "in arena", BYTES, 9, spare=True),
    Column("alive", "alive", EXACT, 5),
    Column("born", "born", TEXT, 18),
    Column("dies", "dies", TEXT, 14),
)
BUFFERS: Final = (
    Column("name", "buffer", width=24),
    Column("bytes", "bytes", EXACT, 10),
    Column("start", "from", EXACT, 5),
    Column("end", "to", EXACT, 5),
    Column("offset", "offset", EXACT, 10),
    Column("shares", "also holds", width=14),
)
REMEDIES: Final = (
    Column("what", "what lowers the arena", width=24),
    Column("arena_bytes", "to", BYTES, 9),
    Column("saves", "saves", SHARE, 7),
    Column("cost", "at the cost of", width=12),
    Column("option", "option", width=16),
)


def summary(document: MemoryDocument) -> Table:
    """A row per model and runtime."""
    rows = [_summary(model) for model in document.models]
    return Table("summary", "memory", SUMMARY, lambda: iter(rows))


def _summary(model: ModelMemory) -> tuple[Cell, ...]:
    m = model.memory
    proven = {True: "yes", False: "no", None: NONE}[m.proven_optimal]
    return (
        model.path,
        m.runtime,
        number(m.arena_bytes, m.arena_bounds),
        m.floor_bytes,
        NONE if m.gap is None else m.gap,
        proven,
        m.planner.partition(" (")[0],
        number(m.live_bytes, m.live_bounds),
        m.sum_bytes,
        m.peak_node if m.peak_node is not None else NONE,
    )


def timeline(model: ModelMemory) -> Table:
    """A row per step."""

    def rows() -> Iterator[tuple[Cell, ...]]:
        for s in model.memory.timeline:
            born = " ".join(tensor.name for tensor in s.born) or NONE
            live = number(s.live_bytes, s.live_bounds)
            yield s.step, s.node, s.op, live, s.storage_bytes, s.alive, born, " ".join(s.dies) or NONE

    note = "Steps count from 0. alive: how many tensors exist while the node runs; dies: what nothing reads after it."
    return Table("timeline", "timeline", TIMELINE, rows, note)


def buffers(model: ModelMemory) -> Table:
    """A row per storage of the arena."""

    def rows() -> Iterator[tuple[Cell, ...]]:
        for b in model.memory.buffers:
            size = number(b.bytes, b.bounds)
            yield b.name, size, b.start, b.end, b.offset, " ".join(b.others) or NONE

    note = "Alive from step `from` (counted from 0) until before step `to`"
    if model.memory.align > 1:
        note += f"; in the arena every size is rounded up to {model.memory.align} bytes"
    return Table("buffers", "arena", BUFFERS, rows, f"{note}.")


def remedies(model: ModelMemory) -> Table:
    """A row per change that lowers the arena."""

    def rows() -> Iterator[tuple[Cell, ...]]:
        for r in model.remedies:
            yield r.what, r.arena_bytes, r.saves, r.cost or NONE, r.option or NONE

    return Table("remedies", "what would lower it", REMEDIES, rows)


FIGURES: Final = (
    Column("figure", "figure", width=24),
    Column("value", "bytes", EXACT, 16),
    Column("human", "", BYTES, 10),
    Column("meaning", "meaning", width=30),
)
# figure -> what it means in a line; docs/memory.md says more
MEANINGS: Final = {
    "sum_bytes": "all activations, no memory used twice",
    "max_in_out_bytes": "the largest inputs + outputs of one node",
    "live_bytes": "the most alive at one step, tensors whole and apart",
    "inplace_bytes": "the same with views and in-place operators",
    "body_live_bytes": "inside the body that needs most",
    "best_order_bytes": "the least live bytes of any order of the nodes",
    "arena_bytes": "what the planner really laid out",
    "floor_bytes": "no plan of these buffers can be smaller",
    "scratch_bytes": "the largest workspace of a kernel",
    "arena_with_scratch_bytes": "the arena with the workspaces in it",
    "persistent_bytes": "what the runtime keeps beside the arena",
    "patched_bytes": "with the first nodes run patch by patch",
    "training_bytes": "an estimate: all activations kept for the backward pass",
}


def figures(model: ModelMemory) -> Table:
    """Every figure by its name."""
    m = model.memory
    spans: dict[str, list[int | None] | None] = {
        "live_bytes": m.live_bounds,
        "inplace_bytes": m.inplace_bounds,
        "arena_bytes": m.arena_bounds,
        "scratch_bytes": m.scratch_bounds,
        "arena_with_scratch_bytes": m.arena_with_scratch_bounds,
        "persistent_bytes": m.persistent_bounds,
    }

    absent = {"training_bytes"} if m.training is None else set()
    absent |= {"patched_bytes"} if m.patched is None else set()
    if m.runtime == DEFAULT:  # no runtime: it has no kernels and keeps nothing
        absent |= {"scratch_bytes", "arena_with_scratch_bytes", "persistent_bytes"}

    def rows() -> Iterator[tuple[Cell, ...]]:
        for name, meaning in MEANINGS.items():
            bounds = spans.get(name)
            value = getattr(m, name, None)
            if value is None and bounds is not None and bounds[0] == bounds[1]:
                value = bounds[0]
            cell = NONE if name in absent else number(value, bounds)
            yield name, cell, cell, meaning

    return Table("figures", "every figure", FIGURES, rows)


KERNELS: Final = (
    Column("node", "node", width=20),
    Column("op", "op", width=8, spare=True),
    Column("input_rows", "rows in", EXACT, 7),
    Column("rows_bytes", "by rows", BYTES, 9),
    Column("whole_bytes", "whole", BYTES, 9),
    Column("im2col_bytes", "im2col", BYTES, 9),
    Column("im2col_row_bytes", "of a row", BYTES, 9, spare=True),
    Column("im2col_pixel_bytes", "of a pixel", BYTES, 9, spare=True),
)


def kernels(model: ModelMemory) -> Table:
    """A row per sliding layer."""

    def rows() -> Iterator[tuple[Cell, ...]]:
        for k in model.kernels or ():
            yield (
                k.node,
                k.op,
                k.input_rows,
                k.rows_bytes,
                k.whole_bytes,
                k.im2col_bytes,
                k.im2col_row_bytes,
                k.im2col_pixel_bytes,
            )

    note = "by rows: input rows kept and output rows made; whole: all of input and output; im2col: the columns written."
    return Table("kernels", "working sets of layers", KERNELS, rows, note)


# name of a list -> its table
LISTS: Final[dict[str, Callable[[ModelMemory], Table]]] = {
    "figures": figures,
    "timeline": timeline,
    "buffers": buffers,
    "kernels": kernels,
    "remedies": remedies,
}
