"""Caches that only their names tell: the keys reach no attention unchanged (compressed to latents, or in a body)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from effaudit.graph import INT32, INT64, STRING, Graph

# past_key_values.0.key, past.0.value, past_0, cache_k, past_key_self_0, kv_cache.3
_NAME: Final = re.compile(
    r"^(past|mem)[._]?\d+$|(past|cache).*(key|value|kv|self|cross|latent|[._][kv]([._\d]|$))|(^|[._])kv_?cache"
    r"|(^|[._])[kv]_?cache|(key|value)_cache",
    re.IGNORECASE,
)
_FED_APART: Final = re.compile(r"conv|state|mask|len|position|index|indices|branch", re.IGNORECASE)
_ENCODERS: Final = re.compile(r"encoder|cross", re.IGNORECASE)
_DECODERS: Final = re.compile(r"decoder|self", re.IGNORECASE)


def is_cache_name(name: str) -> bool:
    """True for a name that exporters give to a cache of keys and values."""
    return _NAME.search(name) is not None and _FED_APART.search(name) is None


def is_cross_name(name: str) -> bool:
    """True for the name of a cache of encoder keys and values."""
    return _ENCODERS.search(name) is not None and _DECODERS.search(name.replace("encoder_decoder", "")) is None


def caches_by_name(graph: Graph, taken: Iterable[str]) -> list[tuple[str, str]]:
    """(input, output or "") of the caches that names alone tell, but for those `taken`."""
    gone = set(taken)
    found = []
    for name in graph.inputs:
        value = graph.values.get(name)
        if name in gone or value is None or value.shape is None or not is_cache_name(name):
            continue
        if 3 <= len(value.shape) <= 6 and value.encoding not in (INT64, INT32, STRING):
            found.append((name, _present(graph, name)))
    return found


def _present(graph: Graph, past: str) -> str:
    """The output whose name is the input's with another word for the past."""
    outputs = set(graph.outputs)
    for word, other in (
        ("past_key_values", "present"),
        ("past_key_values", "present_key_values"),
        ("past", "present"),
        ("in", "out"),
        ("cache", "new_cache"),
    ):
        name = past.replace(word, other, 1)
        if name != past and name in outputs:
            return name
    return ""
