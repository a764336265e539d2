"""The shipped sets against the operators' own schemas."""

from __future__ import annotations

import pytest
from onnx import defs
from onnxruntime.capi import onnxruntime_pybind11_state as state

from effaudit.support import SupportSet, find, names
from effaudit.support.types import Conditions, Key

SETS = [find(name) for name in names()]
MICROSOFT = {schema.name for schema in state.get_all_operator_schema() if schema.domain == "com.microsoft"}
ONNX = {schema.name for schema in defs.get_all_schemas_with_history() if schema.domain == ""}
CONDITIONS = [(one, key, c) for one in SETS for key, several in one.operators.items() for c in several]


@pytest.mark.parametrize("one", SETS, ids=lambda one: one.name)
def test_every_operator_exists(one: SupportSet) -> None:
    for domain, op in one.operators:
        assert op in {"": ONNX, "com.microsoft": MICROSOFT}[domain]


@pytest.mark.parametrize("one", SETS, ids=lambda one: one.name)
def test_every_set_says_where_it_was_read(one: SupportSet) -> None:
    assert one.path.endswith(f"/{one.name}.yaml") and one.title
    assert all(source.url.startswith("https://") for source in one.sources)


def schemas(key: Key) -> list[defs.OpSchema]:
    return [s for s in defs.get_all_schemas_with_history() if (s.domain, s.name) == key]


@pytest.mark.parametrize(("one", "key", "conditions"), [c for c in CONDITIONS if c[1][0] == "" and c[2].attributes])
def test_attributes_exist_and_null_stands_for_an_allowed_default(
    one: SupportSet, key: Key, conditions: Conditions
) -> None:
    """null may stand only where the default is allowed (or there is none), and must then."""
    for name, allowed in conditions.attributes.items():
        found = [s.attributes[name] for s in schemas(key) if name in s.attributes]
        assert found, (one.name, key, name)
        defaults = {defs_value(attribute) for attribute in found}
        given = set(allowed) - {None}
        if defaults == {None}:
            continue  # what leaving it out means, no default says
        assert (None in allowed) == bool(defaults & given), (one.name, key, name, defaults)


def defs_value(attribute: defs.OpSchema.Attribute) -> object:
    value = attribute.default_value
    if not value.name:
        return None
    return {1: value.f, 2: value.i, 3: value.s.decode()}.get(value.type)


def test_no_set_is_missing() -> None:
    shipped = """edgetpu ethos-u55 max78000 onnxruntime-coreml-mlprogram onnxruntime-coreml-neuralnetwork
    onnxruntime-nnapi onnxruntime-qnn rknn tensorrt tflm""".split()
    assert list(names()) == shipped
