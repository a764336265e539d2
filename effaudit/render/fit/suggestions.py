"""The changes after which a model fits, in lines: the smallest first, each with the command that shows it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from effaudit.fit.types import Suggestion, Suggestions
from effaudit.printable import printable
from effaudit.render.fit.words import span
from effaudit.units import human, human_bytes
from effaudit.wrapping import wrapped


def suggestions(found: Suggestions | None) -> Iterator[str]:
    """The smallest change with its command, then the front; why there is none."""
    if found is None:
        return
    yield ""
    if found.smallest is None:
        why = f": {printable(found.why, 300)}" if found.why else ""
        yield from wrapped("suggest  ", f"nothing that was tried fits ({found.tried:,} changes){why}")
        return
    yield f"the smallest change that fits, of {found.tried:,} tried"
    yield from wrapped("  ", what(found.smallest))
    yield f"    {command(found.smallest)}"  # whole, however long: it is there to be copied
    if len(found.front) > 1:
        yield "others that no change beats in loss, weights, arena and MACs at once"
        for one in found.front[1:]:
            yield from wrapped("  ", what(one))
            yield f"    {command(one)}"


def what(one: Suggestion) -> str:
    """The steps and what they come to."""
    steps = ", ".join(printable(step.removeprefix("--"), 120) for step in one.steps) or "as it is"
    plan = f", run with {printable(' '.join(one.options), 200)}" if one.options else ""
    return f"{steps}{plan}: {figures(one)}{'; RE-TRAIN' if one.retrain else ''}"


def figures(one: Suggestion) -> str:
    """Sizes after the change, and what it may lose."""
    macs = "MACs not known" if one.macs is None else f"{human(one.macs)} MACs"
    loss = "loss not known" if one.loss is None else f"loss {100 * one.loss:.2g} %"
    return f"weights {human_bytes(one.weight_bytes)}, arena {span(one.arena_bounds)}, {macs}, {loss}"


def command(one: Suggestion) -> str:
    """The command line, ready to paste."""
    return printable(shlex.join(one.command), None)
