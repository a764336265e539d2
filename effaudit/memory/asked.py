"""What is asked of a plan of memory."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import msgspec

from effaudit.runtimes import DEFAULT

AUTO: Final = "auto"


class Stage(msgspec.Struct, frozen=True):
    """A prefix of the graph to run in patches: up to this tensor (or node), in a grid of rows x columns."""

    tensor: str
    grid: tuple[int, int]


class Cache(msgspec.Struct, frozen=True):
    """The sequences a key/value cache shall hold; None: as the graph has them."""

    context: int | None = None
    batch: int | None = None
    dtype: str | None = None
    window: int | None = None


class Asked(msgspec.Struct, frozen=True):
    """How a model shall be run.

    `planner` and `align` override those of the runtime. `effort` bounds the searches, in counted steps: "low",
    "normal" or "high". `quantize` stores floats as if in another type. `reorder` runs the nodes in the best order
    found; `patch` is a stage to run in patches, or "auto". `training` is the fraction of weights and activations that a
    training step, to be estimated, updates. `seconds` asks for how long planning takes, `kernels` for the working sets
    of layers that make so many rows at a time.
    """

    runtime: str = DEFAULT
    planner: str | None = None
    align: int | None = None
    effort: str = "normal"
    pin_inputs: bool = False
    quantize: str | None = None
    reorder: bool = False
    patch: Stage | str | None = None
    cache: Cache = Cache()
    training: Fraction | None = None
    seconds: bool = False
    kernels: int | None = None


NOTHING_ASKED: Final = Asked()
