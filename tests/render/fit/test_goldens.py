"""Every format of a fit and of a report on a device is what it was; a change shows as a change of a file."""

from __future__ import annotations

import pytest

from effaudit.render.fit.screen import HEIGHT

from .goldens import FITS, FOLDER, cases, golden, path, printed


@pytest.mark.parametrize(("name", "form"), cases())
def test_golden(name: str, form: str) -> None:
    file = path(name, form)
    assert file.exists(), "run python -m tests.render.fit.goldens"
    assert golden(name, form) == file.read_text(encoding="utf-8")


def test_no_golden_is_left_over() -> None:
    assert {file for file in FOLDER.rglob("*") if file.is_file()} == {path(*case) for case in cases()}


@pytest.mark.parametrize("name", [name for name, form in cases() if form == "text"])
def test_text_keeps_to_80_columns(name: str) -> None:
    lines = [line for line in printed(name, "text").splitlines() if not line.startswith("next ")]  # one to paste
    assert lines
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", [name for name, (_, lists, _) in FITS.items() if not lists])
def test_a_screen_has_40_lines_at_most(name: str) -> None:
    assert len(printed(name, "text").splitlines()) <= HEIGHT == 40
