"""Attention without its scores in memory: the nodes from query x key to probability x value become one.

What a kernel after FlashAttention (https://arxiv.org/abs/2205.14135) does to a graph: the scores, scaled and masked,
and the probabilities exist a tile at a time and are no tensors any more. The node computes the same: it costs the MACs
and ops of those it replaces, reads what they read from outside and writes what the last of them wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Final

import msgspec

from effaudit import dims
from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.graph import Graph, Node, Value
from effaudit.lower._rewrite import FUSED, Wiring
from effaudit.ops._registry import Context, Cost, Rules, Signature, Unpriced
from effaudit.table import CostTable, Row

DOMAIN: Final = "effaudit"
OPERATOR: Final = "FlashAttention"
MAX_NODES: Final = 256  # from the scores to the values of one attention


class Products(msgspec.Struct, frozen=True):
    """The products of one attention by node index: query x key, and probability x value."""

    scores: tuple[int, ...]
    values: tuple[int, ...]


class Flashed(msgspec.Struct, frozen=True):
    """The graph, and by the place of every attention given: the tensors that are gone, or why it was left as it was."""

    graph: Graph
    gone: Mapping[int, tuple[str, ...]]
    left: Mapping[int, str]


def flash(graph: Graph, attentions: Sequence[Products], table: CostTable) -> Flashed:
    """The graph with one node for every attention; `table` is the graph's own.

    An attention is left as it is where a tensor between its products is read by another node or is an output.
    """
    around = _Around(graph)
    taken: dict[int, int] = {}  # node -> the attention that it goes into
    gone: dict[int, tuple[str, ...]] = {}
    left: dict[int, str] = {}
    placed: dict[int, Node] = {}
    for a, products in enumerate(attentions):
        group = around.between(products)
        why = group if isinstance(group, str) else around.refused(group, products, taken)
        if why or isinstance(group, str):
            left[a] = why
            continue
        taken.update(dict.fromkeys(group, a))
        gone[a] = tuple(out for i in group if i not in products.values for out in graph.nodes[i].outputs if out)
        placed[group[-1]] = _node(graph, group, products, table)
    if not placed:
        return Flashed(graph, gone, left)
    nodes = tuple(placed.get(i, node) for i, node in enumerate(graph.nodes) if i in placed or i not in taken)
    dropped = {name for names in gone.values() for name in names}
    made = msgspec.structs.replace(
        graph,
        nodes=nodes,
        values={name: value for name, value in graph.values.items() if name not in dropped},
        opsets={**graph.opsets, DOMAIN: 1},
        operators={**graph.operators, (DOMAIN, OPERATOR): _RULES},
        history=(*graph.history, f"flash attention: {len(placed)}"),
    )
    return Flashed(made, gone, left)


class _Around:
    """What lies around the products of attention."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.wiring = graph, Wiring(graph)
        self.handed = set(graph.outputs)

    def between(self, products: Products) -> list[int] | str:
        """Every node on a way from the scores to the values, both included, in order; or why it is not followed."""
        first, last = min(products.scores), max(products.values)
        ahead = self._reach(products.scores, first, last, forward=True)
        back = self._reach(products.values, first, last, forward=False)
        if ahead is None or back is None:
            return f"more than {MAX_NODES} nodes lie between its products"
        group = ahead & back
        return sorted(group) if group.issuperset((*products.scores, *products.values)) else "its products are apart"

    def _reach(self, start: Iterable[int], first: int, last: int, *, forward: bool) -> set[int] | None:
        seen = set(start)
        pending = list(seen)
        while pending:
            i = pending.pop()
            for j in self._readers(i, last) if forward else self._makers(i, first):
                if j not in seen:
                    if len(seen) >= MAX_NODES:
                        return None
                    seen.add(j)
                    pending.append(j)
        return seen

    def _readers(self, i: int, last: int) -> Iterator[int]:
        """The readers of a node up to the last; readers stand in order, and there may be many behind it."""
        for name in self.graph.nodes[i].outputs:
            yield from takewhile(lambda j: j <= last, self.wiring.readers.get(name, ()))

    def _makers(self, i: int, first: int) -> Iterator[int]:
        for name in self.wiring.flow.reads[i]:
            if self.wiring.maker.get(name, -1) >= first:
                yield self.wiring.maker[name]

    def refused(self, group: Sequence[int], products: Products, taken: Mapping[int, int]) -> str:
        """Why nodes cannot become one, "" where they can."""
        inside = set(group)
        if any(i in taken for i in group):  # `taken` is the larger one
            return "it shares nodes with another attention"
        for i in group:
            final = i in products.values
            for name in self.graph.nodes[i].outputs:
                reader = next((j for j in self.wiring.readers.get(name, ()) if j not in inside), None)
                if not final and name in self.handed:
                    return f"{name} must exist: it is an output of the graph"
                if not final and reader is not None:
                    return f"{name} must exist: {self.graph.nodes[reader].label} reads it"
                if final and reader is not None and reader < group[-1]:
                    return f"{self.graph.nodes[reader].label} reads {name} before the attention is done"
        return ""


def _node(graph: Graph, group: Sequence[int], products: Products, table: CostTable) -> Node:
    """The one node: named like the first product, it carries what the nodes it stands for cost."""
    own = {out for i in group for out in graph.nodes[i].outputs}
    nodes = [graph.nodes[i] for i in group]
    captured = (name for node in nodes for body in node.bodies.values() for name in body.captured)
    read = dict.fromkeys((*(name for node in nodes for name in node.inputs if name), *captured))
    outputs = tuple(out for i in products.values for out in graph.nodes[i].outputs if out)
    attrs = {
        **_costs([table.rows[i] for i in group]),
        FUSED: tuple(node.label for node in nodes),
    }
    first = nodes[group.index(products.scores[0])]
    return Node(first.name, DOMAIN, OPERATOR, tuple(n for n in read if n not in own), outputs, attrs)


def _costs(rows: Sequence[Row]) -> dict[str, Dim | str]:
    """What the nodes cost in all, or why that is not known."""
    doubt = next((row.why or row.doubt for row in rows if row.low is not row.high or row.why), "")
    try:
        macs, ops = (dims.total([getattr(row.low, figure) or 0 for row in rows]) for figure in ("macs", "ops"))
        return {"macs": macs, "ops": ops, "unpriced": doubt}
    except Undecided as large:
        return {"macs": 0, "ops": 0, "unpriced": doubt or f"its cost depends on {large}"}


def _cost(*inputs: Value | None, ctx: Context) -> Cost:
    """macs and ops of the nodes it stands for"""
    attrs = ctx.node.attrs
    if attrs["unpriced"]:
        raise Unpriced(attrs["unpriced"])
    return Cost(attrs["macs"], attrs["ops"])


_TAKES: Final = Signature((), 0, True, frozenset(), wants_ctx=True, wants_out=False, wants_outs=False)
_RULES: Final = Rules(cost=_cost, cost_takes=_TAKES, kind="attention")
