"""Every operator ONNX Runtime registers is known here, and rules are named as the schemas say."""

from __future__ import annotations

import inspect
import keyword
import math
from collections import defaultdict
from typing import Any

import onnx
import pytest
from onnx import AttributeProto, helper
from onnxruntime.capi import onnxruntime_pybind11_state as state

from effaudit.ops._registry import MICROSOFT, ML, NCHWC, Rules, load_families, registered

load_families()
NHWC = "com.ms.internal.nhwc"
DOMAINS = (MICROSOFT, NCHWC, NHWC, ML, "ai.onnx.preview", "ai.onnx.preview.training")
PLAIN = (
    "Attention",
    "RotaryEmbedding",
    "LinearAttention",
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
)
Schema = Any


def _schemas() -> dict[tuple[str, str], list[Schema]]:
    """Every version of every operator of ONNX Runtime and of onnx."""
    found: dict[tuple[str, str], list[Schema]] = defaultdict(list)
    for schema in [*state.get_all_operator_schema(), *onnx.defs.get_all_schemas_with_history()]:
        found[schema.domain, schema.name].append(schema)
    return found


SCHEMAS = _schemas()
STANDARD = {(schema.domain, schema.name) for schema in onnx.defs.get_all_schemas_with_history()}
MINE = sorted(
    key for key in SCHEMAS if key[0] in DOMAINS or (key[0] == "" and (key[1] in PLAIN or key not in STANDARD))
)


@pytest.mark.parametrize("key", MINE, ids="::".join)
def test_every_operator_is_priced_or_says_why_not(key: tuple[str, str]) -> None:
    rules = registered().get(key)
    assert rules is not None
    assert (rules.cost is None) == bool(rules.unpriced), "a cost rule, or the reason why there is none"
    assert rules.shape is not None or rules.unpriced
    if rules.unpriced:
        assert len(rules.unpriced.split()) > 3
    else:
        first = (rules.cost.__doc__ or "").strip()
        assert first.startswith(("macs =", "ops =", "no arithmetic", "free")), first


NAMED = sorted(key for key in MINE if key[0] not in (NHWC, "ai.onnx.preview.training"))


@pytest.mark.parametrize("key", NAMED, ids="::".join)
def test_rules_take_what_the_schemas_give(key: tuple[str, str]) -> None:
    rules = registered()[key]
    versions = SCHEMAS[key]
    for rule in (rules.shape, rules.cost):
        if rule is not None:
            _check_inputs(rule, versions)
            _check_attributes(rule, versions, whole=rule is rules.shape and key[0] != ML and not rules.unpriced)
    _check_calls_alike(rules)


def _check_inputs(rule: Any, versions: list[Schema]) -> None:
    """Positional names are the inputs', in order; a rule that stops early takes the rest as `*rest`."""
    parameters = inspect.signature(rule).parameters.values()
    given = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    rest = next((p for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    for schema in versions:
        names = [_spelled(i.name) for i in schema.inputs]
        variadic = bool(schema.inputs) and "Variadic" in str(schema.inputs[-1].option)
        if len(names) <= len(given) or rest is not None:
            same = given == names[: len(given)] or variadic
            if same and (rest is not None or variadic or len(names) <= len(given)):
                return
    raise AssertionError(f"{given} is none of {[[i.name for i in s.inputs] for s in versions]}")


def _spelled(name: str) -> str:
    return name.lower() + ("_" if keyword.iskeyword(name.lower()) else "")


def _check_attributes(rule: Any, versions: list[Schema], whole: bool) -> None:
    """Keywords are attributes, with the schema's defaults; the shape rule has every attribute of the newest version
    (unless it stops early with `*rest`)."""
    parameters = inspect.signature(rule).parameters.values()
    keywords = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    for internal in ("ctx", "out", "outs"):
        keywords.pop(internal, None)
    attributes = {name: a for schema in versions for name, a in schema.attributes.items()}
    assert keywords.keys() <= attributes.keys(), keywords.keys() - attributes.keys()
    for name, default in keywords.items():
        stated = _default(attributes[name])
        if stated is None:
            continue
        if isinstance(stated, float):
            assert default is not None and math.isclose(default, stated, rel_tol=1e-5), (name, default, stated)
        else:
            assert default == stated, (name, default, stated)
    stops_early = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if whole and not stops_early:
        newest = max(versions, key=lambda s: s.since_version)
        bodies = {name for name, a in newest.attributes.items() if "GRAPH" in str(a.type)}
        assert newest.attributes.keys() - bodies <= keywords.keys(), newest.attributes.keys() - keywords.keys()


def _default(attribute: Any) -> Any:
    """The default a schema states, else None."""
    raw = attribute.default_value if hasattr(attribute, "default_value") else attribute._default_value
    if isinstance(raw, bytes):
        if not raw:
            return None
        parsed = AttributeProto()
        parsed.ParseFromString(raw)
        raw = parsed
    if not raw.type:
        return None
    made = helper.get_attribute_value(raw)
    return made.decode() if isinstance(made, bytes) else made


def _check_calls_alike(rules: Rules) -> None:
    """The cost rule of an operator takes no input that its shape rule does not."""
    if rules.shape_takes is None or rules.cost_takes is None:
        return
    if not rules.shape_takes.variadic and not rules.cost_takes.variadic:
        assert len(rules.cost_takes.inputs) == len(rules.shape_takes.inputs)
        assert rules.cost_takes.required == rules.shape_takes.required
