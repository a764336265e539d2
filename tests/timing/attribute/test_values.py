"""Attribution is right: the tensors that kernels are said to write hold the elements of the tensors they stand for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from effaudit.run.random import random_inputs
from tests.timing.attribute.conftest import Pair
from tests.timing.attribute.nets import BUILT
from tests.timing.attribute.numeric import compare

SAMPLES = ("ic", "kws", "unet", "lstm", "dynamic", "control-flow", "ad-int8", "ic-int8", "kws-int8")


@pytest.mark.parametrize("name", [*BUILT, *SAMPLES])
def test_elements(pair: Callable[[str], Pair], name: str) -> None:
    it = pair(name)
    pairs = [two for one in it.found for two in one.outputs]
    tolerance = 0.05 if "int8" in name else 1e-4  # a step of the quantization, rounded the other way
    compared = compare(it.path, it.saved, pairs, random_inputs(it.audited.graph, 1)[0], tolerance)
    assert len(compared) == len(set(pairs))
    assert [two for two in compared if not two.how] == []


@pytest.mark.parametrize("name", [*BUILT, *SAMPLES])
def test_every_kernel_has_nodes_and_their_shapes(pair: Callable[[str], Pair], name: str) -> None:
    it = pair(name)
    assert len(it.found) == len(it.optimized.nodes)
    assert [it.optimized.nodes[i].label for i, one in enumerate(it.found) if not one.nodes] == []
    assert [it.optimized.nodes[i].label for i, one in enumerate(it.found) if one.consistent is False] == []
    told = [one for one in it.found if one.role == "computes" and one.outputs]
    assert len(told) >= 0.5 * len(it.found)


@pytest.mark.parametrize("name", [*BUILT, *SAMPLES])
def test_products_are_computed_once(pair: Callable[[str], Pair], name: str) -> None:
    """Every live node that multiplies and accumulates belongs to exactly one kernel, but for one merged with its twin
    and one whose kernels run in a body or a function."""
    it = pair(name)
    for i, row in enumerate(it.audited.table.rows):
        if row.live and row.kind in ("conv", "matmul") and not row.node.bodies:
            kernels = [one for one in it.found if i in one.nodes and one.role == "computes"]
            assert len(kernels) == (0 if row.node.outputs[0] == "twin" else 1), row.node.label
