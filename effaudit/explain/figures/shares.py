"""Hot spots: who holds most of a cost, and what lowers it."""

from __future__ import annotations

from effaudit.audited import Audited
from effaudit.explain.figures._registry import Derivation, figure
from effaudit.printable import printable
from effaudit.report import ModelReport
from effaudit.tables.hot import TITLES


@figure("hot", "hot spots", "", labels=("%", "cum", "node", "share", "cumulative", "activations %", "hot"))
def hot(audited: Audited, report: ModelReport) -> Derivation:
    """The nodes that hold most of each cost, with their share of its total and the cumulative one (cum). A range
    counts with its lower end. The activations a node makes are the bytes of its outputs, unless they are views."""
    steps = []
    for found in report.hot:
        steps.append(f"{TITLES[found.figure]}: {found.total:,} in all")
        for node in found.nodes:
            share = f"{100 * node.share:5.1f} %  sum {100 * node.cumulative:5.1f} %"
            steps.append(f"{node.value:>16,}  {share}  {printable(node.name, 40)}")
    return Derivation([node.name for node in report.hot[0].nodes], tuple(steps))


@figure("aim", "what lowers a cost", "", labels=("aim",))
def aim(audited: Audited, report: ModelReport) -> Derivation:
    """Techniques that are made for a cost, chosen by the kind of node that holds most of it. General advice: what a
    technique gains on this model is another question."""
    steps = []
    for found in report.hot:
        kinds = ", ".join(f"{printable(kind, 30)} {100 * share:.0f} %" for kind, share in list(found.kinds.items())[:4])
        if found.aim:
            steps += [f"{TITLES[found.figure]} is held by {kinds}", f"  {found.aim}"]
    return Derivation({found.figure: found.aim for found in report.hot}, tuple(steps))
