"""Published measurements: `measured_latency.csv`, one a line, with runtime, version, element type and unit put right.

The columns: device, device_class, processor, clock_mhz, accelerator, runtime, model, macs, precision, batch, metric,
value, unit, statistic, energy_uj_per_inf, effective_mac_per_s, suite, submitter, division, source, note. `source` is
the page or file that says the number.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

ROWS: Final = Path(__file__).resolve().parents[3] / "shared" / "reference" / "measured_latency.csv"

# What a runtime is called in the file -> its name here; the first that is found counts. Where the pattern has a group,
# that is the version.
_V: Final = r"v?(\d[\d.]*)"
_RUNTIMES: Final[tuple[tuple[str, str], ...]] = (
    (rf"x-cube-ai\s*{_V}", "x-cube-ai"),
    (r"x-cube-ai", "x-cube-ai"),
    (r"st-?edge-?ai", "st-edge-ai"),
    (rf"hale\)?(?:\s*version)?\s*{_V}", "hale"),
    (r"hale|hardware-aware lowering", "hale"),
    (rf"plumerai[a-z\s]*{_V}", "plumerai"),
    (r"plumerai", "plumerai"),
    (rf"microtvm\s*{_V}", "microtvm"),
    (r"microtvm", "microtvm"),
    (r"tinyengine(?:\s*@(\w+))?", "tinyengine"),
    (r"onnc", "onnc"),
    (r"csi-nn", "csi-nn2"),
    (r"without esp-nn", "tflm"),
    (r"esp-nn", "esp-nn"),
    (r"cmsis-?nn(?:\s*@(\w+))?", "cmsis-nn"),
    (rf"(?:tensorflow lite for microcontrollers|tflite-micro|tflm)\s*{_V}", "tflm"),
    (
        r"(?:tensorflow lite for microcontrollers|tf-?lite[ -]micro|tflm).*?(?:@|commit_id:|/tree/)([0-9a-f]{7})",
        "tflm",
    ),
    (r"tensorflow lite for microcontrollers|tf-?lite[ -]micro|tflm", "tflm"),
    (rf"tensorrt-{_V}", "tensorrt"),
    (r"tensorrt|_trt\b|_trt_", "tensorrt"),
    (rf"armnn-{_V}-neon", "armnn-neon"),
    (rf"armnn-{_V}-opencl", "armnn-opencl"),
    (rf"tflite-{_V}-ruy", "tflite-ruy"),
    (rf"onnxruntime-{_V}", "onnxruntime"),
    (r"openvino", "openvino"),
    (r"pytorch", "pytorch"),
    (r"tvm", "tvm"),
    (rf"openvx.*?{_V}$", "openvx"),
    (r"ai hub tflite", "ai-hub-tflite"),
    (r"ai hub onnx", "ai-hub-onnx"),
    (r"ai hub qnn", "ai-hub-qnn"),
    (r"qualcomm ai stack", "qualcomm-ai-stack"),
    (r"hls4ml", "hls4ml"),
    (r"fpgaconvnet", "fpgaconvnet"),
)
_COMPILED: Final = tuple((re.compile(pattern), name) for pattern, name in _RUNTIMES)
_DTYPES: Final[Mapping[str, str]] = {
    "int8": "int8",
    "int8 per-tensor": "int8",
    "int8 per-channel": "int8",
    "w8a8": "int8",
    "fp32": "float32",
    "fp16": "float16",
    "fp16 (float model)": "float16",
}
UNSTATED: Final = "unstated"


class Row(msgspec.Struct, frozen=True):
    """One measurement.

    `line` is that of the file. `board` tells boards apart however the file spells them; `device` is as written.
    `runtime` and `version` ("" where it is not stated) as profiles name them; `wrote` is what the file says. `dtype`
    is an ONNX element type or "unstated"; `precision` as written. `network` names it in `benchmarks.zoo`. `seconds` of
    one inference; of a throughput its inverse, `metric` says which. `macs` as the file says, often a round number.
    `drops_channels`: the note says that this runtime probably removes the network's dead channels.
    """

    line: int
    device: str
    board: str
    kind: str
    processor: str
    clock_hz: float | None
    accelerator: str
    runtime: str
    version: str
    wrote: str
    network: str
    macs: int | None
    dtype: str
    precision: str
    batch: int | None
    metric: str
    seconds: float
    statistic: str
    suite: str
    submitter: str
    division: str
    source: str
    note: str

    @property
    def drops_channels(self) -> bool:
        return "this runtime removes them" in self.note


def read(path: str | os.PathLike[str] = ROWS) -> tuple[Row, ...]:
    """Every measurement of the file, in its order. Raises ValueError, `FILE:LINE: what was expected`."""
    with open(path, encoding="utf-8", newline="") as file:
        lines = csv.DictReader(file)
        found = []
        for fields in lines:
            try:
                found.append(row(fields, lines.line_num))
            except (KeyError, ValueError, TypeError, ZeroDivisionError) as error:
                raise ValueError(f"{path}:{lines.line_num}: {error!r}; see the columns in {__name__}") from None
        return tuple(found)


def row(fields: Mapping[str, str], line: int = 0) -> Row:
    """A measurement from the columns of its line. Raises KeyError of a missing column, ValueError of a value."""
    name, version = runtime_of(fields["runtime"], fields["accelerator"], fields["source"])
    return Row(
        line=line,
        device=fields["device"],
        board=_key(fields["device"]),
        kind=fields["device_class"],
        processor=fields["processor"],
        clock_hz=float(fields["clock_mhz"]) * 1e6 if fields["clock_mhz"] else None,
        accelerator=fields["accelerator"],
        runtime=name,
        version=version,
        wrote=fields["runtime"],
        network=fields["model"],
        macs=int(float(fields["macs"])) if fields["macs"] else None,
        dtype=_DTYPES.get(fields["precision"], UNSTATED),
        precision=fields["precision"],
        batch=int(fields["batch"]) if fields["batch"].isdigit() else None,
        metric=fields["metric"],
        seconds=_seconds(fields["metric"], float(fields["value"]), fields["unit"]),
        statistic=fields["statistic"],
        suite=fields["suite"],
        submitter=fields["submitter"],
        division=fields["division"],
        source=fields["source"],
        note=fields["note"],
    )


def runtime_of(wrote: str, accelerator: str = "", source: str = "") -> tuple[str, str]:
    """(name, version) of a runtime as the file writes it; version "" where none is stated. ("unstated", "") where it
    names no runtime, but a board or nothing."""
    text = wrote.lower()
    if "edge tpu runtime" in text:
        return ("edgetpu" if "edge tpu" in accelerator.lower() else "tflite", "")
    for pattern, name in _COMPILED:
        match = pattern.search(text)
        if match is not None:
            version = (match.group(1) if match.groups() else "") or ""
            return _variant(name, text, accelerator, source), _trimmed(version) + _option(name, text, source)
    return UNSTATED, ""


def _variant(name: str, text: str, accelerator: str, source: str) -> str:
    """One name for several kernels: microTVM generates its own or calls CMSIS-NN's, which only the path says; MLPerf
    Tiny's reference is TFLM with CMSIS-NN since https://github.com/mlcommons/tiny/pull/34 and /85, before v0.5; an
    accelerator has kernels of its own."""
    if name == "microtvm" and re.search(r"cmsis.?nn", (text + source).lower()):
        return "microtvm-cmsis-nn"
    if name == "tflm" and (re.search(r"cmsis.?nn", text) or "closed/reference/" in source):
        return "cmsis-nn"
    if name == "tflm" and "mvp" in accelerator.lower():
        return "tflm-mvp"
    return name


def _option(name: str, text: str, source: str) -> str:
    """What a runtime was told to optimize for, where that is said: HALE's rows only say it in the path."""
    if name == "hale" and "max_performance" in source:
        return "-max-performance"
    return "-balanced" if name == "x-cube-ai" and "balanced" in text else ""


def _trimmed(version: str) -> str:
    """7.3.0 is 7.3, 1.0.175 and 9.0 stay."""
    parts = version.strip(".").split(".")
    if len(parts) == 3 and parts[2] == "0":
        parts.pop()
    return ".".join(parts)


def _key(device: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")


def _seconds(metric: str, value: float, unit: str) -> float:
    per_unit = {"ms": 1e-3, "us": 1e-6, "s": 1.0}
    if metric == "latency" and unit in per_unit:
        return value * per_unit[unit]
    if metric == "throughput" and unit.endswith("/s"):
        return 1.0 / value
    raise ValueError(f"metric {metric!r} in {unit!r}: expected a latency in s, ms or us, or a throughput per s")
