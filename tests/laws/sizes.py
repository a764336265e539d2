"""Expressions of dims as Python evaluates them."""

from __future__ import annotations

from collections.abc import Mapping


def broadcast(a: int, b: int) -> int:
    """The broadcast of two sizes of a valid model."""
    return b if a == 1 else a


def evaluate(text: str, at: Mapping[str, int]) -> int:
    """The value of an expression's text, under Python's own rules."""
    value = eval(text, {"__builtins__": {}, "min": min, "max": max, "bcast": broadcast}, dict(at))
    assert isinstance(value, int), f"{text} is {value!r}"
    return value
