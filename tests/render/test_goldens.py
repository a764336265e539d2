"""Every format on every sample is what it was; a change shows as a change of a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .goldens import FORMATS, cases, golden, path

ROOT = Path(__file__).parents[2]
RENDER_ALL = (
    "import hashlib\nfrom tests.render.goldens import cases, golden\n"
    "print(hashlib.sha256(''.join(golden(*case) for case in cases()).encode()).hexdigest())"
)


@pytest.mark.parametrize(("sample", "command", "form"), cases())
def test_golden(sample: str, command: str, form: str) -> None:
    file = path(sample, command, form)
    assert file.exists(), "run python -m tests.render.goldens"
    assert golden(sample, command, form) == file.read_text(encoding="utf-8")


def test_no_golden_is_left_over() -> None:
    kept = {file for file in path("x", "y", "z").parents[1].rglob("*") if file.is_file()}
    assert kept == {path(*case) for case in cases()}


def test_the_same_bytes_whatever_the_hash_seed() -> None:
    made = {
        subprocess.run(
            [sys.executable, "-c", RENDER_ALL],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(made) == 1
    assert {command: len(forms) for command, forms in FORMATS.items()} == {"report": 7, "memory": 5}
