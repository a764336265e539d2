"""What the view of the key-value cache says of a model."""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.dims import Dim
from effaudit.quantity import Quantity

KEY: Final = "key"
VALUE: Final = "value"
BOTH: Final = "key and value"

MHA: Final = "MHA"  # a key head per query head, https://arxiv.org/abs/1706.03762
GQA: Final = "GQA"  # https://arxiv.org/abs/2305.13245
MQA: Final = "MQA"  # one key head, https://arxiv.org/abs/1911.02150
STATE: Final = "state"  # linear attention: a state whose size no length changes


class CacheTensor(msgspec.Struct, frozen=True):
    """One tensor of a cache. `past` is the model's input and `present` the output that it grows into; "" where the
    model has none: both are "" for keys or values that a model computes anew and would have to keep.

    `role` is "key", "value", "key and value" or "state". `elements`: of one token of one sequence (none of a state),
    None where `why` says why. `tokens` and `batch` are the sizes at hand.
    `bits` is those of one element, also where several are packed into one of `dtype`. `source` is the tensor of the
    graph whose size follows batch and length as a cache would, of a model without one.
    """

    past: str
    present: str
    role: str
    dtype: str
    bits: int
    elements: int | None
    tokens: int | None
    batch: int | None
    why: str = ""
    source: str = ""


class KVLayer(msgspec.Struct, frozen=True):
    """One attention layer. `attention` is "self", "cross" or "unknown"; `heads` those of the queries, `key_size` and
    `value_size` the elements of one head.

    `cached`: the model takes a cache or hands one back (else `tensors` are what it would have to keep). `window` is
    how many tokens it looks back at most, itself included, None without a limit. `state_bytes` is what a linear
    attention keeps of one sequence, however long. `token_bytes`: what one token of one sequence takes, rounded up.
    """

    where: str
    attention: str
    kind: str
    heads: int | None
    kv_heads: int | None
    key_size: int | None
    value_size: int | None
    window: int | None
    cached: bool
    tensors: tuple[CacheTensor, ...]
    token_bytes: int | None
    state_bytes: int = 0
    why: str = ""


class KVCache(msgspec.Struct, frozen=True):
    """The cache of a model, in bytes.

    `layers` are those of self attention (and those of which it cannot be told), `cross` those whose keys come from an
    encoder. `cached` is False where no self attention has a cache (or none at all, of a model without): its figures
    then say what one would take. Where it is True, the layers without one are listed and not counted.

    `token_bytes`: one token of one sequence over all layers, states and cross attention left out; `state_bytes`: what
    linear attentions keep of one sequence. `bytes`: the cache of `batch` sequences of `tokens` tokens, where a layer
    with a window keeps no more than that; states included, cross attention not: `cross_bytes` is that of `batch`
    sequences at the encoder's length in the audited graph. `tokens` is None where layers differ in it.

    `past_bytes` and `present_bytes` are the inputs and outputs as the file has them at the audited sizes, whatever was
    asked for, cross attention included; None where it has none. The formulas say the same in the model's open dims,
    None where it has none or they cannot be told. `formula` is the first of them, or what a cache would take where the
    model has none.
    `mha_ratio`: how many times larger `token_bytes` were with a key head for every query head.
    """

    layers: tuple[KVLayer, ...]
    cross: tuple[KVLayer, ...]
    cached: bool
    token_bytes: Quantity
    state_bytes: Quantity
    batch: int | None
    tokens: int | None
    bytes: Quantity
    cross_token_bytes: Quantity | None
    cross_bytes: Quantity | None
    past_bytes: Quantity | None
    present_bytes: Quantity | None
    past_formula: Dim | None
    present_formula: Dim | None
    formula: Dim | None
    mha_ratio: float | None
    why: str = ""
