"""The shipped profiles: each valid, each number with a source that can be looked up, each name one device's."""

from __future__ import annotations

import os
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from effaudit import runtimes, strict_yaml, support
from effaudit.device.check import checked
from effaudit.device.document import shown
from effaudit.device.facts import stated
from effaudit.device.find import find, load, locator
from effaudit.device.folders import Place, files
from effaudit.device.heads import Head, head, key, scanned
from effaudit.device.json_schema import json_schema
from effaudit.device.read import read_device
from effaudit.device.types import STATUSES, Device
from effaudit.device.validate import facts
from effaudit.render.devices.page import page

from .json_schema import wrong

PATHS = files(Place(support.folder(), "shipped"))
HEADS: dict[str, Head] = {path: head(path) for path in PATHS}
REAL = [path for path in PATHS if not HEADS[path].abstract]
by_name = pytest.mark.parametrize("path", PATHS, ids=os.path.basename)
real = pytest.mark.parametrize("path", REAL, ids=os.path.basename)


@cache
def read(path: str) -> Device:
    return read_device(path, locator())


def test_there_are_devices_of_every_class() -> None:
    assert len(REAL) >= 25
    assert {read(path).kind for path in REAL} == {"mcu", "npu", "phone", "sbc", "gpu", "cpu", "tpu"}


def test_all_are_valid() -> None:
    assert {path: problems for path, problems in checked(()) if problems} == {}


@by_name
def test_every_number_can_be_looked_up(path: str) -> None:
    device = read(path)
    found = list(facts(device))
    for place, fact in found:
        assert fact.status in STATUSES, place
        source = device.sources[fact.source]
        assert source.url.startswith(("https://", "http://")) or len(source.title) >= 8, (place, fact.source)
    if path in REAL:
        assert len(found) >= 3


@by_name
def test_the_file_has_the_name_of_its_device(path: str) -> None:
    assert os.path.basename(path) == f"{read(path).name}.yaml"


@by_name
def test_the_names_are_scanned_as_they_are_parsed(path: str) -> None:
    """Finding a device among them parses that one alone."""
    found = scanned(strict_yaml.text_of(path))
    document = strict_yaml.read(path)
    assert found is not None and isinstance(document, dict)
    keys = ("name", "aliases", "part", "extends", "abstract")
    assert found == {k: tuple(document[k]) if k == "aliases" else document[k] for k in keys if k in document}


def test_every_name_is_one_devices() -> None:
    names = Counter(key(name) for one in HEADS.values() for name in {one.name, *one.aliases})
    assert [name for name, count in names.items() if count > 1] == []


@by_name
def test_every_name_finds_its_device(path: str) -> None:
    one = HEADS[path]
    for name in (one.name, *one.aliases, one.name.upper(), one.name.replace("-", "_")):
        assert load(name).path == path


@real
def test_what_a_device_needs(path: str) -> None:
    device = read(path)
    holds = [what for memory in device.memories for what in memory.holds]
    assert device.engines and "weights" in holds and "activations" in holds
    assert device.title
    for runtime in device.runtimes:
        assert runtime.rules in runtimes.names()
        assert not runtime.supports or runtime.supports in support.names()
    assert device.runtimes


@by_name
def test_its_page_fits(path: str) -> None:
    lines = page(shown([HEADS[path].name], ()).profiles[0])
    assert len(lines) <= 75
    assert all(len(line) <= 80 or "https://" in line or "http://" in line for line in lines)


def test_the_profiles_of_the_documentation_hold(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "devices.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    example = next(block for block in blocks if "extends: " in block)
    numbers = next(block for block in blocks if block.startswith("size_bytes: "))
    path = tmp_path / "acme-controller.yaml"
    path.write_text(example, encoding="utf-8")
    made = read_device(path, locator())
    (core, *_), base = made.engines, find("st-nucleo-h743zi")
    assert core.clock_hz is not None and core.clock_hz.value == 400e6
    assert made.memories == base.memories and made.reserved[0].size_bytes.value == 98_304
    text = f"source: a\nstatus: vendor\n{numbers}"
    assert [fact["unit"] for fact in stated(strict_yaml.parse(text, "x")).values() if isinstance(fact, dict)] == [
        *("B", "Hz", "B/s", "B", "s"),
    ]


def test_cortex_m7_is_one_real_board() -> None:
    board = find("cortex-m7")
    assert board.kind == "mcu" and not board.abstract
    assert any("m7" in f"{engine.name} {engine.title} {engine.isa}".lower() for engine in board.engines)


@by_name
def test_the_json_schema_takes_them_as_they_are_written(path: str) -> None:
    schema = json_schema()
    assert list(wrong(strict_yaml.read(path), schema, schema["$defs"])) == []


@pytest.mark.parametrize(
    "change",
    [
        {"vendors": "x"},
        {"class": "toaster"},
        {"engines": [{"name": "a", "clock_hz": "100e6"}]},
        {"engines": [{"name": "a", "clock_hz": {"value": 1, "unit": "Hz"}}]},
        {"engines": [{"kind": "simd"}]},
        {"name": 3},
    ],
)
def test_the_json_schema_refuses_what_the_program_does(change: dict[str, Any]) -> None:
    schema = json_schema()
    document = {"schema": "effaudit.device/1", "name": "a", "title": "b", "class": "mcu"}
    assert list(wrong(document, schema, schema["$defs"])) == []
    assert list(wrong({**document, **change}, schema, schema["$defs"]))
