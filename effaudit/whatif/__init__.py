"""Graph -> Graph: what would become of a network if it were quantized, pruned, folded. Every what-if is a real rewrite:
each has a module of its name, and its result is audited by the same code as any model."""

from __future__ import annotations

from importlib import import_module
from typing import Final, cast

from msgspec.structs import replace

from effaudit.audited import Audited, examined
from effaudit.errors import UsageError
from effaudit.nearest import did_you_mean
from effaudit.whatif.given import still_open
from effaudit.whatif.labels import distinct
from effaudit.whatif.types import Change, Step, WhatIf

__all__ = ["NAMES", "apply", "find", "parse", "text"]

NAMES: Final = tuple(
    "bind fold prune quantize lowrank separable group width codebook gqa smoothquant adapt flash".split()
)


def find(name: str) -> WhatIf:
    """The what-if of a name. Raises UsageError where there is none."""
    if name not in NAMES:
        raise UsageError(f"{name!r} is no what-if: expected one of {', '.join(NAMES)}{did_you_mean(name, NAMES)}")
    return cast(WhatIf, import_module(f"effaudit.whatif.{name}"))


def parse(name: str, written: str) -> Step:
    """`("prune", "channels=30%")` -> the step. Raises UsageError."""
    return Step(name, find(name).parse(written))


def text(step: Step) -> str:
    """The option that makes the step: `--prune channels=30%`."""
    return f"--{step.name} {find(step.name).text(step.arguments)}"


def apply(audited: Audited, step: Step) -> tuple[Change, Audited]:
    """The change a step makes to a model, and the changed model through every stage. Raises UsageError, LoadError."""
    change = find(step.name).rewrite(audited, step.arguments)
    change = replace(change, graph=distinct(audited.raw, change.graph))
    return change, examined(change.graph, still_open(audited.given, change.graph))
