"""Sizes of weights in bytes, and how formats compare."""

from __future__ import annotations

from typing import Final

from effaudit.explain.formulas._model import Formula
from effaudit.explain.formulas._parameters import (
    DECIMAL_OR_BINARY,
    PARAMS,
    bits,
    count,
    formula,
    positive,
    size,
)

_FROM: Final = bits("from", "bits per weight before", "fp32", "32")
_TO: Final = bits("to", "bits per weight after", "int8")

# a logarithm is a float: it is exact enough up to here
_ENTRIES: Final = ("entries <= 2 ** 32", "at most 2^32 entries")

FORMULAS: Final[tuple[Formula, ...]] = (
    formula(
        "weight-bytes",
        "ceil(params * bits / 8)",
        PARAMS,
        bits("bits", "bits per weight", "fp16"),
        unit="bytes",
        about="Weights packed without gaps, the last byte filled up.",
        mistakes=(DECIMAL_OR_BINARY, "Scales and zero points of quantized weights come on top."),
    ),
    formula(
        "weight-bytes-saved",
        "ceil(params * from_ / 8) - ceil(params * to / 8)",
        PARAMS,
        _FROM,
        _TO,
        unit="bytes",
        about="What weights of another width save.",
    ),
    formula(
        "compression-ratio",
        "from_ / to",
        _FROM,
        _TO,
        unit="x",
        about="How much smaller the weights become.",
        mistakes=("An upper bound: scales, zero points and layers left as they are count against it.",),
    ),
    formula(
        "compressed-bytes",
        "bytes / ratio",
        size("bytes", "size before", "6MB"),
        positive("ratio", "compression ratio", "4"),
        unit="bytes",
        about="The size after a compression by a known ratio; ratios of steps done one after the other multiply.",
    ),
    formula(
        "byte-size",
        "size",
        size("size", "size in any unit", "512KiB"),
        unit="bytes",
        about="A size in bytes, or with unit= in another unit.",
        mistakes=(DECIMAL_OR_BINARY,),
    ),
    formula(
        "codebook-index-bits",
        "ceil(log2(entries))",
        count("entries", "entries of the codebook", "16"),
        requires=(_ENTRIES,),
        unit="bits",
        about="The width of an index into a table of shared weights.",
        source="https://arxiv.org/abs/1510.00149",
    ),
    formula(
        "codebook-bytes",
        "ceil(params * index / 8) + ceil(entries * bits / 8)",
        PARAMS,
        count("entries", "entries of the codebook", "16"),
        bits("bits", "bits per entry", "fp32", "32"),
        where=(("index", "ceil(log2(entries))"),),
        requires=(_ENTRIES,),
        unit="bytes",
        about="An index per weight, and the table of shared weights.",
        source="https://arxiv.org/abs/1510.00149",
    ),
)
