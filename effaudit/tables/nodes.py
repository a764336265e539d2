"""The table of nodes: one row per node, and one per node of each body, for one run of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from effaudit.report import ModelReport, NodeReport, size
from effaudit.tables.table import BYTES, COUNT, RATIO, SHARE, TEXT, Cell, Column, Table, number

Getter = Callable[[NodeReport, ModelReport, str], Cell]


def _first_shape(node: NodeReport) -> str:
    return size(node.outputs[0].shape) if node.outputs else ""


def _share(node: NodeReport, model: ModelReport) -> float | None:
    total = model.totals.macs
    return None if total is None or node.macs is None or not node.live else node.macs / total if total else 0.0


def _flops(node: NodeReport) -> int | None:
    return None if node.macs is None or node.ops is None else 2 * node.macs + node.ops


def _moved(node: NodeReport) -> int | None:
    return None if node.read_bytes is None or node.write_bytes is None else node.read_bytes + node.write_bytes


def _weight_intensity(node: NodeReport) -> float | None:
    flops = _flops(node)
    return None if flops is None or not node.weight_bytes else round(flops / node.weight_bytes, 4)


# key -> (title, kind, width, cell)
_COLUMNS: Final[dict[str, tuple[str, str, int, Getter]]] = {
    "node": ("node", TEXT, 22, lambda n, m, i: i + (n.name or (n.outputs[0].name if n.outputs else n.op))),
    "op": ("op", TEXT, 14, lambda n, m, i: n.op),
    "domain": ("domain", TEXT, 14, lambda n, m, i: n.domain or "ai.onnx"),
    "kind": ("kind", TEXT, 10, lambda n, m, i: n.kind if n.live else "never runs"),
    "part": ("part", TEXT, 9, lambda n, m, i: n.part or "-"),
    "scope": ("scope", TEXT, 24, lambda n, m, i: "/".join([p for p in n.name.split("/") if p][:-1]) or "-"),
    "kernel": ("kernel", TEXT, 9, lambda n, m, i: n.kernel or "-"),
    "dtype": ("dtype", TEXT, 8, lambda n, m, i: n.outputs[0].dtype if n.outputs else "-"),
    "shape": ("output", TEXT, 10, lambda n, m, i: _first_shape(n)),
    "params": ("params", COUNT, 7, lambda n, m, i: n.params),
    "macs": ("MACs", COUNT, 7, lambda n, m, i: number(n.macs, n.macs_bounds)),
    "share": ("share", SHARE, 7, lambda n, m, i: _share(n, m)),
    "ops": ("ops", COUNT, 7, lambda n, m, i: number(n.ops, n.ops_bounds)),
    "flops": ("FLOPs", COUNT, 7, lambda n, m, i: _flops(n)),
    "weight_bytes": ("weights", BYTES, 9, lambda n, m, i: n.weight_bytes),
    "activation_bytes": ("made", BYTES, 9, lambda n, m, i: n.activation_bytes),
    "read_bytes": ("read", BYTES, 9, lambda n, m, i: n.read_bytes),
    "write_bytes": ("written", BYTES, 9, lambda n, m, i: n.write_bytes),
    "bytes": ("moved", BYTES, 9, lambda n, m, i: _moved(n)),
    "intensity": ("FLOP/B", RATIO, 8, lambda n, m, i: n.intensity),
    "weight_intensity": ("FLOP/wB", RATIO, 8, lambda n, m, i: _weight_intensity(n)),
    "why": ("why", TEXT, 40, lambda n, m, i: n.why or ""),
}
COLUMNS: Final = tuple(Column(key, title, kind, width) for key, (title, kind, width, _) in _COLUMNS.items())
BRIEF: Final = ("node", "kind", "shape", "params", "macs", "ops", "bytes")  # fits 80 columns
KEYS: Final = tuple(_COLUMNS)


def nodes(model: ModelReport) -> Table:
    """Every node, with all columns there are."""
    return Table("nodes", f"nodes of {model.path}", COLUMNS, lambda: _rows(model))


def _rows(model: ModelReport) -> Iterator[tuple[Cell, ...]]:
    getters = [getter for _, _, _, getter in _COLUMNS.values()]
    for node in model.nodes:
        stack = [(node, "")]
        while stack:
            found, indent = stack.pop()
            yield tuple(getter(found, model, indent) for getter in getters)
            stack.extend((inner, indent + "  ") for inner in reversed(found.nodes))
