"""Quantization that asks the model itself: what each node's harm is, and which of them a budget of error allows."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.whatif.quantize import mixed, quantized, sensitivity
from effaudit.whatif.quantize.tables import rules_of
from effaudit.whatif.quantize.types import RANDOM, Arguments, rule_of, text
from effaudit.whatif.types import Change, Detail

MARKED: Final = "marked random: errors of the outputs come from random inputs"


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model quantized as the scheme says, or within the budget, with rows about what schemes do at each node alone.
    Raises UsageError, RunError."""
    if arguments.budget is not None:
        return _within(audited, arguments, arguments.budget)
    found, source = sensitivity.asked(audited, arguments)
    change = quantized(audited, rules_of(audited.raw.nodes, arguments), arguments)
    return _told(change, arguments, sensitivity.rows(found, source))


def schemes(arguments: Arguments) -> tuple[str, ...]:
    """The schemes that a node may have: the step's own and those it names; unasked, the next wider one: activations of
    16 bits beside those of 8, weights of 8 bits beside narrower ones."""
    if arguments.among:
        return tuple(dict.fromkeys((arguments.scheme, *arguments.among.split("|"))))
    return arguments.scheme, "w8a16" if rule_of(arguments).static else "w8"


def _within(audited: Audited, arguments: Arguments, budget: float) -> Change:
    table = mixed.mixed(audited, arguments, schemes(arguments), budget)
    rows = mixed.rows(table)
    if arguments.sensitivity:
        worst = sorted(table.harms, key=lambda harm: (-harm.noise, harm.node))
        rows = (*sensitivity.rows(worst, table.source), *rows)
    if not table.schemes:
        graph = replace(audited.raw, history=(*audited.raw.history, f"quantize {text(arguments)}"))
        return _told(Change(graph), arguments, rows, mixed.note(table))
    change = quantized(audited, sensitivity.followed(audited, table.rules), arguments)
    change = replace(change, loss=min(table.noise, 1.0), table=mixed.document(table, audited))
    return _told(change, arguments, rows, mixed.note(table))


def _told(change: Change, arguments: Arguments, rows: tuple[Detail, ...], *notes: str) -> Change:
    marked = (MARKED,) if arguments.calibrate == RANDOM else ()
    return replace(change, notes=(*notes, *marked, *change.notes), details=(*change.details, *rows))
