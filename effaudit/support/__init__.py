"""Operator support of accelerators: sets of what they take, verdicts per node, and the partitions that follow."""

from __future__ import annotations

from effaudit.support.judge import judging, unsupported
from effaudit.support.partition import Placement, Transfer, partition
from effaudit.support.read import find, folder, names, read
from effaudit.support.types import SupportSet

__all__ = [
    "Placement",
    "SupportSet",
    "Transfer",
    "find",
    "folder",
    "judging",
    "names",
    "partition",
    "read",
    "unsupported",
]
