"""What a rewrite asks and what it gives: a new graph, and what a reader must know of how it was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec

from effaudit.audited import Audited
from effaudit.graph import Graph

SCHEMA: Final = "effaudit.steps/1"


class Blocked(msgspec.Struct, frozen=True):
    """Something a rewrite left as it was: a group of channels, a node, a tensor; and why."""

    group: str
    reason: str


class Detail(msgspec.Struct, frozen=True):
    """One row about one tensor or group, as a rewrite describes it: `figures` by name, in the units their names say.
    All rows of one `table` have the same figures."""

    table: str
    name: str
    figures: Mapping[str, int | float | str | None]


class Change(msgspec.Struct, frozen=True):
    """A rewritten graph, as if it had been read from a file: without shapes.

    `notes` are sentences for a reader; `blocked` is what could not be changed. `loss` stands for what the network may
    have lost, 0 (the same outputs) to 1: noise over signal power of quantized weights, or of the outputs where they are
    run, share of the saliency pruned, share of the pixels left out; None where it takes weights to tell, and there are
    none. `retrain` is True where nobody would ship the result without training it again. `table` is the mixed table
    that a search found, as `--quantize table=FILE` reads it."""

    graph: Graph
    notes: tuple[str, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    details: tuple[Detail, ...] = ()
    loss: float | None = 0.0
    retrain: bool = False
    table: str = ""


class WhatIf(Protocol):
    """What the module of a what-if holds; `effaudit.whatif.find` finds it by its name."""

    Arguments: type[Any]  # a frozen msgspec.Struct that forbids unknown fields: what `steps.yaml` holds
    parse: Callable[[str], Any]  # the text of the option -> Arguments; raises UsageError
    text: Callable[[Any], str]  # Arguments -> the shortest text that parses to them
    rewrite: Callable[[Audited, Any], Change]  # raises UsageError where it cannot be done at all


class Step(msgspec.Struct, frozen=True):
    """One what-if with its arguments."""

    name: str
    arguments: Any
