"""`python -m benchmarks.tflite.worker REQUESTS RESULTS`: writes networks and runs them, in the peer's environment.

REQUESTS is a pickled list of Request, RESULTS a pickled list of Measured: both are our own, between two processes of
one run.
"""

from __future__ import annotations

import os
import pickle
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tflite_micro import runtime

from benchmarks.tflite.exchange import Measured, Request
from benchmarks.tflite.network import Network
from benchmarks.tflite.writer import write

ROOMY = 64 << 20
STEP = 16  # every buffer is aligned to it
USED = re.compile(r"Arena allocation (head|tail) (\d+) bytes")


def measure(request: Request) -> Measured:
    model = write(request.network)
    lines: list[str] = []
    try:
        interpreter = _hushed(lambda: runtime.Interpreter.from_bytes(model, arena_size=ROOMY), lines)
        output = _invoke(interpreter, request.network, request.feed)
    except (RuntimeError, ValueError) as error:
        said = [line for line in "".join(lines).splitlines() if line.strip()]
        return Measured(len(model), failure="; ".join(said) or str(error))
    _hushed(interpreter.print_allocations, lines)
    used = {name: int(size) for name, size in USED.findall("".join(lines))}
    least = _least(model, used["head"] + used["tail"]) if request.least else 0
    return Measured(len(model), **used, least=least, output=output)


def _invoke(interpreter: runtime.Interpreter, network: Network, feed: bytes) -> bytes:
    if not feed:
        return b""
    shape = network.tensor(network.inputs[0]).shape
    interpreter.set_input(np.frombuffer(feed, np.int8).reshape(shape), 0)
    interpreter.invoke()
    output: bytes = interpreter.get_output(0).tobytes()
    return output


def _least(model: bytes, used: int) -> int:
    """The smallest arena that suffices, in multiples of STEP bytes, by bisection."""
    low, high = 0, ROOMY // STEP  # does not suffice, does
    guess = used // STEP
    while high - low > 1:
        middle = guess if low < guess < high else (low + high) // 2
        guess = guess + 1 if middle == guess else 0  # what is used, one more, then halves
        low, high = (low, middle) if _suffices(model, middle * STEP) else (middle, high)
    return high * STEP


def _suffices(model: bytes, arena: int) -> bool:
    """Tried in a process of its own: an arena that is far too small ends it."""
    child = os.fork()
    if not child:
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            runtime.Interpreter.from_bytes(model, arena_size=arena).invoke()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def _hushed(call: Callable[[], object], lines: list[str]) -> object:
    """The call, with what it writes to the standard error of the process (from C++) added to `lines`."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            return call()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            lines.append(file.read().decode(errors="replace"))


def main(requests: str, results: str) -> None:
    asked = pickle.loads(Path(requests).read_bytes())
    Path(results).write_bytes(pickle.dumps([measure(request) for request in asked]))


if __name__ == "__main__":
    main(*sys.argv[1:])
