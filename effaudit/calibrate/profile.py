"""A calibration -> a device profile: an ordinary one, whose numbers are all measured here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

from effaudit.calibrate.error import Error, error_of
from effaudit.calibrate.fit import Fitted
from effaudit.calibrate.host import Calibration, Measured, with_threads
from effaudit.calibrate.speeds import Speed, activation_byte_per_s, peak_mac_per_s, rates, weight_byte_per_s
from effaudit.device.facts import stated
from effaudit.device.types import SCHEMA, Device, DeviceRuntime
from effaudit.device.validate import problems
from effaudit.strict_yaml import convert

SOURCE: Final = "calibration"
_PEAKS: Final = {"float32": "dense_flop_per_s", "int8": "dense_op_per_s"}
_AS: Final = {"uint8": "int8"}  # whose kernels they are
_FLOPS_PER_MAC: Final = 2
_STOLEN: Final = 0.001  # of the time: less is as good as none
OFF: Final = 1.4  # a factor that estimates of a calm machine stay within
_BUSY: Final = 0.2  # processors that others may keep busy before a calibration is doubted


def document(found: Calibration, name: str, today: date) -> dict[str, Any]:
    """The profile as YAML is read: numbers plain, their source and status stated once."""
    made = _document(found, name, today, {})
    device = _device(made)
    errors = {
        one.threads: error
        for one in found.measured
        if (error := error_of(one.held_out, device, runtime_of(device, one.threads))) is not None
    }
    return _document(found, name, today, errors)


def runtime_of(device: Device, threads: int) -> DeviceRuntime:
    """The runtime of a profile that was measured with so many threads. Raises KeyError."""
    for runtime in device.runtimes:
        if runtime.threads == threads:
            return runtime
    raise KeyError(threads)


def _device(document: dict[str, Any]) -> Device:
    device = convert(stated(document), Device, SOURCE)
    wrong = problems(device)
    assert not wrong, wrong[0]
    return device


def _document(found: Calibration, name: str, today: date, errors: Mapping[int, Error]) -> dict[str, Any]:
    facts = found.facts
    processor = facts.processor or f"a processor ({facts.architecture})"
    return {
        "schema": SCHEMA,
        "name": name,
        "title": f"{processor}, as measured",
        "class": "cpu",
        "part": processor,
        "sources": {
            SOURCE: {
                "title": f"effaudit devices calibrate, ONNX Runtime {found.version}, {facts.system}",
                "accessed": today.isoformat(),
            }
        },
        "source": SOURCE,
        "status": "measured",
        "engines": [_engine(one, facts.isa) for one in found.measured],
        "memories": list(_memories(found)),
        "runtimes": [_runtime(one, found) for one in found.measured],
        "performance": [entry for one in found.measured for entry in _performance(one, errors.get(one.threads), today)],
        "notes": [*_notes(found), *_off(errors)],
    }


def _engine(one: Measured, isa: Sequence[str]) -> dict[str, Any]:
    peaks = {}
    for dtype, key in _PEAKS.items():
        fastest = [peak_mac_per_s(one.nets, own) for own in (dtype, *(a for a, b in _AS.items() if b == dtype))]
        best = max((speed for speed in fastest if speed), default=None)
        if best is not None:
            note = "multiplied and added by the third fastest kernel that was measured"
            peaks[dtype] = {key: {"value": _short(_FLOPS_PER_MAC * best), "note": note}}
    return {
        "name": _engine_name(one.threads),
        "kind": "simd",
        "isa": " ".join(isa),
        "cores": one.threads,
        "peaks": peaks,
    }


def _memories(found: Calibration) -> Iterator[dict[str, Any]]:
    first, facts = found.measured[0], found.facts
    caches = with_threads(first.caches, first.threads)
    dram: dict[str, Any] = {"name": "dram", "kind": "dram"}
    if facts.memory_bytes is not None:
        dram["size_bytes"] = facts.memory_bytes
    speed = weight_byte_per_s(first.nets, caches) or activation_byte_per_s(first.nets, caches, far=True)
    if speed is not None:
        dram["read_bandwidth_byte_per_s"] = {**_range(speed), "note": "of weights that one kernel reads once"}
    dram["holds"] = ["weights", "activations", "kv_cache", "code"]
    yield dram
    yield {"name": "l2", "kind": "cache", "size_bytes": _size(first.caches.near_bytes, facts.caches.get("L2"))}
    last: dict[str, Any] = {"name": "l3", "kind": "cache"}
    last["size_bytes"] = _size(first.caches.far_bytes, facts.caches.get("L3"))
    speed = activation_byte_per_s(first.nets, caches, far=False)
    if speed is not None:
        last["read_bandwidth_byte_per_s"] = {
            **_range(speed),
            "note": "of tensors that elementwise kernels read and write",
        }
    yield last


def _size(bytes_: float, stated_bytes: int | None) -> dict[str, Any]:
    of = "of which the system states nothing" if stated_bytes is None else f"of the {stated_bytes:,} that there are"
    return {"value": int(bytes_), "note": f"what tensors have, {of}"}


def _runtime(one: Measured, found: Calibration) -> dict[str, Any]:
    threads = f"{one.threads} thread{'s' * (one.threads > 1)}"
    made: dict[str, Any] = {
        "name": runtime_name(one.threads),
        "title": f"ONNX Runtime {found.version}, {threads}",
        "rules": "ort",
        "engine": _engine_name(one.threads),
        "threads": one.threads,
    }
    if found.rss_bytes is not None:
        note = "of the whole process that ran the smallest networks: Python, NumPy and the library with it"
        made |= {"code_bytes": {"value": 0, "note": "counted in state_bytes"}}
        made |= {"state_bytes": {"value": found.rss_bytes, "note": note}}
    return made


def runtime_name(threads: int) -> str:
    """The name of the runtime with so many threads."""
    return f"onnxruntime-{threads}"


def _engine_name(threads: int) -> str:
    return f"cpu-{threads}"


def _performance(one: Measured, error: Error | None, today: date) -> Iterator[dict[str, Any]]:
    for dtype in sorted({dtype for dtype, _ in one.fitted.costs}, key=lambda name: (name not in _PEAKS, name)):
        entry: dict[str, Any] = {
            "engine": _engine_name(one.threads),
            "dtype": dtype,
            "runtime": runtime_name(one.threads),
            "rates": {op_class: {unit: _range(speed)} for op_class, (unit, speed) in rates(one.nets, dtype).items()},
            "costs": list(_costs(one.fitted, dtype)),
            "per_inference_s": _short(one.fitted.per_inference_s),
            "per_kernel_s": _short(one.fitted.per_kernel_s),
        }
        if error is not None:
            entry["prediction_error"] = {
                "median_ratio": _short(error.median_ratio),
                "interval_factor": _short(error.interval),
                "coverage_ratio": _short(error.covered),
                "rows_count": error.count,
                "dataset": "networks of the calibration that no cost was fitted to",
                "date": today.isoformat(),
            }
        yield entry


def _costs(fitted: Fitted, dtype: str) -> Iterator[dict[str, Any]]:
    for (own, kind), terms in fitted.costs.items():
        if own == dtype:
            values = {term: _short(value) for term, value in terms.items() if value > 0}
            yield {"kind": kind, **values, "rows_count": fitted.counts[own, kind]}


def _notes(found: Calibration) -> Iterator[str]:
    others = found.usage.others
    if others is not None and others > _BUSY:
        yield f"other programs kept {others:.1f} processors busy meanwhile: calibrate again when the machine is idle"
    if found.usage.stolen is not None and found.usage.stolen > _STOLEN:
        yield f"the hypervisor gave {found.usage.stolen:.1%} of the time to other machines"
    if found.facts.governor not in (None, "performance"):
        yield f"the clock's governor was {found.facts.governor}"


def _off(errors: Mapping[int, Error]) -> Iterator[str]:
    for threads, error in errors.items():
        if error.interval > OFF:
            words = f"{threads} thread{'s' * (threads > 1)}"
            yield (
                f"with {words} networks left out were off by up to x{error.interval:.2g}: "
                f"the machine was disturbed; calibrate again"
            )


def _range(speed: Speed) -> dict[str, Any]:
    return {"value": _short(speed.value), "low": _short(speed.low), "high": _short(speed.high)}


def _short(value: float) -> float:
    """Four digits: no measurement has more."""
    return float(f"{value:.4g}")
