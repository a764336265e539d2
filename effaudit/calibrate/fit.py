"""Measured kernels -> what each kind of kernel costs: seconds as a sum of terms (`effaudit.estimate.terms`).

Every kernel is an equation, and so is every network as a whole: a profiler tells where time goes, a run without one how
much it is in all. All are solved together, relative errors alike, so that no kind pays for what another costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from effaudit.calibrate.measure import NetSample
from effaudit.calibrate.solve import ROUNDS, robust
from effaudit.estimate.terms import TERMS, Caches, amounts
from effaudit.estimate.types import Kernel

if TYPE_CHECKING:
    import numpy as np

Key: TypeAlias = tuple[str, str]  # element type, kind

FLOOR_S: Final = 8e-6  # what a profiler's microseconds and its own work leave uncertain of a kernel
WHOLE: Final = 4.0  # how much more a network counts than one kernel
LAUNCH_S: Final = 0.5e-6  # what a launch costs where no measurement tells
LAUNCH_WEIGHT: Final = 0.2
BYTES_WEIGHT: Final = 4000.0  # of a byte that costs other than it costs the others
# Of a microsecond that one costs: a stretch of memory takes some 10 ns, a product or a tensor some 100 ns.
_PRIORS: Final[Mapping[str, float]] = {"run_s": 5.0, "batch_s": 0.5}
_SHARED: Final = ("near_weight_byte_s", "far_weight_byte_s", "near_byte_s", "far_byte_s")
_MICRO: Final = 1e6

_CONVOLVED: Final = (
    "launch_s mac_s load_s output_s run_s scratch_s near_weight_byte_s far_weight_byte_s near_byte_s far_byte_s"
)
_DEPTHWISE: Final = "launch_s mac_s fed_s output_s run_s near_weight_byte_s near_byte_s far_byte_s"
_MANY: Final = "launch_s mac_s load_s output_s near_weight_byte_s far_weight_byte_s near_byte_s far_byte_s"
_ONE_ROW: Final = "launch_s output_s weight_byte_s near_weight_byte_s far_weight_byte_s"
_BATCHED: Final = "launch_s mac_s output_s batch_s near_byte_s far_byte_s"
_RECURRENT: Final = "launch_s mac_s step_s output_s weight_byte_s near_weight_byte_s far_weight_byte_s"
_REDUCING: Final = "launch_s fed_s output_s near_byte_s far_byte_s"
_MOVING: Final = "launch_s output_s run_s near_byte_s far_byte_s"
_PLAIN: Final = "launch_s op_s run_s near_byte_s far_byte_s"
# The terms that the kernels of a class can cost: what it takes to tell them apart, and no more.
_BY_CLASS: Final[Mapping[str, str]] = {
    "conv": _CONVOLVED,
    "pointwise": _CONVOLVED,
    "grouped": _CONVOLVED,
    "transposed": _CONVOLVED,
    "depthwise": _DEPTHWISE,
    "fully_connected": _MANY,
    "matmul": _BATCHED,
    "attention": _BATCHED,
    "recurrent": _RECURRENT,
    "reduction": _REDUCING,
    "pooling": f"{_MOVING} op_s fed_s",
    "movement": _MOVING,
}
# Seconds of one at the most: slower is no machine that runs models, but a fit gone astray.
_MOST: Final[Mapping[str, float]] = {
    "launch_s": 60e-6,
    "weight_byte_s": 1e-9,
    "near_weight_byte_s": 1e-9,
    "far_weight_byte_s": 2e-9,
    "near_byte_s": 1e-9,
    "far_byte_s": 2e-9,
}


class Fitted(msgspec.Struct, frozen=True):
    """`costs` of one of each term, in seconds, by element type and kind, with the number of kernels they were fitted
    to; `per_kernel_s` of every node that runs, `per_inference_s` beside them. `loss` is what is left: the sum of
    relative errors, weighted."""

    costs: Mapping[Key, Mapping[str, float]]
    counts: Mapping[Key, int]
    per_kernel_s: float
    per_inference_s: float
    loss: float


def terms_of(kind: str, op_class: str) -> frozenset[str]:
    """The terms that a kind of kernels can cost."""
    if kind.endswith(" row"):
        return frozenset(_ONE_ROW.split())
    return frozenset(_BY_CLASS.get(op_class, _PLAIN).split())


def key_of(kernel: Kernel) -> Key:
    """What kernels share their costs by. Raises AssertionError for one without a pattern."""
    assert kernel.pattern is not None
    return kernel.dtype, kernel.pattern.kind


def fit(nets: Sequence[NetSample], caches: Caches, rounds: int = ROUNDS) -> Fitted:
    """The costs that come nearest to what was measured; `caches` are those of all cores at work."""
    import numpy as np

    kernels = [sample.kernel for net in nets for sample in net.samples]
    classes: dict[Key, str] = {}
    counts: dict[Key, int] = {}
    for kernel in kernels:
        key = key_of(kernel)
        classes.setdefault(key, kernel.op_class)
        counts[key] = counts.get(key, 0) + 1
    places = _places(classes)
    size = len(places) + len(_SHARED) + 2  # what every node and every inference takes come last
    matrix, wanted, weights = _equations(nets, caches, places, size)
    most = np.full(size, np.inf)
    for (_, term), place in places.items():
        most[place] = _MOST.get(term, np.inf) * _MICRO
    most[-2:] = 3.0, 20.0
    scale = np.maximum(np.abs(matrix).max(axis=0), 1e-300)
    scaled = robust(matrix / scale, wanted, weights, most * scale, rounds) / scale
    loss = float(np.abs((matrix @ scaled - wanted) * weights).sum())
    x = scaled / _MICRO
    costs: dict[Key, dict[str, float]] = {key: {} for key in classes}
    for (key, term), place in places.items():
        if x[place] > 0:
            costs[key][term] = float(x[place])
    return Fitted(costs, counts, float(x[-2]), float(x[-1]), loss)


def total_s(net: NetSample, found: Fitted, caches: Caches) -> float:
    """What a network takes by the costs; kernels of kinds that were not fitted take what they were measured to."""
    total = found.per_inference_s + net.renaming * found.per_kernel_s
    for sample in net.samples:
        costs = found.costs.get(key_of(sample.kernel))
        if costs is None:
            total += sample.seconds
        else:
            have = amounts(sample.kernel, caches)
            total += found.per_kernel_s + sum(have[term] * cost for term, cost in costs.items())
    return total


def _places(classes: Mapping[Key, str]) -> dict[tuple[Key, str], int]:
    """The column of every unknown."""
    wanted = ((key, term) for key, op_class in classes.items() for term in TERMS if term in terms_of(key[1], op_class))
    return {one: i for i, one in enumerate(wanted)}


def _equations(
    nets: Iterable[NetSample], caches: Caches, places: Mapping[tuple[Key, str], int], size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of amounts, microseconds, weights."""
    import numpy as np

    every = list(_believed(places, size))
    for net in nets:
        every += _measured(net, caches, places, size)
    rows, wanted, weights = zip(*every, strict=True)
    return np.array(rows), np.array(wanted), np.array(weights)


def _believed(places: Mapping[tuple[Key, str], int], size: int) -> Iterator[tuple[np.ndarray, float, float]]:
    """Where no measurement tells: a launch as of any kernel, and bytes as they come to the others."""
    import numpy as np

    for (_, term), place in places.items():
        row = np.eye(1, size, place)[0]
        if term == "launch_s":
            yield row, LAUNCH_S * _MICRO, LAUNCH_WEIGHT
        elif term in _PRIORS:  # where all kernels have the same number of them, it is the launch that costs
            yield row, 0.0, _PRIORS[term]
        elif term in _SHARED:
            row[len(places) + _SHARED.index(term)] = -1.0
            yield row, 0.0, BYTES_WEIGHT


def _measured(
    net: NetSample, caches: Caches, places: Mapping[tuple[Key, str], int], size: int
) -> Iterator[tuple[np.ndarray, float, float]]:
    """The kernels of a network, and the whole of it."""
    import numpy as np

    whole = np.zeros(size)
    whole[-2], whole[-1] = net.renaming, 1.0
    for sample in net.samples:
        row = np.zeros(size)
        key = key_of(sample.kernel)
        for term, amount in amounts(sample.kernel, caches).items():
            column = places.get((key, term))
            if column is not None:
                row[column] = amount
        row[-2] = 1.0
        whole += row
        yield row, sample.seconds * _MICRO, 1.0 / ((sample.seconds + FLOOR_S) * _MICRO)
    yield whole, net.seconds * _MICRO, WHOLE / (net.seconds * _MICRO)
