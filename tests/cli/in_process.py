"""The command line without a process of its own: what it prints, and its exit code."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from effaudit import cli


class Done(NamedTuple):
    code: int
    out: str
    err: str


def invoke(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Done:
    """`effaudit ARGUMENTS`."""
    monkeypatch.setattr("sys.argv", ["effaudit", *arguments])
    code = cli._run(False)
    out, err = capsys.readouterr()
    return Done(code, out, err)
