"""A process that has the package imported and forks a child for each run, so that none pays for the imports again."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .outcome import Outcome

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "effaudit.__main__:main"  # the console script
MARGIN = 30.0  # seconds past its child's patience after which the server itself must hang


@dataclass(frozen=True, slots=True)
class Server:
    process: subprocess.Popen[bytes]
    folder: Path  # for the streams of its children, apart from what they work on

    def run(self, call: str, *arguments: str, folder: Path, environment: Mapping[str, str], patience: float) -> Outcome:
        """Calls module:function with the arguments in sys.argv, as a process of its own, in `folder`."""
        out, err = self.folder / "out", self.folder / "err"
        wanted = {
            "call": [call, *arguments],
            "folder": str(folder),
            "environment": dict(environment),
            "out": str(out),
            "err": str(err),
            "patience": patience,
        }
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(wanted).encode() + b"\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], patience + MARGIN)
        figures = self.process.stdout.readline().split() if ready else []
        assert figures, "the process that forks the others is gone, or hangs"
        code, seconds, busy, peak, hung = figures
        took = int(code), float(seconds), float(busy), int(peak), hung == b"1"
        return Outcome(*took, out.read_bytes(), err.read_bytes())


@contextmanager
def serving(environment: Mapping[str, str], rehearsal: Sequence[Sequence[str]]) -> Iterator[Server]:
    """A server that has imported what the calls of the rehearsal need; no call may need anything but Python."""
    paths = os.pathsep.join(filter(None, (environment.get("PYTHONPATH"), str(ROOT))))
    # Threads do not survive a fork; numpy would start some.
    surroundings = {**environment, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"}
    with (
        tempfile.TemporaryDirectory(prefix="server") as name,
        subprocess.Popen(
            [sys.executable, "-m", f"{__package__}._server", json.dumps(rehearsal)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=name,
            env=surroundings,
        ) as process,
    ):
        try:
            yield Server(process, Path(name))
        finally:
            process.kill()
