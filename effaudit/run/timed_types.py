"""What a timed run gives back, in seconds and bytes, as it was measured: no statistics yet."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Provider: TypeAlias = Literal["CPU", "CUDA", "TensorRT", "DirectML", "CoreML", "OpenVINO", "ROCm", "QNN", "XNNPACK"]


class Schedule(msgspec.Struct, frozen=True):
    """How often a model is run. `runs` are timed once it is steady; `warmup` runs come before, None: until the times
    are steady. Both end early when `budget_s` seconds of runs have passed, after at least `least` timed runs.
    `profiled` runs follow in a session of their own with ONNX Runtime's profiler on (0: none), fewer where they would
    take longer than `profiled_s` seconds, but three."""

    runs: int = 50
    warmup: int | None = None
    profiled: int = 10
    budget_s: float = 60.0
    least: int = 3
    profiled_s: float = 60.0


class KernelRun(msgspec.Struct, frozen=True):
    """A node of the optimized graph, as ONNX Runtime's profiler names it. `seconds` are those of one inference, all
    calls in it together (`calls`: on average; more than one inside a body), without the kernels of bodies that it runs,
    which have a `KernelRun` of their own: the mean of the middle half of the profiled runs. The profiler cuts every
    call off to whole microseconds; half of one is added to each. `index` is the node's index within its graph of the
    optimized model, None where this ONNX Runtime does not tell. Shapes leave out inputs that it packed ahead."""

    name: str
    op: str
    provider: str
    seconds: float
    calls: float
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]
    index: int | None = None


class Profile(msgspec.Struct, frozen=True):
    """The profiled session. `seconds` is the median of whole profiled runs. `peak_bytes`: the most that the allocator
    was asked for during a run, above what was in use when it began (weights); None where this ONNX Runtime does not
    tell (before 1.31), and `peak_why` says so."""

    runs: int
    seconds: float
    kernels: tuple[KernelRun, ...]
    peak_bytes: int | None = None
    peak_why: str = ""


class Timed(msgspec.Struct, frozen=True):
    """One model, run. `warmup_s` and `seconds` are single runs in their order; `first_s` is the very first run and
    `session_s` the creation of the session, neither of them in `warmup_s`. `steady` tells whether the warm-up ended
    because times were steady. `versions`, `providers`: of ONNX Runtime as installed. `rss_bytes`: peak memory of the
    process before it was profiled. `optimized` is the file of the graph as ONNX Runtime optimized it, "" where it was
    not saved (`optimized_why`). `profile` is None where none was asked for or the profiled session failed, which
    `profile_why` says."""

    session_s: float
    first_s: float
    warmup_s: tuple[float, ...]
    seconds: tuple[float, ...]
    steady: bool
    version: str
    providers: tuple[str, ...]
    rss_bytes: int | None
    profile: Profile | None = None
    optimized: str = ""
    optimized_why: str = ""
    profile_why: str = ""
