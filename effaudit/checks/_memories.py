"""What the checks of memories have in common."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.checks.types import Result, of_bytes
from effaudit.estimate.demand import Demand
from effaudit.estimate.status import worst
from effaudit.units import human_bytes


def is_flash(demand: Demand) -> bool:
    """True of a memory that holds weights or code, and nothing that changes while the model runs."""
    holds = demand.memory.holds
    return ("weights" in holds or "code" in holds) and "activations" not in holds


def held(check: str, demand: Demand) -> Iterator[Result]:
    """Everything against the size of the memory; what has to be contiguous against its largest region."""
    need, name = demand.need, demand.memory.name
    if demand.have is None:
        message = f"the profile does not know the size of {name}"
        yield of_bytes(check, "unknown", need, None, name, message)
        return
    status, apart, together = demand.whole(), demand.piece(), demand.together
    whole = demand.have if demand.contiguous is None else demand.contiguous
    if whole < demand.have and worst(status, apart) == apart != status:
        why = f"in one piece, of which {name} has {human_bytes(whole)} at most"
        yield of_bytes(check, apart, together, whole, name, _said(demand, f"{human_bytes(together.low)} {why}"))
        return
    yield of_bytes(check, status, need, demand.have, name, _said(demand, ""))


def _said(demand: Demand, lead: str) -> str:
    parts = [f"{item.what} {_span(item.bytes.low, item.bytes.high)}" for item in demand.items]
    unknown = next((item.bytes.why for item in demand.items if item.bytes.high is None), "")
    words = [lead] if lead else []
    return "; ".join([*words, ", ".join(parts), *([unknown] if unknown else [])])


def _span(low: int, high: int | None) -> str:
    if low == high:
        return human_bytes(low)
    return f"{human_bytes(low)} or more" if high is None else f"{human_bytes(low)}..{human_bytes(high)}"
