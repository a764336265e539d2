"""The largest range of addresses without a gap, against a bitmap of all addresses."""

from __future__ import annotations

from itertools import groupby, pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from effaudit.device.contiguous import largest_contiguous, total_size
from effaudit.device.types import Fact, Memory, Region

from .profiles import BOARD, device

CELLS = 64


def size(value: int | None) -> Fact:
    return Fact(value, "B", "s", "vendor", note="n")


def memory(*regions: tuple[int | None, int | None]) -> Memory:
    return Memory("m", "ram", regions=tuple(Region(f"r{i}", size(n), base) for i, (base, n) in enumerate(regions)))


@st.composite
def layouts(draw: st.DrawFn) -> list[tuple[int | None, int | None]]:
    """Regions that do not overlap, in any order."""
    ends = sorted(draw(st.lists(st.integers(0, CELLS), min_size=2, max_size=10, unique=True)))
    pieces = [(a, b - a) for a, b in pairwise(ends) if draw(st.booleans())]
    return list(draw(st.permutations(pieces)))


@given(layouts())
def test_as_a_bitmap_has_it(regions: list[tuple[int | None, int | None]]) -> None:
    cells = [any(base <= i < base + n for base, n in regions if base is not None and n) for i in range(CELLS)]
    runs = [len(list(run)) for used, run in groupby(cells) if used]
    assert largest_contiguous(memory(*regions)) == (max(runs) if runs else None)
    assert total_size(memory(*regions)) == (sum(cells) if regions else None)


def test_an_stm32f746() -> None:
    """64 KiB DTCM + 240 KiB SRAM1 + 16 KiB SRAM2 follow each other: RM0385, 2.2.2, table 1."""
    kib = 1024
    board = memory((0x20000000, 64 * kib), (0x20010000, 240 * kib), (0x2004C000, 16 * kib))
    assert largest_contiguous(board) == total_size(board) == 320 * kib


def test_a_gap_ends_a_range(tmp_path: Path) -> None:
    sram = device(tmp_path, BOARD).memories[1]
    assert (largest_contiguous(sram), total_size(sram)) == (304 * 1024, 308 * 1024)


def test_regions_without_an_address_stand_alone() -> None:
    assert largest_contiguous(memory((None, 100), (0, 40), (40, 50))) == 100
    assert largest_contiguous(memory((None, 80), (0, 40), (40, 50))) == 90


def test_what_is_not_known() -> None:
    assert largest_contiguous(Memory("m", "ram")) is None
    assert largest_contiguous(Memory("m", "ram", size_bytes=size(None))) is None
    assert largest_contiguous(Memory("m", "ram", size_bytes=size(7))) == 7
    assert total_size(memory((0, 4), (4, None))) is None
    assert total_size(Memory("m", "ram")) is None
