"""Partitions by effaudit against those of ONNX Runtime's mobile usability checker, graph by graph.

`agreement` compares; `summary`, `causes`, `conditions` and `table` are tables for the documentation.
`python -m tests.support.score` prints them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx

from effaudit.audited import examine
from effaudit.dataflow import flow
from effaudit.graph import Graph, Node
from effaudit.load import infer, read
from effaudit.load.files import sample_folder
from effaudit.lower.ort_folded import folded
from effaudit.support import find, judging
from tests.corpus.score import folder

from . import checker, ours
from .checker import LISTS, Checked

# Why a node can be judged differently, by the word `agreement` counts it under.
CAUSES = {
    "inferred": "effaudit knows the shape of an input, or its rank, that the checker's inference leaves open: shapes "
    "computed from shapes, and what operators outside ONNX make",
    "shapeless": "the checker takes a tensor of unknown shape for a scalar, where its element type is known",
    "omitted": "the checker takes an input that the node leaves out for one of open shape",
    "rank": "the checker reads the rank of Transpose from its attribute, where it looks at no other rank",
    "misspelt": "the list says `Argmax` and `ai.onnx.ReduceSum`; the checker finds neither",
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """One graph under one set: the checker's partitions and effaudit's. `given` are effaudit's with the shapes the
    checker sees, `causes` counts the nodes that the two judge differently without that; "" is no cause that is known.
    `refused`: what the checker says where it does not look at a graph."""

    file: str
    name: str
    fixed: bool
    theirs: Checked
    own: Checked
    given: Checked
    causes: Counter[str] = field(default_factory=Counter)
    refused: str = ""

    @property
    def same(self) -> bool:
        return self.theirs == self.own


def files(corpus: Path | None = None) -> list[Path]:
    """The shipped samples, and the graphs of a corpus where there is one."""
    models = sorted((corpus / "models").glob("*.onnx")) if corpus else []
    return sorted(Path(sample_folder()).glob("*.onnx")) + models


def agreement(path: Path) -> Iterator[Agreement]:
    """A graph under every set of the checker, with fixed shapes asked for and without."""
    model = checker.loaded(path)
    graph, shapes = infer(read(str(path))), checker.stated(model)
    for name in LISTS:
        support = find(name)
        for fixed in (True, False):
            only = ours.bare(support, fixed=fixed)
            own = ours.count(graph, ours.judged(only))
            try:
                theirs = checker.check(model, name, fixed=fixed)
            except ValueError as error:
                yield Agreement(path.name, name, fixed, own, own, own, refused=str(error))
                continue
            given = ours.count(graph, ours.as_checker(only, shapes, fixed=fixed))
            apart = theirs.taken ^ own.taken
            causes = Counter(_cause(model, graph, name, fixed, apart)) if apart else Counter[str]()
            yield Agreement(path.name, name, fixed, theirs, own, given, causes)


def _cause(
    model: onnx.ModelProto, graph: Graph, name: str, fixed: bool, apart: frozenset[tuple[str, ...]]
) -> Iterator[str]:
    shapes, shapeless = checker.stated(model), checker.shapeless(model)
    for one in ours.graphs(graph):
        for node in one.nodes:
            if node.outputs in apart:
                yield ours.apart(node, name, fixed=fixed) or _shapes(one, node, shapes, shapeless)


def _shapes(graph: Graph, node: Node, shapes: ours.Shapes, shapeless: frozenset[str]) -> str:
    for name in filter(None, node.inputs):
        seen, value = shapes.get(name), graph.values[name]
        if name in shapeless:
            return "shapeless"
        if value.shape is not None and (seen is None or -1 in seen) and all(isinstance(d, int) for d in value.shape):
            return "inferred"
        if value.shape is not None and seen is None:
            return "inferred"
    return ""


def conditions(paths: Iterable[Path]) -> str:
    """What the conditions of the lists refuse, which the checker prints and does not ask: of the nodes whose operator
    a set names, in graphs as `fit` places them (sizes assumed where they are open)."""
    named, met, graphs = Counter[str](), Counter[str](), Counter[str]()
    for path in paths:
        graph = folded(examine(str(path)).graph)
        known = flow(graph)
        for name in LISTS:
            support = find(name)
            by_name = [node for node in graph.nodes if (node.domain, node.op) in support.operators]
            judge = judging(graph, support, known)
            taken = sum(not judge(node) for node in by_name)
            named[name], met[name] = named[name] + len(by_name), met[name] + taken
            graphs[name] += taken < len(by_name)
    lines = [
        "| set | nodes it names | of these it takes | graphs with a node it does not |",
        "| --- | --: | --: | --: |",
    ]
    lines += [f"| `{name}` | {named[name]:,} | {met[name]:,} | {graphs[name]} |" for name in LISTS]
    return "\n".join(lines)


def summary(found: Sequence[Agreement]) -> str:
    """How many graphs agree, per set and question."""
    lines = ["| set | shapes must be fixed | graphs | the same partitions | the same, given the checker's shapes |"]
    lines.append("| --- | --- | --: | --: | --: |")
    for name in LISTS:
        for fixed in (True, False):
            some = [one for one in found if one.name == name and one.fixed == fixed and not one.refused]
            same, given = sum(one.same for one in some), sum(one.theirs == one.given for one in some)
            lines.append(f"| `{name}` | {'yes' if fixed else 'no'} | {len(some)} | {same} | {given} |")
    return "\n".join(lines)


def causes(found: Iterable[Agreement]) -> str:
    """What the differences come from."""
    total: Counter[str] = Counter()
    for one in found:
        total += one.causes
    lines = ["| nodes judged differently | why |", "| --: | --- |"]
    lines += [f"| {total[cause]:,} | {why} |" for cause, why in CAUSES.items()]
    return "\n".join(lines)


def table(found: Sequence[Agreement]) -> str:
    """Nodes taken and partitions of every graph, without fixed shapes being asked for; "=" where the checker says the
    same."""
    lines = [f"| graph | nodes | {' | '.join(name.removeprefix('onnxruntime-') for name in LISTS)} |"]
    lines.append("| --- | --: | --- | --- | --- |")
    for file in dict.fromkeys(one.file for one in found):
        row = [one for one in found if one.file == file and not one.fixed]
        lines.append(f"| `{file}` | {row[0].theirs.nodes} | {' | '.join(map(_cell, row))} |")
    return "\n".join(lines)


def _cell(one: Agreement) -> str:
    own = f"{len(one.own.taken)} in {len(one.own.partitions)}"
    return f"{own} =" if one.same else f"{own}; checker {len(one.theirs.taken)} in {len(one.theirs.partitions)}"


def score(corpus: Path | None = None) -> list[Agreement]:
    """Every graph there is."""
    return [one for path in files(corpus) for one in agreement(path)]


if __name__ == "__main__":
    results = score(folder())
    print(summary(results), causes(results), conditions(files(folder())), table(results), sep="\n\n")
