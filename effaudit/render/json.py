"""JSON: the whole document, ASCII only, so that no name can reach a terminal unescaped."""

from __future__ import annotations

import json

import msgspec

from effaudit.report import Report


def render(document: Report, nodes: bool) -> str:
    """Every node is always present."""
    text = json.dumps(msgspec.to_builtins(document), indent=1)
    return text.replace("\x7f", "\\u007f") + "\n"
