"""Low-rank adaptation of weights."""

from __future__ import annotations

from typing import Final

from effaudit.explain.formulas._model import Formula
from effaudit.explain.formulas._parameters import CIN, COUT, ONE_LAYER, PARAMS, bits, count, formula, named

_LORA: Final = "https://arxiv.org/abs/2106.09685"
_QLORA: Final = "https://arxiv.org/abs/2305.14314"
_RANK: Final = count("r", "rank", "16")

FORMULAS: Final[tuple[Formula, ...]] = (
    formula(
        "lora-params",
        "layers * r * (cin + cout)",
        CIN,
        COUT,
        _RANK,
        ONE_LAYER,
        unit="params",
        about="The update of a cin by cout matrix is a product of a cin by r and an r by cout matrix.",
        source=_LORA,
    ),
    formula(
        "lora-reduction",
        "cin * cout / (r * (cin + cout))",
        CIN,
        COUT,
        _RANK,
        unit="x",
        about="Parameters of the whole matrix over those of its update: d / (2 * r) for a square one.",
        mistakes=("Trained parameters, not memory: the frozen weights stay.",),
        source=_LORA,
    ),
    formula(
        "lora-share",
        "r * (cin + cout) / (cin * cout)",
        CIN,
        COUT,
        _RANK,
        unit="share",
        about="Parameters of the update over those of the matrix: 2 * r / d for a square one.",
        source=_LORA,
    ),
    formula(
        "qlora-bytes",
        "base + adapters",
        PARAMS,
        named(PARAMS, "adapter_params", "parameters of the adapters", "20M"),
        bits("bits", "bits per frozen weight", "nf4", "4"),
        bits("adapter_bits", "bits per adapter weight", "fp16", "16"),
        where=(("base", "ceil(params * bits / 8)"), ("adapters", "ceil(adapter_params * adapter_bits / 8)")),
        unit="bytes",
        about="Frozen weights in four bits and adapters in sixteen.",
        mistakes=(
            "Without the constants of the quantization (0.127 bits per weight with double quantization, bits=4.127),"
            " gradients, optimizer states and activations.",
        ),
        source=_QLORA,
    ),
)
