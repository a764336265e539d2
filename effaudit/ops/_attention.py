"""Scaled dot product attention, counted alike for every operator that holds one.

macs = scores x (head size + value head size) with scores = B x query heads x Sq x Skv, Skv the past included; causal,
windowed and sparse masks are not discounted and padding counts as data.
ops = 6 per score (scale; softmax: max, subtract, exp, sum, divide), + 1 per score for every mask or bias tensor,
+ 3 per score for a soft cap (divide, tanh, multiply); a rotary embedding 3 per rotated element (two products, one sum).
"""

from __future__ import annotations

from typing import NamedTuple

from effaudit import dims
from effaudit.dims import Dim

ROTARY_OPS = 3


class Attend(NamedTuple):
    """The sizes of one attention: `head` and `v_head` are the elements of one key and one value head."""

    batch: Dim
    heads: Dim
    queries: Dim
    keys: Dim
    head: Dim
    v_head: Dim

    @property
    def scores(self) -> Dim:
        return self.batch * self.heads * self.queries * self.keys

    @property
    def macs(self) -> Dim:
        """Query x key and probability x value."""
        return self.scores * (self.head + self.v_head)

    def ops(self, masks: int = 0, softcap: float | None = 0.0) -> Dim:
        """Scale, softmax, `masks` tensors added to the scores, and the soft cap where it is not 0."""
        return self.scores * (6 + masks + (3 if softcap else 0))


def head_size(hidden: Dim, heads: int, what: str = "num_heads") -> Dim:
    """The elements per head. Raises ValueError where the heads do not divide the hidden size."""
    if heads < 1:
        raise ValueError(f"{what} is {heads}")
    if isinstance(hidden, int) and hidden % heads:
        raise ValueError(f"{hidden} elements do not divide into {heads} heads")
    return dims.floordiv(hidden, heads)
