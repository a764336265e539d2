"""Every worked example that a graph can express is tested here, or listed with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from . import (
    test_activations,
    test_attention,
    test_conv,
    test_linear,
    test_published,
    test_rearrangements,
    test_receptive_field,
    test_separable,
    test_transformers,
)
from .example import Example

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "worked_examples.json"
TOPICS = (
    test_activations,
    test_attention,
    test_conv,
    test_linear,
    test_published,
    test_rearrangements,
    test_receptive_field,
    test_separable,
    test_transformers,
)
EXAMPLES: list[Example] = [e for topic in TOPICS for e in topic.EXAMPLES]
NOT_EXPRESSED = {
    "s3-074": "a quotient of two printed sizes, 25.6 M over 3.4 M; the graphs hold 25.557 M and 3.505 M (s0-160)",
}


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    if not REFERENCE.exists():
        pytest.skip("the collection of worked examples is not here")
    return {entry["id"]: entry for entry in json.loads(REFERENCE.read_text())}


def test_each_id_once() -> None:
    ids = [e.id for e in EXAMPLES]
    assert len(ids) == len(set(ids))
    assert not NOT_EXPRESSED.keys() & set(ids)


def test_every_example_of_a_graph_is_tested_or_listed(reference: dict[str, Any]) -> None:
    wanted = {id for id, entry in reference.items() if entry["testable"] == "graph"}
    assert {e.id for e in EXAMPLES} | NOT_EXPRESSED.keys() == wanted


@pytest.mark.parametrize("example", [pytest.param(e, id=e.id) for e in EXAMPLES])
def test_values_are_the_collections(example: Example, reference: dict[str, Any]) -> None:
    """The tables here hold the correct values, in the collection's units."""
    value = reference[example.id]["computed_value"]
    if isinstance(value, str):
        assert example.value == value
    else:
        assert example.value == pytest.approx(value, rel=1e-12)
