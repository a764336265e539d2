"""Two audited models, run in turns -> what the comparison says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.fit.subject import inferences
from effaudit.run.guard import free_bytes, guard, needed_bytes
from effaudit.run.host import host
from effaudit.run.in_turns import in_turns
from effaudit.timing.asked import NOTHING_ASKED, TimeAsked
from effaudit.timing.fed import assumptions, fed
from effaudit.timing.host import host_of
from effaudit.timing.types import Host, Versus
from effaudit.timing.versus import versus

ROUNDS: Final = 100  # enough to see a tenth on a machine whose runs differ by as much


class Compared(msgspec.Struct, frozen=True):
    """A comparison, and the machine it was made on."""

    pair: Versus
    host: Host


def rounds_of(asked: TimeAsked) -> int:
    """How many rounds two models are run."""
    return ROUNDS if asked.runs is None else asked.runs


def compare_models(
    first: Audited, second: Audited, asked: TimeAsked = NOTHING_ASKED, each: Callable[[int], None] | None = None
) -> Compared:
    """Two models in turns, at the sizes they were audited with; `each` is told how many rounds are done.

    Raises RunError where one of them does not run, UsageError for inputs that it does not take, LoadError.
    """
    schedule, free = asked.schedule, free_bytes()
    for one in (first, second):
        guard(one.name, needed_bytes(one.graph, one.memory.live_bytes), asked.limits, free)
    turns = in_turns(
        first.name,
        second.name,
        fed(first, asked.inputs).arrays,
        fed(second, asked.inputs).arrays,
        rounds=rounds_of(asked),
        budget_s=schedule.budget_s,
        warmup=asked.warmup,
        limits=asked.limits,
        provider=asked.provider,
        optimize=(asked.optimize, asked.optimize),
        each=each,
    )
    found = versus(
        (first.name, second.name), turns.first, turns.second, batches=(inferences(first), inferences(second))
    )
    unsteady = [name for name, steady in zip((first.name, second.name), turns.steady, strict=True) if not steady]
    warned = tuple(f"{name}: times had not settled when the rounds began" for name in unsteady if asked.warmup is None)
    assumed = tuple(f"{one.name}: {word}" for one in (first, second) for word in assumptions(one))
    pair = msgspec.structs.replace(
        found,
        provider=asked.provider,
        threads=asked.threads,
        optimize=asked.optimize,
        warnings=(*assumed, *found.warnings, *warned),
    )
    return Compared(pair, host_of(host(), turns.version, ()))
