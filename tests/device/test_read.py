"""A profile's file, completed by those it extends."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from effaudit.device.find import locator
from effaudit.device.read import MAX_EXTENDS, all_problems, read_device
from effaudit.device.types import Device
from effaudit.errors import UsageError

from .profiles import BOARD, GPU, changed, device, written

OVER = """\
schema: effaudit.device/1
name: acme-fast
title: Acme fast
class: mcu
extends: {base}
sources: {{own: {{title: Own}}}}
source: own
status: measured
engines:
  - {{name: core, clock_hz: 200e6}}
memories:
  - {{name: sram, regions: [{{name: sram1, size_bytes: 200000}}]}}
"""


def link(folder: Path, name: str, extends: str, abstract: bool = False) -> str:
    head = f"schema: effaudit.device/1\nname: {name}\ntitle: T\nclass: mcu\nextends: {extends}\n"
    return written(folder, f"{head}abstract: {str(abstract).lower()}\n", f"{name}.yaml")


def error(path: str) -> str:
    with pytest.raises(UsageError) as caught:
        read_device(path, locator())
    (line,) = str(caught.value).splitlines()
    assert all_problems(path, locator()) == [line]
    return line


def test_everything_of_a_profile_is_read(tmp_path: Path) -> None:
    made = device(tmp_path, BOARD)
    assert isinstance(made, Device)
    assert (made.name, made.kind, made.aliases) == ("acme-board", "mcu", ("acme", "board-m7"))
    assert made.memories[1].regions[1].base == 0x20010000
    assert made.performance[0].rates["conv"].mac_per_cycle is not None
    assert made.runtimes[0].code_bytes is not None and made.runtimes[0].code_bytes.value == 81920
    assert made.energy is not None and made.energy.system_pj_per_mac["int8"].value == 407
    assert device(tmp_path, GPU, "gpu.yaml").batch is None


@pytest.mark.parametrize("base", ["acme-board", "ACME", "board_m7", "./acme-board.yaml"])
def test_what_a_profile_completes(tmp_path: Path, base: str) -> None:
    written(tmp_path, BOARD)
    made = device(tmp_path, OVER.format(base=base), "acme-fast.yaml")
    core, sram = made.engines[0], next(memory for memory in made.memories if memory.name == "sram")
    assert core.clock_hz is not None and (core.clock_hz.value, core.clock_hz.source) == (200e6, "own")
    assert core.cores is not None and (core.cores.value, core.cores.source, core.cores.status) == (
        1,
        "manual",
        "vendor",
    )
    assert {region.name: region.size_bytes.value for region in sram.regions}["sram1"] == 200_000
    assert made.aliases == () and made.part == "" and made.vendor == "Acme"
    assert set(made.sources) == {"manual", "paper", "own"}


def test_a_base_need_not_be_complete(tmp_path: Path) -> None:
    written(tmp_path, changed(BOARD, "title: Acme evaluation board\n", "title: A\nabstract: true\n"))
    assert not device(tmp_path, OVER.format(base="acme"), "acme-fast.yaml").abstract


def test_several_deep(tmp_path: Path) -> None:
    written(tmp_path, BOARD)
    for i in range(MAX_EXTENDS - 1):
        link(tmp_path, f"l{i}", "acme-board" if i == 0 else f"l{i - 1}")
    assert read_device(str(tmp_path / f"l{MAX_EXTENDS - 2}.yaml"), locator()).vendor == "Acme"
    link(tmp_path, "deeper", f"l{MAX_EXTENDS - 2}")
    assert re.search(r"\$\.extends: more than 8 profiles deep; refused", error(link(tmp_path, "deepest", "deeper")))


@pytest.mark.parametrize("length", [1, 2, 3])
def test_cycles(tmp_path: Path, length: int) -> None:
    paths = [link(tmp_path, f"c{i}", f"c{(i + 1) % length}") for i in range(length)]
    names = " -> ".join(f"c{i % length}.yaml" for i in range(length + 1))
    assert f"$.extends: a cycle: {names}; let one of them extend nothing" in error(paths[0])


def test_a_profile_may_complete_the_one_of_its_own_name(tmp_path: Path) -> None:
    """A user's `acme-board` over the `acme-board` that is in a folder named later."""
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    mine.mkdir(), theirs.mkdir()
    written(theirs, BOARD)
    path = written(mine, changed(OVER.format(base="acme-board"), "name: acme-fast", "name: acme-board"))
    made = read_device(path, locator([str(mine), str(theirs)]))
    assert (made.title, made.vendor) == ("Acme fast", "Acme")


def test_the_base_is_named_where_it_is_what_is_wrong(tmp_path: Path) -> None:
    base = written(tmp_path, changed(BOARD, "size_bytes: 16384", "size_bytes: x"))
    path = written(tmp_path, OVER.format(base="acme"), "acme-fast.yaml")
    assert error(path).startswith(f"{base}: $.memories[2].size_bytes: expected a number")


def test_a_base_that_is_not_there(tmp_path: Path) -> None:
    path = written(tmp_path, OVER.format(base="acme"), "acme-fast.yaml")
    assert error(path).startswith(f"{path}: $.extends: device 'acme': there is none of that name")


def test_a_base_with_another_source_of_the_same_key(tmp_path: Path) -> None:
    written(tmp_path, BOARD)
    path = written(tmp_path, OVER.format(base="acme").replace("own", "paper"), "acme-fast.yaml")
    assert error(path).startswith(f"{path}: $.sources.paper: the profile this one extends means 'Measurements' by it")
