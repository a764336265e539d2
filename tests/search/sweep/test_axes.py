"""What an option of a sweep varies."""

from __future__ import annotations

import pytest

from effaudit.errors import UsageError
from effaudit.search.sweep import axes
from tests.whatif import stub


@pytest.fixture(autouse=True)
def _stub(monkeypatch: pytest.MonkeyPatch) -> None:
    stub.register(monkeypatch)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("7", ["7"]),
        ("128:1024:x2", ["128", "256", "512", "1024"]),
        ("128:1000:x2", ["128", "256", "512"]),
        ("1:9:4", ["1", "5", "9"]),
        ("5:5:1", ["5"]),
        ("64KiB:256KiB:x2", ["64KiB", "128KiB", "256KiB"]),
        ("64KiB:192KiB:64KiB", ["64KiB", "128KiB", "192KiB"]),
        ("0%:50%:25%", ["0%", "25%", "50%"]),
        ("0%:1%:.5%", ["0%", "0.5%", "1%"]),
        ("0.1:0.3:0.1", ["0.1", "0.2", "0.3"]),
        ("1:2:x1.5", ["1", "1.5"]),
        ("2:4", ["2:4"]),
        ("conv1:0+3", ["conv1:0+3"]),
    ],
)
def test_ranges(text: str, values: list[str]) -> None:
    assert axes.listed(text, "--x") == values


@pytest.mark.parametrize(
    "text",
    [
        *("9:1:1", "1:9:0", "1:9:x1", "1:9:x0.5", "0:9:x2", "1KiB:2MiB:x2", "1:9:2KiB", "0%:5:1", "1:100000:1"),
        *("1:9:x2KiB", "1" * 30 + ":" + "2" * 30 + ":1"),
    ],
)
def test_ranges_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"--x"):
        axes.listed(text, "--x")


def test_named_axes() -> None:
    found = axes.named(["seq=128:512:x2,batch=1,4", "seq=1,128"], "dim")
    assert [(axis.name, axis.values) for axis in found] == [
        ("dim seq", ("128", "256", "512", "1")),
        ("dim batch", ("1", "4")),
    ]
    for wrong in ("seq", "=1", "seq=", "seq=1,,2", "1,seq=2"):
        with pytest.raises(UsageError, match="expected NAME=VALUE"):
            axes.named([wrong], "dim")


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (["batch=1,2"], ("batch=1", "batch=2")),
        (["batch=1:4:x2"], ("batch=1", "batch=2", "batch=4")),
        (["batch=1", "batch=2"], ("batch=1", "batch=2")),
        (["none,batch=2"], ("none", "batch=2")),
        (["none"], ("none",)),
        (["batch=1,2,blocked=3,4"], tuple(f"batch={b},blocked={n}" for b in "12" for n in "34")),
        (["batch=1,blocked=3;batch=2"], ("batch=1,blocked=3", "batch=2")),
        (["batch=1:2:1,blocked=3;"], ("batch=1,blocked=3", "batch=2,blocked=3")),
        (["none;fail"], ("none", "fail")),
        (["fail,batch=1,2"], ("fail,batch=1", "fail,batch=2")),
    ],
)
def test_alternatives(options: list[str], values: tuple[str, ...]) -> None:
    assert axes.what_if("bind", options).values == values


@pytest.mark.parametrize(
    "option", ["", ";", "batch=0", "batch=1,x", "what", "batch=1:2000:1", "batch=1:900:1,blocked=0:9:1"]
)
def test_alternatives_that_are_none(option: str) -> None:
    with pytest.raises(UsageError):
        axes.what_if("bind", [option])


def test_a_type_that_is_as_it_is() -> None:
    assert axes.what_if("quantize", ["fp32,int8"]).values == ("none", "int8")
