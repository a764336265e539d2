"""Normalization by channels or width, over an image or over tokens."""

from __future__ import annotations

from effaudit.dims import Dim
from effaudit.explain.call import Call
from effaudit.explain.lookup import Operator
from effaudit.explain.shorthand._arguments import Given, Short
from effaudit.explain.shorthand._axes import MEANING, RANK, axes, spread
from effaudit.graph import Shape


def _channels(found: Operator, given: Given) -> Call:
    """N x C x spatial with a scale, a shift and, in batch normalization, two statistics per channel."""
    c = _width(given)
    places, notes = _places(found, given)
    x = given.data(given.size("batch"), c, *places)
    vectors = ("scale", "bias") if found.op == "GroupNormalization" else ("scale", "b")
    statistics = ("input_mean", "input_var") if found.op == "BatchNormalization" else ()
    inputs = {name: given.weight(c) for name in (*vectors, *statistics)}
    return Call(found.domain, found.op, {_first(found): x, **inputs}, given.attrs, 1, notes)


def _tokens(found: Operator, given: Given) -> Call:
    """Tokens x width, normalized over the width."""
    d = _width(given)
    places, notes = _places(found, given)
    x = given.data(given.size("batch"), *places, d)
    inputs = {_first(found): x, "scale": given.weight(d)}
    if found.op == "LayerNormalization" and given.flag("bias", default=True):
        inputs["b"] = given.weight(d)
    return Call(found.domain, found.op, inputs, given.attrs, 1, notes)


def _width(given: Given) -> Dim:
    return given.size("c") if given.has("c") else given.size("d")


def _places(found: Operator, given: Given) -> tuple[Shape, tuple[str, ...]]:
    """The positions that are normalized alike: an image (`in`), or a sequence (`tokens`)."""
    if not given.has("in"):
        return given.sizes("tokens") or (), ()
    rank, notes = axes(found, given, ("in",))
    return spread(given.sizes("in") or (), rank), notes


def _first(found: Operator) -> str:
    takes = found.rules.shape_takes
    assert takes is not None
    return takes.inputs[0]


_KEYS = {
    "c": "channels",
    "d": "width, the same as c",
    "in": "input size: 56x56",
    "tokens": "number of tokens, instead of in",
    RANK: MEANING,
    "batch": "images or sequences (1)",
    "dtype": "element type (float32)",
}
_NEEDS = (("c", "d"), ("in", "tokens"))
CHANNELS = Short(
    frozenset(("BatchNormalization", "InstanceNormalization", "GroupNormalization")),
    _KEYS,
    _NEEDS,
    "c=64 in=56x56",
    _channels,
    {"GroupNormalization": "c=64 in=56x56 num_groups=8"},
)
TOKENS = Short(
    frozenset(("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")),
    {**_KEYS, "bias": "yes or no (yes; layer normalization only)"},
    _NEEDS,
    "d=768 tokens=128",
    _tokens,
)
