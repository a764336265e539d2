"""Tables of what-ifs: a row per step, what each is on a device, and what a step did to every tensor and group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from effaudit.before_after.types import Executed, ModelSteps, StepMemory, StepOnDevice, StepRow, WhatIfDocument
from effaudit.report import Totals
from effaudit.tables.table import (
    BYTES,
    COUNT,
    EXACT,
    JOULES,
    NONE,
    RATIO,
    SECONDS,
    SHARE,
    TEXT,
    Cell,
    Column,
    Span,
    Table,
    number,
    plus,
)

GIVEN: Final = "as given"
# The figures of a step: (key, heading, kind), those first that a narrow screen keeps.
FIGURES: Final = (
    Column("params", "params", COUNT),
    Column("weight_bytes", "weights", BYTES),
    Column("macs", "MACs", COUNT),
    Column("ops", "ops", COUNT, spare=True),
    Column("live_bytes", "live", BYTES),
    Column("arena_bytes", "arena", BYTES),
    Column("moved_bytes", "moved", BYTES, spare=True),
)
_EXACTLY: Final = (
    Column("model", "model", width=16),
    Column("step", "step", EXACT),
    Column("whatif", "what-if", width=8),
    Column("option", "option", width=16),
    *FIGURES,
    Column("flops", "FLOPs", COUNT),
    Column("read_bytes", "read", BYTES),
    Column("write_bytes", "written", BYTES),
    Column("loss", "loss", RATIO),
    Column("retrain", "re-train", TEXT),
    Column("runtime", "rules", TEXT),
    Column("device", "device", TEXT),
    Column("status", "verdict", TEXT),
    Column("bottleneck", "decides", TEXT),
    Column("latency_s", "time", SECONDS),
    Column("low_s", "least", SECONDS),
    Column("high_s", "most", SECONDS),
    Column("energy_j", "energy", JOULES),
)


def figures(step: StepRow) -> tuple[Cell, ...]:
    """The cells of FIGURES."""
    return figures_of(step.totals, step.executed, step.memory)


def figures_of(t: Totals, e: Executed, m: StepMemory) -> tuple[Cell, ...]:
    """The cells of FIGURES: what is stored is of the file, what is done is of the graph as it is executed."""
    return (
        t.params,
        t.weight_bytes,
        number(e.macs, e.macs_bounds),
        number(e.ops, e.ops_bounds),
        number(m.live_bytes, m.live_bounds),
        number(m.arena_bytes, m.arena_bounds),
        plus(number(e.read_bytes, e.read_bounds), number(e.write_bytes, e.write_bounds)),
    )


def flops_of(e: Executed) -> Cell:
    """2 MACs + other operations."""
    macs = number(e.macs, e.macs_bounds)
    return plus(plus(macs, macs), number(e.ops, e.ops_bounds))


def change(before: Cell, after: Cell) -> Cell:
    """After over before; "-" where there was nothing, None where one of them is not known."""
    if isinstance(before, str) or isinstance(after, str) or before is None or after is None:
        return None
    if isinstance(before, Span) or isinstance(after, Span):
        return 1.0 if before == after else None
    if before == 0:
        return 1.0 if after == 0 else NONE
    return after / before


def every_step(document: WhatIfDocument) -> Table:
    """A row per model, step and device, with exact numbers: for programs."""

    def rows() -> Iterator[tuple[Cell, ...]]:
        for model in document.models:
            for i, step in enumerate(model.steps):
                for placed in step.devices or (None,):
                    yield (model.path, i, step.whatif or NONE, step.option or GIVEN, *_whole(step), *_placed(placed))

    return Table("steps", "what-ifs", _EXACTLY, rows)


def _whole(step: StepRow) -> tuple[Cell, ...]:
    e = step.executed
    return (
        *figures(step),
        flops_of(e),
        number(e.read_bytes, e.read_bounds),
        number(e.write_bytes, e.write_bounds),
        step.loss,
        "yes" if step.retrain else "no",
        step.memory.runtime,
    )


def _placed(placed: StepOnDevice | None) -> tuple[Cell, ...]:
    if placed is None:
        return (NONE,) * 7
    time, energy = placed.latency_s, placed.energy_j
    return (
        placed.device,
        placed.status,
        placed.bottleneck.text,
        time.value,
        time.low or None,
        time.high,
        None if energy is None else energy.value,
    )


# figure of a detail -> whether its largest is the worst; the first that a table has is the one to look at
WORST: Final = {"sqnr_db": False, "saliency_removed": True, "max_error": True, "error": True, "mse": True}
_FIRST: Final = 2  # columns of figures that no screen leaves out


def details(step: StepRow) -> tuple[Table, ...]:
    """What a step did to every tensor or group: a table for each kind of row, the worst first where there is one."""
    names = dict.fromkeys(detail.table for detail in step.details)
    return tuple(_detailed(step, name) for name in names)


def _detailed(step: StepRow, name: str) -> Table:
    """The worst figure stands first, then numbers, then words."""
    found = [detail for detail in step.details if detail.table == name]
    worst = next((key for key in WORST if key in found[0].figures), None)
    if worst is not None:
        found.sort(key=lambda detail: _badness(detail.figures.get(worst), largest=WORST[worst]))
    cells = {key: [detail.figures.get(key) for detail in found] for key in found[0].figures}
    kinds = {key: _kind(key, several) for key, several in cells.items()}
    keys = sorted(cells, key=lambda key: (key != worst, kinds[key] == TEXT))
    columns = (
        Column("name", "name", width=28),
        *(Column(key, _title(key), kinds[key], width=8, spare=i >= _FIRST) for i, key in enumerate(keys)),
    )

    def rows() -> Iterator[tuple[Cell, ...]]:
        for i, detail in enumerate(found):
            yield (detail.name, *(NONE if (cell := cells[key][i]) in (None, "") else cell for key in keys))

    return Table(name, name, columns, rows, part=name)


def _title(key: str) -> str:
    return key.removesuffix("_bytes").replace("_db", " (dB)").replace("_", " ")


def _badness(cell: Cell, *, largest: bool) -> tuple[int, float]:
    """The worst first, what is not known last."""
    if not isinstance(cell, int | float):
        return (1, 0.0)
    return (0, -cell if largest else cell)


def _kind(key: str, cells: Sequence[Cell]) -> str:
    """What a figure measures, by its name."""
    known = [cell for cell in cells if cell is not None]
    if any(isinstance(cell, str) for cell in known):
        return TEXT
    if key.endswith("bytes"):
        return BYTES
    if key.endswith(("share", "_removed", "sparsity", "_break_even")):
        return SHARE
    return EXACT if known and all(isinstance(cell, int) for cell in known) else RATIO


def every_detail(document: WhatIfDocument) -> Table:
    """A row per figure of each tensor or group, whatever table it is in: for programs."""
    columns = (
        Column("model", "model"),
        Column("step", "step", EXACT),
        Column("whatif", "what-if"),
        *(Column(key, key) for key in ("table", "name", "figure")),
        Column("value", "value", RATIO),
    )

    def rows() -> Iterator[tuple[Cell, ...]]:
        for model in document.models:
            for i, step in enumerate(model.steps):
                head = (model.path, i, step.whatif or NONE)
                for one in step.details:
                    yield from ((*head, one.table, one.name, key, value) for key, value in one.figures.items())
                yield from ((*head, "blocked", one.group, "reason", one.reason) for one in step.blocked)

    return Table("details", "details", columns, rows)


BLOCKED: Final = (Column("group", "left as it was", width=20), Column("reason", "because", width=30))


def blocked(step: StepRow) -> Table:
    """What a step had to leave as it was."""
    return Table("blocked", "blocked", BLOCKED, lambda: ((one.group, one.reason) for one in step.blocked))


ON_DEVICE: Final = (
    Column("step", "step", TEXT, 8),
    Column("device", "device", width=14),
    Column("status", "verdict", width=12),
    Column("bottleneck", "decides", width=14),
    Column("margin_bytes", "margin", BYTES, spare=True),
    Column("latency_s", "time", SECONDS),
    Column("low_s", "least", SECONDS, spare=True),
    Column("high_s", "most", SECONDS, spare=True),
    Column("energy_j", "energy", JOULES, spare=True),
)


def on_devices(model: ModelSteps) -> Table:
    """A row per step and device."""

    def rows() -> Iterator[tuple[Cell, ...]]:
        for i, step in enumerate(model.steps):
            for one in step.devices:
                margin = min((row.margin_bytes for row in one.rows if row.margin_bytes is not None), default=None)
                known = all(row.margin_bytes is not None for row in one.rows)
                _, status, decides, *times = _placed(one)
                yield str(i) if i else GIVEN, one.device, status, decides, margin if known else None, *times

    return Table("devices", "on devices", ON_DEVICE, rows)
