"""The file as written: every node runs, every tensor is whole and apart, in the order of the file."""

from __future__ import annotations

from effaudit.runtimes._runtime import Runtime

RUNTIME = Runtime(name="as-written", title="the file as written, no runtime", sources=())
