"""Running models: ONNX Runtime in a process of its own, under limits; what passes through the tensors of a model."""

from __future__ import annotations

from effaudit.run.calibrate import TensorRange, ranges
from effaudit.run.compare import Deviation, deviations
from effaudit.run.execute import execute
from effaudit.run.inputs import from_folder, random_inputs
from effaudit.run.process import Limits

__all__ = ["Deviation", "Limits", "TensorRange", "deviations", "execute", "from_folder", "random_inputs", "ranges"]
