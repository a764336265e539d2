"""The part of JSON Schema 2020-12 that the schema of profiles uses, as a validator of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
_KNOWN = {"$schema", "$ref", "$defs", "title", "description", "default", "type", "enum", "const", "anyOf"} | {
    "properties",
    "required",
    "additionalProperties",
    "items",
    "propertyNames",
}


def wrong(value: Any, schema: Any, defs: Mapping[str, Any], path: str = "$") -> Iterator[str]:
    """Every place of `value` that the schema does not allow."""
    if schema in (True, {}):
        return
    if schema is False:
        yield path
        return
    assert set(schema) <= _KNOWN, set(schema) - _KNOWN
    if "$ref" in schema:
        yield from wrong(value, defs[schema["$ref"].removeprefix("#/$defs/")], defs, path)
    if "anyOf" in schema and all(list(wrong(value, part, defs, path)) for part in schema["anyOf"]):
        yield f"{path}: none of anyOf"
    kind = schema.get("type")
    if kind is not None and (not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{path}: no {kind}"
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        yield f"{path}: {value!r} is not allowed"
    if isinstance(value, dict):
        yield from _members(value, schema, defs, path)
    if isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            yield from wrong(item, schema["items"], defs, f"{path}[{i}]")


def _members(value: dict[str, Any], schema: Any, defs: Mapping[str, Any], path: str) -> Iterator[str]:
    for name in schema.get("required", []):
        if name not in value:
            yield f"{path}: {name} is missing"
    properties = schema.get("properties", {})
    for name, item in value.items():
        yield from wrong(name, schema.get("propertyNames", True), defs, f"a key of {path}")
        yield from wrong(item, properties.get(name, schema.get("additionalProperties", True)), defs, f"{path}.{name}")
