"""The text of `--prune`: what it means, that it round-trips, and one helpful line for what makes no sense."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effaudit.errors import UsageError
from effaudit.whatif.prune import Arguments, parse, text
from effaudit.whatif.prune.arguments import percent

MEANT = {
    "channels=30%": Arguments(channels=Fraction(3, 10)),
    "channels=0.125,criterion=l2,scope=global,round=8,only=a*|b,skip=c": Arguments(
        channels=Fraction(1, 8), criterion="l2", scope="global", round=8, only="a*|b", skip="c"
    ),
    "indices=conv:0+0:3+5|fc:1": Arguments(indices={"conv:0+0": (3, 5), "fc": (1,)}),
    "sparsity=50%": Arguments(sparsity=Fraction(1, 2)),
    "sparsity=33.3%,scope=layer,storage=csr": Arguments(sparsity=Fraction(333, 1000), scope="layer", storage="csr"),
    "sparsity=0%": Arguments(sparsity=Fraction(0)),
    "2:4": Arguments(pattern="2:4"),
    "4:8,storage=compressed": Arguments(pattern="4:8", storage="compressed"),
    "block=4x1,sparsity=50%,storage=bsr": Arguments(block="4x1", sparsity=Fraction(1, 2), storage="bsr"),
    "dead": Arguments(dead=True),
}
REFUSED = {
    "30%": "expected channels=30%",
    "deadd": "did you mean dead",
    "": "expected words",
    "sparsty=50%": "did you mean sparsity",
    "sparsity=150%": "more than all",
    "sparsity=half": "such as 30%",
    "sparsity=50%,2:4": "not both sparsity and pattern",
    "2:4,dead": "not both pattern and dead",
    "2:4,1:4": "one too many",
    "dead,dead": "one too many",
    "4:2": "fewer kept",
    "4:4": "fewer kept",
    "0:4": "from 1 to 1024",
    "2:4096": "from 1 to 1024",
    "block=4x1": "block=4x1,sparsity=50%",
    "block=4,sparsity=50%": "such as 4x1",
    "block=0x1,sparsity=50%": "such as 4x1",
    "channels=30%,storage=csr": "storage does not go with channels",
    "sparsity=30%,round=8": "round does not go with sparsity",
    "sparsity=30%,criterion=l2": "criterion does not go with sparsity",
    "dead,only=a": "what may stand beside it: nothing",
    "channels=30%,criterion=l3": "expected one of l1, l2, bn, first",
    "channels=30%,scope=layer": "expected group or global",
    "sparsity=30%,scope=group": "expected layer or global",
    "channels=30%,round=0": "whole number from 1",
    "sparsity=50%,storage=compressed": "such as 2:4",
    "2:4,storage=bsr": "block=4x1",
    "indices=conv": "GROUP:0+3",
    "indices=conv:1|conv:2": "each group once",
    "storage=csr": "expected channels=30%",
    "channels": "; channels takes a value",
}


@pytest.mark.parametrize("written", MEANT)
def test_means(written: str) -> None:
    assert parse(written) == MEANT[written]
    assert parse(text(MEANT[written])) == MEANT[written]


@pytest.mark.parametrize("written", REFUSED)
def test_refused(written: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(written)
    message = str(caught.value)
    assert REFUSED[written] in message
    assert "\n" not in message and len(message) < 250


@given(st.fractions(0, 1, max_denominator=10**6).map(lambda f: round(f, 7)))
def test_shares_are_written_exactly(share: Fraction) -> None:
    if share:
        assert parse(f"sparsity={percent(share)}").sparsity == share
        assert text(parse(text(Arguments(channels=share)))) == text(Arguments(channels=share))


def test_files_of_steps_hold_the_fields() -> None:
    assert msgspec.convert({"pattern": "2:4", "only": "a"}, Arguments) == parse("2:4,only=a")
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"patern": "2:4"}, Arguments)
    with pytest.raises(UsageError, match="expected channels=30%"):
        msgspec.convert({"only": "a"}, Arguments)
