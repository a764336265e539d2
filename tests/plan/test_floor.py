"""No plan goes below the floor, in any order of the nodes, under any rules."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, permutations
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from onnx import ModelProto

from effaudit.audited import Audited, examine
from effaudit.dataflow import flow
from effaudit.memory import Asked
from effaudit.memory.planned import laid_out, lower
from effaudit.plan.floor import floor, one_order_only
from effaudit.plan.order import apply_order
from effaudit.runtimes import find
from tests.laws.dags import dags

RULES = ("as-written", "ideal", "tflm", "st", "tinyengine")
ORDERS = 60


def audited(model: ModelProto) -> Audited:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return examine(path)


def orders(found: Audited, rules: str) -> Iterator[tuple[int, ...]]:
    """Topological orders of the lowered graph, by trying permutations."""
    graph = lower(found.graph, Asked(runtime=rules))
    known = flow(graph)
    maker = {name: i for i, node in enumerate(graph.nodes) for name in node.outputs}
    after = [{maker[name] for name in read if name in maker} for read in known.reads]
    for order in permutations(range(len(graph.nodes))):
        place = {node: at for at, node in enumerate(order)}
        if all(place[before] < place[node] for node in order for before in after[node]):
            yield order


@pytest.mark.parametrize("rules", RULES)
@settings(max_examples=25)
@given(model=dags(most=6))
def test_the_floor_holds_in_every_order(rules: str, model: ModelProto) -> None:
    found, asked, runtime = audited(model), Asked(runtime=rules), find(rules)
    graph = lower(found.graph, asked)
    known = flow(graph)
    least = floor(graph, known, runtime.sharing, inputs=runtime.inputs)
    seen = list(islice(orders(found, rules), ORDERS))
    for order in seen:
        made = laid_out(apply_order(graph, order), asked)
        assert least.bytes <= made.arena.low, (least, order)
    varies = [not known.varying.isdisjoint(node.outputs) for node in graph.nodes]
    if one_order_only(graph, known) and all(varies) and known.running == len(graph.nodes):
        assert len(seen) == 1, "nodes that depend on no input may stand anywhere: they make no activations"


def test_the_floor_of_a_chain_is_its_dearest_node() -> None:
    found = examine("sample:vww-int8")
    runtime = find("tflm")
    graph = runtime.lower(found.graph)
    least = floor(graph, flow(graph), runtime.sharing, inputs=True)
    assert least.bytes == 55_296  # 96x96 -> block1: 48x48x8 in and 48x48x16 out
    assert least.node == "block1/pointwise/Conv"
