"""Inputs to run a model on: drawn by chance within what the graph accepts, or read from .npz files."""

from __future__ import annotations

from effaudit.run.folder import from_folder
from effaudit.run.one_file import FileInput, from_file
from effaudit.run.random import random_inputs

__all__ = ["FileInput", "from_file", "from_folder", "random_inputs"]
