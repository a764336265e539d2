"""What ONNX Runtime's profiler wrote, summed up kernel by kernel.

The file is an array of events, one to a line, in the order in which they ended; times are whole microseconds, cut off.
https://onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any, Final

import msgspec

from effaudit.run._failure import Failure

_SUFFIX: Final = "_kernel_time"
_CUT: Final = 0.5  # microseconds that a time is longer than its whole ones, on average
MICRO: Final = 1e-6


class Event(msgspec.Struct, gc=False):
    cat: str = ""
    name: str = ""
    ts: int = 0
    dur: int = 0
    args: dict[str, Any] = {}


class Call:
    """A kernel, as it is met: `runs` holds its microseconds in every whole run, `now` those of the run at hand."""

    def __init__(self, name: str, args: Mapping[str, Any]) -> None:
        self.name = name
        self.op = str(args.get("op_name", ""))
        self.provider = str(args.get("provider", ""))
        self.index = _integer(args.get("node_index"))
        self.inputs = _shapes(args.get("input_type_shape"))
        self.outputs = _shapes(args.get("output_type_shape"))
        self.runs: list[float] = []
        self.calls = 0
        self.now = 0.0
        self.times = 0


def read_profile(path: str, *, cpu: bool) -> dict[str, Any]:
    """The profile as the fields of `Profile`. The first run is dropped; `cpu`: whether all ran there, of which alone
    the allocator tells. Raises Failure where no whole run is left, or the file cannot be read."""
    reader = _Reader()
    for event in _events(path):
        reader.take(event)
    if not reader.totals:
        raise Failure("output", "its profile holds no whole run: a run calls more kernels than the profiler takes down")
    kernels = [call for call in reader.calls.values() if call.runs]
    peak, why = max(reader.peaks, default=None), ""
    if not cpu:
        peak, why = None, "ONNX Runtime tells the peak of the CPU's allocator alone"
    elif peak is None:
        why = "this ONNX Runtime does not tell what its allocator was asked for; 1.31 and later do"
    return {
        "runs": len(reader.totals),
        "seconds": median(reader.totals) * MICRO,
        "kernels": [_kernel(call, len(reader.totals)) for call in kernels],
        "peak_bytes": peak,
        "peak_why": why,
    }


def _kernel(call: Call, runs: int) -> dict[str, Any]:
    return {
        "name": call.name,
        "op": call.op,
        "provider": call.provider,
        "seconds": middle_mean([*call.runs, *[0.0] * (runs - len(call.runs))]) * MICRO,
        "calls": call.calls / runs,
        "input_shapes": call.inputs,
        "output_shapes": call.outputs,
        "index": call.index,
    }


def middle_mean(values: list[float]) -> float:
    """The mean of the middle half: as deaf to outliers as a median nearly, but not bound to whole microseconds."""
    ordered = sorted(values)
    cut = len(ordered) // 4
    middle = ordered[cut : len(ordered) - cut]
    return sum(middle) / len(middle)


class _Reader:
    """Takes the events one by one; the kernels of a run count when its end is met."""

    def __init__(self) -> None:
        self.calls: dict[tuple[str, str, int | None, str], Call] = {}
        self.totals: list[int] = []  # microseconds of every whole run but the first
        self.peaks: list[int] = []
        self._first = True
        self._met: list[Call] = []
        self._bodies: list[tuple[int, int]] = []  # the bodies run for it: when each began and ended
        self._pending: list[tuple[int, int]] = []  # kernels whose body's owner has not ended: begin, microseconds
        self._base: int | None = None
        self._peak: int | None = None

    def take(self, event: Event) -> None:
        if event.cat == "Node" and event.name.endswith(_SUFFIX):
            self._kernel(event)
        elif event.cat == "Session" and event.name == "SequentialExecutor::Execute":
            self._bodies.append((event.ts, event.ts + event.dur))
        elif event.cat == "Session" and event.name == "model_run":
            self._end(event)

    def _kernel(self, event: Event) -> None:
        name = event.name.removesuffix(_SUFFIX)
        args = event.args
        key = (name, str(args.get("op_name", "")), _integer(args.get("node_index")), str(args.get("provider", "")))
        call = self.calls.get(key)
        if call is None:
            call = self.calls[key] = Call(name, args)
        if not call.times:
            self._met.append(call)
        begin, end = event.ts, event.ts + event.dur
        inside = self._inside(begin, end)
        call.now += max(event.dur - inside, 0) + _CUT
        call.times += 1
        self._pending.append((begin, event.dur))
        self._memory(args)

    def _inside(self, begin: int, end: int) -> int:
        """Microseconds of the kernels in the bodies that a kernel ran: they have events of their own."""
        first = end
        while self._bodies and begin <= self._bodies[-1][0] and self._bodies[-1][1] <= end:
            first = self._bodies.pop()[0]
        inside = 0
        while first < end and self._pending and self._pending[-1][0] >= first:
            inside += self._pending.pop()[1]
        return inside

    def _memory(self, args: Mapping[str, Any]) -> None:
        used, more = _integer(args.get("mem_bytes_requested_in_use")), _integer(args.get("mem_requested_in_use_delta"))
        if used is None or more is None:
            return
        if self._base is None:
            self._base = used - more
        self._peak = max(used - self._base, self._peak or 0)

    def _end(self, event: Event) -> None:
        for call in self._met:
            if not self._first:
                call.runs.append(call.now)
                call.calls += call.times
            call.now, call.times = 0.0, 0
        if not self._first:
            self.totals.append(event.dur)
            if self._peak is not None:
                self.peaks.append(self._peak)
        self._first = False
        self._met, self._bodies, self._pending, self._base, self._peak = [], [], [], None, None


def _events(path: str) -> Iterator[Event]:
    decoder = msgspec.json.Decoder(Event)
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            text = line.strip().rstrip(b",")
            if text in (b"[", b"]", b""):
                continue
            try:
                yield decoder.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise Failure("output", f"line {number} of its profile cannot be read") from None


def _shapes(given: Any) -> list[list[int]]:
    """The shapes of [{"float": [1, 3]}, ...]; what has none (a sequence) is left out."""
    found = []
    for one in given if isinstance(given, list) else ():
        shapes = list(one.values()) if isinstance(one, dict) else []
        if len(shapes) == 1 and isinstance(shapes[0], list) and all(isinstance(dim, int) for dim in shapes[0]):
            found.append(shapes[0])
    return found


def _integer(text: Any) -> int | None:
    try:
        return int(text)
    except (TypeError, ValueError):
        return None
