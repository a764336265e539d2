"""Costs that were planted are found again; what no measurement tells is not made up."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from msgspec.structs import replace

from effaudit.calibrate.fit import Fitted, fit, key_of, terms_of
from effaudit.calibrate.measure import NetSample
from effaudit.estimate.terms import TERMS, Caches, amounts
from tests.calibrate.planted import CACHES, PER_INFERENCE_S, sampled, small

NETS = small(120_000)


@cache
def exactly() -> tuple[tuple[NetSample, ...], Fitted]:
    nets = sampled(NETS)
    return nets, fit(nets, CACHES)


def total(found: Fitted, net: NetSample, caches: Caches = CACHES) -> float:
    """What the costs say of a network, written out."""
    seconds = found.per_inference_s + net.renaming * found.per_kernel_s
    for sample in net.samples:
        has = amounts(sample.kernel, caches)
        seconds += found.per_kernel_s
        seconds += sum(has[term] * cost for term, cost in found.costs[key_of(sample.kernel)].items())
    return seconds


def errors(found: Fitted, nets: Sequence[NetSample]) -> np.ndarray:
    return np.array([abs(total(found, net) / net.seconds - 1) for net in nets])


def test_planted_costs_are_found_again() -> None:
    nets, found = exactly()
    assert errors(found, nets).max() < 0.015 and np.median(errors(found, nets)) < 0.005
    assert found.per_inference_s == pytest.approx(PER_INFERENCE_S, rel=0.3)


def test_networks_that_were_not_seen_are_estimated_by_them() -> None:
    apart = sampled([net for net in small(500_000) if net not in NETS])
    known = set(exactly()[1].costs)
    covered = [net for net in apart if all(key_of(sample.kernel) in known for sample in net.samples)]
    assert len(covered) > 5 and np.median(errors(exactly()[1], covered)) < 0.05


def test_noise_averages_out() -> None:
    noise = np.random.default_rng(3).normal(1.0, 0.05, 997)
    found = fit(sampled(NETS, noise=list(noise)), CACHES)
    left = errors(found, sampled(NETS))
    assert np.median(left) < 0.02 and np.quantile(left, 0.9) < 0.05


def test_a_kernel_that_was_interrupted_changes_little() -> None:
    nets = sampled(NETS)
    worst = max(nets, key=lambda net: len(net.samples))
    slipped = [replace(one, seconds=one.seconds + 2e-3 * (i == 5)) for i, one in enumerate(worst.samples)]
    spoilt = [replace(net, samples=tuple(slipped)) if net is worst else net for net in nets]
    assert errors(fit(spoilt, CACHES), nets).max() < 0.05


def test_every_kind_has_what_its_class_can_cost_and_no_more() -> None:
    nets, found = exactly()
    classes = {key_of(s.kernel): s.kernel.op_class for net in nets for s in net.samples}
    assert set(found.costs) == set(found.counts) == set(classes)
    for key, costs in found.costs.items():
        assert set(costs) <= terms_of(key[1], classes[key]) <= set(TERMS)
        assert all(cost > 0 for cost in costs.values())
    assert sum(found.counts.values()) == sum(len(net.samples) for net in nets)


def test_the_fit_is_the_same_every_time_and_in_any_order() -> None:
    nets, found = exactly()
    assert fit(nets, CACHES) == found
    turned = fit(nets[::-1], CACHES)
    assert np.median(errors(turned, nets)) < 0.005


def test_time_that_no_kernel_has_is_that_of_an_inference() -> None:
    more = [replace(net, seconds=net.seconds + 9e-6) for net in sampled(NETS)]
    found = fit(more, CACHES)
    assert found.per_inference_s - exactly()[1].per_inference_s == pytest.approx(9e-6, rel=0.25)


def test_what_is_left_is_small_where_costs_explain_everything() -> None:
    half = [replace(net, seconds=net.seconds * (2 if i % 2 else 1)) for i, net in enumerate(sampled(NETS))]
    assert fit(half, CACHES).loss > 3 * exactly()[1].loss
