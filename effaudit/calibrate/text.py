"""A profile as YAML: what belongs together on a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

HEAD: Final = """\
# This machine, measured by `effaudit devices calibrate`; docs/calibration.md says how.
# Times are those of this processor, this ONNX Runtime and this many threads: measure again where one of them changes.
"""
_WIDE: Final = ("rates", "costs", "notes")  # a line for each of their items


def text(document: Mapping[str, Any]) -> str:
    """The document as YAML that the strict reader reads back as it was."""
    return HEAD + "".join(f"{line}\n" for line in _lines(document, 0))


def _lines(value: Any, depth: int, *, listed: bool = False) -> Iterator[str]:
    """A mapping, each key on a line of its own; `listed`: the first after the dash of a list."""
    for i, (key, item) in enumerate(value.items()):
        lead = ("  " * (depth - 1) + "- " if listed and not i else "  " * depth) + _flow(key)
        if isinstance(item, list) and item and (isinstance(item[0], dict) or key in _WIDE):
            yield f"{lead}:"
            for one in item:
                if isinstance(one, dict) and key not in _WIDE:
                    yield from _lines(one, depth + 2, listed=True)
                else:
                    yield "  " * (depth + 1) + f"- {_flow(one)}"
        elif isinstance(item, dict) and item and (key in _WIDE or any(isinstance(v, dict) for v in item.values())):
            yield f"{lead}:"
            for name, one in item.items():
                yield "  " * (depth + 1) + f"{_flow(name)}: {_flow(one)}"
        else:
            yield f"{lead}: {_flow(item)}"


def _flow(value: Any) -> str:
    """On one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int | float):
        return repr(value)
    return _scalar(str(value))


def _scalar(text_: str) -> str:
    """Plain where nobody could take it for something else, else in double quotes, what is not ASCII as its number."""
    plain = text_ and all(c.isascii() and (c.isalnum() or c in "-_/. ") for c in text_) and text_[0].isalpha()
    words = ("true", "false", "null", "yes", "no", "on", "off")
    if plain and text_.strip() == text_ and text_.lower() not in words:
        return text_
    quoted = (c if c.isascii() and c.isprintable() and c not in '"\\' else f"\\U{ord(c):08X}" for c in text_)
    return f'"{"".join(quoted)}"'
