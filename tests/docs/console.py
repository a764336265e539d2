"""The `console` blocks of the documentation: commands and what they print, run again and compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)


def pages() -> list[Path]:
    """Every page of documentation."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def blocks(text: str) -> list[str]:
    """The `console` blocks of a page."""
    return _BLOCK.findall(text)


def renewed(text: str) -> str:
    """The page with the output of every `console` block as the commands print it now."""
    return _BLOCK.sub(lambda block: played(block[0]), text)


def played(block: str) -> str:
    """A block with its commands run again."""
    return "".join(f"{shown}{_output(_bare(shown))}" for shown in commands(block))


def commands(block: str) -> list[str]:
    """The commands of a block as it shows them: a line that begins with `$ `, and the `> ` lines right below it."""
    found: list[str] = []
    typing = False
    for line in block.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append(line)
            typing = True
        elif typing and line.startswith("> "):
            found[-1] += line
        elif found:
            typing = False
        else:
            raise ValueError(f"a console block begins with output: {line!r}")
    return found


def _bare(shown: str) -> str:
    return "".join(line[2:] for line in shown.splitlines(keepends=True))


@cache
def _tools() -> tempfile.TemporaryDirectory[str]:
    """A folder in which `effaudit` and `python` are this checkout's."""
    folder = tempfile.TemporaryDirectory(prefix="effaudit-docs-")
    for name, arguments in (("effaudit", " -m effaudit"), ("python", "")):
        script = Path(folder.name, name)
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n')
        script.chmod(0o755)
    return folder


def _output(command: str) -> str:
    """What a command prints, messages included, run by bash in the root of the repository."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("EFFAUDIT", "CI"))},
        "PATH": f"{_tools().name}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "80",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout
