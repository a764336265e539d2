"""What is asked of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import msgspec

from effaudit.checks.subject import Limits
from effaudit.energy.types import Circumstances
from effaudit.memory.asked import Stage


class Sequences(msgspec.Struct, frozen=True):
    """The sequences that a decoder serves; None: as the file has them."""

    batch: int | None = None
    context: int | None = None
    prompt: int | None = None
    kv_dtype: str | None = None

    @property
    def wanted(self) -> bool:
        return self != Sequences()


class FitAsked(msgspec.Struct, frozen=True):
    """`runtime` is one of the device's ("": its default; `name@version` picks a version). `reserve` are bytes, or a
    fraction of the memory, by the name of a memory. `batches` are the batch sizes of a sweep. `called` is what the user
    called a device, where its own name would not find it: a path."""

    runtime: str = ""
    quantize: str | None = None
    planner: str | None = None
    reorder: bool = False
    patch: Stage | str | None = None
    reserve: Mapping[str, int | Fraction] = {}
    limits: Limits = Limits()
    around: Circumstances = Circumstances()
    sequences: Sequences = Sequences()
    batches: tuple[int, ...] = ()
    effort: str = "normal"
    called: Mapping[str, str] = {}
