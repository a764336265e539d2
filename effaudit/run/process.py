"""Starting the process that runs a model, under limits, and telling in one line how it ended where it ended badly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

import effaudit
from effaudit.errors import RunError, UsageError
from effaudit.graph import Constant, Graph, nested
from effaudit.load import read
from effaudit.load.files import SCHEMES, resolve
from effaudit.printable import printable
from effaudit.run.providers import provider_line
from effaudit.save import save_model
from effaudit.save.storage import lacking
from effaudit.units import human_bytes

if TYPE_CHECKING:
    import numpy as np

_MESSAGE: Final = 400  # characters of what ONNX Runtime says
_POLL_S: Final = 0.2  # seconds between two looks at how far a process is
_SHARE: Final = 0.75  # of the memory of the machine, where no limit is given


class Limits(msgspec.Struct, frozen=True):
    """What running a model may take: seconds of all its runs together, bytes of memory (None: three quarters of the
    machine's), and threads. With one thread the results are the same every time."""

    seconds: float = 300.0
    memory_bytes: int | None = None
    threads: int = 1


class Job(msgspec.Struct, frozen=True):
    """What the child is told; `_child` says what it does with it."""

    task: str
    model: str
    feeds: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] | None
    optimize: str
    seconds: float
    memory_bytes: int
    threads: int
    bins: int = 0
    axes: Mapping[str, int] = {}
    variants: tuple[str, ...] = ()


@contextmanager
def workplace() -> Iterator[str]:
    """A folder for one run, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="effaudit-run-", ignore_cleanup_errors=True) as folder:
        yield folder


def named(model: Graph | str | os.PathLike[str]) -> str:
    """The name of a model for messages."""
    return (model.source.path or "this graph") if isinstance(model, Graph) else os.fspath(model)


def on_disk(model: Graph | str | os.PathLike[str], folder: str, graph: Graph | None = None) -> str:
    """The absolute path of a file that holds the model: its own, or for a rewritten graph one written to `folder`.
    `graph` is the model as read, where the caller has it.

    Raises UsageError for what lies on no disk and for a tensor without elements, LoadError.
    """
    name = named(model)
    graph = graph or opened(model)
    for part in nested((graph,)):
        tensors = [value for node in part.nodes for value in node.attrs.values() if isinstance(value, Constant)]
        for constant in (*part.constants.values(), *tensors):
            if constant.place != "sparse" and (why := lacking(constant)):
                where = f"{name}: it cannot be run: tensor {constant.name!r} has no elements"
                raise UsageError(f"{where}: {why}; put its weights beside it")
    if not isinstance(model, Graph):
        return os.path.abspath(resolve(name))
    path = os.path.join(folder, "model.onnx")
    save_model(model, path)
    return path


def opened(model: Graph | str | os.PathLike[str]) -> Graph:
    """The graph of a model that can be run. Raises UsageError for what lies on no disk, LoadError."""
    name = named(model)
    if name == "-" or name.lower().startswith(SCHEMES):
        raise UsageError(f"{name}: not a file on disk, so it cannot be run; download it and name the file")
    return model if isinstance(model, Graph) else read(name)


def write_feeds(feeds: Iterable[Mapping[str, np.ndarray]], folder: str, name: str) -> tuple[int, tuple[str, ...]]:
    """Writes the feeds one by one. Returns how many there are and the names of the inputs; every feed has the same.

    Raises UsageError for feeds that differ in their inputs, none at all, and elements that are Python objects.
    """
    import numpy as np

    count = 0
    names: tuple[str, ...] = ()
    for feed in feeds:
        if count and set(feed) != set(names):
            raise UsageError(f"{name}: feed {count} has the inputs {sorted(feed)}, the first has {sorted(names)}")
        names = names if count else tuple(feed)
        for key in names:
            if np.asarray(feed[key]).dtype == object:
                raise UsageError(f"{name}: input {key!r}: an array of Python objects; give one of numbers or of text")
        arrays = {str(i): feed[key] for i, key in enumerate(names)}
        np.savez(os.path.join(folder, f"feed-{count}.npz"), **arrays)  # type: ignore[arg-type]
        count += 1
    if not count:
        raise UsageError(f"{name}: there is nothing to feed it")
    return count, names


def memory_limit(limits: Limits) -> int:
    if limits.memory_bytes is not None:
        return limits.memory_bytes
    try:
        return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * _SHARE)
    except (ValueError, OSError, AttributeError):
        return 1 << 62


def start(job: Job, folder: str, name: str, poll: Callable[[], None] | None = None) -> Any:
    """Runs the job; `poll` is called a few times a second meanwhile.

    Raises RunError, in one line that names the model, however the process ended but well.
    """
    with open(os.path.join(folder, "job.json"), "wb") as file:
        file.write(msgspec.json.encode(job))
    code, said = _wait(job, folder, name, poll)
    status: Mapping[str, Any] = {}
    try:
        with open(os.path.join(folder, "status.json"), "rb") as file:
            status = msgspec.json.decode(file.read())
    except (OSError, msgspec.DecodeError):
        pass
    if "done" in status:
        return status["done"]
    if "kind" in status:
        raise _told(status["kind"], status["message"], job, name)
    if code < 0:
        raise RunError(f"{name}: ONNX Runtime {_signalled(-code, job)}")
    raise RunError(f"{name}: ONNX Runtime ended with exit code {code}: {_line(said) or 'it said nothing'}")


def _wait(job: Job, folder: str, name: str, poll: Callable[[], None] | None) -> tuple[int, str]:
    """The exit code and the last of what the process said."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(effaudit.__file__)))
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(job.threads))
    said = os.path.join(folder, "said.txt")
    with open(said, "wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "effaudit.run._child", folder],
            cwd=folder,
            env={**os.environ, **single, "PYTHONPATH": path, "TMPDIR": folder},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        try:
            code = _ended(process, job.seconds, poll)
        except subprocess.TimeoutExpired:
            raise RunError(
                f"{name}: ONNX Runtime was stopped after {job.seconds:g} s, the limit; give fewer inputs or more time"
            ) from None
        finally:
            process.kill()
            process.wait()
    with open(said, "rb") as file:
        file.seek(max(os.path.getsize(said) - 2000, 0))
        return code, file.read().decode(errors="replace")


def _ended(process: subprocess.Popen[bytes], seconds: float, poll: Callable[[], None] | None) -> int:
    """The exit code. Raises TimeoutExpired after `seconds`."""
    if poll is None:
        return process.wait(seconds)
    end = time.monotonic() + seconds
    while True:
        try:
            return process.wait(min(_POLL_S, max(end - time.monotonic(), 0.0)))
        except subprocess.TimeoutExpired:
            if time.monotonic() >= end:
                raise
            poll()


def _told(kind: str, message: str, job: Job, name: str) -> RunError:
    if kind == "missing":
        return RunError(f"{name}: running a model needs ONNX Runtime: pip install onnxruntime ({_line(message)})")
    if kind == "memory":
        return RunError(
            f"{name}: ONNX Runtime needs more than the {human_bytes(job.memory_bytes)} of memory it may take"
        )
    if kind == "provider":
        return RunError(f"{name}: {provider_line(message)}")
    if kind == "output":
        return RunError(f"{name}: {_line(message)}")
    return RunError(f"{name}: ONNX Runtime refuses it: {_line(message)}")


def _signalled(number: int, job: Job) -> str:
    try:
        what = signal.Signals(number).name
    except ValueError:
        what = f"signal {number}"
    if what == "SIGKILL":
        return f"was killed ({what}), probably for want of memory"
    if what == "SIGXCPU":
        return f"was stopped after more than {job.seconds:g} s, the limit"
    return f"crashed ({what}); at most {human_bytes(job.memory_bytes)} of memory were allowed"


def _line(text: str) -> str:
    return printable(" ".join(text.split()), _MESSAGE)
