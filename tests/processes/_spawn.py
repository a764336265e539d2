"""Runs one command under limits and writes what it took; started on its own by tests/hostile/harness.py.

Linux lets a process inherit, as the start of its peak RSS, the size of the one it was forked from. Forked by
pytest the command would be charged with pytest's memory; forked by this small process, with its own.
"""

import os
import resource
import signal
import sys
import time

MEMORY_BYTES = 1 << 30  # a runaway is stopped before it hurts the machine; the contract's own limit is asserted later


def forked() -> int:
    """As os.fork; the child leads a group of its own and is held to the limits."""
    child = os.fork()
    if child == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    return child


def awaited(child: int, start: float, patience: float) -> str:
    """Exit code, wall and busy seconds, peak bytes, and whether it was killed (1) after `patience` seconds."""
    killed = False

    def kill(*_: object) -> None:
        nonlocal killed
        killed = True
        os.killpg(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, kill)
    signal.setitimer(signal.ITIMER_REAL, patience)
    _, status, usage = os.wait4(child, 0)
    wall = time.monotonic() - start
    signal.setitimer(signal.ITIMER_REAL, 0)
    unit = 1 if sys.platform == "darwin" else 1024
    busy = usage.ru_utime + usage.ru_stime
    figures = (os.waitstatus_to_exitcode(status), wall, busy, usage.ru_maxrss * unit, int(killed))
    return " ".join(map(str, figures))


def main() -> None:
    report, seconds, stdin, *command = sys.argv[1:]
    start = time.monotonic()
    child = forked()
    if child == 0:
        os.close(int(report))
        if stdin == "closed":
            os.close(0)
        os.execv(command[0], command)
    os.close(0)  # else this process would keep a pipe's reading end open after the command has gone
    os.write(int(report), awaited(child, start, float(seconds)).encode())


if __name__ == "__main__":
    main()
