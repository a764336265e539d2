"""A model that kills the runtime, or would never end, costs one line and leaves nothing behind; one that does so only
while it is profiled costs the profile."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effaudit.errors import RunError
from effaudit.run.process import Limits, workplace
from effaudit.run.timed import timed
from effaudit.run.timed_types import Schedule, Timed
from tests.laws.models import parse
from tests.run.shim import broken
from tests.save.models import written

NEG = "m (float[2,3] x) => (float[2,3] z) { y = Neg(x) z = Exp(y) }"
X = {"x": np.ones((2, 3), np.float32)}
ONCE = Schedule(runs=3, warmup=0, profiled=1)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold a process to its memory")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def measured(path: Path, feed: Any = X, schedule: Schedule = ONCE, limits: Limits = Limits()) -> Timed:
    with workplace() as folder:
        return timed(path, feed, schedule, folder=folder, limits=limits)


def refused(path: Path, feed: Any, reason: str, temporary: Path, limits: Limits = Limits()) -> None:
    with pytest.raises(RunError, match=reason) as caught:
        measured(path, feed, limits=limits)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text and len(text) < 700 and caught.value.exit_code == 2
    assert not list(temporary.iterdir())


def test_a_division_that_the_processor_refuses(tmp_path: Path, temporary: Path) -> None:
    """The smallest of 64-bit integers over -1: SIGFPE on x86; other processors wrap it."""
    path = written(tmp_path / "m.onnx", parse("m (int64[4] a, int64[4] b) => (int64[4] c) { c = Div(a, b) }"))
    feed = {"a": np.full(4, np.iinfo(np.int64).min), "b": np.full(4, -1)}
    if os.uname().machine in ("x86_64", "i686"):
        refused(path, feed, r"ONNX Runtime crashed \(SIGFPE\)", temporary)
    refused(path, {**feed, "b": np.zeros(4, np.int64)}, "refuses it: .*division by zero", temporary)


@LINUX
@pytest.mark.parametrize(
    "nodes",
    [
        "s = Constant <value = int64[1] {40000000000}> () c = ConstantOfShape(s) y = Add(c, x)",
        "s = Constant <value = int64[1] {400000000}> () y = Expand(x, s)",
        "s = Constant <value = int64[1] {400000000}> () y = Tile(x, s)",
    ],
)
def test_more_memory_than_it_may_take(tmp_path: Path, temporary: Path, nodes: str) -> None:
    path = written(tmp_path / "m.onnx", parse(f"m (float[1] x) => (float[?] y) {{ {nodes} }}"))
    limits = Limits(memory_bytes=512 << 20)
    refused(path, {"x": np.ones(1, np.float32)}, "needs more than the 512.0 MiB of memory", temporary, limits)


LOOP = """m (float[2,3] x, int64 n, bool go) => (float[2,3] y)
{ y = Loop (n, go, x) <body = l (int64 i, bool go2, float[2,3] s) => (bool on, float[2,3] r)
                      { on = Identity(go2) r = Neg(s) }> }"""


def test_a_loop_without_end(tmp_path: Path, temporary: Path) -> None:
    path = written(tmp_path / "m.onnx", parse(LOOP))
    feed = {**X, "n": np.array(1 << 60), "go": np.array(True)}
    refused(path, feed, "was stopped after 1.5 s, the limit", temporary, Limits(seconds=1.5))


def test_a_loop_of_many_trips_is_profiled_in_little(tmp_path: Path) -> None:
    """4,000 trips of two kernels: the file of events is gone afterwards."""
    path = written(tmp_path / "m.onnx", parse(LOOP))
    feed = {**X, "n": np.array(4000), "go": np.array(True)}
    with workplace() as folder:
        found = timed(path, feed, Schedule(runs=3, warmup=0, profiled=10), folder=folder)
        assert not [name for name in os.listdir(folder) if name.startswith("profile_")]
    assert found.profile is not None and 1 <= found.profile.runs <= 10
    assert {k.op: k.calls for k in found.profile.kernels} == {"Loop": 1, "Neg": 4000, "Identity": 4000}


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", r"ONNX Runtime crashed \(SIGSEGV\)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", r"was killed \(SIGKILL\), probably for want of memory"),
        ("os._exit(7)", "ended with exit code 7"),
        ("raise MemoryError", "needs more than the .* of memory"),
        ("raise RuntimeError('no such kernel')", "ONNX Runtime refuses it: no such kernel"),
    ],
)
def test_death_while_it_is_profiled_loses_the_profile_alone(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, what: str, reason: str
) -> None:
    broken(tmp_path, monkeypatch, what)
    found = measured(written(tmp_path / "m.onnx", parse(NEG)))
    assert len(found.seconds) == 3 and found.profile is None and found.optimized == ""
    assert found.optimized_why == found.profile_why and not list(temporary.iterdir())
    with pytest.raises(RunError, match=reason):
        raise RunError(found.profile_why)


def test_without_disk_the_optimized_graph_is_not_saved(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = "import shutil; shutil.disk_usage = lambda path: type('U', (), {'free': 1 << 20})"
    broken(tmp_path, monkeypatch, free, when="not options.enable_profiling")
    found = measured(written(tmp_path / "m.onnx", parse(NEG)))
    assert found.profile is not None and found.optimized == ""
    assert found.optimized_why == "the optimized graph was not saved: 1 MiB of disk are free, 256 are needed"


def test_an_interrupt_ends_the_process_and_cleans_up(tmp_path: Path, temporary: Path) -> None:
    path = written(tmp_path / "m.onnx", parse(LOOP))
    feed = {**X, "n": np.array(1 << 60), "go": np.array(True)}
    started: list[int] = []

    def stop(done: int) -> None:
        started.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), workplace() as folder:
        Path(folder, "progress").write_text("0")
        timed(path, feed, ONCE, folder=folder, each=stop)
    assert started == [0] and not list(temporary.iterdir())
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
