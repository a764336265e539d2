"""The worked examples that a feature is known by are each tested: on a graph, on a view, or by the calculator."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.explain import test_worked_examples as calculator

from . import test_comparisons, test_complete, test_intensity, test_on_devices, test_weight_sizes, test_whatifs

FEATURES = Path(__file__).parents[3] / "shared" / "features.md"
ENTRIES = """core-01 core-02 core-03 core-04 core-05 core-06 core-07 core-08 core-09 core-10 core-11 core-12 core-13
core-14 core-15 core-16 core-17 core-18 core-19 core-21 ext-01 ext-02 ext-03 ext-04 ext-05 ext-08 ext-09 ext-10
ext-11 ext-12 ext-13 ext-14 ext-15 ext-16 ext-17 ext-19 ext-20 ext-21 ext-22"""
CALCULATED = {ident for ident, _, _ in calculator.rows()} | calculator.LOOKS.keys()
ON_GRAPHS = {e.id for e in (*test_complete.EXAMPLES, *test_intensity.EXAMPLES, *test_weight_sizes.EXAMPLES)}
AS_WHATIFS = test_whatifs.RUN.keys()
ON_DEVICES = test_on_devices.EXAMPLES.keys() | test_comparisons.EXAMPLES.keys()
# Statements about the world, not about a graph: what the shipped profiles and samples say of them stands in the test.
FACTS = {"s2-055": "tests.device.test_gpu_facts", "s3-124": "which families of models share key heads: none is shipped"}


def expected() -> dict[str, list[str]]:
    """Entry -> the examples it names."""
    text = FEATURES.read_text(encoding="utf-8")
    found = {}
    for entry in ENTRIES.split():
        section = re.search(rf"^### {entry} .*?(?=^### |^## |\Z)", text, re.DOTALL | re.MULTILINE)
        assert section is not None, entry
        found[entry] = re.findall(r"\bs\d-\d{3}\b", section[0])
    return found


@pytest.mark.skipif(not FEATURES.exists(), reason="the list of features is not here")
@pytest.mark.parametrize("entry", ENTRIES.split())
def test_every_example_of_a_feature_is_tested(entry: str) -> None:
    for id in expected()[entry]:
        assert id in ON_GRAPHS or id in CALCULATED or id in AS_WHATIFS or id in ON_DEVICES or id in FACTS, id
