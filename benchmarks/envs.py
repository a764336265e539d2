"""The peers, each pinned and in a virtual environment of its own, made once and kept under a folder."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import last_line


@dataclass(frozen=True)
class Peer:
    name: str
    version: str
    arguments: tuple[str, ...]  # of the Python of its environment, before the model

    @property
    def label(self) -> str:
        return f"{self.name} {self.version}"


ONNX_TOOL = Peer("onnx-tool", "1.0.1", ("-m", "onnx_tool", "-i"))
ONNXSIM = Peer("onnxsim", "0.8.1", ("-m", "onnxsim.shape_cost"))
TFLITE_MICRO = Peer("tflite-micro", "0.dev20261023182759", ())


class NotInstalled(Exception):
    """The environment cannot be made here, and why."""


def python_of(peer: Peer, envs: Path) -> Path:
    """The interpreter of the peer's environment, installed now if need be."""
    folder = envs / f"{peer.name}-{peer.version}"
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not (python.exists() and _installed(python, peer)):
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", f"{peer.name}=={peer.version}"])
    return python


def versions(python: Path) -> str:
    """The packages that weigh in an environment, by version."""
    code = (
        "import importlib.metadata as m; v = {d.name: d.version for d in m.distributions()};"
        "print(', '.join(f'{n} {v[n]}' for n in ('onnx', 'numpy', 'protobuf') if n in v))"
    )
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _installed(python: Path, peer: Peer) -> bool:
    code = f"import importlib.metadata as m; raise SystemExit(m.version({peer.name!r}) != {peer.version!r})"
    return subprocess.run([str(python), "-c", code], capture_output=True).returncode == 0


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise NotInstalled(f"not installed: {last_line(done.stderr)}")
