"""Device profiles for tests: small, round numbers, written as a user writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from effaudit.device.read import read_device
from effaudit.device.types import Device

KIB, MIB = 1024, 1024**2
SOURCE = {"test": {"title": "numbers made for a test"}}


def document(name: str = "test-device", **parts: Any) -> dict[str, Any]:
    """A profile of one engine and one memory that holds everything, with what is given in place of its parts."""
    whole: dict[str, Any] = {
        "schema": "effaudit.device/1",
        "name": name,
        "title": "a device for tests",
        "class": "mcu",
        "sources": SOURCE,
        "source": "test",
        "status": "measured",
        "engines": [{"name": "cpu", "kind": "scalar"}],
        "memories": [{"name": "ram", "kind": "ram", "size_bytes": MIB, "holds": ["weights", "activations", "code"]}],
        "runtimes": [{"name": "bare", "rules": "ideal", "engine": "cpu", "code_bytes": 0, "state_bytes": 0}],
    }
    return {**whole, **parts}


def board(
    flash: int, sram: int, *, code: int = 0, state: int = 0, rules: str = "ideal", **parts: Any
) -> dict[str, Any]:
    """A microcontroller: weights and code in flash, activations in SRAM."""
    memories = [
        {"name": "sram", "kind": "ram", "size_bytes": sram, "holds": ["activations"]},
        {"name": "flash", "kind": "flash", "size_bytes": flash, "holds": ["weights", "code"]},
    ]
    runtime = {"name": "bare", "rules": rules, "engine": "cpu", "code_bytes": code, "state_bytes": state}
    return document(memories=memories, runtimes=[runtime], **parts)


def accelerator(
    peak: float, bandwidth: float, *, dtype: str = "float16", size: int = 80 * 10**9, **parts: Any
) -> dict[str, Any]:
    """One engine with one dense peak (FLOP/s) on one memory (bytes/s)."""
    key = "dense_flop_per_s" if "float" in dtype else "dense_op_per_s"
    engine = {"name": "gpu", "kind": "gpu", "peaks": {dtype: {key: peak}}}
    memory = {
        "name": "dram",
        "kind": "dram",
        "size_bytes": size,
        "read_bandwidth_byte_per_s": bandwidth,
        "holds": ["weights", "activations", "kv_cache", "code"],
    }
    runtime = {"name": "bare", "rules": "ideal", "engine": "gpu", "code_bytes": 0, "state_bytes": 0}
    made = document(engines=[engine], memories=[memory], runtimes=[runtime])
    return {**made, "class": "gpu", **parts}


def written(folder: Path, whole: Mapping[str, Any]) -> Path:
    """The profile as a file: JSON is YAML."""
    path = folder / f"{whole['name']}.yaml"
    path.write_text(json.dumps(whole), encoding="utf-8")
    return path


def device(folder: Path, whole: Mapping[str, Any]) -> Device:
    """The profile, read back."""
    return read_device(written(folder, whole), lambda name, _: str(folder / f"{name}.yaml"))
