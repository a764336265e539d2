"""One row per model: its accuracy, what it costs, and whether another gives more for less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from effaudit.printable import printable
from effaudit.tables.table import (
    BYTES,
    COUNT,
    NONE,
    PERCENT,
    RATIO,
    SECONDS,
    Cell,
    Column,
    Span,
    Table,
    number,
)
from effaudit.units import human, human_measure

if TYPE_CHECKING:
    from effaudit.views.pareto import Compared, Pareto

NAMES: Final = {
    "params": "parameters",
    "macs": "MACs",
    "weight_bytes": "weight bytes",
    "live_bytes": "live bytes",
    "latency": "latency",
}


def pareto(found: Pareto) -> Table:
    """A row per model, in the order given."""
    latency = (Column("latency_s", "latency", SECONDS),) if found.device is not None else ()
    rewards = (Column("reward", "soft", RATIO), Column("hard_reward", "hard", RATIO)) if found.target else ()
    columns = (
        Column("model", "model", width=16),
        Column("accuracy", "accuracy", PERCENT),
        Column("params", "params", COUNT),
        Column("macs", "MACs", COUNT),
        *latency,
        Column("pareto", "Pareto", width=7),
        *rewards,
        Column("weight_bytes", "weights", BYTES, spare=True),
        Column("live_bytes", "live", BYTES, spare=True),
        Column("params_ratio", "params, 1st/own", RATIO, spare=True),
        Column("macs_ratio", "MACs, 1st/own", RATIO, spare=True),
        Column("dominated_by", "dominated by", width=12, spare=True),
    )
    keys = tuple(column.key for column in columns)
    rows = [tuple(cell for key, cell in _cells(one).items() if key in keys) for one in found.models]
    return Table("pareto", "accuracy and cost", columns, lambda: iter(rows), note=_note(found), brief=keys)


def _cells(one: Compared) -> dict[str, Cell]:
    """In the order of the columns."""
    given = one.accuracy is not None
    place = {True: "yes", False: "no", None: None}[one.pareto] if given else NONE
    return {
        "model": one.model,
        "accuracy": one.accuracy if given else NONE,
        "params": one.params,
        "macs": number(one.macs, one.macs_bounds),
        "latency_s": one.latency_s,
        "pareto": place,
        "reward": _reward(one.reward, one.reward_bounds),
        "hard_reward": _reward(one.hard_reward, one.hard_reward_bounds),
        "weight_bytes": one.weight_bytes,
        "live_bytes": number(one.live_bytes, one.live_bounds),
        "params_ratio": one.params_ratio,
        "macs_ratio": one.macs_ratio,
        "dominated_by": ", ".join(one.dominated_by) or NONE,
    }


def _reward(value: float | None, bounds: list[float | None] | None) -> Cell:
    """A reward or the span that is known of it; "-" without an accuracy."""
    if value is not None or bounds is None:
        return NONE if value is None else value
    low, high = bounds
    return None if not low and high is None else Span(low or 0.0, high)


def _note(found: Pareto) -> str:
    costs = " and ".join(NAMES[cost] for cost in found.costs)
    said = [f"Pareto: no other model is at least as accurate at no more {costs}, and better in accuracy or cost."]
    if found.device is not None:
        said.append(f"Latency is the estimate on {found.device}; its interval is not compared.")
    if found.target is not None:
        is_time = found.target.cost == "latency"
        size = human_measure(found.target.value, "s") if is_time else f"{human(int(found.target.value))}"
        said.append(
            f"soft: accuracy x ({NAMES[found.target.cost]} / {size})^{found.soft[0]}; "
            f"hard: accuracy up to the target, above it accuracy x target / {NAMES[found.target.cost]}."
        )
    missing = [printable(one.model, 60) for one in found.models if one.accuracy is None]
    if missing:
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        said.append(f"No accuracy is given for {', '.join(missing[:NAMED])}{more}.")
    return " ".join(said)


NAMED: Final = 6
