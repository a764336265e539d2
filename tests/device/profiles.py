"""Profiles for tests, and what is changed in them."""

from __future__ import annotations

from pathlib import Path

from effaudit.device.find import locator
from effaudit.device.read import read_device
from effaudit.device.types import Device

BOARD = """\
schema: effaudit.device/1
name: acme-board
title: Acme evaluation board
class: mcu
vendor: Acme
part: ACME1234
aliases: [acme, board-m7]
sources:
  manual: {title: "Acme RM1", url: "https://acme.example/rm1", accessed: "2026-01-31"}
  paper: {title: Measurements}
source: manual
status: vendor
engines:
  - name: core
    kind: simd
    title: Acme Cortex-M7
    cores: 1
    clock_hz: 100e6
    peaks:
      int8: {dense_mac_per_cycle: 2}
      float32: {dense_flop_per_s: 1e8}
memories:
  - {name: flash, kind: flash, size_bytes: 1048576, read_bandwidth_byte_per_s: 1e8, holds: [weights, code]}
  - name: sram
    kind: ram
    regions:
      - {name: dtcm, base: 0x20000000, size_bytes: 65536}
      - {name: sram1, base: 0x20010000, size_bytes: 245760}
      - {name: backup, base: 0x40024000, size_bytes: 4096}
    read_bandwidth_byte_per_s: 4e8
    holds: [activations, stack]
  - {name: l1, kind: cache, size_bytes: 16384}
reserved:
  - {memory: sram, size_bytes: 8192, what: stack}
runtimes:
  - {name: tflm, rules: tflm, engine: core, code_bytes: 81920}
  - {name: im2col, rules: im2col, engine: core}
performance:
  - engine: core
    dtype: int8
    runtime: tflm
    rates:
      conv: {mac_per_cycle: {value: 0.5, low: 0.4, high: 0.6, source: paper, status: measured}}
      softmax: {op_per_cycle: {value: 0.1, source: paper, status: fitted}}
    per_kernel_s: {value: null, note: nobody says}
    prediction_error:
      median_ratio: {value: 0.12, source: paper, status: fitted}
      interval_factor: {value: 1.4, source: paper, status: fitted}
      coverage_ratio: {value: 0.8, source: paper, status: fitted}
      rows_count: {value: 15, source: paper, status: fitted}
      dataset: MLPerf Tiny
      date: "2026-01"
energy:
  system_pj_per_mac: {int8: 407}
  active_w: 0.3
battery: {capacity_mah: 220, voltage_v: 3}
notes: [made up]
"""

GPU = """\
schema: effaudit.device/1
name: acme-gpu
title: Acme GPU
class: gpu
sources: {sheet: {title: Data sheet, url: "https://acme.example/gpu"}}
source: sheet
status: vendor
engines:
  - name: tensor
    kind: matrix
    peaks:
      tfloat32: {dense_flop_per_s: 156e12, sparse_2_4_flop_per_s: 312e12}
      bfloat16: {dense_flop_per_s: 312e12}
      float16: {dense_flop_per_s: 312e12, sparse_2_4_flop_per_s: 624e12}
      int8: {dense_op_per_s: 624e12, sparse_2_4_op_per_s: 1248e12}
memories:
  - name: hbm
    kind: dram
    size_bytes: 85899345920
    read_bandwidth_byte_per_s: 2.039e12
    holds: [weights, activations, kv_cache]
runtimes:
  - {name: ort, rules: ort, engine: tensor}
"""


def changed(text: str, old: str, new: str) -> str:
    """The text with `old`, which is there once, replaced."""
    assert text.count(old) == 1, (text.count(old), old)
    return text.replace(old, new)


def written(folder: Path, text: str, name: str = "acme-board.yaml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def device(folder: Path, text: str, name: str = "acme-board.yaml") -> Device:
    return read_device(written(folder, text, name), locator())
