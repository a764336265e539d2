"""The process that runs a model: the only module that imports ONNX Runtime.

It is started as `python -m effaudit.run._child FOLDER`, reads FOLDER/job.json and the feeds beside it, and writes its
results and FOLDER/status.json there. It may crash, hang or be killed: whoever started it reads how it ended.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from effaudit.run._failure import Failure

BLOCK: Final = 1 << 20  # elements reduced at a time
FETCH_BYTES: Final = 256 << 20  # of the tensors that one run hands out, as far as their sizes are known
_CPU_MARGIN: Final = 60  # seconds of processor time beyond the limit: the parent stops it, unless it died itself

_ITEM: Final = {"tensor(double)": 8, "tensor(int64)": 8, "tensor(uint64)": 8, "tensor(float16)": 2, "tensor(bool)": 1}


def main(folder: str) -> None:
    with open(os.path.join(folder, "job.json"), encoding="utf-8") as file:
        job = json.load(file)
    status: dict[str, Any]
    try:
        status = {"done": _work(job, folder)}
    except Failure as error:
        status = {"kind": error.kind, "message": str(error)}
    except MemoryError:
        status = {"kind": "memory", "message": ""}
    except Exception as error:  # ONNX Runtime raises types of its own; whatever it is becomes one line
        text = str(error)
        memory = any(sign in text for sign in ("bad_alloc", "Failed to allocate", "cannot allocate", "bad allocation"))
        status = {"kind": "memory" if memory else "refused", "message": text or type(error).__name__}
    with open(os.path.join(folder, "status.json"), "w", encoding="utf-8") as file:
        json.dump(status, file)


def _work(job: Mapping[str, Any], folder: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise Failure("missing", str(error)) from None
    _limit(job)
    if job["task"] == "timed":
        from effaudit.run._timing import timed

        return timed(onnxruntime, job, folder, next(_feeds(job, folder)))
    if job["task"] == "in_turns":
        from effaudit.run._in_turns import in_turns

        feeds = [next(_feeds({**job, **part}, part["folder"])) for part in job["parts"]]
        return in_turns(onnxruntime, job, folder, feeds)
    if job["task"] == "battery":
        from effaudit.run._timing import battery

        return battery(onnxruntime, job, folder, _feeds)
    session = _session(onnxruntime, job)
    if job["task"] == "compare":
        return _compare(onnxruntime, session, job, folder)
    if job["task"] == "ranges":
        return _ranges(session, job, folder)
    return _execute(session, job, folder)


def _limit(job: Mapping[str, Any]) -> None:
    """Limits of this process; data and not address space, of which a runtime reserves more than it uses."""
    try:
        import resource
    except ImportError:  # not on this system
        return
    seconds = int(job["seconds"] * job["threads"]) + _CPU_MARGIN
    wanted = ((resource.RLIMIT_DATA, job["memory_bytes"]), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0))
    for kind, most in wanted:
        hard = resource.getrlimit(kind)[1]
        if hard == resource.RLIM_INFINITY or most < hard:
            resource.setrlimit(kind, (most, hard))


def _session(onnxruntime: Any, job: Mapping[str, Any], model: str = "") -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if job["optimize"] == "all" else level.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model or job["model"], options, providers=["CPUExecutionProvider"])


def _feeds(job: Mapping[str, Any], folder: str) -> Iterator[dict[str, Any]]:
    import numpy as np

    for i in range(job["feeds"]):
        with np.load(os.path.join(folder, f"feed-{i}.npz"), allow_pickle=False) as arrays:
            yield {name: arrays[str(j)] for j, name in enumerate(job["inputs"])}


def _execute(session: Any, job: Mapping[str, Any], folder: str) -> list[str]:
    import numpy as np

    names = job["outputs"] or [output.name for output in session.get_outputs()]
    for i, feed in enumerate(_feeds(job, folder)):
        found = session.run(names, feed)
        arrays = {str(j): _array(name, value) for j, (name, value) in enumerate(zip(names, found, strict=True))}
        np.savez(os.path.join(folder, f"result-{i}.npz"), **arrays)
    return list(names)


# ---- compare: the outputs of variants beside those of the model
def _compare(onnxruntime: Any, session: Any, job: Mapping[str, Any], folder: str) -> list[dict[str, Any]]:
    """For each variant the sums of squares of what separates its outputs from the model's, or why it does not run."""
    names = _execute(session, job, folder)
    del session
    return [_variant(onnxruntime, job, folder, path, names) for path in job["variants"]]


def _variant(onnxruntime: Any, job: Mapping[str, Any], folder: str, path: str, names: Sequence[str]) -> dict[str, Any]:
    import numpy as np

    noise: dict[str, float] = {}
    signal: dict[str, float] = {}
    try:
        session = _session(onnxruntime, job, path)
        for i, feed in enumerate(_feeds(job, folder)):
            found = session.run(names, feed)
            with np.load(os.path.join(folder, f"result-{i}.npz"), allow_pickle=False) as wanted:
                for j, (name, value) in enumerate(zip(names, found, strict=True)):
                    if getattr(value, "dtype", np.dtype(bool)).kind == "f":
                        lost, whole = _squares(wanted[str(j)], value)
                        noise[name] = noise.get(name, 0.0) + lost
                        signal[name] = signal.get(name, 0.0) + whole
    except Exception as error:  # ONNX Runtime raises types of its own
        return {"noise": {}, "signal": {}, "refused": str(error) or type(error).__name__}
    # JSON has no infinity: the largest number stands for it.
    return {"noise": {name: min(lost, sys.float_info.max) for name, lost in noise.items()}, "signal": signal}


def _squares(wanted: Any, found: Any) -> tuple[float, float]:
    """Squared differences and squared elements, where the wanted ones are finite; infinite where the shapes differ or
    something else is not."""
    import numpy as np

    if wanted.shape != found.shape:
        return float("inf"), 0.0
    finite = np.isfinite(wanted)
    exact = np.where(finite, wanted, 0).astype(np.float64).ravel()
    lost = exact - np.where(finite, found, 0).astype(np.float64).ravel()
    noise = float(lost @ lost) if np.isfinite(lost).all() else float("inf")
    return noise, float(exact @ exact)


def _array(name: str, value: Any) -> Any:
    import numpy as np

    if not isinstance(value, np.ndarray):
        raise Failure("output", f"the output {name!r} is no tensor, so it cannot be handed on")
    return value.astype(np.str_) if value.dtype == object else value


# ---- ranges: what passes through tensors, reduced feed by feed
class Seen:
    """What was seen of one tensor so far."""

    def __init__(self, axis: int | None) -> None:
        self.axis = axis
        self.low, self.high = float("inf"), float("-inf")
        self.count = self.infinite = 0
        self.total = self.squares = 0.0
        self.counts: Any = None
        self.channels: Any = None  # rows: largest absolute value, sum of squares

    def extremes(self, value: Any) -> None:
        import numpy as np

        for block in _blocks(value):
            finite = block[np.isfinite(block)]
            self.infinite += block.size - finite.size
            if finite.size:
                self.low, self.high = min(self.low, float(finite.min())), max(self.high, float(finite.max()))
                self.count += finite.size
                self.total += float(finite.sum())
                self.squares += float(finite @ finite)
        if self.axis is not None and value.ndim:
            self._channels(value)

    def _channels(self, value: Any) -> None:
        import numpy as np

        assert self.axis is not None
        flat = np.moveaxis(value, self.axis, 0).reshape(value.shape[self.axis], -1)
        rows = np.zeros((2, flat.shape[0]))
        if flat.shape[1]:
            step = max(BLOCK // flat.shape[1], 1)
            for at in range(0, flat.shape[0], step):
                part = np.abs(np.nan_to_num(flat[at : at + step].astype(np.float64), posinf=0.0, neginf=0.0))
                rows[0, at : at + step] = part.max(axis=1)
                rows[1, at : at + step] = (part * part).sum(axis=1)
        if self.channels is None or self.channels.shape != rows.shape:
            self.channels = rows
        else:
            self.channels = np.stack((np.maximum(self.channels[0], rows[0]), self.channels[1] + rows[1]))

    def histogram(self, value: Any, bins: int) -> None:
        import numpy as np

        if self.counts is None:
            self.counts = np.zeros(bins, np.int64)
        if self.count:
            width = self.high - self.low if self.high > self.low else 1.0
            for block in _blocks(value):
                places = (block[np.isfinite(block)] - self.low) / width * bins
                self.counts += np.bincount(np.clip(places.astype(np.int64), 0, bins - 1), minlength=bins)


def _blocks(value: Any) -> Iterator[Any]:
    import numpy as np

    flat = value.reshape(-1)
    for at in range(0, flat.size, BLOCK):
        yield flat[at : at + BLOCK].astype(np.float64)


def _ranges(session: Any, job: Mapping[str, Any], folder: str) -> list[str]:
    """Two passes: the extremes of every tensor, then its histogram between them."""
    import numpy as np

    names, bins = job["outputs"], job["bins"]
    seen = {name: Seen(job["axes"].get(name)) for name in names}
    sizes = _sizes(session)
    for feed in _feeds(job, folder):
        for name, value in _values(session, names, feed, sizes):
            seen[name].extremes(value)
    if bins:
        for feed in _feeds(job, folder):
            for name, value in _values(session, names, feed, sizes):
                seen[name].histogram(value, bins)
    arrays: dict[str, Any] = {}
    for i, name in enumerate(names):
        found = seen[name]
        low, high = (found.low, found.high) if found.count else (0.0, 0.0)
        arrays[f"stats-{i}"] = np.array([low, high, found.count, found.infinite, found.total, found.squares])
        if found.counts is not None:
            arrays[f"counts-{i}"] = found.counts
        if found.channels is not None:
            arrays[f"channels-{i}"] = found.channels
    np.savez(os.path.join(folder, "ranges.npz"), **arrays)
    return list(names)


def _sizes(session: Any) -> dict[str, int]:
    """Bytes of every output, as far as its shape is known before it is run."""
    sizes = {}
    for output in session.get_outputs():
        total = _ITEM.get(output.type, 4)
        for dim in output.shape or ():
            total *= dim if isinstance(dim, int) else 1
        sizes[output.name] = total
    return sizes


def _values(
    session: Any, names: Sequence[str], feed: Mapping[str, Any], sizes: dict[str, int]
) -> Iterator[tuple[str, Any]]:
    """The tensors of one feed, a few at a time; `sizes` learns what they really take."""
    group: list[str] = []
    for name in names:
        if name in feed:
            yield name, feed[name]
            continue
        if group and sum(sizes.get(one, 0) for one in (*group, name)) > FETCH_BYTES:
            yield from _fetch(session, group, feed, sizes)
            group = []
        group.append(name)
    if group:
        yield from _fetch(session, group, feed, sizes)


def _fetch(
    session: Any, group: Sequence[str], feed: Mapping[str, Any], sizes: dict[str, int]
) -> Iterator[tuple[str, Any]]:
    for name, value in zip(group, session.run(list(group), dict(feed)), strict=True):
        array = _array(name, value)
        if array.dtype.kind not in "fiub":
            raise Failure("output", f"the tensor {name!r} holds no numbers that have a range")
        sizes[name] = array.nbytes
        yield name, array


if __name__ == "__main__":
    main(sys.argv[1])
