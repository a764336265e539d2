"""Several models by accuracy and cost: which are Pareto-optimal, and the reward of MnasNet.

Accuracies are the user's: no graph tells them. Reward: Tan et al., MnasNet, CVPR 2019,
https://arxiv.org/abs/1807.11626, equations 2 and 3: ACC x (LAT / T)^w with w = alpha where LAT <= T and beta above.
With w < 0 what is slower than the target T earns less; (T / LAT)^w would reward it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

COSTS: Final = ("params", "macs", "weight_bytes", "live_bytes", "latency")
SOFT: Final = (-0.07, -0.07)  # (alpha, beta): a model may miss the target and pays for it
HARD: Final = (0.0, -1.0)  # what meets the target earns its accuracy, whatever it takes

Bounds: TypeAlias = "tuple[float, float | None]"  # None: nothing bounds it


class Target(msgspec.Struct, frozen=True):
    """T of the reward: `cost` is "latency" (seconds) or "macs"."""

    cost: str
    value: float


class Comparing(msgspec.Struct, frozen=True):
    """What is asked: accuracies (0 to 1) by model, the costs that are to be low, and the target of the reward."""

    accuracies: Mapping[str, float]
    costs: tuple[str, ...]
    target: Target | None = None


class Candidate(msgspec.Struct, frozen=True):
    """A model, its accuracy (0 to 1; None: not given) and what it costs; None is unknown, bounds then hold it.
    `latency_s` is an estimate within its bounds; None without a device, too."""

    model: str
    accuracy: float | None
    params: int
    macs: int | None
    macs_bounds: list[int | None]
    weight_bytes: int
    live_bytes: int | None
    live_bounds: list[int | None]
    latency_s: float | None
    latency_bounds: list[float | None]


class Compared(Candidate, frozen=True):
    """A model among the others. `pareto`: no model with an accuracy dominates it; null where ranges leave it open or it
    has no accuracy. `dominated_by` are the models that do. `reward` has the soft exponents, `hard_reward` the hard
    ones; bounds are those of the cost it is made of. `params_ratio` and `macs_ratio` are those of the first model over
    this one's: what a student saves of its teacher. `why` says why something is unknown."""

    pareto: bool | None
    dominated_by: tuple[str, ...]
    reward: float | None
    reward_bounds: list[float | None] | None
    hard_reward: float | None
    hard_reward_bounds: list[float | None] | None
    params_ratio: float | None
    macs_ratio: float | None
    why: str | None


class Pareto(msgspec.Struct, frozen=True):
    """Models by accuracy and cost, in the order given. `costs` are those that the front wants low: ranges are compared
    as ranges, latency by its estimate. `soft` and `hard` are alpha and beta of the rewards."""

    costs: tuple[str, ...]
    device: str | None
    target: Target | None
    soft: tuple[float, float]
    hard: tuple[float, float]
    models: tuple[Compared, ...]


def pareto(candidates: Sequence[Candidate], asked: Comparing, device: str | None = None) -> Pareto:
    """The candidates with their places on the front and their rewards."""
    rows = tuple(_compared(one, candidates, asked) for one in candidates)
    return Pareto(asked.costs, device, asked.target, SOFT, HARD, rows)


def reward(accuracy: float, cost: float, target: float, exponents: tuple[float, float] = SOFT) -> float | None:
    """ACC x (LAT / T)^w, w = alpha where LAT <= T, else beta. None where nothing bounds it: no cost and w < 0."""
    ratio = cost / target
    w = exponents[0] if ratio <= 1 else exponents[1]
    if ratio == 0 and w < 0:
        return None
    return accuracy * float(ratio**w)


def dominates(a: Candidate, b: Candidate, costs: Sequence[str]) -> bool | None:
    """Whether `a` is at least as good as `b` in accuracy and every cost, and better in one. None where ranges leave it
    open; False without both accuracies."""
    if a.accuracy is None or b.accuracy is None or a.accuracy < b.accuracy:
        return False
    pairs = [(_bounds(a, cost), _bounds(b, cost)) for cost in costs]
    better = a.accuracy > b.accuracy
    worst = [(_high(high), low) for (_, high), (low, _) in pairs]  # `a` at its dearest, `b` at its cheapest
    if all(x <= y for x, y in worst) and (better or any(x < y for x, y in worst)):
        return True
    best = [(low, _high(high)) for (low, _), (_, high) in pairs]
    return None if all(x <= y for x, y in best) and (better or any(x < y for x, y in best)) else False


def _high(high: float | None) -> float:
    return float("inf") if high is None else high


def _bounds(one: Candidate, cost: str) -> Bounds:
    """A latency is the estimate: its interval is wide, and errors of models on one device go together."""
    if cost == "latency":
        return (0, None) if one.latency_s is None else (one.latency_s, one.latency_s)
    if cost in ("params", "weight_bytes"):
        size = getattr(one, cost)
        return size, size
    return _ends(one.macs_bounds if cost == "macs" else one.live_bounds)


def _ends(bounds: Sequence[float | None]) -> Bounds:
    low, high = bounds
    return low or 0, high


def _compared(one: Candidate, others: Sequence[Candidate], asked: Comparing) -> Compared:
    found = [(other.model, dominates(other, one, asked.costs)) for other in others]
    beaten = tuple(dict.fromkeys(model for model, wins in found if wins))
    unsure = [model for model, wins in found if wins is None and model != one.model]
    known = one.accuracy is not None and (bool(beaten) or not unsure)
    why = None
    if one.accuracy is None:
        why = "no accuracy is given"
    elif not known:
        why = f"{' and '.join(asked.costs)} of this and {unsure[0]} are not known well enough to compare"
    soft, soft_bounds = _reward(one, asked.target, SOFT)
    hard, hard_bounds = _reward(one, asked.target, HARD)
    if why is None and asked.target is not None and soft is None:
        zero = _cost(one, asked.target) == 0
        why = f"no {'soft ' * zero}reward: {asked.target.cost} {'0' if zero else 'is not known exactly'}"
    first = others[0]
    return Compared(
        **msgspec.structs.asdict(one),
        pareto=not beaten if known else None,
        dominated_by=beaten,
        reward=soft,
        reward_bounds=soft_bounds,
        hard_reward=hard,
        hard_reward_bounds=hard_bounds,
        params_ratio=_ratio(first.params, one.params),
        macs_ratio=_ratio(first.macs, one.macs),
        why=why,
    )


def _cost(one: Candidate, target: Target) -> float | None:
    return one.latency_s if target.cost == "latency" else one.macs


def _reward(
    one: Candidate, target: Target | None, exponents: tuple[float, float]
) -> tuple[float | None, list[float | None] | None]:
    """(the reward, its bounds): the dearer, the lower."""
    if target is None or one.accuracy is None:
        return None, None
    low, high = _ends(one.latency_bounds if target.cost == "latency" else one.macs_bounds)
    least = 0.0 if high is None else reward(one.accuracy, high, target.value, exponents)
    bounds = [least, reward(one.accuracy, low, target.value, exponents)]
    cost = _cost(one, target)
    return None if cost is None else reward(one.accuracy, cost, target.value, exponents), bounds


def _ratio(first: int | None, own: int | None) -> float | None:
    return first / own if first is not None and own else None
