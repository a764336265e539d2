"""Devices for the documents of these tests: made up, so that no document depends on the numbers of a shipped one."""

from __future__ import annotations

from pathlib import Path

from effaudit.device.find import find
from effaudit.device.types import Device

# A board whose every number is known, with float and int8 kernels.
BOARD = """\
schema: effaudit.device/1
name: acme-board
title: Acme evaluation board
class: mcu
batch: 1
sources: {manual: {title: Acme RM1, url: "https://acme.example/rm1", accessed: "2026-01-31"}}
source: manual
status: vendor
engines:
  - name: core
    kind: simd
    clock_hz: 400e6
    peaks:
      int8: {dense_mac_per_cycle: 2}
      float32: {dense_mac_per_cycle: 1}
memories:
  - name: flash
    kind: flash
    size_bytes: 2097152
    read_bandwidth_byte_per_s: 1e8
    read_energy_pj_per_byte: 12.5
    holds: [weights, code]
  - name: sram
    kind: ram
    regions:
      - {name: sram1, base: 0x20000000, size_bytes: 524288}
      - {name: backup, base: 0x40024000, size_bytes: 4096}
    read_bandwidth_byte_per_s: 4e8
    holds: [activations, stack]
reserved:
  - {memory: sram, size_bytes: 8192, what: stack}
runtimes:
  - {name: tflm, rules: tflm, engine: core, code_bytes: 81920}
performance:
  - engine: core
    dtype: int8
    runtime: tflm
    rates: &rates
      conv: {fraction_of_peak: 0.25}
      depthwise: {fraction_of_peak: 0.1}
      pointwise: {fraction_of_peak: 0.4}
      fully_connected: {fraction_of_peak: 0.3}
      matmul: {fraction_of_peak: 0.3}
      elementwise: {op_per_cycle: 0.5}
      pooling: {op_per_cycle: 0.2}
      softmax: {op_per_cycle: 0.1}
    per_kernel_s: 2e-5
    prediction_error: &error
      median_ratio: {value: 0.12, status: fitted}
      interval_factor: {value: 1.4, status: fitted}
      coverage_ratio: {value: 0.8, status: fitted}
      rows_count: {value: 15, status: fitted}
      dataset: MLPerf Tiny
      date: "2026-01"
  - engine: core
    dtype: float32
    runtime: tflm
    rates: *rates
    per_kernel_s: 2e-5
    prediction_error: *error
energy:
  system_pj_per_mac: {int8: 407}
  active_w: 0.3
battery: {capacity_mah: 220, voltage_v: 3}
"""

# A card with three element types and little between the kernels.
CARD = """\
schema: effaudit.device/1
name: acme-card
title: Acme accelerator card
class: gpu
sources: {sheet: {title: Acme data sheet, url: "https://acme.example/card", accessed: "2026-01-31"}}
source: sheet
status: vendor
engines:
  - name: tensor
    kind: matrix
    peaks:
      float16: {dense_flop_per_s: 312e12}
      int8: {dense_op_per_s: 624e12}
      float32: {dense_flop_per_s: 19.5e12}
memories:
  - name: hbm
    kind: dram
    size_bytes: 85899345920
    read_bandwidth_byte_per_s: 2.0e12
    holds: [weights, activations, kv_cache]
runtimes:
  - {name: ort, rules: ort, engine: tensor}
performance:
  - &half
    engine: tensor
    dtype: float16
    rates:
      conv: {fraction_of_peak: 0.4}
      depthwise: {fraction_of_peak: 0.05}
      pointwise: {fraction_of_peak: 0.4}
      fully_connected: {fraction_of_peak: 0.5}
      matmul: {fraction_of_peak: 0.5}
      attention: {fraction_of_peak: 0.3}
    bandwidth_fraction: 0.8
    per_kernel_s: 2e-6
  - engine: tensor
    dtype: float32
    rates:
      conv: {fraction_of_peak: 0.5}
      depthwise: {fraction_of_peak: 0.1}
      pointwise: {fraction_of_peak: 0.5}
      fully_connected: {fraction_of_peak: 0.6}
      matmul: {fraction_of_peak: 0.6}
    bandwidth_fraction: 0.8
    per_kernel_s: 2e-6
energy: {tdp_w: 400}
"""

# A part that says next to nothing.
SILENT = """\
schema: effaudit.device/1
name: acme-silent
title: A part of which nothing is published
class: npu
sources: {blog: {title: A blog}}
source: blog
status: assumed
engines: [{name: npu, kind: npu}]
memories: [{name: dram, kind: dram, holds: [weights, activations, code]}]
runtimes: [{name: own, rules: as-written, engine: npu}]
"""

TEXTS = {"board": BOARD, "card": CARD, "silent": SILENT}


def write(folder: Path, name: str, text: str | None = None) -> str:
    """The path of the profile of a device of `TEXTS`."""
    file = folder / f"{name}.yaml"
    file.write_text(TEXTS[name] if text is None else text, encoding="utf-8")
    return str(file)


def device(folder: Path, name: str, text: str | None = None) -> Device:
    return find(write(folder, name, text))
