"""Runs what it is asked for, each time in a child forked from one process that has the package imported.

Started by server.py; its argument is a list of calls as JSON. It reads lines of JSON, {"call": [module:function,
*arguments], "folder", "environment", "out", "err", "patience"}, and answers each with the figures of `_spawn.awaited`.
A child begins with what a fresh interpreter has after its imports and with nothing else: this process calls nothing of
the package itself. What there is to import a child of its own finds out, by making the calls of the argument.
"""

import contextlib
import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from ._spawn import awaited, forked


def main() -> None:
    preload(json.loads(sys.argv[1]))
    gc.freeze()  # collecting would write to, so copy, the pages of every object in every child
    for line in sys.stdin:
        wanted = json.loads(line)
        start = time.monotonic()
        child = forked()
        if child == 0:
            become(wanted)
        print(awaited(child, start, wanted["patience"]), flush=True)


def become(wanted: dict[str, Any]) -> NoReturn:
    """Runs the call as the program that this process is, up to its end."""
    code = 1
    try:
        settle(wanted)
        code = called(wanted["call"])
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def called(call: Sequence[str]) -> int:
    """Makes a call with the command line it expects; its exit code."""
    sys.argv = list(call)
    module, _, function = call[0].partition(":")
    try:
        getattr(importlib.import_module(module), function)()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def settle(wanted: dict[str, Any]) -> None:
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    redirect(os.devnull, wanted["out"], wanted["err"])


def redirect(read: str, out: str, err: str) -> None:
    os.dup2(os.open(read, os.O_RDONLY), 0)
    for number, file in (1, out), (2, err):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # the old one may hold lines read ahead


def preload(rehearsal: Sequence[Sequence[str]]) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            redirect(os.devnull, os.devnull, os.devnull)
            for call in rehearsal:
                called(call)
            with open(writing, "w", encoding="utf-8") as names:
                names.write("\n".join(sys.modules))
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as names:
        found = names.read().splitlines()
    os.waitpid(child, 0)
    for name in found:
        with contextlib.suppress(ImportError):  # parts of the standard library stand under other names too
            importlib.import_module(name)


if __name__ == "__main__":
    main()
