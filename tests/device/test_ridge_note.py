"""A ridge point beyond what engines have is refused, unless the peak's note says why."""

from __future__ import annotations

from pathlib import Path

from effaudit.device.find import locator
from effaudit.device.read import all_problems

from .profiles import BOARD

PEAK = "int8: {dense_mac_per_cycle: 2}"
FAST = "int8: {dense_mac_per_cycle: 20000"


def problems(folder: Path, peak: str) -> list[str]:
    path = folder / "acme-board.yaml"
    path.write_text(BOARD.replace(PEAK, peak))
    return all_problems(path, locator())


def test_it_is_refused(tmp_path: Path) -> None:
    assert any("ridge point" in line and "`note`" in line for line in problems(tmp_path, FAST + "}"))


def test_a_note_says_why(tmp_path: Path) -> None:
    assert not any("ridge point" in line for line in problems(tmp_path, FAST + ", note: behind USB}"))
