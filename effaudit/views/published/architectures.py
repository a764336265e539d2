"""Well-known architectures with their published figures, from `effaudit/data/architectures.csv`."""

from __future__ import annotations

import os
import re
from functools import cache
from math import log
from typing import Final

import msgspec

from effaudit.errors import UsageError
from effaudit.nearest import nearest as nearest_names
from effaudit.nearest import suggested
from effaudit.printable import printable
from effaudit.views.published.figure import Figure, parse

_FILE: Final = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))), "data", "architectures.csv"
)
MAX_NAME: Final = 200


class Architecture(msgspec.Struct, frozen=True):
    """An architecture with the figures of its source.

    `params` and `macs` are the numbers as published, digits and all ("25557032", "4.089G"; "" where the source gives
    none), for one sample of shape `input`. `counting` says what `macs` counts: "macs" (multiply-accumulates of
    convolutions and matrix products) or "macs + normalization" (some counters add operations of other layers). `top1`
    is the source's top-1 accuracy in percent. `how` is "published" or "measured": counted on a graph built from the
    code at `source`.
    """

    name: str
    task: str
    input: str
    params: str
    macs: str
    counting: str
    top1: float | None
    how: str
    source: str
    note: str

    @property
    def published_params(self) -> Figure | None:
        """The parameters as a figure with its precision."""
        return parse(f"{self.params} params") if self.params else None

    @property
    def published_macs(self) -> Figure | None:
        """The multiply-accumulates as a figure with its precision."""
        return parse(f"{self.macs} MACs") if self.macs else None


@cache
def architectures() -> tuple[Architecture, ...]:
    """Every architecture of the list, in its order."""
    import csv

    with open(_FILE, encoding="utf-8", newline="") as file:
        return tuple(_architecture(row) for row in csv.DictReader(file))


def _architecture(row: dict[str, str]) -> Architecture:
    return Architecture(**{**row, "top1": float(row["top1"]) if row["top1"] else None})  # type: ignore[arg-type]


@cache
def _by_key() -> dict[str, Architecture]:
    return {key(a.name): a for a in architectures()}


def key(name: str) -> str:
    """A name without case and punctuation, but for what parts two numbers: "ResNet-50" -> "resnet50", 1.6gf is not
    16gf."""
    parted = re.sub("(?<=[0-9])[^a-z0-9]+(?=[0-9])", "_", name.lower())
    return re.sub("[^a-z0-9_]|(?<![0-9])_|_(?![0-9])", "", parted)


def known(name: str) -> Architecture | None:
    """The architecture of that name, or None."""
    return _by_key().get(key(name)) if len(name) <= MAX_NAME else None


def find(name: str) -> Architecture:
    """The architecture of that name, case and punctuation aside. Raises UsageError with near misses."""
    found = known(name)
    if found is not None:
        return found
    close = nearest_names(key(name[:MAX_NAME]), _by_key())
    hint = suggested([_by_key()[k].name for k in close])
    raise UsageError(f"no published architecture is called {printable(name, 60)!r}{hint}")


class Near(msgspec.Struct, frozen=True):
    """An architecture and how far a model is from it: `distance` is the Euclidean distance of (ln params, ln macs), in
    those figures that both have; 0.01 is about one percent."""

    architecture: Architecture
    distance: float


def nearest(params: int | None, macs: int | None, n: int = 3) -> tuple[Near, ...]:
    """The `n` published architectures closest in size, closest first.

    A figure that is None is not compared; where `macs` is given, architectures without published MACs are left out.
    """
    found = []
    for a in architectures():
        own_params, own_macs = a.published_params, a.published_macs
        by_params = _ratio(params, own_params)
        by_macs = _ratio(macs, own_macs)
        if (params and by_params is None) or (macs and by_macs is None) or (by_params is None and by_macs is None):
            continue
        distance = sum(log(ratio) ** 2 for ratio in (by_params, by_macs) if ratio is not None) ** 0.5
        found.append(Near(a, distance))
    return tuple(sorted(found, key=lambda near: (near.distance, near.architecture.name))[: max(n, 0)])


def _ratio(own: int | None, published: Figure | None) -> float | None:
    return own / published.value if own and published and published.value else None
