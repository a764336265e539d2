"""Figures of activation memory."""

from __future__ import annotations

from effaudit.audited import Audited
from effaudit.explain.figures._registry import Derivation, figure
from effaudit.plan.lifetimes import lifetimes
from effaudit.printable import printable
from effaudit.report import ModelReport

PAGE = "docs/memory.md"


@figure(
    "live_bytes", "live activations", "bytes", formula="max over steps of the bytes alive", page=PAGE, labels=("live",)
)
def live_bytes(audited: Audited, report: ModelReport) -> Derivation:
    """The most that activations take at any step, in the order of the file: a tensor lives from the node that makes it
    to its last reader, nothing shares storage, nothing is in place. What depends on no input is no activation."""
    memory = report.memory
    if memory.live_bytes is None:
        return Derivation(None, (), memory.live_bounds, memory.why)
    steps = (
        [f"at {printable(memory.peak_node or '', 60)}, step {(memory.peak_step or 0) + 1:,}:"]
        if memory.peak_node
        else []
    )
    steps += [f"{tensor.bytes:>16,}  {printable(tensor.name, 56)}" for tensor in memory.live_set]
    return Derivation(memory.live_bytes, (*steps, f"{'= ' + format(memory.live_bytes, ','):>16}  alive"))


@figure("live_set", "what is alive at the peak", "tensors", page=PAGE, labels=("alive",))
def live_set(audited: Audited, report: ModelReport) -> Derivation:
    """The activations that exist while the peak node runs: its inputs, its outputs, and what later nodes still read."""
    found = live_bytes(audited, report)
    return Derivation([t.name for t in report.memory.live_set], found.steps, None, found.why)


@figure("inplace_bytes", "live, in place", "bytes", page=PAGE, labels=("in place",))
def inplace_bytes(audited: Audited, report: ModelReport) -> Derivation:
    """As live_bytes, where views share the storage of what they view, and an elementwise node may write over an input
    that dies there and is exactly as large as its output."""
    memory = report.memory
    steps = (f"live_bytes is {memory.live_bytes:,}",) if memory.live_bytes is not None else ()
    return Derivation(memory.inplace_bytes, steps, None, memory.why)


@figure("max_in_out_bytes", "largest inputs + outputs", "bytes", page=PAGE, labels=("max in+out",))
def max_in_out_bytes(audited: Audited, report: ModelReport) -> Derivation:
    """The largest sum of the activations one node reads and writes. Too little wherever a tensor waits for a later
    node, as in a residual connection."""
    wanted = report.memory.max_in_out_bytes
    if wanted is None:
        return Derivation(None, why=report.memory.why)
    sizes = {b.name: b.size for b in lifetimes(audited.graph, audited.flow) if isinstance(b.size, int)}
    for node, read, runs in zip(audited.graph.nodes, audited.flow.reads, audited.flow.live, strict=True):
        touched = {name: sizes[name] for name in (*read, *node.outputs) if name in sizes}
        if runs and sum(touched.values()) == wanted:
            steps = [f"{size:>16,}  {printable(name, 56)}" for name, size in touched.items()]
            where = f"at {printable(node.label, 60)}:"
            return Derivation(wanted, (where, *steps, f"{'= ' + format(wanted, ','):>16}  read and written"))
    return Derivation(wanted)


@figure("sum_bytes", "all activations", "bytes", page=PAGE, labels=("sum",))
def sum_bytes(audited: Audited, report: ModelReport) -> Derivation:
    """The bytes of all activations, inputs of the graph included, if none shared storage with another."""
    memory, count = report.memory, len(lifetimes(audited.graph, audited.flow))
    steps = (f"{count:,} tensors",) if memory.sum_bytes is not None else ()
    return Derivation(memory.sum_bytes, steps, None, memory.why)


@figure("activations", "activation elements", "elements", page=PAGE)
def activations(audited: Audited, report: ModelReport) -> Derivation:
    """The elements of all activations, inputs of the graph included: times a width in bytes, what they take there. Not
    the memory a run needs: most of them never exist at the same time."""
    count = report.totals.activations
    if count is None:
        return Derivation(None, why=report.memory.why or "a shape is not known")
    steps = tuple(f"at {bits} bits: {(count * bits + 7) // 8:,} bytes" for bits in (32, 16, 8, 4))
    return Derivation(count, steps)
