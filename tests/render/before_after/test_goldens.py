"""Every format of what-ifs is what it was; a change shows as a change of a file."""

from __future__ import annotations

import pytest

from .goldens import FOLDER, SHOWN, cases, golden, path, printed


@pytest.mark.parametrize(("name", "form"), cases())
def test_golden(name: str, form: str) -> None:
    file = path(name, form)
    assert file.exists(), "run python -m tests.render.before_after.goldens"
    assert golden(name, form) == file.read_text(encoding="utf-8")


def test_no_golden_is_left_over() -> None:
    assert {file for file in FOLDER.rglob("*") if file.is_file()} == {path(*case) for case in cases()}


@pytest.mark.parametrize("name", SHOWN)
def test_text_keeps_to_80_columns_and_40_lines(name: str) -> None:
    lines = [line for line in printed(name, "text").splitlines() if not line.startswith("next ")]  # one to paste
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 40 or SHOWN[name][1]
