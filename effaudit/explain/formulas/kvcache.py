"""The key-value cache of decoders, and memory with the weights."""

from __future__ import annotations

from typing import Final

from effaudit.explain.formulas._model import Formula
from effaudit.explain.formulas._parameters import (
    BATCH,
    HEADS,
    KV_HEADS,
    LAYERS,
    PARAMS,
    TOKENS,
    bits,
    count,
    formula,
    size,
)

_MQA: Final = "https://arxiv.org/abs/1911.02150"
_GQA: Final = "https://arxiv.org/abs/2305.13245"
_HEADS: Final = count("kv_heads", "key and value heads", "32")
_WIDTH: Final = count("head_dim", "width of a head", "128")
_BITS: Final = bits("bits", "bits per element", "fp16", "16")

FORMULAS: Final[tuple[Formula, ...]] = (
    formula(
        "kv-cache-bytes",
        "ceil(2 * batch * layers * kv_heads * head_dim * tokens * bits / 8)",
        LAYERS,
        _HEADS,
        _WIDTH,
        TOKENS,
        _BITS,
        BATCH,
        unit="bytes",
        about="A key and a value per layer, head and token.",
        mistakes=(
            "The 2 is for keys and values, beside the 2 bytes of an fp16.",
            "Count the key and value heads, not the query heads.",
        ),
        source=_MQA,
    ),
    formula(
        "kv-cache-token-bytes",
        "ceil(2 * layers * kv_heads * head_dim * bits / 8)",
        LAYERS,
        _HEADS,
        _WIDTH,
        _BITS,
        unit="bytes",
        about="What each further token adds to the cache of one sequence.",
        source=_MQA,
    ),
    formula(
        "kv-cache-reduction",
        "heads / kv_heads",
        HEADS,
        KV_HEADS,
        requires=(("heads % kv_heads == 0", "the key and value heads must divide the query heads"),),
        unit="x",
        about="Grouped-query attention shares each key and value head among heads / kv_heads query heads; one is"
        " multi-query attention.",
        mistakes=("The factor is the number of heads only at kv_heads=1: 32 for a model of 32 heads, not 64.",),
        source=_GQA,
    ),
    formula(
        "kv-cache-tokens",
        "floor(memory / (2 * batch * layers * kv_heads * head_dim * bits / 8))",
        size("memory", "bytes left for the cache", "8GB"),
        LAYERS,
        _HEADS,
        _WIDTH,
        _BITS,
        BATCH,
        unit="tokens",
        about="The longest context whose cache fits.",
        source=_MQA,
    ),
    formula(
        "llm-memory-bytes",
        "weights + cache",
        PARAMS,
        bits("bits", "bits per weight", "int4"),
        LAYERS,
        _HEADS,
        _WIDTH,
        TOKENS,
        bits("kv_bits", "bits per element of the cache", "fp16", "16"),
        BATCH,
        where=(
            ("weights", "ceil(params * bits / 8)"),
            ("cache", "ceil(2 * batch * layers * kv_heads * head_dim * tokens * kv_bits / 8)"),
        ),
        unit="bytes",
        about="The weights and the key-value cache; activations and the runtime come on top.",
        source=_MQA,
    ),
)
