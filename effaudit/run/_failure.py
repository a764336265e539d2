"""Why the process that runs a model ends without a result."""

from __future__ import annotations


class Failure(Exception):
    """Why the job ends; `kind` is "missing", "memory", "refused", "output" or "provider"."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
