"""Timing a model, in the process that runs it; `onnxruntime` is the module, handed over by `_child`.

First a session as any script has it, whose runs are timed, then a second one with the profiler on: profiling slows a
run down, and what it tells is for the shares of the kernels alone. Both results are written as soon as they are there,
so that a crash of the second session leaves those of the first.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Any, Final

from effaudit.run._failure import Failure
from effaudit.run._profile import read_profile
from effaudit.run._steady import settled

MOST_WARM: Final = 10_000  # runs of a warm-up whose number is not given
WARM_SHARE: Final = 1 / 3  # of the seconds of all runs: then a warm-up ends, steady or not
WARM_S: Final = 0.1  # seconds of runs that it takes at least: clocks of processors rise within tens of milliseconds
EVENTS: Final = 150_000  # of a profile: each takes about 1 KB of file and more of memory
LEAST_PROFILED: Final = 3  # runs, however long they take
EVENT_S: Final = 1e-6  # seconds of a run for each kernel in it, at least: how many a loop may call
TELL_S: Final = 0.2  # seconds between two words on how far it is
INLINE_BYTES: Final = 1024  # of a tensor that stays in the file of the optimized graph
DISK_MARGIN: Final = 256 << 20

OPTIMIZED: Final = "optimized.onnx"
_WEIGHTS: Final = "optimized.bin"


def timed(onnxruntime: Any, job: Mapping[str, Any], folder: str, feed: Mapping[str, Any]) -> str:
    """Runs the model; writes timed.json and, where profiled runs are wanted, profile.json."""
    _timed(onnxruntime, job, folder, feed, Told(folder))
    return ""


def _timed(onnxruntime: Any, job: Mapping[str, Any], folder: str, feed: Mapping[str, Any], told: Told) -> None:
    found, once = _measured(onnxruntime, job, feed, told)
    written(folder, "timed.json", found)
    if job["profiled"]:
        written(folder, "profile.json", _profiled(onnxruntime, job, folder, feed, told, once))


def battery(
    onnxruntime: Any,
    job: Mapping[str, Any],
    folder: str,
    feeds: Callable[[Mapping[str, Any], str], Iterator[dict[str, Any]]],
) -> str:
    """`timed` of every part of the job, in a folder of its own; one that fails is left without times."""
    told = Told(folder)
    for part in job["parts"]:
        one = {**job, **part}
        try:
            _timed(onnxruntime, one, part["folder"], next(feeds(one, part["folder"])), QUIET)
        except Exception as error:  # ONNX Runtime raises types of its own
            written(part["folder"], "failure.json", str(error))
        told.one_more()
    return ""


class Told:
    """How many runs are done, for whoever waits: a file, overwritten a few times a second at most."""

    def __init__(self, folder: str | None) -> None:
        self._file = None if folder is None else os.open(os.path.join(folder, "progress"), os.O_WRONLY | os.O_CREAT)
        self._last = 0.0
        self._done = 0

    def one_more(self) -> None:
        if self._file is None:
            return
        self._done += 1
        now = time.monotonic()
        if now - self._last > TELL_S:
            self._last = now
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, b"%d\n" % self._done)


QUIET: Final = Told(None)


def written(folder: str, name: str, content: Any) -> None:
    """As JSON, wholly there or not at all."""
    path = os.path.join(folder, name)
    with open(f"{path}.part", "w", encoding="utf-8") as file:
        json.dump(content, file)
    os.replace(f"{path}.part", path)


# ---- sessions
def options_of(onnxruntime: Any, job: Mapping[str, Any]) -> Any:
    """The options of a user's own script: those of ONNX Runtime but for the threads, and silence."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if job["optimize"] == "all" else level.ORT_DISABLE_ALL
    return options


def session_of(onnxruntime: Any, job: Mapping[str, Any], options: Any, model: str) -> Any:
    """A session on the provider of the job. Raises Failure where ONNX Runtime has not got it, or does not take it."""
    cpu = "CPUExecutionProvider"
    wanted = job["provider"]
    if wanted not in onnxruntime.get_available_providers():
        raise Failure("provider", f"absent {wanted} {' '.join(onnxruntime.get_available_providers())}")
    session = onnxruntime.InferenceSession(model, options, providers=[wanted] if wanted == cpu else [wanted, cpu])
    if wanted not in session.get_providers():
        raise Failure("provider", f"unused {wanted} {' '.join(session.get_providers())}")
    return session


def ready(feed: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays that ONNX Runtime takes as they are: others it would copy in every run."""
    import numpy as np

    return {name: np.asarray(array, order="C") for name, array in feed.items()}


def once(session: Any, feed: Mapping[str, Any]) -> float:
    """Seconds of one run. Its outputs are gone when the next begins."""
    start = time.perf_counter_ns()
    outputs = session.run(None, feed)
    end = time.perf_counter_ns()
    del outputs
    return (end - start) * 1e-9


# ---- the runs that are timed
def _measured(
    onnxruntime: Any, job: Mapping[str, Any], feed: Mapping[str, Any], told: Told
) -> tuple[dict[str, Any], float]:
    """What is found, and the seconds of a typical run."""
    options = options_of(onnxruntime, job)
    start = time.perf_counter()
    session = session_of(onnxruntime, job, options, job["model"])
    session_s = time.perf_counter() - start
    arrays = ready(feed)
    gc.collect()
    gc.disable()
    try:
        first = once(session, arrays)
        spent = first
        warm, steady = warm_up(lambda: once(session, arrays), job, spent)
        spent += sum(warm)
        times: list[float] = []
        while len(times) < job["runs"] and (len(times) < job["least"] or spent < job["budget_s"]):
            times.append(once(session, arrays))
            spent += times[-1]
            told.one_more()
    finally:
        gc.enable()
    found = {
        "session_s": session_s,
        "first_s": first,
        "warmup_s": warm,
        "seconds": times,
        "steady": steady,
        "version": onnxruntime.__version__,
        "providers": session.get_providers(),
        "rss_bytes": peak_rss(),
    }
    return found, median(times or warm or [first])


def warm_up(run: Callable[[], float], job: Mapping[str, Any], spent: float) -> tuple[list[float], bool]:
    """Runs until times are steady, or as many as were asked for. Returns their times, and whether the former ended
    it."""
    times: list[float] = []
    given = job["warmup"]
    most = MOST_WARM if given is None else given
    total = 0.0
    while len(times) < most and spent + total < job["budget_s"] * (WARM_SHARE if given is None else 1):
        times.append(run())
        total += times[-1]
        if given is None and total >= min(WARM_S, job["budget_s"] * WARM_SHARE) and settled(times):
            return times, True
    return times, False


def peak_rss() -> int | None:
    """Peak resident bytes of this process. Linux's getrusage counts what its parent had when it started it too."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        import resource
    except ImportError:
        return None
    most: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


# ---- the runs that are profiled
def _profiled(
    onnxruntime: Any, job: Mapping[str, Any], folder: str, feed: Mapping[str, Any], told: Told, seconds: float
) -> dict[str, Any]:
    options = options_of(onnxruntime, job)
    options.enable_profiling = True
    options.profile_file_prefix = os.path.join(folder, "profile")
    options.enable_mem_pattern = False  # else one block for all tensors is asked for ahead, from the second run on
    why = _saving(options, job, folder)
    session = session_of(onnxruntime, job, options, job["model"])
    arrays = ready(feed)
    gc.collect()
    gc.disable()
    try:
        for _ in range(1 + profiled_runs(job, seconds)):
            once(session, arrays)
            told.one_more()
    finally:
        gc.enable()
    file = session.end_profiling()
    del session
    try:
        profile = read_profile(file, cpu=job["provider"] == "CPUExecutionProvider")
    finally:
        os.remove(file)
    saved = not why and os.path.exists(os.path.join(folder, OPTIMIZED))
    return {"profile": profile, "optimized": OPTIMIZED if saved else "", "optimized_why": why}


def profiled_runs(job: Mapping[str, Any], seconds: float) -> int:
    """How many runs are profiled, at most as many as were asked for: as few as keep the profile small. What a loop
    calls is not known ahead; each call takes its time."""
    events = max(job["nodes"], seconds / EVENT_S) if job["loops"] else job["nodes"]
    wanted = min(int(job["profiled"]), max(int(job["profiled_s"] / max(seconds, 1e-9)), LEAST_PROFILED))
    return max(min(wanted, int(EVENTS / max(events, 1)) - 1), 1)


def _saving(options: Any, job: Mapping[str, Any], folder: str) -> str:
    """Has the optimized graph saved; "" or why not.

    Its weights are no use: where the system has a file that swallows everything, they go there.
    """
    import shutil

    try:
        os.symlink(os.devnull, os.path.join(folder, _WEIGHTS))
        needed = DISK_MARGIN
    except (OSError, NotImplementedError):
        needed = DISK_MARGIN + job["weight_bytes"]
    free = shutil.disk_usage(folder).free
    if free < needed:
        return f"the optimized graph was not saved: {free >> 20:,} MiB of disk are free, {needed >> 20:,} are needed"
    options.optimized_model_filepath = os.path.join(folder, OPTIMIZED)
    prefix = "session.optimized_model_external_initializers"
    options.add_session_config_entry(f"{prefix}_file_name", _WEIGHTS)
    options.add_session_config_entry(f"{prefix}_min_size_in_bytes", str(INLINE_BYTES))
    return ""
