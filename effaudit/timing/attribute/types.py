"""What is known of a kernel: which nodes of the model it computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

Role: TypeAlias = Literal["computes", "inserted", "unknown"]


class Attributed(msgspec.Struct, frozen=True):
    """A node of an optimized graph: `nodes` are the indices of the nodes of the original graph that it computes, or
    whose tensors it puts into another layout, type or shape ("inserted"); () and "unknown" where none were found.

    `outputs` are pairs of one of its outputs and the original tensor that it stands for. `consistent`: whether these
    have the same shape; None where there is nothing to compare. `why` says what is not plain. `inner` holds what is
    known of the nodes in its bodies, by attribute; their indices are those of the original body.
    """

    nodes: tuple[int, ...]
    role: Role
    outputs: tuple[tuple[str, str], ...] = ()
    consistent: bool | None = None
    why: str = ""
    inner: Mapping[str, tuple[Attributed, ...]] = {}
