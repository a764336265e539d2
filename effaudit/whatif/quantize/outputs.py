"""What a quantization does to the outputs, really run on the calibration inputs: the weights alone do not tell what the
activations lose."""

from __future__ import annotations

from math import isfinite

from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.graph import Constant, Graph
from effaudit.whatif.constants import missing
from effaudit.whatif.quantize.grid import decibels
from effaudit.whatif.quantize.spans import Calibration
from effaudit.whatif.types import Change


def reached(audited: Audited, change: Change, known: Calibration) -> Change:
    """The change with the noise of the outputs over their signal as its loss; with the loss it has where the changed
    model cannot be saved, and so not run. Raises RunError, UsageError where the model itself does not run."""
    from effaudit.run import deviations

    if _is_open(change.graph):
        return change
    (found,) = deviations(audited.raw, [change.graph], known.inputs)
    if found.refused:
        note = f"the quantized model did not run, so what its outputs lose is not known: {found.refused}"
        return replace(change, loss=None, notes=(*change.notes, note))
    share = found.relative
    if share == 0:
        said = "no noise"
    elif isfinite(share) and (level := decibels(share)) is not None:
        said = f"{level:.1f} dB of signal to noise"
    else:
        said = "nothing but noise"
    note = f"outputs: {said} on {known.source}, against the model before the step"
    return replace(change, loss=min(share, 1.0), notes=(*change.notes, note))


def _is_open(graph: Graph) -> bool:
    """True where elements are missing: a type that ONNX lacks, ranges that are not known."""
    held = (node.attrs.get("value") for node in graph.nodes if node.op == "Constant" and not node.domain)
    return any(isinstance(one, Constant) and missing(one) for one in (*graph.constants.values(), *held))
