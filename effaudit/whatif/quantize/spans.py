"""The ranges of activations: measured on calibration inputs that ONNX Runtime really runs, and clipped as a rule says.

Inputs are the user's (a folder of .npz files), or random: then whatever comes of them says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.graph import Node
from effaudit.whatif.constants import missing
from effaudit.whatif.quantize.coding import Span
from effaudit.whatif.quantize.grid import decode, encode, grid, scales
from effaudit.whatif.quantize.marks import Floats
from effaudit.whatif.quantize.types import RANDOM, Arguments, Rule

if TYPE_CHECKING:
    import numpy as np

    from effaudit.run import TensorRange

INPUTS: Final = 8  # drawn where calibration is random
UNCALIBRATED: Final = "no calibration data: add calibrate=DIR or calibrate=random"
MARKED: Final = "marked random: ranges come from random inputs"
_SHARES: Final = tuple(i / 40 for i in range(40, 0, -1))  # of the range, which `mse` tries


class Calibration(msgspec.Struct, frozen=True):
    """The range of each tensor over the `inputs`, and where these come from: "16 inputs of DIR", "random inputs", ""
    (nowhere)."""

    spans: Mapping[str, Span]
    source: str
    inputs: Iterable[Mapping[str, np.ndarray]] = ()


def calibrated(audited: Audited, arguments: Arguments, tensors: Mapping[str, Rule]) -> Calibration:
    """The ranges of tensors of the model, each clipped by its rule. Without calibration inputs they are not known.

    Raises UsageError where the inputs cannot be had or the model holds no weights, RunError where it does not run.
    """
    if not arguments.calibrate:
        return Calibration(dict.fromkeys(tensors, UNCALIBRATED), "")
    from effaudit.run import ranges
    from effaudit.run.calibrate import BINS

    inputs, source = feeds(audited, arguments.calibrate, arguments.seed)
    bins = BINS if any(rule.clip != "minmax" for rule in tensors.values()) else 0
    found = ranges(audited.raw, inputs, tuple(tensors), bins=bins)
    return Calibration({name: _clipped(found[name], rule) for name, rule in tensors.items()}, source, inputs)


def feeds(
    audited: Audited, calibrate: str, seed: int = 0, option: str = "--quantize"
) -> tuple[Iterable[Mapping[str, np.ndarray]], str]:
    """The calibration inputs, and what to call them; `option` is what asks for them. Raises UsageError."""
    whole(audited, f"{option} calibrate={calibrate}")
    from effaudit.run import from_folder, random_inputs

    if calibrate == RANDOM:
        return random_inputs(audited.graph, INPUTS, seed), "random inputs"
    folder = from_folder(calibrate, audited.symbolic)
    return folder, f"{len(folder)} input{'s' * (len(folder) != 1)} of {calibrate}"


def whole(audited: Audited, what: str) -> None:
    """Raises UsageError for a model that cannot run, as its weights are missing."""
    for tensor in audited.weights.tensors:
        if why := missing(tensor.constant):
            raise UsageError(
                f"{audited.name}: {what} runs the model, and it holds structure only: {tensor.constant.name!r} has no "
                f"elements ({why}); sizes need no ranges, so leave it out, or give the model with its weights"
            )


def settled(
    nodes: Sequence[Node],
    floats: Floats,
    rules: Sequence[Rule],
    spans: Mapping[str, Span],
    softmax: tuple[float, float],
) -> dict[str, Span]:
    """The ranges as onnxruntime adjusts them: what only a Relu or Clip reads has the range of its result, so that the
    clipping costs nothing; the result of a Softmax has a fixed one."""
    found = dict(spans)
    for node, rule in zip(nodes, rules, strict=True):
        if not rule.static or node.domain:
            continue
        if node.op in ("Relu", "Clip") and floats.only_read_once(node.inputs[0]):
            source, result = node.inputs[0], node.outputs[0]
            if source in found and result in found:
                found[source] = found[result]
        elif node.op == "Softmax" and node.outputs[0] in found:
            found[node.outputs[0]] = softmax
    return found


def _clipped(seen: TensorRange, rule: Rule) -> tuple[float, float]:
    """The range that is kept of what was seen."""
    if seen.maximum <= seen.minimum:  # one number: its histogram has bins that it does not reach
        return seen.minimum, seen.maximum
    if rule.clip == "percentile":
        return _percentile(seen, rule)
    if rule.clip == "mse":
        return _least_squares(seen, rule)
    return seen.minimum, seen.maximum


def _middles(seen: TensorRange) -> tuple[np.ndarray, np.ndarray]:
    """The middle of each bin, and the elements in it."""
    edges, counts = seen.edges, seen.counts
    assert edges is not None and counts is not None
    return (edges[:-1] + edges[1:]) / 2, counts


def _percentile(seen: TensorRange, rule: Rule) -> tuple[float, float]:
    """The range with that share of the elements inside: either side the same share outside, or in absolute value."""
    import numpy as np

    middles, counts = _middles(seen)
    if rule.symmetric_activations:
        order = np.argsort(np.abs(middles), kind="stable")
        inside = np.cumsum(counts[order]) / counts.sum() * 100
        most = float(np.abs(middles[order][int(np.searchsorted(inside, rule.percentile - 1e-9))]))
        return -most, most
    assert seen.edges is not None
    inside = np.cumsum(counts) / counts.sum() * 100
    out = (100 - rule.percentile) / 2
    low = int(np.searchsorted(inside, out, side="right"))
    high = int(np.searchsorted(inside, 100 - out - 1e-9))
    return float(seen.edges[low]), float(seen.edges[high + 1])


def _least_squares(seen: TensorRange, rule: Rule) -> tuple[float, float]:
    """The share of the range whose rounded elements have the least squared error, as the histogram tells it."""
    import numpy as np

    middles, counts = _middles(seen)
    to = grid(rule.activations, symmetric=rule.symmetric_activations)
    shares = np.array(_SHARES, np.float32)
    low, high = min(seen.minimum, 0.0) * shares, max(seen.maximum, 0.0) * shares
    scale, zero = scales(low, high, to, symmetric=rule.symmetric_activations)
    rows = np.broadcast_to(middles.astype(np.float32), (len(shares), len(middles)))
    lost = np.square(rows.astype(np.float64) - decode(encode(rows, scale, zero, to), scale, zero, to)) @ counts
    best = int(np.argmin(lost))
    return float(low[best]), float(high[best])
