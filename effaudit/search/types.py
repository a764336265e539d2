"""What a search for a change that fits tried, and what it found."""

from __future__ import annotations

import msgspec


class Suggestion(msgspec.Struct, frozen=True):
    """A change after which the model fits. `steps` are the what-ifs, `options` how it then has to run (an order,
    patches, a planner: these change no number), `command` the words of the command line that shows it. `loss` stands
    for what the network may have lost, 0 to 1 (`effaudit.whatif.types.Change`), `retrain` says that nobody would ship
    it without training. Bytes, MACs and seconds are those of the changed model; None is unknown."""

    steps: tuple[str, ...]
    options: tuple[str, ...]
    command: tuple[str, ...]
    loss: float
    retrain: bool
    params: int
    weight_bytes: int
    macs: int | None
    arena_bytes: int | None
    latency_s: float | None
    notes: tuple[str, ...]


class Suggestions(msgspec.Struct, frozen=True):
    """The change that loses least, and the changes that no other beats in loss, weights, arena and MACs at once, from
    the least loss to the most. `tried` is how many were really made and judged; `why` says why there is none."""

    smallest: Suggestion | None
    front: tuple[Suggestion, ...]
    tried: int
    why: str
