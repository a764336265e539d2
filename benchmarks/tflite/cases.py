"""`python -m benchmarks.tflite.cases FOLDER`: draws the networks and pickles them as FOLDER/cases.

A process of its own, since it needs onnx, numpy and onnxruntime.
"""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from benchmarks.tflite.exchange import Case, Request
from benchmarks.tflite.network import FLOAT32, Network, Tensor
from benchmarks.tflite.qdq import from_qdq
from benchmarks.tflite.random_nets import random_net

SAMPLES = Path(__file__).resolve().parents[2] / "sample_models"
NAMES = ("ad", "kws", "ic", "vww")
# With the last ten, a planner that breaks the ties of equal sizes the other way gets another arena.
SEEDS = (*range(10), 11, 21, 40, 43, 44, 53, 57, 89, 92, 96)


def cases(folder: Path) -> list[Case]:
    found = []
    for name in NAMES:
        options = ("--dim", "batch=1") if name == "ad" else ()
        quantized = from_qdq(onnx.load(SAMPLES / f"{name}-int8.onnx"), f"{name}-int8")
        feed, expected = _fed(quantized, SAMPLES / f"{name}-int8.onnx")
        request = Request(quantized, feed, least=True)
        found.append(Case(f"{name}-int8", (f"{SAMPLES / name}-int8.onnx", *options), request, expected))
        floating = Request(_as_float(quantized, name))
        found.append(Case(name, (f"{SAMPLES / name}.onnx", *options), floating))
    for seed in SEEDS:
        path = folder / f"random-{seed}.onnx"
        model = random_net(seed)
        onnx.save(model, path)
        found.append(Case(path.stem, (str(path),), Request(from_qdq(model, path.stem))))
    return found


def _fed(network: Network, path: Path) -> tuple[bytes, tuple[float, ...]]:
    """Noise, and what ONNX Runtime makes of it."""
    (name,) = network.inputs
    tensor = network.tensor(name)
    codes = np.random.RandomState(0).randint(-128, 128, tensor.shape).astype(np.int8)
    values = (codes.astype(np.float32) - tensor.zero) * np.float32(tensor.scales[0])
    nchw = np.moveaxis(values, -1, 1) if values.ndim == 4 else values
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (output, *_) = session.run(None, {name: np.ascontiguousarray(nchw)})
    return codes.tobytes(), tuple(float(v) for v in output.ravel())


def _as_float(network: Network, name: str) -> Network:
    """The same network with float32 in place of every quantized tensor, its weights zeros."""
    return replace(network, name=name, tensors=tuple(_float(t) if t.scales else t for t in network.tensors))


def _float(tensor: Tensor) -> Tensor:
    plain = replace(tensor, dtype=FLOAT32, scales=(), zero=0, axis=0)
    return plain if tensor.data is None else replace(plain, data=bytes(plain.nbytes))


def main(folder: str) -> None:
    where = Path(folder)
    where.mkdir(parents=True, exist_ok=True)
    (where / "cases").write_bytes(pickle.dumps(cases(where)))


if __name__ == "__main__":
    main(*sys.argv[1:])
