"""The arguments that formulas share, under the names people use, and how a formula is written down."""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.explain.formulas._model import Formula, Parameter

MAC_IS_TWO_FLOPS: Final = "MACs are not FLOPs: one MAC is a multiplication and an addition, two FLOPs."
DECIMAL_OR_BINARY: Final = "1 MB is 1,000,000 bytes, 1 MiB is 1,048,576: datasheets mix them."


def formula(
    name: str,
    expression: str,
    *parameters: Parameter,
    unit: str,
    about: str,
    where: tuple[tuple[str, str], ...] = (),
    requires: tuple[tuple[str, str], ...] = (),
    mistakes: tuple[str, ...] = (),
    source: str = "",
    spread: str = "",
) -> Formula:
    """A formula over `parameters`, in the order in which they are shown."""
    return Formula(name, expression, parameters, unit, about, where, requires, mistakes, source, spread)


def optional(parameter: Parameter, default: str = "") -> Parameter:
    """The parameter with a default expression; without one, it is only needed where another's default uses it."""
    return msgspec.structs.replace(parameter, default=default, optional=not default)


def named(parameter: Parameter, name: str, about: str = "", example: str = "") -> Parameter:
    """The parameter under another name."""
    return msgspec.structs.replace(
        parameter, name=name, about=about or parameter.about, example=example or parameter.example
    )


def count(name: str, about: str, example: str, default: str = "") -> Parameter:
    return Parameter(name, "count", about, example, default)


def whole(name: str, about: str, example: str, default: str = "") -> Parameter:
    return Parameter(name, "whole", about, example, default)


def real(name: str, about: str, example: str, default: str = "") -> Parameter:
    return Parameter(name, "real", about, example, default)


def positive(name: str, about: str, example: str, default: str = "") -> Parameter:
    return Parameter(name, "positive", about, example, default)


def share(name: str, about: str, example: str, default: str = "") -> Parameter:
    return Parameter(name, "share", about, example, default)


def size(name: str, about: str, example: str, default: str = "") -> Parameter:
    return Parameter(name, "bytes", about, example, default)


def seconds(name: str, about: str, example: str, default: str = "") -> Parameter:
    return Parameter(name, "seconds", about, example, default)


def bits(name: str, about: str, example: str = "int8", default: str = "") -> Parameter:
    return Parameter(name, "bits", about, example, default)


def flag(name: str, about: str, default: str) -> Parameter:
    return Parameter(name, "flag", about, "yes", "True" if default == "yes" else "False")


OUTPUT_SIZE: Final = "floor((in_ + 2 * p - d * (k - 1) - 1) / s) + 1"
TILE_SIZE: Final = "ceil(in_ / patches)"

BATCH: Final = count("batch", "batch size", "1", "1")
CIN: Final = count("cin", "input channels or features", "64")
COUT: Final = count("cout", "output channels or features", "128")
C: Final = count("c", "channels", "64")
G: Final = count("g", "groups", "1", "1")
K: Final = Parameter("k", "counts", "kernel size", "3")
S: Final = Parameter("s", "counts", "stride", "1", "1")
P: Final = Parameter("p", "wholes", "padding at each end", "1", "0")
D: Final = Parameter("d", "counts", "dilation", "1", "1")
IN: Final = Parameter("in", "counts", "input size", "56x56")
OUT: Final = Parameter("out", "counts", "output size", "56x56", OUTPUT_SIZE, derived=True)
WINDOW: Final = (OUT, optional(IN), S, P, D)
SIZE: Final = Parameter("size", "counts", "spatial size", "56x56")
RANK: Final = count("rank", "number of spatial axes", "2", "2")
BIAS: Final = flag("bias", "whether there is a bias", "no")
LAYERS: Final = count("layers", "number of such layers", "12")
MODEL: Final = count("d", "model width", "768")
HIDDEN: Final = count("d_ff", "width of the feed-forward layer", "3072", "4 * d")
TOKENS: Final = count("tokens", "tokens", "512")
KV_TOKENS: Final = count("kv_tokens", "tokens attended to", "512", "tokens")
HEADS: Final = count("heads", "query heads", "12")
KV_HEADS: Final = count("kv_heads", "key and value heads", "12", "heads")
HEAD_DIM: Final = count("head_dim", "width of a head", "64", "d / heads")
VOCAB: Final = count("vocab", "size of the vocabulary", "50257")
PARAMS: Final = count("params", "parameters", "7G")
BITS: Final = bits("bits", "bits per element")
ONE_LAYER: Final = optional(LAYERS, "1")
