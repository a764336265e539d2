"""A pruned graph against what was predicted of it: every tensor must have the lengths its axes were cut to."""

from __future__ import annotations

import msgspec

from effaudit import dims
from effaudit.audited import Audited
from effaudit.axes.couple import Coupling
from effaudit.axes.terms import OPEN, Axes, Kept, Term, leaves, length
from effaudit.errors import UsageError
from effaudit.graph import Graph, Value
from effaudit.load import Given, infer
from effaudit.whatif.given import assumed_sizes


class Mismatch(msgspec.Struct, frozen=True):
    """The first node whose output is not what was predicted, and why; -1: the graph is valid under no sizes at all."""

    node: int
    why: str


def accepted(audited: Audited, found: Coupling, kept: Kept, graph: Graph, refused: dict[Term, str]) -> Graph | None:
    """A pruned graph whose tensors are as predicted; of any other None, and the classes to blame are refused."""
    wrong = mismatch(audited, found, kept, graph)
    if wrong is None:
        return graph
    blamed = culprits(audited, found, kept, wrong.node) if wrong.node >= 0 else set()
    refused.update(dict.fromkeys(blamed or kept, wrong.why))
    return None


def mismatch(audited: Audited, found: Coupling, kept: Kept, graph: Graph) -> Mismatch | None:
    """What is wrong with a pruned graph, judged by inferring its shapes anew; None where nothing is."""
    sizes = assumed_sizes(audited.graph)
    try:
        numbers = infer(graph, Given(audited.given.dims, audited.given.shapes, sizes)) if sizes else None
        symbolic = infer(graph, audited.given)
    except UsageError as error:
        return Mismatch(-1, str(error))
    for i, node in enumerate(audited.graph.nodes):
        for name in node.outputs:
            axes = found.axes.get(name)
            if axes is None:
                continue
            old = audited.graph.values[name], audited.symbolic.values[name]
            new = (numbers or symbolic).values.get(name), symbolic.values.get(name)
            wrong = _wrong(axes, kept, old[0], new[0]) or _open(axes, kept, old[1], new[1])
            if wrong:
                return Mismatch(i, f"{node.op} {node.label} would not follow: {wrong}")
    return None


def _wrong(axes: Axes, kept: Kept, old: Value, new: Value | None) -> str:
    """Why the numbers of a tensor are not as predicted; "" where they are, or where the tensor is gone."""
    if new is None:
        return ""
    if new.shape is None:
        return "" if old.shape is None else new.why or "its shape is not known any more"
    wanted = tuple(
        dim if term.size == OPEN else length(term, kept) for term, dim in zip(axes, old.shape or (), strict=True)
    )
    if len(new.shape) != len(wanted):
        return f"its rank becomes {len(new.shape)}"
    if all(isinstance(w, int) and w == n for w, n in zip(wanted, new.shape, strict=True) if isinstance(w, int)):
        return ""
    return f"its shape becomes {_text(new)}, not {'x'.join(map(str, wanted))}"


def _open(axes: Axes, kept: Kept, old: Value, new: Value | None) -> str:
    """Why the open dims of a tensor are not what they were; "" where they are."""
    if new is None or old.shape is None:
        return ""
    if new.shape is None or len(new.shape) != len(old.shape):
        return "its shape is not known any more"
    for term, before, after in zip(axes, old.shape, new.shape, strict=True):
        fed_before, fed_after = _fed(before), _fed(after)
        same = (
            fed_before == fed_after if term.size == OPEN or _full(term, kept) else bool(fed_before) == bool(fed_after)
        )
        if not same:
            return f"its shape becomes {_text(new)} where it was {_text(old)}"
    return ""


def _fed(dim: dims.Dim) -> frozenset[str]:
    """The names of the dims of inputs that a length depends on."""
    return frozenset(symbol.name for symbol in dims.symbols(dim) if symbol.origin == "input")


def _full(term: Term, kept: Kept) -> bool:
    return not any(leaf in kept for leaf in leaves(term))


def _text(value: Value) -> str:
    return "x".join(map(str, value.shape or ()))


def culprits(audited: Audited, found: Coupling, kept: Kept, node: int) -> set[Term]:
    """The classes to blame for a mismatch at a node: those pruned on its axes, else on those of the nodes before it."""
    makers = {name: i for i, one in enumerate(audited.graph.nodes) for name in one.outputs if name}
    uses: dict[int, list[Axes]] = {}
    for use in found.uses:
        uses.setdefault(use.node, []).append(use.axes)
    waiting, seen = [node], {node}
    while waiting:
        here: set[Term] = set()
        for i in waiting:
            one = audited.graph.nodes[i]
            every = [found.axes.get(name, ()) for name in (*one.inputs, *one.outputs)] + uses.get(i, [])
            here.update(leaf for axes in every for term in axes for leaf in leaves(term) if leaf in kept)
        if here:
            return here
        before = {makers[name] for i in waiting for name in audited.graph.nodes[i].inputs if name in makers} - seen
        seen |= before
        waiting = sorted(before)
    return set()
