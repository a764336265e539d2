"""Groups partition the nodes that run: every sum over them is the total."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effaudit.audited import examine
from effaudit.errors import UsageError
from effaudit.load.files import sample_names
from effaudit.report import Asked, ModelReport, audit, describe
from effaudit.views.groups import KEYS

AUDITED = {name: examine(f"sample:{name}") for name in sample_names()}


@given(
    st.sampled_from(sorted(AUDITED)), st.lists(st.sampled_from([*KEYS, "scope:1", "scope:2"]), min_size=1, max_size=3)
)
def test_sums_over_groups_are_the_totals(name: str, by: list[str]) -> None:
    model = describe(AUDITED[name], Asked(group_by=tuple(by)))
    assert model.groups is not None
    found, t = model.groups.groups, model.totals
    assert len({g.key for g in found}) == len(found)
    assert sum(g.nodes for g in found) == t.priced + t.unpriced
    assert sum(g.params for g in found) == t.params
    assert sum(g.weight_bytes for g in found) == t.weight_bytes
    for bounds, total in (
        ([g.macs_bounds for g in found], t.macs_bounds),
        ([g.ops_bounds for g in found], t.ops_bounds),
        ([g.read_bounds for g in found], t.read_bounds),
        ([g.write_bounds for g in found], t.write_bounds),
    ):
        assert sum(low or 0 for low, _ in bounds) == total[0]
        highs = [high for _, high in bounds]
        assert (None if None in highs else sum(h or 0 for h in highs)) == total[1]
    shares = [g.share for g in found if g.share is not None]
    if t.macs:
        assert math.isclose(sum(shares), 1.0)


def groups(name: str, *by: str) -> dict[tuple[str, ...], int]:
    model: ModelReport = audit(f"sample:{name}", asked=Asked(group_by=by))
    assert model.groups is not None
    return {g.key: g.nodes for g in model.groups.groups}


def test_keys() -> None:
    assert groups("ic", "op")["Conv",] == 9
    assert groups("ic", "kernel")["3x3",] == 5
    assert groups("ic", "kernel")["3x3 s2",] == 2
    assert groups("ic-int8", "op", "dtype")["QuantizeLinear", "float32"] > 0
    assert groups("bert-base", "scope:2")["encoder/layer.0",] == groups("bert-base", "scope:2")["encoder/layer.7",]
    assert groups("ic", "shape")["1x10",] == 2
    assert groups("alexnet", "kind")["grouped",] == 3


def test_depth_is_the_longest_way_in_layers() -> None:
    """A ResNet of a stem, three stacks of two convolutions with a shortcut, and a head: eight layers deep."""
    depths = {int(key) for (key,) in groups("ic", "depth")}
    assert depths == set(range(1, 9))


def test_an_unknown_key_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="expected one or several of op, kind, scope"):
        audit("sample:ic", asked=Asked(group_by=("colour",)))
