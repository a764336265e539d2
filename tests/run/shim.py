"""An ONNX Runtime that fails where a test wants it to: the real one, but for sessions with the profiler on."""

from __future__ import annotations

from pathlib import Path

import pytest

_SHIM = """
import importlib, os, signal, sys
here = os.path.dirname(os.path.abspath(__file__))
path, sys.path = sys.path, [one for one in sys.path if os.path.abspath(one) != here]
del sys.modules["onnxruntime"]
real = importlib.import_module("onnxruntime")
sys.path = path
created = real.InferenceSession

class InferenceSession:
    def __new__(cls, model, options=None, **more):
        if {when}:
            {what}
        return created(model, options, **more)

real.InferenceSession = InferenceSession
sys.modules["onnxruntime"] = real
"""


def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, when: str = "options.enable_profiling") -> None:
    """Has the process that runs a model find an onnxruntime that does `what` where it makes a session."""
    folder = tmp_path / "shim"
    folder.mkdir()
    (folder / "onnxruntime.py").write_text(_SHIM.format(when=when, what=what))
    monkeypatch.setenv("PYTHONPATH", str(folder))
