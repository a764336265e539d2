"""Memory: what must be held at a time, and whether it fits."""

from __future__ import annotations

from typing import Final

from effaudit.explain.formulas._model import Formula, Parameter
from effaudit.explain.formulas._parameters import (
    BATCH,
    BITS,
    CIN,
    COUT,
    DECIMAL_OR_BINARY,
    HIDDEN,
    IN,
    MODEL,
    PARAMS,
    RANK,
    TOKENS,
    C,
    bits,
    flag,
    formula,
    size,
)

_OUT: Final = Parameter("out", "counts", "output size", "56x56", "in_")
_MEMORY: Final = size("memory", "memory there is", "512KiB")
_NEEDED: Final = size("bytes", "memory needed", "784KiB")
_RESERVED: Final = size("reserved", "memory already taken", "50KiB", "0")
_INPLACE: Final = "https://arxiv.org/abs/2007.10319"
_EMPTY: Final = ("memory > 0", "the memory must not be empty")

FORMULAS: Final[tuple[Formula, ...]] = (
    formula(
        "layer-activation-bytes",
        "ceil(batch * (cin * prod(in_) + cout * prod(out)) * bits / 8)",
        CIN,
        IN,
        COUT,
        _OUT,
        BITS,
        BATCH,
        RANK,
        spread="rank",
        unit="bytes",
        about="A layer's input and output, which are alive together while it runs.",
        mistakes=(
            "The largest single tensor is not the peak: input and output both count, as does any tensor needed later.",
            DECIMAL_OR_BINARY,
        ),
    ),
    formula(
        "inplace-depthwise-elements",
        "max(c * prod(in_), c * prod(out)) + (max(prod(in_), prod(out)) if scratch else 0)",
        C,
        IN,
        _OUT,
        flag("scratch", "whether to count the one channel that is written aside", "no"),
        RANK,
        spread="rank",
        unit="elements",
        about="A depthwise convolution may write each channel over its input: the larger of both, not the sum.",
        mistakes=("An implementation also needs one channel of scratch.",),
        source=_INPLACE,
    ),
    formula(
        "ffn-activation-elements",
        "batch * tokens * (d + d_ff)",
        TOKENS,
        MODEL,
        HIDDEN,
        BATCH,
        unit="elements",
        about="The input and the wide layer inside a feed-forward block, alive together.",
        mistakes=("More than the block's input and output, 2 * tokens * d.",),
    ),
    formula(
        "fits",
        "reserved + bytes <= memory",
        _NEEDED,
        _MEMORY,
        _RESERVED,
        unit="",
        about="Whether the memory holds it.",
        mistakes=(DECIMAL_OR_BINARY,),
    ),
    formula(
        "overflows",
        "reserved + bytes > memory",
        _NEEDED,
        _MEMORY,
        _RESERVED,
        unit="",
        about="Whether the memory is too small.",
        mistakes=(DECIMAL_OR_BINARY,),
    ),
    formula(
        "board-fit",
        "'yes' if weights + firmware <= flash and activations + runtime <= sram else 'no'",
        size("weights", "weights", "1MB"),
        size("flash", "flash memory", "1MiB"),
        size("activations", "peak of the activations", "200KiB"),
        size("sram", "SRAM", "256KiB"),
        size("firmware", "flash for the program", "50KiB", "0"),
        size("runtime", "SRAM for stack and runtime", "16KiB", "0"),
        unit="",
        about="Weights and program must fit into flash, activations and stack into SRAM.",
        mistakes=("Activations that fill the SRAM leave no room for a stack.", DECIMAL_OR_BINARY),
    ),
    formula(
        "free-memory",
        "memory - bytes - reserved",
        _MEMORY,
        _NEEDED,
        _RESERVED,
        unit="bytes",
        about="What is left; negative where it does not fit.",
        mistakes=(DECIMAL_OR_BINARY,),
    ),
    formula(
        "memory-utilization",
        "(reserved + bytes) / memory",
        _NEEDED,
        _MEMORY,
        _RESERVED,
        requires=(_EMPTY,),
        unit="share",
        about="The share of the memory in use.",
    ),
    formula(
        "weight-memory-ratio",
        "params * bits / 8 / memory",
        PARAMS,
        bits("bits", "bits per weight", "fp16"),
        _MEMORY,
        requires=(_EMPTY,),
        unit="x",
        about="Weights over the memory there is: above 1 they do not fit.",
        mistakes=(DECIMAL_OR_BINARY,),
    ),
    formula(
        "training-memory-bytes",
        "params * (weight + gradient + optimizer)",
        PARAMS,
        Parameter("weight", "count", "bytes per weight", "2", "2"),
        Parameter("gradient", "count", "bytes per gradient", "2", "2"),
        Parameter("optimizer", "count", "bytes of optimizer state per weight", "12", "12"),
        unit="bytes",
        about="Mixed-precision Adam: fp16 weights and gradients, fp32 master weights and two moments, 16 bytes each.",
        mistakes=("Activations come on top.",),
        source="https://arxiv.org/abs/1910.02054",
    ),
)
