"""`effaudit memory --runtime tflm` from file to arena, against what TensorFlow Lite Micro itself took.

The heads are those of `tests/plan/tflm_heads.jsonl`; the networks are drawn again, which needs no interpreter.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx

from benchmarks.tflite.random_nets import random_net

ROOT = Path(__file__).resolve().parents[2]
HEADS = {
    network["name"]: network["head"]
    for network in map(json.loads, (ROOT / "tests/plan/tflm_heads.jsonl").read_text().splitlines())
}


def test_every_arena_is_the_one_that_the_interpreter_took(tmp_path: Path) -> None:
    names = [_model(name, tmp_path) for name in HEADS]
    command = [sys.executable, "-m", "effaudit", "memory", *names, "--runtime", "tflm", "--dim", "batch=1", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    models = json.loads(done.stdout)["models"]
    assert dict(zip(HEADS, (m["memory"]["arena_bytes"] for m in models), strict=True)) == HEADS


def _model(name: str, folder: Path) -> str:
    kind, _, seed = name.partition("-")
    if kind != "random":
        return f"sample:{name}"
    path = folder / f"{name}.onnx"
    onnx.save(random_net(int(seed)), path)
    return str(path)
