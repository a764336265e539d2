"""The small networks of a calibration."""

from __future__ import annotations

from effaudit.calibrate.net import Net
from effaudit.calibrate.nets import convolutional, dense, held_out, plain, quantized


def fitted() -> list[Net]:
    """Networks that costs are fitted to."""
    return [net for family in (convolutional, dense, plain, quantized) for net in family.nets()]


def unseen() -> list[Net]:
    """Networks that estimates are held against."""
    return list(held_out.nets())
