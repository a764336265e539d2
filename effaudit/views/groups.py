"""Rows summed by what they have in common: `--group-by op,dtype,shape`. The groups partition the nodes that run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.graph import Graph, Node, Value
from effaudit.quantity import Quantity, add
from effaudit.views.extents import written

NONE: Final = "-"


class Group(msgspec.Struct, frozen=True):
    """The nodes with the same `key`; a cost is None where it is not exact, its bounds then say what is known."""

    key: tuple[str, ...]
    nodes: int
    params: int
    weight_bytes: int
    macs: int | None
    macs_bounds: list[int | None]
    ops: int | None
    ops_bounds: list[int | None]
    read_bytes: int | None
    read_bounds: list[int | None]
    write_bytes: int | None
    write_bounds: list[int | None]
    share: float | None
    why: str | None


class Groups(msgspec.Struct, frozen=True):
    """The groups of a model by `by`, the most MACs first; `share` is of the model's MACs."""

    by: tuple[str, ...]
    groups: tuple[Group, ...]


def groups(audited: Audited, by: Sequence[str], own: Sequence[tuple[int, int]], parts: Mapping[int, str]) -> Groups:
    """Sums over the nodes that run; `own` are (params, weight bytes) per row, `parts` transformer parts by row.

    Raises UsageError for a key that does not exist.
    """
    keys = [key_of(name) for name in by]
    depths = _depths(audited) if any(name == "depth" for name in by) else []
    members: dict[tuple[str, ...], list[int]] = {}
    for i, row in enumerate(audited.table.rows):
        if row.live:
            at = At(audited, i, row.node, parts.get(i, NONE), depths[i] if depths else 0)
            members.setdefault(tuple(key(at) for key in keys), []).append(i)
    total = audited.table.total("macs").value
    made = [_group(audited, key, places, own, total) for key, places in members.items()]
    made.sort(key=lambda g: (-(g.macs_bounds[0] or 0), -(g.read_bounds[0] or 0) - (g.write_bounds[0] or 0), g.key))
    return Groups(tuple(by), tuple(made))


def _group(
    audited: Audited, key: tuple[str, ...], places: list[int], own: Sequence[tuple[int, int]], total: int | None
) -> Group:
    rows = audited.table.rows
    sums = {figure: add(rows[i].quantity(figure) for i in places) for figure in ("macs", "ops", "reads", "writes")}
    macs = sums["macs"]
    return Group(
        key=key,
        nodes=len(places),
        params=sum(own[i][0] for i in places),
        weight_bytes=sum(own[i][1] for i in places),
        macs=macs.value,
        macs_bounds=macs.bounds,
        ops=sums["ops"].value,
        ops_bounds=sums["ops"].bounds,
        read_bytes=sums["reads"].value,
        read_bounds=sums["reads"].bounds,
        write_bytes=sums["writes"].value,
        write_bounds=sums["writes"].bounds,
        share=0.0 if total == 0 else None if macs.value is None or total is None else macs.value / total,
        why=_why(sums.values()),
    )


def _why(sums: object) -> str | None:
    return next((q.why for q in sums if isinstance(q, Quantity) and q.why), None)  # type: ignore[attr-defined]


class At(msgspec.Struct, frozen=True):
    """A node, and what its keys are taken from."""

    audited: Audited
    place: int
    node: Node
    part: str
    depth: int

    @property
    def first_output(self) -> Value | None:
        name = next((name for name in self.node.outputs if name), "")
        return self.audited.graph.values.get(name)


def key_of(name: str) -> Callable[[At], str]:
    """The function of a key. Raises UsageError with the keys there are."""
    base, _, levels = name.partition(":")
    if base == "scope" and levels.isdecimal() and 0 < int(levels) < 100:
        return lambda at: _scope(at.node, int(levels))
    found = KEYS.get(name)
    if found is None:
        raise UsageError(f"--group-by {name!r}: expected one or several of {', '.join(KEYS)}, scope:LEVELS")
    return found


def _op(at: At) -> str:
    return f"{at.node.domain}::{at.node.op}" if at.node.domain else at.node.op


def _scope(node: Node, levels: int = 0) -> str:
    """The module path in a node's name: all but its last part; the first `levels` of it."""
    parts = [part for part in node.name.split("/") if part][:-1]
    return "/".join(parts[:levels] if levels else parts) or NONE


def _dtype(at: At) -> str:
    """The element type a node computes on: that of its first input, or else of its first output."""
    values = at.audited.graph.values
    value = next((values[name] for name in at.node.inputs if name and name in values), at.first_output)
    return NONE if value is None else value.encoding.dtype


def _shape(at: At) -> str:
    value = at.first_output
    if value is None or value.shape is None:
        return "?"
    return "x".join(map(written, value.shape)) or "scalar"


def kernel(node: Node, graph: Graph, kind: str) -> str:
    """The window of a convolution or pooling, with its stride and dilation where they are not 1; "" for others."""
    attrs, values = node.attrs, graph.values
    window = attrs.get("kernel_shape")
    if not window and kind in _CONVS:
        first = next((values[name] for name in node.outputs if name), None)
        rank = 0 if first is None or first.shape is None else len(first.shape)
        weights = [values[name].shape for name in node.inputs[1:] if name and name in values]
        window = next((shape[2:] for shape in weights if shape is not None and len(shape) == rank > 2), ())
    if not isinstance(window, tuple) or not window:
        return ""
    text = "x".join(map(str, window))
    for name, letter in (("strides", "s"), ("dilations", "d")):
        steps = attrs.get(name)
        if isinstance(steps, tuple) and any(step != 1 for step in steps):
            text += f" {letter}" + ("x".join(map(str, steps)) if len(set(steps)) > 1 else str(steps[0]))
    return text


_CONVS: Final = frozenset("conv grouped depthwise pointwise transposed".split())

KEYS: Final[dict[str, Callable[[At], str]]] = {
    "op": _op,
    "kind": lambda at: at.audited.kind(at.place),
    "scope": lambda at: _scope(at.node),
    "dtype": _dtype,
    "shape": _shape,
    "kernel": lambda at: kernel(at.node, at.audited.graph, at.audited.kind(at.place)) or NONE,
    "depth": lambda at: str(at.depth),
    "part": lambda at: at.part,
}


def _depths(audited: Audited) -> list[int]:
    """Layers (nodes that multiply and accumulate) on the longest way from an input up to and including each node."""
    reached: dict[str, int] = {}
    found = []
    for row, names in zip(audited.table.rows, audited.flow.reads, strict=True):
        depth = max((reached.get(name, 0) for name in names), default=0) + (row.high.macs != 0)
        found.append(depth)
        for name in row.node.outputs:
            reached[name] = depth
    return found
