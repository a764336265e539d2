"""What children are sent to do in the tests of this folder."""

from __future__ import annotations

import os
import sys
import time

MADE: list[str] = []


def speak() -> None:
    print("out", *sys.argv[1:], os.environ.get("WORD"), os.getcwd(), repr(sys.stdin.read()))
    print("err", file=sys.stderr)
    sys.exit(4)


def hold() -> None:
    """As many bytes as the argument says, touched, so that they count."""
    block = bytearray(int(sys.argv[1]))
    block[::4096] = b"x" * len(block[::4096])


def leave() -> None:
    MADE.append("a trace")
    sys.setrecursionlimit(50_000)
    os.environ["TRACE"] = "a trace"


def look() -> None:
    print(MADE, sys.getrecursionlimit() == 50_000, "TRACE" in os.environ)


def fail() -> None:
    raise ValueError("not caught")


def die() -> None:
    os.abort()


def sleep() -> None:
    time.sleep(60)


def spin() -> None:
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
