"""Hot spots against a plain sort, and shares that add up."""

from __future__ import annotations

import pytest

from effaudit.load.files import sample_names
from effaudit.report import Asked, ModelReport, audit
from effaudit.views.aims import AIMS, GROUPS, aim


def everything(name: str) -> ModelReport:
    return audit(f"sample:{name}", asked=Asked(top=10**6))


@pytest.mark.parametrize("name", sample_names())
def test_all_hot_spots_together_are_the_total(name: str) -> None:
    model = everything(name)
    totals = {hot.figure: hot.total for hot in model.hot}
    t = model.totals
    assert totals["macs"] == t.macs_bounds[0]
    assert totals["ops"] == t.ops_bounds[0]
    assert totals["params"] == t.params
    assert totals["bytes"] == (t.read_bounds[0] or 0) + (t.write_bounds[0] or 0)
    for hot in model.hot:
        assert sum(node.value for node in hot.nodes) == hot.total
        assert sum(hot.kinds.values()) == pytest.approx(1.0 if hot.total else 0.0)
        if hot.nodes:
            assert hot.nodes[-1].cumulative == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["ic", "mobilenetv2", "bert-base"])
def test_the_hottest_come_first(name: str) -> None:
    model = everything(name)
    hot = {h.figure: h for h in model.hot}
    live = [node for node in model.nodes if node.live]
    assert [n.value for n in hot["macs"].nodes] == sorted((n.macs for n in live if n.macs), reverse=True)
    assert [n.value for n in hot["params"].nodes] == sorted((n.params for n in live if n.params), reverse=True)


def test_alexnet_holds_its_parameters_in_two_layers() -> None:
    """s0-060: 89.45 % of the weights are in the first two fully connected layers; early layers hold the activations."""
    hot = {h.figure: h for h in audit("sample:alexnet").hot}
    first, second = hot["params"].nodes[:2]
    assert (first.kind, second.kind) == ("gemm", "gemm")
    weights = 60_954_656
    assert (first.value - 4096 + second.value - 4096) / weights == pytest.approx(0.8945330115553438)
    assert hot["activation_bytes"].nodes[0].name.startswith("conv1")


def test_what_lowers_a_cost_depends_on_who_holds_it() -> None:
    assert "depthwise-separable" in aim("macs", {"conv": 0.8, "gemm": 0.2})
    assert "channel" in aim("macs", {"pointwise": 0.6, "depthwise": 0.4})
    assert "embedding" in aim("params", {"embedding": 0.5, "gemm": 0.3, "norm": 0.2})
    assert "flash" in aim("bytes", {"attention-scores": 0.3, "attention-values": 0.3, "gemm": 0.4})
    assert aim("macs", {}) == ""


def test_every_kind_that_matters_has_advice() -> None:
    groups = set(GROUPS.values())
    for figure in ("macs", "params", "bytes", "activation_bytes"):
        assert set(AIMS[figure]) <= groups
    assert {"conv", "gemm", "attention", "recurrent"} <= set(AIMS["macs"])
