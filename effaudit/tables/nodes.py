"""The table of nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from effaudit.report import ModelReport, NodeReport, size
from effaudit.tables.table import (
    BYTES,
    COUNT,
    NONE,
    RATIO,
    SHARE,
    TEXT,
    Cell,
    Column,
    Span,
    Table,
    number,
    part_of,
    plus,
)

Getter = Callable[[NodeReport, ModelReport], Cell]


def _first_shape(node: NodeReport) -> str:
    return size(node.outputs[0].shape) if node.outputs else ""


def _share(node: NodeReport, model: ModelReport) -> Cell:
    """Of the model's MACs; of a node that never runs, none."""
    total = number(model.totals.macs, model.totals.macs_bounds)
    return part_of(_macs(node), total) if node.live else 0.0


def _macs(node: NodeReport) -> Cell:
    return number(node.macs, node.macs_bounds)


def _ops(node: NodeReport) -> Cell:
    return number(node.ops, node.ops_bounds)


def _read(node: NodeReport) -> Cell:
    return number(node.read_bytes, node.read_bounds)


def _written(node: NodeReport) -> Cell:
    return number(node.write_bytes, node.write_bounds)


def _flops(node: NodeReport) -> Cell:
    return plus(_macs(node), _macs(node), _ops(node))


def _weight_intensity(node: NodeReport) -> Cell:
    """ "-" for a node without weights."""
    return _over(_flops(node), node.weight_bytes)


def _intensity(node: NodeReport) -> Cell:
    """ "-" for a node that moves nothing."""
    return _over(_flops(node), plus(_read(node), _written(node)))


def _over(flops: Cell, size: Cell) -> Cell:
    """Operations per byte, a span where either is one."""
    if size == 0:
        return NONE
    if flops is None or size is None or isinstance(flops, str) or isinstance(size, str):
        return None
    low, high = (flops.low, flops.high) if isinstance(flops, Span) else (flops, flops)
    least, most = (size.low, size.high) if isinstance(size, Span) else (size, size)
    bottom = round(low / most, 4) if most else 0.0
    top = round(high / least, 4) if high is not None and least else None
    return bottom if bottom == top else Span(bottom, top) if bottom or top is not None else None


# key -> (title, kind, width, cell)
_COLUMNS: Final[dict[str, tuple[str, str, int, Getter]]] = {
    "node": ("node", TEXT, 22, lambda n, m: n.name or (n.outputs[0].name if n.outputs else n.op)),
    "op": ("op", TEXT, 14, lambda n, m: n.op),
    "domain": ("domain", TEXT, 14, lambda n, m: n.domain or "ai.onnx"),
    "kind": ("kind", TEXT, 10, lambda n, m: n.kind),
    "part": ("part", TEXT, 9, lambda n, m: n.part or "-"),
    "scope": ("scope", TEXT, 24, lambda n, m: "/".join([p for p in n.name.split("/") if p][:-1]) or "-"),
    "kernel": ("kernel", TEXT, 9, lambda n, m: n.kernel or "-"),
    "dtype": ("dtype", TEXT, 8, lambda n, m: n.outputs[0].dtype if n.outputs else "-"),
    "shape": ("output", TEXT, 10, lambda n, m: _first_shape(n)),
    "live": ("runs", TEXT, 5, lambda n, m: "yes" if n.live else "no"),
    "params": ("params", COUNT, 7, lambda n, m: n.params),
    "macs": ("MACs", COUNT, 7, lambda n, m: _macs(n)),
    "share": ("share", SHARE, 7, _share),
    "ops": ("ops", COUNT, 7, lambda n, m: _ops(n)),
    "flops": ("FLOPs", COUNT, 7, lambda n, m: _flops(n)),
    "weight_bytes": ("weights", BYTES, 9, lambda n, m: n.weight_bytes),
    "activation_bytes": ("made", BYTES, 9, lambda n, m: n.activation_bytes),
    "read_bytes": ("read", BYTES, 9, lambda n, m: _read(n)),
    "write_bytes": ("written", BYTES, 9, lambda n, m: _written(n)),
    "bytes": ("moved", BYTES, 9, lambda n, m: plus(_read(n), _written(n))),
    "intensity": ("FLOP/B", RATIO, 8, lambda n, m: _intensity(n)),
    "weight_intensity": ("FLOP/wB", RATIO, 8, lambda n, m: _weight_intensity(n)),
    "why": ("why", TEXT, 40, lambda n, m: n.why or ""),
}
COLUMNS: Final = tuple(Column(key, title, kind, width) for key, (title, kind, width, _) in _COLUMNS.items())
BRIEF: Final = ("node", "kind", "shape", "params", "macs", "ops", "bytes")  # fits 80 columns
KEYS: Final = tuple(_COLUMNS)
# More columns of a report with a device: of the kernel that its runtime makes of the node.
ON_DEVICE: Final = ("kernel_intensity", "regime", "attainable_flop_per_s", "seconds")
BRIEF_ON_DEVICE: Final = ("node", "kind", "macs", "bytes", *ON_DEVICE)


def nodes(model: ModelReport) -> Table:
    """Every node of the graph, with all columns there are: they add up to the totals, but for those that never run.

    The nodes of bodies are in `outline`.
    """
    getters = [getter for _, _, _, getter in _COLUMNS.values()]
    return _with_device(
        model,
        lambda: ((node, tuple(getter(node, model) for getter in getters)) for node in model.nodes),
    )


def outline(model: ModelReport) -> Table:
    """As `nodes`, for people: below each node those of its bodies, indented, for one run of each."""
    return _with_device(model, lambda: _outlined(model))


def _with_device(model: ModelReport, rows: Callable[[], Iterator[tuple[NodeReport, tuple[Cell, ...]]]]) -> Table:
    """The table of rows that come with their nodes; of a report with a device, with its columns."""
    title = f"nodes of {model.path}"
    if "device" not in model.__struct_fields__:
        return Table("nodes", title, COLUMNS, lambda: (row for _, row in rows()), brief=BRIEF)
    from effaudit.tables.on_device import NOTE, cells, columns  # few reports have one

    of = cells(model)
    return Table(
        "nodes",
        title,
        (*COLUMNS, *columns()),
        lambda: ((*row, *of(node)) for node, row in rows()),
        note=NOTE,
        brief=BRIEF_ON_DEVICE,
    )


def _outlined(model: ModelReport) -> Iterator[tuple[NodeReport, tuple[Cell, ...]]]:
    getters = [getter for _, _, _, getter in _COLUMNS.values()]
    name, kind = KEYS.index("node"), KEYS.index("kind")
    for node in model.nodes:
        stack = [(node, "")]
        while stack:
            found, indent = stack.pop()
            row = [getter(found, model) for getter in getters]
            row[name] = f"{indent}{row[name]}"
            row[kind] = row[kind] if found.live else "never runs"
            yield found, tuple(row)
            stack.extend((inner, indent + "  ") for inner in reversed(found.nodes))
