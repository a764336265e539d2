"""Kernels of a profile -> the nodes of the model: who took the time, and what a profile of the host says of it."""

from __future__ import annotations

import msgspec

from effaudit.audited import Audited
from effaudit.device.types import Device
from effaudit.graph import Graph
from effaudit.run.timed_types import Timed
from effaudit.timing.attribute import attributed_times
from effaudit.timing.rated import rated, roofs
from effaudit.timing.types import Attribution, KernelTime, NodeTime, Prediction


class Told(msgspec.Struct, frozen=True):
    """The time of a run, told apart; empty where there was no profile."""

    nodes: tuple[NodeTime, ...] = ()
    kernels: tuple[KernelTime, ...] = ()
    attribution: Attribution | None = None
    unattributed_s: float | None = None
    prediction: Prediction | None = None
    notes: tuple[str, ...] = ()


NOTHING = Told()


def told(audited: Audited, optimized: Graph | None, timed: Timed, seconds: float, device: Device | None) -> Told:
    """One unprofiled inference of `seconds`, shared out to kernels and nodes as the profile says."""
    if optimized is None:
        return NOTHING
    found = attributed_times(audited, optimized, timed, seconds)
    if found is None:
        return NOTHING
    ran = timed.profile.kernels if timed.profile is not None else ()
    roof = {} if device is None else roofs(optimized, ran, device)
    return Told(
        nodes=rated(found.nodes, audited, roof, found.kernels),
        kernels=found.kernels,
        attribution=found.attribution,
        unattributed_s=found.unattributed_s,
    )
