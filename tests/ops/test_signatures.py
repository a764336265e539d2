"""Rules name their operators' inputs and attributes as the specification does, with its defaults, over all versions.

A rule that several operators share may use the names of any of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from onnx import defs, helper

from effaudit.ops._registry import load_families, registered

OLDEST = 7
Rule = Callable[..., Any]
INTERNAL = {"ctx", "out", "outs"}

load_families()
SCHEMAS = [s for s in defs.get_all_schemas_with_history() if s.domain == ""]
UNOFFICIAL = set(  # ONNX Runtime keeps these in the default domain; checked against its schemas elsewhere
    """Affine Crop DisentangledAttention_TRT DynamicSlice EfficientNMS_TRT GRUUnit GivenTensorFill ImageScaler
    MemcpyFromHost MemcpyToHost MultilevelCropAndResize_TRT ParametricSoftplus PyramidROIAlign_TRT Scale ScaledTanh
    SimplifiedLayerNormalization""".split()
)
PRICED = sorted(op for (domain, op) in registered() if domain == "" and op not in UNOFFICIAL)


def versions(op: str, oldest: int = OLDEST) -> list[Any]:
    """The schemas in force at opset `oldest` and since."""
    every = sorted((s for s in SCHEMAS if s.name == op), key=lambda schema: int(schema.since_version))
    old = [s for s in every if s.since_version <= oldest]
    return old[-1:] + [s for s in every if s.since_version > oldest]


def rules() -> list[Any]:
    """Every (operators, rule) with the operators that share the rule (or the closure it was made from)."""
    shared: dict[Any, list[str]] = {}
    made: dict[Any, Rule] = {}
    for op in PRICED:
        entry = registered()["", op]
        for rule in (entry.shape, entry.cost):
            if rule is not None:
                shared.setdefault(rule.__code__, []).append(op)
                made[rule.__code__] = rule
    return [pytest.param(tuple(ops), made[code], id=f"{ops[0]}-{made[code].__name__}") for code, ops in shared.items()]


@pytest.mark.parametrize("op", PRICED)
def test_an_operator_exists(op: str) -> None:
    assert versions(op), f"onnx.defs has no {op}"


@pytest.mark.parametrize(("ops", "rule"), rules())
def test_positional_names_are_inputs(ops: tuple[str, ...], rule: Rule) -> None:
    """In the order of the newest version; names that only older versions have may stand elsewhere."""
    known = {name for op in ops for schema in versions(op, 1) for name in inputs(schema)}
    names = positional(rule)
    assert set(names) <= known, f"{set(names) - known} are inputs of no version of {ops}"
    for op in ops:
        newest = inputs(versions(op)[-1])
        if set(newest) <= set(names):
            assert [name for name in names if name in newest] == newest, op


@pytest.mark.parametrize(("ops", "rule"), rules())
def test_every_version_can_be_called(ops: tuple[str, ...], rule: Rule) -> None:
    """As many inputs as any version takes, and none required that a version may leave out (an attribute counts as the
    input another version made of it)."""
    names = positional(rule)
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters(rule))
    required = [p.name for p in parameters(rule) if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty]
    for op in ops:
        for schema in versions(op):
            if schema.deprecated:
                continue
            assert variadic or len(names) >= len(schema.inputs), f"{op}-{schema.since_version}"
            attributes = {name.lower() for name in schema.attributes}
            for place, name in enumerate(names[: len(required)]):
                stated = place < len(schema.inputs) and "Optional" not in str(schema.inputs[place].option)
                assert stated or name in attributes, f"{op}-{schema.since_version} does not need {name}"


@pytest.mark.parametrize(("ops", "rule"), rules())
def test_keywords_are_attributes_with_their_defaults(ops: tuple[str, ...], rule: Rule) -> None:
    schemas = [schema for op in ops for schema in versions(op)]
    for parameter in parameters(rule):
        if parameter.kind is not parameter.KEYWORD_ONLY or parameter.name in INTERNAL:
            continue
        found = [s.attributes[parameter.name] for s in schemas if parameter.name in s.attributes]
        assert found, f"no version of {ops} has an attribute {parameter.name}"
        stated = [default(a) for a in found if default(a) is not None]
        if stated:
            assert parameter.default in stated, f"{parameter.name}: {parameter.default!r}, not one of {stated}"


def positional(rule: Rule) -> list[str]:
    """Lower-cased; `in_` and the like stand for names that are Python's own."""
    found = [p for p in parameters(rule) if p.kind is p.POSITIONAL_OR_KEYWORD]
    return [p.name.rstrip("_").lower() for p in found]


def parameters(rule: Rule) -> list[inspect.Parameter]:
    return list(inspect.signature(rule).parameters.values())


def inputs(schema: Any) -> list[str]:
    return [i.name.lower() for i in schema.inputs]


def default(attribute: Any) -> Any:
    """The default of an attribute as a rule writes it, None where it has none."""
    if not attribute.default_value.type:
        return None
    found = helper.get_attribute_value(attribute.default_value)
    if isinstance(found, bytes):
        return found.decode()
    if isinstance(found, float):
        return pytest.approx(found, rel=1e-6)
    return tuple(found) if isinstance(found, list) else found
