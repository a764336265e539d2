"""A report with a device: what its nodes take there, and a row per model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from effaudit.fit.types import KernelRow
from effaudit.fit.view import OnDevice
from effaudit.report import ModelReport, NodeReport
from effaudit.tables.table import FLOP_RATE, JOULES, NONE, RATIO, SECONDS, SHARE, Cell, Column, Table

NOTE: Final = (
    "FLOP/B, roof, attainable and time are those of the kernel that the runtime makes of a node; "
    "'-': it makes none, the node is folded or part of another."
)


def columns() -> tuple[Column, ...]:
    """What a device adds to the table of nodes, as `nodes.ON_DEVICE` names it."""
    return (
        Column("kernel_intensity", "FLOP/B", RATIO),
        Column("regime", "roof", width=7),
        Column("attainable_flop_per_s", "attainable", FLOP_RATE),
        Column("seconds", "time", SECONDS),
    )


def cells(model: ModelReport) -> Callable[[NodeReport], tuple[Cell, ...]]:
    """The cells of a node. "-" where it is no kernel of its own: folded, fused, or of a body; unknown where several
    kernels have its name."""
    found: dict[str, KernelRow | None] = {}
    for row in model.device.kernels if isinstance(model, OnDevice) else ():
        found[row.node] = None if row.node in found else row

    def of(node: NodeReport) -> tuple[Cell, ...]:
        name = node.name or (node.outputs[0].name if node.outputs else node.op)
        if name not in found:
            return (NONE,) * 4
        row = found[name]
        return (None,) * 4 if row is None else (row.intensity, row.regime, row.attainable_flop_per_s, row.seconds)

    return of


def devices(models: Sequence[OnDevice]) -> Table:
    """A row per model: its time, energy and roofline there."""
    made = (
        Column("model", "model", width=16),
        Column("seconds", "time", SECONDS),
        Column("low_s", "least", SECONDS, spare=True),
        Column("high_s", "most", SECONDS, spare=True),
        Column("energy_j", "energy", JOULES, spare=True),
        Column("intensity", "FLOP/B", RATIO),
        Column("regime", "roof", width=7),
        Column("bound", "bound", width=8),
        Column("memory_share", "bytes", SHARE),
        Column("overhead_share", "launches", SHARE, spare=True),
        Column("compute_share", "arithmetic", SHARE, spare=True),
    )

    def rows() -> Iterator[tuple[Cell, ...]]:
        for model in models:
            view = model.device
            time, energy, roof = view.latency_s, view.energy_j, view.roofline
            yield (
                model.path,
                time.value,
                time.low or None,
                time.high,
                None if energy is None else energy.value,
                roof.intensity,
                roof.regime,
                roof.bound,
                roof.memory_share,
                roof.overhead_share,
                roof.compute_share,
            )

    name = models[0].device.device if models else ""
    return Table("device", f"on {name}, no verdict", made, rows)
