"""What a terminal shows of arithmetic: readable numbers, and nothing cut off."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from effaudit.audited import Audited, examine
from effaudit.explain.derivation import Step
from effaudit.explain.figures import explain_figure, figures
from effaudit.explain.node import NodeExplanation
from effaudit.explain.several import explain_nodes
from effaudit.explain.subject import Explained, Subject
from effaudit.load import Given
from effaudit.render.explained import grouped, lines
from effaudit.render.explanation import SUBJECTS, render
from tests.explain.arithmetic import calculate


@pytest.mark.parametrize(
    ("plain", "shown"),
    [
        ("2 x 442368 + 16384", "2 x 442,368 + 16,384"),
        ("1 x 64 x 2048/1024 x 3", "1 x 64 x 2,048/1,024 x 3"),
        ("999 + 1000", "999 + 1,000"),
        ("(1234567 - 1) x 0", "(1,234,567 - 1) x 0"),
        ("x.1234 x dim_5000", "x.1234 x dim_5000"),
    ],
)
def test_separators(plain: str, shown: str) -> None:
    assert grouped(plain) == shown
    if "dim" not in plain:
        assert calculate(shown) == calculate(plain)


def equations(node: NodeExplanation) -> list[tuple[str, str]]:
    """(a line of arithmetic as it is shown, the result below it)."""
    text = re.sub(r"\n {9}(?!=|where )", " ", "\n".join(lines(node)))  # lines that were wrapped
    return re.findall(r"\n {9}= ([-+x/()\d, ]+)\n {9}= ([\d,]+)(?= B$|$)", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["resnet50", "mobilenetv2", "kws", "lstm", "bert-base"])
def test_what_is_shown_can_be_calculated(name: str) -> None:
    """The lines of a node, separators and all; every number of four digits has one, as results do."""
    audited: Audited = examine(f"sample:{name}", Given({"batch": 2, "sequence": 100} if name in NAMED else {}))
    seen = 0
    for node in explain_nodes(audited, range(len(audited.graph.nodes))):
        for arithmetic, result in equations(node):
            assert calculate(arithmetic) == calculate(result)
            assert not re.search(r"\d{4}", arithmetic)
            seen += "," in arithmetic
    assert seen > 5


NAMED = ("lstm", "bert-base")


def test_programs_get_plain_arithmetic() -> None:
    """A document keeps what Python can evaluate."""
    node = explain_nodes(examine("sample:ic"), [0])[0]
    flops = next(step for step in node.derivation if step.figure == "flops")
    assert flops == Step("flops", "2 x macs + ops", "2 x 442368 + 16384", 901_120)


def test_a_formula_is_shown_whole() -> None:
    audited = examine("sample:decoder-7b")
    found = explain_figure(figures()["formulas"], audited)
    shown = "".join(render("text", Explained(found)))
    flat = re.sub(r"\s+", "", shown)
    longest = max(filter(None, found.value.values()), key=len)
    assert len(longest) > 400
    for formula in filter(None, found.value.values()):
        assert re.sub(r"\s+", "", formula) in flat
    assert "..." not in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_long_substitution_is_shown_whole() -> None:
    from effaudit.render.explained import _costs

    put = " + ".join(["1000"] * 2_000)
    shown = " ".join(line.strip() for line in _costs([Step("macs", "a sum", put, 2_000_000)], None))
    assert shown.count("1,000") == 2_000


@pytest.mark.parametrize("name", ["dims", "inputs", "counting", "aim", "crossovers"])
def test_figures_without_a_number(name: str) -> None:
    """No line ends in a colon and a blank."""
    shown = "".join(render("text", Explained(explain_figure(figures()[name], examine("sample:ic")))))
    assert not re.search(r" $", shown, re.MULTILINE)
    (head,) = [line for line in shown.splitlines() if line.startswith("in sample:ic:")]
    assert head == "in sample:ic:" or len(head) > len("in sample:ic: ")
    if head == "in sample:ic:":
        assert shown.split(head)[1].startswith("\n  ")


def test_every_subject_has_a_name_and_a_text() -> None:
    kinds = set(get_args(Subject))
    assert set(SUBJECTS) == kinds and len(set(SUBJECTS.values())) == len(kinds)
    assert kinds <= set(lines.registry)
    with pytest.raises(TypeError, match="no text for str"):
        lines("macs")
