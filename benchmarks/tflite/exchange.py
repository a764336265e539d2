"""What the processes of one run hand each other."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.tflite.network import Network


@dataclass(frozen=True)
class Request:
    """A network to measure: fed with these bytes where there are some; `least`: whether to search for the smallest
    arena, which takes some dozens of runs."""

    network: Network
    feed: bytes = b""
    least: bool = False


@dataclass(frozen=True)
class Case:
    """The same network as an ONNX file (`arguments` for `effaudit memory`) and as a request. `expected` is the first
    output of ONNX Runtime for the same feed, dequantized; empty where nothing is compared."""

    name: str
    arguments: tuple[str, ...]
    request: Request
    expected: tuple[float, ...] = ()


@dataclass(frozen=True)
class Measured:
    """Bytes. `head` holds activations and workspaces, `tail` what stays as long as the model is loaded; `least` is the
    smallest arena in which the interpreter comes up and runs, 0 where it was not searched. `output` is the first
    output, raw, where something was fed. `failure` says why there are no figures."""

    file: int = 0
    head: int = 0
    tail: int = 0
    least: int = 0
    output: bytes = b""
    failure: str = ""
