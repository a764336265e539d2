"""A timed run by kernel and by node."""

from __future__ import annotations

from collections.abc import Callable
from math import fsum, prod

import pytest

from effaudit.run.timed_types import KernelRun, Profile, Timed
from effaudit.timing.attribute import AttributedTimes, attributed_times
from tests.timing.attribute.conftest import Pair
from tests.timing.attribute.nets import BUILT

Get = Callable[[str], Pair]


def timed(it: Pair, *, leave_out: str = "", extra: str = "") -> Timed:
    """A run that never was: every kernel of the optimized graph, and those of bodies, by its work."""
    kernels = []
    for place in [(n, it.optimized) for n in it.optimized.nodes] + [
        (n, body) for outer in it.optimized.nodes for body in outer.bodies.values() for n in body.nodes
    ]:
        node, graph = place
        if node.op == leave_out:
            continue
        shapes = tuple(graph.values[o].shape or () for o in node.outputs if o)
        known = all(isinstance(d, int) for shape in shapes for d in shape)
        seconds = 1e-6 * (1 + sum(prod(shape) for shape in shapes) if known else 1)
        kernels.append(KernelRun(node.name, node.op, "CPU", seconds, 1.0, (), shapes if known else ()))
    if extra:
        kernels.append(KernelRun(extra, "Magic", "CPU", 1e-5, 1.0, (), ()))
    total = fsum(kernel.seconds for kernel in kernels)
    return Timed(0.1, 0.1, (), (total,), True, "1.0", (), None, Profile(3, 1.1 * total, tuple(kernels)))


def found(it: Pair, seconds: float, **options: str) -> AttributedTimes:
    result = attributed_times(it.audited, it.optimized, timed(it, **options), seconds)
    assert result is not None
    return result


@pytest.mark.parametrize("name", [*(n for n in BUILT if n != "unnamed"), "ic", "kws-int8", "control-flow"])
@pytest.mark.parametrize("extra", ["", "none_of_ours"])
def test_nothing_is_lost_or_counted_twice(pair: Get, name: str, extra: str) -> None:
    times = found(pair(name), 0.25, extra=extra)
    assert fsum(kernel.seconds for kernel in times.kernels) == pytest.approx(0.25, rel=1e-12)
    of_nodes = fsum(node.seconds for node in times.nodes if node.seconds is not None)
    assert of_nodes + times.unattributed_s == pytest.approx(0.25, rel=1e-12)
    assert fsum(kernel.share for kernel in times.kernels) == pytest.approx(1.0)
    assert (times.unattributed_s > 0) == bool(extra)
    assert times.attribution.attributed_ratio == pytest.approx(1 - times.unattributed_s / 0.25)
    assert times.attribution.kernels == len(times.kernels)
    assert times.attribution.consistent_ratio == 1.0


@pytest.mark.parametrize("name", [*(n for n in BUILT if n != "unnamed"), "ic", "kws-int8", "control-flow"])
def test_every_node_has_seconds_or_a_reason(pair: Get, name: str) -> None:
    it = pair(name)
    times = found(it, 1e-3)
    assert [node.index for node in times.nodes] == list(range(len(it.audited.graph.nodes)))
    for node in times.nodes:
        assert (node.seconds is None) == (node.why is not None), node
        if node.seconds is not None:
            assert node.seconds > 0 and node.kernels
            assert node.mac_per_s is None or node.mac_per_s == pytest.approx((node.macs or 0) / node.seconds)
        assert node.why != "no kernel is known to compute it"


def test_a_product_takes_its_kernel_and_names_it_for_the_rest(pair: Get) -> None:
    nodes = {node.name: node for node in found(pair("residual"), 1e-3).nodes}
    assert nodes["n_t0"].seconds and nodes["n_t0"].macs
    for name in ("n_t1", "n_t2"):
        assert nodes[name].seconds is None
        assert nodes[name].why == "fused into Conv n_t0"
        assert nodes[name].kernels == nodes["n_t0"].kernels[:1]


def test_kernels_in_bodies_are_their_owners(pair: Get) -> None:
    it = pair("loop")
    times = found(it, 1e-3)
    label = next(node.label for node in it.audited.graph.nodes if node.op == "Loop")
    inner = [kernel for kernel in times.kernels if kernel.why == "runs in a body of this node"]
    assert inner and all(kernel.nodes == (label,) for kernel in inner)
    own = fsum(kernel.seconds for kernel in times.kernels if kernel.nodes == (label,))
    assert next(node.seconds for node in times.nodes if node.name == label) == pytest.approx(own)


def test_a_kernel_that_the_profile_lacks_is_told(pair: Get) -> None:
    it = pair("recurrent")
    node = next(n for n in found(it, 1e-3, leave_out="LSTM").nodes if n.op == "LSTM")
    assert node.seconds is None and node.why == "its kernel is not in the profile"


def test_without_a_profile_there_is_nothing_to_tell(pair: Get) -> None:
    it = pair("ic")
    bare = Timed(0.1, 0.1, (), (0.1,), True, "1.0", (), None, None)
    assert attributed_times(it.audited, it.optimized, bare, 0.1) is None
