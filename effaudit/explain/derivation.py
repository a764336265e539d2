"""How a count comes about: the formula, the formula with the node's numbers put in, the result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from effaudit import dims
from effaudit.dataflow import reads
from effaudit.dims import Dim, Expr
from effaudit.errors import Undecided
from effaudit.explain.names import View, environment, view
from effaudit.explain.substitute import formula_of, substitute
from effaudit.graph import Node, Shape, Value
from effaudit.operators.rules import Definition
from effaudit.ops._call import INVALID
from effaudit.ops._registry import Rules
from effaudit.report import size
from effaudit.report.nodes import intensity
from effaudit.table import CostTable, Row
from effaudit.views.extents import nbytes

Count = int | str | None  # a number, a formula of named dims, or unknown


class Step(msgspec.Struct, frozen=True):
    """One figure: `formula` in words, `substituted` with numbers put in ("" where the words do not take numbers), and
    the result: a number, a formula of named dims, or None for unknown. `where` lists what the formula is about."""

    figure: str
    formula: str
    substituted: str
    result: Count
    where: tuple[str, ...] = ()


def as_count(value: Dim | None) -> Count:
    """A figure as a plain value."""
    return value if value is None or isinstance(value, int) else dims.text(value)


def as_text(dim: Dim) -> int | str:
    """A dim as a plain value."""
    return dim if isinstance(dim, int) else dims.text(dim)


def as_shape(shape: Shape | None) -> tuple[int | str, ...] | None:
    """A shape in plain values."""
    return None if shape is None else tuple(map(as_text, shape))


def exact(costs: Row | CostTable, figure: str) -> Dim | None:
    """A figure of a row, or the total of a table, where it is exact, else None."""
    low, high = getattr(costs.low, figure), getattr(costs.high, figure)
    return low if low is not None and low == high else None


def summed(parts: Iterable[Dim | None]) -> Dim | None:
    """The sum of figures; None where one is not known or the sum is too large for an expression."""
    known = list(parts)
    try:
        return None if None in known else dims.total(part for part in known if part is not None)
    except Undecided:
        return None


def formula_text(rules: Rules) -> str:
    """What the cost rule says it counts: the first paragraph of its docstring, on one line."""
    return " ".join((getattr(rules.cost, "__doc__", None) or "").split("\n\n")[0].split())


def derivation(node: Node, values: Mapping[str, Value], rules: Rules, row: Row) -> tuple[Step, ...]:
    """The steps to the MACs and the other operations of a priced node."""
    text = formula_text(rules)
    try:
        seen = view(node, values, rules)
        found = environment(seen)
    except (*INVALID, Undecided):
        return ()
    steps = []
    for figure in ("macs", "ops"):
        count = exact(row, figure)
        formula = formula_of(text, figure)
        if count is None:
            continue
        if not formula:
            formula = "0" if count == 0 else text
        put = substitute(formula, found, count)
        steps.append(Step(figure, formula, put, as_count(count), () if put else where(seen)))
    return tuple(steps)


def flops_of(macs: Dim | None, ops: Dim | None) -> Dim | None:
    """2 x macs + ops, as `summed`."""
    return summed((macs, macs, ops))


def intensity_of(flops: Dim | None, read: Dim | None, written: Dim | None) -> float | None:
    """FLOP per byte moved; None where one of them is no number or nothing moves."""
    return intensity(*(figure if isinstance(figure, int) else None for figure in (flops, read, written)))


def flops_step(macs: Dim | None, ops: Dim | None) -> tuple[Step, ...]:
    """FLOPs, where both parts are known."""
    flops = flops_of(macs, ops)
    if macs is None or ops is None or flops is None:
        return ()
    return (Step("flops", "2 x macs + ops", f"2 x {_grouped(macs)} + {_grouped(ops)}", as_count(flops)),)


def weights_step(names: Iterable[str], params: Dim) -> tuple[Step, ...]:
    """The parameters, of these inputs."""
    listed = tuple(names)
    formula = " + ".join(f"elements of {name}" for name in listed) or "no input is a weight"
    return (Step("params", formula, "", as_count(params)),)


def moved_steps(node: Node, values: Mapping[str, Value], rules: Rules, row: Row) -> tuple[Step, ...]:
    """The bytes read (each distinct input once) and written (each output once), or as the rule says otherwise."""
    sides = (
        ("read_bytes", "reads", reads(node), "every distinct input once"),
        ("write_bytes", "writes", tuple(name for name in node.outputs if name), "every output once"),
    )
    steps = []
    for figure, attribute, names, words in sides:
        count = exact(row, attribute)
        if count is None:
            continue
        tensors = [values[name] for name in names]
        sizes = [taken for taken in map(nbytes, tensors) if taken is not None]
        if len(sizes) == len(tensors) and summed(sizes) == count:
            listed = tuple(
                f"{name} {value.encoding.dtype} {size(as_shape(value.shape))}: {_written(taken)} B"
                for name, value, taken in zip(names, tensors, sizes, strict=True)
            )
            put = " + ".join(map(_grouped, sizes)) or "0"
            steps.append(Step(figure, words, put, as_count(count), listed))
        else:
            steps.append(Step(figure, _moved(rules, attribute), "", as_count(count)))
    return tuple(steps)


def _moved(rules: Rules, attribute: str) -> str:
    """What a rule that moves other bytes says of it."""
    stated = rules.formulas.get(attribute) if isinstance(rules, Definition) else None
    return stated or formula_text(rules)


def _grouped(value: Dim) -> str:
    text = dims.text(value)
    return f"({text})" if isinstance(value, Expr) and len(value.terms) > 1 else text


def _written(value: Dim) -> str:
    return f"{value:,}" if isinstance(value, int) else dims.text(value)


def where(seen: View) -> tuple[str, ...]:
    """The shapes and attributes of a node, one per line."""
    lines = [f"{name} = {size(as_shape(value.shape))}" for name, value in seen.inputs.items() if value is not None]
    first = next((value for value in seen.outs if value is not None), None)
    if first is not None:
        lines.append(f"out = {size(as_shape(first.shape))}")
    lines += [f"{name} = {attribute_text(value)}" for name, value in seen.node.attrs.items()]
    return tuple(lines)


def attribute_text(value: object) -> str:
    """An attribute on one line, cut where it is long."""
    text = ",".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
