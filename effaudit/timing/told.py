"""Kernels of a profile -> the nodes of the model: who took the time, and what a profile of the host says of it."""

from __future__ import annotations

import msgspec

from effaudit.audited import Audited
from effaudit.device.types import Device
from effaudit.graph import Graph
from effaudit.run.timed_types import Timed
from effaudit.timing.attribute import AttributedTimes, attributed_times
from effaudit.timing.predict import predicted, runtime_with
from effaudit.timing.rated import rated, roofs, with_predictions
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


def told(
    audited: Audited, optimized: Graph | None, timed: Timed, seconds: float, device: Device | None, threads: int
) -> Told:
    """One unprofiled inference of `seconds`, shared out to kernels and nodes as the profile says, beside what the
    profile of the host `device` says of it. Raises UsageError where that was measured with other `threads`."""
    if optimized is None:
        return NOTHING
    found = attributed_times(audited, optimized, timed, seconds)
    if found is None:
        return NOTHING
    ran = timed.profile.kernels if timed.profile is not None else ()
    if device is None:
        return _told(found, rated(found.nodes, audited, {}, found.kernels), found.kernels, None)
    nodes = rated(found.nodes, audited, roofs(optimized, ran, runtime_with(device, threads), device), found.kernels)
    guess = predicted(optimized, device, threads, ran, found.kernels, seconds)
    kernels = tuple(
        msgspec.structs.replace(kernel, predicted_s=own, limiter=limiter)
        for kernel, own, limiter in zip(found.kernels, guess.seconds, guess.limiters, strict=True)
    )
    return _told(found, with_predictions(nodes, kernels), kernels, guess.prediction)


def _told(
    found: AttributedTimes, nodes: tuple[NodeTime, ...], kernels: tuple[KernelTime, ...], prediction: Prediction | None
) -> Told:
    return Told(nodes, kernels, found.attribution, found.unattributed_s, prediction)
