"""Inputs to run a model on: drawn by chance within what the graph accepts, or read from a folder of .npz files."""

from __future__ import annotations

from effaudit.run.folder import from_folder
from effaudit.run.random import random_inputs

__all__ = ["from_folder", "random_inputs"]
