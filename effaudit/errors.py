"""The exception tree.

EffauditError                 one line for a person; exit code 2 unless a subclass says otherwise
├── LoadError                 a file that cannot be read as a model
├── UsageError                an option or argument that makes no sense
│   └── UnknownName           a dim or input that the model does not have
├── LimitError                a documented bound was passed (nodes, nesting, skeleton size)
└── RunError                  a model that does not run: refused, crashed, too slow, too large
Undecided                     not an error: a comparison of symbolic dims that their ranges do not settle
"""

from __future__ import annotations


class EffauditError(Exception):
    """Base of every error meant for a person; `str()` is one line."""

    exit_code = 2


class LoadError(EffauditError):
    """The file cannot be read as an ONNX model."""


class UsageError(EffauditError):
    """An option or argument is wrong."""


class UnknownName(UsageError):
    """A model has no dim or input of this name; among several models another may have it."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


class LimitError(EffauditError):
    """A documented bound was passed."""


class RunError(EffauditError):
    """A model did not run: ONNX Runtime is missing, refused it, crashed, or passed a limit."""


class Undecided(Exception):
    """A question about symbolic dims that their known ranges do not answer."""
