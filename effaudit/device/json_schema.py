"""The JSON Schema of a profile as it is written, for editors: https://json-schema.org/draft/2020-12/schema."""

from __future__ import annotations

from typing import Any, Final, get_args

import msgspec

from effaudit.device.types import SCHEMA, Device, OpClass

# What a profile that extends another may leave out is not required; the program knows what is missing in the end.
_NEEDED: Final = {
    "Device": ["schema", "name", "title"],
    "Engine": ["name"],
    "Memory": ["name"],
    "Region": ["name"],
    "DeviceRuntime": ["name"],
    "Performance": ["engine", "dtype"],
    "Reserved": ["memory", "what"],
}
_FACT: Final = {"$ref": "#/$defs/Fact"}
_NUMBER: Final = {"$ref": "#/$defs/Number"}


def json_schema() -> dict[str, Any]:
    """A number is written alone, or as a mapping with its source, status, bounds and note: never its unit."""
    (reference,), defs = msgspec.json.schema_components([Device], ref_template="#/$defs/{name}")
    made = {name: _numbers(part) for name, part in defs.items()}
    fact = made["Fact"]
    del fact["properties"]["unit"]
    for name, part in made.items():
        part["required"] = _NEEDED.get(name, [])
        part["description"] = " ".join(part.get("description", "").split())
        if name not in ("Fact", "Source"):  # of the numbers inside
            part["properties"] |= {key: fact["properties"][key] for key in ("source", "status")}
    made["Performance"]["properties"]["rates"]["propertyNames"] = {"enum": list(get_args(OpClass))}
    made["Device"]["anyOf"] = [{"required": ["class"]}, {"required": ["extends"]}]
    made["Number"] = {"anyOf": [{"type": "number"}, _FACT], "description": "A number, alone or with its source."}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": SCHEMA}
    return {**head, **reference, "$defs": made}


def _numbers(part: Any) -> Any:
    """The schema with a number wherever a fact stands."""
    if part == _FACT:
        return dict(_NUMBER)
    if isinstance(part, dict):
        return {name: _numbers(value) for name, value in part.items()}
    return [_numbers(value) for value in part] if isinstance(part, list) else part
