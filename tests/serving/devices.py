"""Profiles of GPUs for the tests, as small as they can be."""

from __future__ import annotations

from pathlib import Path

from effaudit.device.read import read_device
from effaudit.device.types import Device

# https://glennklockwood.com/garden/processors/A100 (cites the datasheet): 80 GB, 2,039 GB/s, fp16 312 TFLOP/s dense,
# fp32 19.5 TFLOP/s. https://github.com/hahnyuan/LLM-Viewer/blob/main/hardwares/hardware_params.py: V100 PCIe, 900 GB/s,
# fp16 112 TFLOP/s; of its memory, 16 GB: https://www.xenon.com.au/nvidia-tesla-volta-worlds-advanced-data-center-gpu/
FIGURES = {
    "a100": {"size": 80 * 10**9, "bandwidth": 2039 * 10**9, "float16": 312 * 10**12, "float32": 195 * 10**11},
    "v100": {"size": 16 * 10**9, "bandwidth": 900 * 10**9, "float16": 112 * 10**12},
}
PROFILE = """
schema: effaudit.device/1
name: nvidia-{name}
title: {name}
class: gpu
status: vendor
source: tests
sources: {{tests: {{title: tests}}}}
engines:
  - name: cuda
    kind: gpu
    peaks: {{{peaks}}}
memories:
  - name: hbm
    kind: dram
    {figures}
    holds: [weights, activations, kv_cache]
{second}
runtimes:
  - {{name: ideal, rules: {rules}, engine: cuda, {state}}}
{more}
"""


def device(
    folder: Path,
    name: str = "a100",
    *,
    rules: str = "ideal",
    state: str = "state_bytes: 0",
    second: str = "",
    more: str = "",
    **changes: int | str | None,
) -> Device:
    """The profile of a GPU with a `second` memory, what its runtime keeps (`state`) and `more` sections; `changes`
    replace its size, bandwidth or a peak, and leave out what is None."""
    figures = {key: value for key, value in {**FIGURES[name], **changes}.items() if value is not None}
    peaks = ", ".join(f"{k}: {{dense_flop_per_s: {v}}}" for k, v in figures.items() if k not in ("size", "bandwidth"))
    keys = {"size": "size_bytes", "bandwidth": "read_bandwidth_byte_per_s"}
    stated = "\n    ".join(f"{keys[k]}: {v}" for k, v in figures.items() if k in keys)
    path = folder / f"{name}.yaml"
    path.write_text(
        PROFILE.format(name=name, peaks=peaks, figures=stated, rules=rules, state=state, second=second, more=more)
    )
    return read_device(path, lambda wanted, _: wanted)
