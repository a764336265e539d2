"""What the transformer view says of a model: its attention blocks, and what each of their parts costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from effaudit.quantity import Quantity

QKV: Final = "qkv"
SCORES: Final = "scores"
VALUES: Final = "values"
OUTPUT: Final = "output"
FFN: Final = "ffn"
NORM: Final = "norm"
EMBEDDING: Final = "embedding"
HEAD: Final = "head"
OTHER: Final = "other"
PARTS: Final = (QKV, SCORES, VALUES, OUTPUT, FFN, NORM, EMBEDDING, HEAD, OTHER)

SELF: Final = "self"
CROSS: Final = "cross"
UNKNOWN: Final = "unknown"
TOKENS: Final = "tokens"
CHANNELS: Final = "channels"


class Part(msgspec.Struct, frozen=True):
    """What one part costs: multiply-accumulates, other operations, parameters, and the nodes it is made of.

    The shares are of the model's MACs and parameters, 0..1; None where the figure or the total is not exact.
    """

    name: str
    macs: Quantity
    ops: Quantity
    params: int
    nodes: int
    macs_share: float | None = None
    params_share: float | None = None


class Block(msgspec.Struct, frozen=True):
    """One attention with its projections and the feed-forward part behind it.

    `tokens` are the queries and `kv_tokens` the keys of one window; `windows` is 1 where attention is global. With
    `over` "channels" the scores are between the channels of a head: `tokens` is then what they are summed over.
    `operator` is the fused operator, "" where attention is spelled out. `width` is that of the projections' input,
    `ffn_width` that of the last product's. None: not known, `why` says why.
    """

    where: str
    attention: str
    over: str
    operator: str
    windows: int | None
    tokens: int | None
    kv_tokens: int | None
    heads: int | None
    kv_heads: int | None
    head_size: int | None
    width: int | None
    ffn_width: int | None
    parts: tuple[Part, ...]
    why: str = ""


class Patches(msgspec.Struct, frozen=True):
    """How an image becomes tokens: one convolution of `kernel` pixels at `stride` over `image` gives `grid` tokens.

    `extra` are class, distillation and register tokens beside them. All pairs are (height, width).
    """

    where: str
    image: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    grid: tuple[int, int]
    extra: int

    @property
    def tokens(self) -> int:
        """N = H x W / P^2 and the extra ones."""
        return self.grid[0] * self.grid[1] + self.extra


class Transformer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The blocks in order of execution, and the totals of every part in the order of `PARTS`: they add up to the model.

    `why` says what could not be told. `part_of` (node index -> part) names the one part a node is shown under; a fused
    operator or a body may cost in several. Documents leave it out: their nodes have it.
    """

    blocks: tuple[Block, ...]
    parts: tuple[Part, ...]
    patches: Patches | None
    why: str
    part_of: Mapping[int, str] = {}
