"""What stands around the numbers: inputs, dims, nodes, formulas, notes."""

from __future__ import annotations

from effaudit.audited import Audited
from effaudit.explain.figures._registry import Derivation, figure
from effaudit.explain.figures.compute import shown
from effaudit.printable import printable
from effaudit.report import ModelReport, size
from effaudit.table import COUNTING


@figure("inputs", "inputs and outputs", "tensors", page="docs/input.md", labels=("in", "out", "outputs"))
def inputs(audited: Audited, report: ModelReport) -> Derivation:
    """The tensors that are fed and returned, with element type and shape; a dim in letters is open."""
    steps = [f"in   {printable(t.name, 40)} {t.dtype} {printable(size(t.shape), 80)}" for t in report.inputs]
    steps += [f"out  {printable(t.name, 40)} {t.dtype} {printable(size(t.shape), 80)}" for t in report.outputs]
    return Derivation([t.name for t in report.inputs], tuple(steps))


@figure("dims", "open dims", "sizes", page="docs/dims.md", labels=("dims", "open"))
def dims(audited: Audited, report: ModelReport) -> Derivation:
    """Dims that the file leaves open: given by an option, assumed where a table needs a number, decided by the values
    fed, or not to be told."""
    steps = []
    for name, info in report.dims.items():
        value = "unknown" if info.value is None else f"{info.value:,}"
        because = f", because {printable(info.reason, 120)}" if info.reason else ""
        steps.append(f"{printable(name, 40)} = {value} ({info.origin}){because}")
    return Derivation({name: info.value for name, info in report.dims.items()}, tuple(steps))


@figure("nodes", "nodes and coverage", "nodes", labels=("nodes", "priced", "opset", "coverage"))
def nodes(audited: Audited, report: ModelReport) -> Derivation:
    """Operator calls of the graph. A node without a price is unknown, not free: totals are then lower bounds. A node
    that no output depends on never runs and is in no total."""
    t = report.totals
    never = t.nodes - t.priced - t.unpriced
    steps = [f"{t.priced:,} priced + {t.unpriced:,} not priced + {never:,} never run = {t.nodes:,}"]
    steps += [
        f"{printable(u['op'], 40)} {printable(u['node'], 40)}: {printable(u['reason'], 160)}"
        for u in report.unpriced[:10]
    ]
    return Derivation(t.nodes, tuple(steps))


@figure("formulas", "formulas of the open dims", "expressions", page="docs/dims.md", labels=("macs =", "live_bytes ="))
def formulas(audited: Audited, report: ModelReport) -> Derivation:
    """Totals as expressions of the open dims, in Python's syntax, each checked against the number beside it."""
    if report.formulas is None:
        return Derivation(None, why="no dim of this model is open")
    steps = tuple(f"{name} = {printable(text, None)}" for name, text in report.formulas.items() if text)
    return Derivation(report.formulas, steps)


@figure("crossovers", "crossovers", "sizes", page="docs/dims.md", labels=("above",))
def crossovers(audited: Audited, report: ModelReport) -> Derivation:
    """Sizes of an open dim from which one cost exceeds another: where terms of a higher degree overtake those of a
    lower one, and where attention overtakes the layers around it. Formulas do not say up to which size a model is
    valid: a table of positions may end before."""
    steps = [
        f"{c.greater} outweigh {c.less} above {printable(c.dim, 40)} = {c.formula}"
        + ("" if c.at is None else f" = {c.at:,.6g}")
        for c in report.crossovers
    ]
    why = None if report.crossovers else "no formula of this model has terms of two degrees in an open dim"
    return Derivation([c.at for c in report.crossovers], tuple(steps), None, why)


@figure("findings", "notes", "findings", page="docs/json.md", labels=("note", "notes"))
def findings(audited: Audited, report: ModelReport) -> Derivation:
    """What a reader should know beside the numbers, and what to do about it."""
    steps = []
    for found in report.findings:
        steps += [f"{found.rule}: {printable(found.message, 300)}", f"  what to do: {printable(found.remedy, 300)}"]
        steps += [f"  {printable(name, 70)}" for name in found.where]
    return Derivation(len(report.findings), tuple(steps))


@figure("counting", "counting convention", "", labels=(COUNTING, "convention"))
def counting(audited: Audited, report: ModelReport) -> Derivation:
    """What is counted as what is fixed by a named convention. A change of what is counted changes the name, so two
    reports that name the same one can be compared."""
    return Derivation(COUNTING)


@figure(
    "transformer",
    "parts of a transformer",
    "",
    page="docs/transformer.md",
    labels=("parts", "blocks", "block", "qkv", "scores", "values", "ffn"),
)
def transformer(audited: Audited, report: ModelReport) -> Derivation:
    """The blocks of a model with attention, told by the flow of data and not by names: projections to queries, keys and
    values (qkv), scores, values, output projection, feed-forward part (ffn), norms, embedding and head. The parts add
    up to the model's totals."""
    found = report.transformer
    if found is None:
        return Derivation(None, why="the model has no attention")
    steps = []
    for part in found.parts:
        share = "" if part.macs_share is None else f"{100 * part.macs_share:5.1f} % of MACs"
        steps.append(f"{part.name:<10} {shown(part.macs):>18} MACs {share:<16} {part.params:,} params")
    steps.append(f"{len(found.blocks)} blocks")
    return Derivation(len(found.blocks), tuple(steps), None, found.why or None)


@figure(
    "keys",
    "columns and keys of nodes",
    "",
    page="docs/report.md",
    labels=("kind", "scope", "kernel", "depth", "part", "dtype", "shape", "step", "columns", "group-by"),
)
def keys(audited: Audited, report: ModelReport) -> Derivation:
    """What nodes are listed and summed by: op; kind, what an operator does with these inputs (a convolution may be
    depthwise or pointwise); scope, the module path in the node's name; kernel, its window; dtype and shape; depth, how
    many layers with MACs lie on the longest way from an input; part, of a transformer. A step is a node's place among
    those that run."""
    kinds: dict[str, int] = {}
    for i, row in enumerate(audited.table.rows):
        if row.live:
            kinds[audited.kind(i)] = kinds.get(audited.kind(i), 0) + 1
    steps = [f"{count:>8,}  {kind}" for kind, count in sorted(kinds.items(), key=lambda item: (-item[1], item[0]))]
    return Derivation(len(kinds), tuple(steps))
