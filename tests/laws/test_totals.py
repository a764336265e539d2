"""Totals are the sums of their rows, however the rows are grouped, and MACs are linear in the batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import cache

import onnx
import pytest
from hypothesis import given, settings
from onnx import ModelProto

from effaudit.load import load
from effaudit.report import ModelReport, NodeReport
from effaudit.table import price

from .dags import dags
from .models import DYNAMIC, SAMPLE_FOLDER, SAMPLES, audit, sample

FIGURES = ("macs", "ops", "read_bytes", "write_bytes")
BOUNDED = ("control-flow",)  # an If whose condition is fed
EXACT = [name for name in SAMPLES if name not in BOUNDED]


@cache
def audited(name: str) -> ModelReport:
    return sample(name)


def by(model: ModelReport, key: Callable[[NodeReport], str], figure: str) -> dict[str, int]:
    """The sum of a figure per group of the nodes that run."""
    sums: dict[str, int] = defaultdict(int)
    for node in model.nodes:
        if node.live:
            sums[key(node)] += getattr(node, figure)
    return sums


# ---- sums
@pytest.mark.parametrize("name", EXACT)
def test_totals_are_the_sum_of_any_partition(name: str) -> None:
    model = audited(name)
    for figure in FIGURES:
        total = getattr(model.totals, figure)
        for key in (lambda n: n.name, lambda n: n.op, lambda n: n.kind, lambda n: n.outputs[0].dtype):
            assert sum(by(model, key, figure).values()) == total, (figure, key)


@pytest.mark.parametrize("name", SAMPLES)
def test_totals_of_weights_are_the_sum_of_their_owners(name: str) -> None:
    """Each tensor belongs to one node."""
    model = audited(name)
    assert sum(node.params for node in model.nodes) == model.totals.params
    assert sum(node.weight_bytes for node in model.nodes) == model.totals.weight_bytes
    assert sum(model.totals.weight_bytes_by.values()) == model.totals.weight_bytes


@pytest.mark.parametrize("name", SAMPLES)
def test_flops_are_two_per_mac_and_the_rest(name: str) -> None:
    totals = audited(name).totals
    for flops, macs, ops in zip(totals.flops_bounds, totals.macs_bounds, totals.ops_bounds, strict=True):
        assert None not in (flops, macs, ops)
        assert flops == 2 * macs + ops  # type: ignore[operator]


@pytest.mark.parametrize("name", BOUNDED)
def test_bounds_are_sums_of_bounds(name: str) -> None:
    model = audited(name)
    for side in (0, 1):
        rows = [(node.macs, node.macs) if node.macs_bounds is None else node.macs_bounds for node in model.nodes]
        assert sum(row[side] or 0 for row in rows) == model.totals.macs_bounds[side]


@settings(max_examples=50, deadline=None)
@given(dags())
def test_totals_of_random_graphs(model: ModelProto) -> None:
    """Dead nodes have a cost of their own and no part in the totals."""
    report = audit(model)
    for figure in FIGURES:
        running = [getattr(node, figure) for node in report.nodes if node.live]
        assert sum(running) == getattr(report.totals, figure)


def test_nothing_is_silently_zero() -> None:
    """A graph of one operator that nobody knows: the totals are unknown, with the reason, and the coverage says so."""
    node = onnx.helper.make_node("Mystery", ["x"], ["y"], domain="example.org", name="riddle")
    ends = [onnx.helper.make_tensor_value_info(name, 1, [2, 3]) for name in "xy"]
    graph = onnx.helper.make_graph([node], "g", ends[:1], ends[1:])
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("example.org", 1)]
    totals = audit(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)).totals
    assert (totals.macs, totals.ops, totals.flops, totals.read_bytes) == (None, None, None, None)
    assert (totals.nodes, totals.priced, totals.unpriced) == (1, 0, 1)
    assert totals.why is not None and "riddle" in totals.why


# ---- batch
@pytest.mark.parametrize("name", [n for n in DYNAMIC if "batch" in DYNAMIC[n]])
def test_macs_are_linear_in_an_open_batch(name: str) -> None:
    others = {dim: 9 + i for i, dim in enumerate(DYNAMIC[name][1:])}
    one = sample(name, batch=1, **others).totals.macs_bounds
    for batch in (2, 3, 17):
        assert sample(name, batch=batch, **others).totals.macs_bounds == [batch * (macs or 0) for macs in one]


@pytest.mark.parametrize("name", [n for n in SAMPLES if n not in DYNAMIC])
def test_macs_are_linear_in_a_fixed_batch_set_free(name: str) -> None:
    """The file's batch of one, written as a name instead."""
    model = onnx.load(SAMPLE_FOLDER / f"{name}.onnx", load_external_data=False)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    one = audited(name).totals.macs
    assert one is not None
    for batch in (1, 2, 5):
        assert audit(model, batch=batch).totals.macs == batch * one


# ---- the table itself
@pytest.mark.parametrize("name", SAMPLES)
def test_the_table_says_what_the_report_says(name: str) -> None:
    """Sizes open: the table's total is the sum of its rows as expressions."""
    table = price(load(f"sample:{name}"))
    assert table.complete
    running = [row for row in table.rows if row.live]
    for figure in ("macs", "ops", "reads", "writes"):
        low = sum((getattr(row.low, figure) for row in running), 0)
        assert low == getattr(table.low, figure)
