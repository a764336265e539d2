"""Figures explained: every label of the screen has one, and its derivation adds up."""

from __future__ import annotations

import re

import pytest
from msgspec import structs

from effaudit.audited import Audited, examine
from effaudit.explain.figures import explain_figure, figures, find
from effaudit.load import Given
from effaudit.load.files import sample_names
from effaudit.quantity import Quantity
from effaudit.render import render
from effaudit.report import Asked, audit, describe, report
from effaudit.table import COUNTING
from effaudit.tables.table import Shown

SAMPLES = {name: examine(f"sample:{name}") for name in sample_names()}
# A line of the screen that begins so shows a name of the model, not a figure.
_FREE = re.compile(r"sample:|\s")


def labels(lines: list[str]) -> set[str]:
    """The words in front of the figures of a screen."""
    found = set()
    for line in lines:
        if line and not _FREE.match(line) and not re.match(r"[ \d.]+ [kMGT] ", line):
            found.add(re.split(r"  | = |(?<=\w) (?=[\d(])", line)[0].strip())
    return found


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_figure_of_the_screen_is_explained(name: str) -> None:
    text = "".join(render("text", report([audit(f"sample:{name}")]), Shown()))
    lines = [line for line in text.splitlines() if not re.match(r"\s*[\d.,]+ (B|[KMGT]iB|[kMGT])\s|\s*\d+ +\d", line)]
    for label in labels(lines):
        if label != "next":
            assert find(label) is not None, label


@pytest.mark.parametrize(
    "label",
    [
        *"params buffers size MACs ops FLOPs moved FLOP/B live alive in out dims nodes note aim % sum".split(),
        *"fp16 int4 parts blocks above".split(),
        *"read written unfused opset".split(),
        *("in place", "max in+out", "per byte moved", "per byte of weights", "effaudit-macs/1", "stored as"),
    ],
)
def test_labels(label: str) -> None:
    assert find(label) is not None


@pytest.mark.parametrize("name", sorted(figures()))
@pytest.mark.parametrize("sample", ["ic", "bert-base", "control-flow", "ic-int8", "decoder-gqa"])
def test_every_figure_has_a_derivation_in_every_model(name: str, sample: str) -> None:
    found = explain_figure(figures()[name], SAMPLES[sample])
    assert found.definition and found.page.startswith("docs/")
    assert found.value is not None or found.why, "unknown without a reason"
    assert all(isinstance(step, str) for step in found.steps)


def addends(steps: tuple[str, ...]) -> tuple[int, int]:
    """(sum of the numbers in front of the lines up to the "=" line, the number of that line)."""
    total = 0
    for step in steps:
        number = re.match(r"\s*(= )?([\d,]+)  ", step)
        if number is None:
            continue
        value = int(number[2].replace(",", ""))
        if number[1]:
            return total, value
        total += value
    raise AssertionError(f"no sum in {steps}")


@pytest.mark.parametrize(
    "name", ["macs", "ops", "read_bytes", "write_bytes", "params", "live_bytes", "constant_elements"]
)
@pytest.mark.parametrize("sample", sorted(set(SAMPLES) - {"control-flow"}))
def test_the_lines_of_a_derivation_add_up(name: str, sample: str) -> None:
    found = explain_figure(figures()[name], SAMPLES[sample])
    left, right = addends(found.steps)
    assert left == right == found.value


def test_values_are_the_reports() -> None:
    model = describe(SAMPLES["ic"], Asked())
    for name in (
        "macs",
        "ops",
        "flops",
        "read_bytes",
        "write_bytes",
        "params",
        "activations",
        "intensity",
        "weight_bytes",
    ):
        assert explain_figure(figures()[name], SAMPLES["ic"]).value == getattr(model.totals, name)
    for name in ("live_bytes", "inplace_bytes", "sum_bytes", "max_in_out_bytes"):
        assert explain_figure(figures()[name], SAMPLES["ic"]).value == getattr(model.memory, name)


def test_arithmetic_lines_are_true() -> None:
    for name in ("flops", "intensity", "weight_intensity", "moved_bytes", "weight_bytes", "size"):
        for step in explain_figure(figures()[name], SAMPLES["kws"]).steps:
            if "=" in step:
                left, right = step.split(":")[-1].rsplit("=", 1)
                value = eval(re.sub(r"[a-z]+", "", left.replace(",", "").replace(" x ", "*")))
                assert value == pytest.approx(float(re.sub(r"[^\d.]", "", right.split("FLOP")[0])), rel=1e-4)


def test_a_range_is_shown_as_one() -> None:
    audited: Audited = examine("sample:control-flow", Given(dims={"batch": 1, "sequence": 20}))
    found = explain_figure(figures()["macs"], audited)
    assert (found.value, found.bounds) == (None, [144_000, 172_672])
    assert found.why is not None and "values fed decide" in found.why


@pytest.mark.parametrize(
    ("macs", "shown"),
    [
        (Quantity(7_000, 7_000), "7,000"),
        (Quantity(7_000, 9_000, "a branch"), "7,000..9,000"),
        (Quantity(7_000, None, "a loop"), "7,000.."),
    ],
)
def test_a_part_of_a_transformer_keeps_both_ends_of_its_range(macs: Quantity, shown: str) -> None:
    audited = SAMPLES["bert-base"]
    model = describe(audited, Asked())
    assert model.transformer is not None
    part = structs.replace(model.transformer.parts[0], macs=macs)
    changed = structs.replace(model, transformer=structs.replace(model.transformer, parts=(part,)))
    line = figures()["transformer"].derive(audited, changed).steps[0]
    assert line.split()[:3] == [part.name, shown, "MACs"]


def test_the_convention_is_the_one_of_the_table() -> None:
    assert explain_figure(figures()["counting"], SAMPLES["ic"]).value == COUNTING
    assert find(COUNTING) is figures()["counting"]
