"""Devices by name: paths, names, aliases, parts; the user's folders before packages before what is shipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effaudit import strict_yaml
from effaudit.device import folders as places
from effaudit.device import heads
from effaudit.device.catalogue import catalogue
from effaudit.device.find import find, load, locate
from effaudit.errors import UsageError

from .profiles import BOARD, GPU, changed, written


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder with a board, a GPU, and a board that is only there to be extended by another."""
    folder = tmp_path / "mine"
    folder.mkdir()
    written(folder, BOARD)
    written(folder, GPU, "acme-gpu.yaml")
    written(folder, _small("base", "abstract: true"), "base.yaml")
    written(folder, _small("leaf", "extends: base\npart: LF-7"), "leaf.yaml")
    return folder


@pytest.fixture(autouse=True)
def _nothing_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shipped").mkdir()
    monkeypatch.setattr(places, "folder", lambda: str(tmp_path / "shipped"))


def _small(name: str, more: str) -> str:
    lines = BOARD.replace("name: acme-board", f"name: {name}").replace("aliases: [acme, board-m7]\n", "")
    return lines.replace("part: ACME1234\n", f"{more}\n")


def error(name: str, *folders: Path) -> str:
    with pytest.raises(UsageError) as caught:
        find(name, [str(folder) for folder in folders])
    (line,) = str(caught.value).splitlines()
    return line


NAMES = ["acme-board", "ACME-Board", "acme_board", " acme", "Board_M7", "acme-board/acme1234", "cortex-m7/ACME1234"]


@pytest.mark.parametrize("name", [*NAMES, "mcu/acme", "acme/board-m7"])
def test_names(name: str, mine: Path) -> None:
    assert find(name, [str(mine)]).name == "acme-board"


def test_paths(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mine)
    for path in (str(mine / "acme-board.yaml"), "acme-board.yaml", "./acme-board.yaml", "../mine/acme-board.yaml"):
        assert load(path).device.name == "acme-board"
        assert load(path).path == path
    assert "cannot be read: No such file" in error("nothing.yaml")
    assert "cannot be read: Is a directory" in error("./")


def test_a_file_may_be_named_otherwise_than_its_device(mine: Path) -> None:
    os.rename(mine / "acme-board.yaml", mine / "x.yml")
    assert find("acme", [str(mine)]).name == find("acme-board", [str(mine)]).name == "acme-board"
    assert "there is none of that name" in error("x", mine)


def test_a_single_file_is_as_good_as_a_folder(mine: Path) -> None:
    assert find("acme", [str(mine / "acme-board.yaml")]).name == "acme-board"


def test_the_part_wins_and_must_match(mine: Path) -> None:
    assert find("base/leaf", [str(mine)]).name == find("base/lf_7", [str(mine)]).name == "leaf"
    assert error("cortex-m7/acme-gpu", mine).endswith("acme-gpu is no cortex-m7; write acme-gpu alone")
    assert "there is none of that name; did you mean acme" in error("cortex-m7/acmee", mine)


def test_near_misses(mine: Path) -> None:
    said = error("acme-gpi", mine)
    assert said.endswith(
        ": there is none of that name; did you mean acme-gpu or acme? `effaudit devices list` names them"
    )
    assert "`effaudit devices list`" in error("zzzzzz", mine) and "did you mean" not in error("zzzzzz", mine)
    assert error("a\x1b[31m", mine).isprintable()


def test_what_is_only_extended_is_no_device(mine: Path) -> None:
    assert error("base", mine) == "device 'base': base is only there to be extended; choose one of leaf"
    written(mine, _small("twig", "extends: leaf"), "twig.yaml")
    assert "choose one of leaf, twig" in error("base", mine)
    assert load("base", [str(mine)]).device.abstract


def test_the_first_place_wins(mine: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    written(other, BOARD.replace("Acme evaluation board", "Another"))
    assert find("acme-board", [str(mine), str(other)]).title == "Acme evaluation board"
    assert find("acme", [str(other), str(mine)]).title == "Another"
    written(tmp_path / "shipped", BOARD.replace("Acme evaluation board", "Shipped"))
    assert find("acme").title == "Shipped" and find("acme", [str(mine)]).title == "Acme evaluation board"
    assert [load("acme").origin, load("acme", [str(mine)]).origin] == ["shipped", "user"]


def test_an_alias_is_one_devices(mine: Path) -> None:
    path = written(mine, _small("twin", "aliases: [board-m7]"), "twin.yaml")
    said = error("board-m7", mine)
    assert "acme-board.yaml and " in said and said.endswith(f"{path} both claim it; rename one of them")
    assert find("twin", [str(mine)]).name == "twin"
    wrong = {one.name: one.problem for one in catalogue([str(mine)])}
    assert "claims 'board-m7' as well" in wrong["twin"] and "claims 'board-m7' as well" in wrong["acme-board"]
    assert wrong["leaf"] == ""


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert error("acme", tmp_path / "none").endswith("none: no such folder of device profiles")
    (one,) = catalogue([str(tmp_path / "none")])
    assert one.problem.endswith("no such folder of device profiles")


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MAX_FILES", 3)
    for i in range(4):
        written(tmp_path, BOARD, f"{i}.yaml")
    assert error("acme", tmp_path).endswith("more than 3 profiles in one folder; refused")


def test_a_broken_profile_spoils_its_own_row_only(mine: Path) -> None:
    written(mine, "name: [", "broken.yaml")
    written(
        mine, changed(BOARD, "acme-board", "half").replace("aliases: [acme, board-m7]\n", "batch: x\n"), "half.yaml"
    )
    written(mine, "schema: effaudit.operators/1\noperators: []\n", "operators.yaml")
    written(mine, "schema: effaudit.config/1\n", "effaudit.yaml")
    rows = {one.name: one.problem for one in catalogue([str(mine)])}
    assert set(rows) == {"acme-board", "acme-gpu", "base", "leaf", "broken", "half"}
    assert {name for name, problem in rows.items() if problem} == {"broken", "half"}
    assert "broken.yaml: " in rows["broken"] and "$.batch: expected a whole number" in rows["half"]
    assert find("acme", [str(mine)]).name == "acme-board"
    assert "$.batch: expected" in error("half", mine)


def test_what_a_list_says(mine: Path) -> None:
    board = next(one for one in catalogue([str(mine)]) if one.name == "acme-board")
    assert (board.kind, board.runtime, board.origin, board.abstract) == ("mcu", "tflm", "user", False)
    assert (board.activation_bytes, board.activation_contiguous_bytes) == (308 * 1024, 304 * 1024)
    assert board.weight_bytes == 2**20


# ---- packages
def package(folder: Path, points: str, code: str = "") -> None:
    info = folder / "acme_devices-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-devices\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[{places.GROUP}]\n{points}\n")
    (folder / "acme_devices_of_a_test.py").write_text(code)


CODE = """
from pathlib import Path
FOLDER = Path({folder!r})
def profiles(): return str(FOLDER)
def broken(): raise RuntimeError("nothing\\nhere")
NUMBER = 3
NOWHERE = "/nowhere/at/all"
"""


@pytest.mark.parametrize("name", ["FOLDER", "profiles"])
def test_packages_bring_profiles(name: str, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path / "site", f"acme = acme_devices_of_a_test:{name}", CODE.format(folder=str(mine)))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    found = load("acme")
    assert (found.device.name, found.origin) == ("acme-board", "package")
    written(tmp_path / "shipped", BOARD.replace("Acme evaluation board", "Shipped"))
    assert find("acme").title == "Acme evaluation board"


@pytest.mark.parametrize("name", ["broken", "missing", "NUMBER", "NOWHERE"])
def test_a_broken_package_spoils_nothing_else(
    name: str, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path / "site", f"acme = acme_devices_of_a_test:{name}", CODE.format(folder=str(mine)))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    written(tmp_path / "shipped", BOARD)
    assert find("acme").name == "acme-board"
    said = error("nothing-like-it")
    assert "(package acme-devices 1.2 (entry point effaudit.devices: acme = acme_devices_of_a_test:" in said
    assert said.endswith("; repair or uninstall it)")
    wrong, right = catalogue()
    assert wrong.problem.startswith("package acme-devices 1.2") and not right.problem
    assert wrong.problem.isprintable()


# ---- the names of a profile, without parsing it
PLAIN = "schema: effaudit.device/1\nname: a-b\n"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN + "aliases: [x, y-1 , z.2]   # of it\n",
        PLAIN + "aliases: []\nabstract: true\npart: P1\nextends: base\n",
        PLAIN.replace("\n", "\r\n") + "aliases: [x]\r\n",
        PLAIN + "title: |\n  name: b\n  aliases: [c]\nengines:\n  - name: core\n",
        PLAIN + "notes: ['name: x']\nabstract: false # not\n",
        "  \n# name: c\n" + PLAIN,
        PLAIN + "part: Pi 4 Model B (BCM2711)  # sold since 2019\n",
    ],
)
def test_plain_lines_are_scanned_as_they_are_parsed(text: str) -> None:
    found = heads.scanned(text)
    assert found is not None
    parsed = strict_yaml.parse(text, "x")
    assert isinstance(parsed, dict)
    keys = ("name", "aliases", "part", "extends", "abstract")
    assert found == {k: tuple(parsed[k]) if k == "aliases" else parsed[k] for k in keys if k in parsed}


@pytest.mark.parametrize(
    "text",
    [
        "schema: effaudit.device/1\ntitle: x\n",
        "name: 'a'\n",
        "name: &x a\n",
        "name: a b\n",
        "name:\n  a\n",
        PLAIN + "aliases:\n  - x\n",
        PLAIN + "aliases: [x,\n  y]\n",
        PLAIN + "aliases: ['x']\n",
        PLAIN + "abstract: yes\n",
        PLAIN + "name: b\n",
        "{name: a}",
    ],
)
def test_anything_else_is_parsed(text: str, tmp_path: Path) -> None:
    assert heads.scanned(text) is None
    path = written(tmp_path, text, "f.yaml")
    found = heads.head(path)
    try:
        document = strict_yaml.read(path)
    except UsageError as error:
        assert found.problem == str(error) and found.name == "f"
        return
    assert isinstance(document, dict)
    if "name" in document:
        assert (found.name, list(found.aliases)) == (document["name"], document.get("aliases", []))
    else:
        assert found.problem and found.name == "f"


@given(st.text(alphabet=st.sampled_from("name:alises [],#ab\n'\"-"), max_size=40))
def test_the_scan_is_never_sure_of_something_else(text: str) -> None:
    """Whatever is scanned, a parser that accepts the text reads the same."""
    found = heads.scanned(f"{text}\nname: x\n")
    if found is None:
        return
    try:
        document = strict_yaml.parse(f"{text}\nname: x\n", "x")
    except UsageError:
        return
    if isinstance(document, dict):
        assert found["name"] == document.get("name")
        assert list(found.get("aliases", [])) == document.get("aliases", [])


def test_one_device_is_found_without_parsing_the_others(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    read = strict_yaml.read

    def counted(path: str) -> object:
        parsed.append(os.path.basename(path))
        return read(path)

    monkeypatch.setattr(strict_yaml, "read", counted)
    find("board-m7", [str(mine)])
    assert parsed == ["acme-board.yaml"]
    parsed.clear()
    assert locate("leaf", [str(mine)]).endswith("leaf.yaml")
    assert parsed == []
