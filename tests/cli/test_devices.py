"""`effaudit devices` from outside: what it prints, where, and how it ends."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

import effaudit.render.devices.facts
import effaudit.render.devices.page
from effaudit import strict_yaml
from effaudit.cli import COMMANDS, SECTIONS
from effaudit.device import folders
from effaudit.device.find import find
from effaudit.device.types import Device, Fact, KernelCost
from effaudit.render.devices.facts import amount, tagged
from tests.device.profiles import BOARD, GPU, changed, written
from tests.device.structs import fact_keys

from .in_process import Done, invoke
from .process import run


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a project whose configuration names a folder with two profiles; nothing is shipped."""
    (tmp_path / "shipped").mkdir()
    monkeypatch.setattr(folders, "folder", lambda: str(tmp_path / "shipped"))
    boards = tmp_path / "boards"
    boards.mkdir()
    written(boards, BOARD)
    written(boards, GPU, "acme-gpu.yaml")
    written(tmp_path, "schema: effaudit.config/1\ndevices: [boards]\n", "effaudit.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EFFAUDIT_DEVICES", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    return boards


class Command:
    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.fixtures = capsys, monkeypatch

    def __call__(self, *arguments: str) -> Done:
        return invoke(*self.fixtures, "devices", *arguments)

    def out(self, *arguments: str) -> str:
        done = self(*arguments)
        assert (done.code, done.err) == (0, "")
        return done.out

    def error(self, *arguments: str) -> str:
        done = self(*arguments)
        assert (done.code, done.out) == (2, "")
        (line,) = done.err.splitlines()
        return line


@pytest.fixture
def devices(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(capsys, monkeypatch)


# ---- list
def test_the_list(devices: Command) -> None:
    lines = devices.out("list").splitlines()
    assert max(map(len, lines)) <= 80
    board = next(line for line in lines if line.startswith("acme-board"))
    assert board.split()[1:6] == ["304.0", "KiB", "1.000", "MiB", "tflm"]
    assert lines[lines.index(board) + 1] == "    Acme evaluation board; also acme, board-m7"
    assert lines.index("mcu") < lines.index(board) < lines.index("gpu")


def test_names_are_whole_in_the_list(devices: Command) -> None:
    """They are there to be copied."""
    lines = devices.out("list").splitlines()
    for one in json.loads(devices.out("list", "--json"))["devices"]:
        assert any(line.startswith(f"{one['name']} ") for line in lines), one["name"]


def test_classes(devices: Command) -> None:
    for arguments in (("--class", "mcu,gpu"), ("--class", "MCU", "--class", "gpu")):
        found = json.loads(devices.out("list", *arguments, "--json"))["devices"]
        assert {one["class"] for one in found} == {"mcu", "gpu"}
    assert devices.error("list", "--class", "toaster") == (
        "effaudit: --class 'toaster': expected one of mcu, npu, phone, sbc, gpu, cpu, tpu"
    )


def test_every_format_says_the_same(devices: Command) -> None:
    document = json.loads(devices.out("list", "--json"))
    assert document["schema"] == "effaudit.devices/1" and document["profiles"] == []
    names = [one["name"] for one in document["devices"]]
    rows = list(csv.DictReader(io.StringIO(devices.out("list", "-f", "csv"))))
    assert [row["name"] for row in rows] == names
    board = rows[0]
    assert (board["name"], board["activation_bytes"], board["weight_bytes"]) == ("acme-board", "315392", "1048576")
    table = devices.out("list", "-f", "markdown").splitlines()
    assert [line.split("|")[1].strip() for line in table[2:] if line.startswith("|")] == names


def test_abstract_profiles_where_asked(devices: Command, mine: Path) -> None:
    written(mine, changed(GPU, "name: acme-gpu\n", "name: acme-base\nabstract: true\n"), "acme-base.yaml")
    listed = [json.loads(devices.out("list", *option, "--json"))["devices"] for option in ([], ["--all"])]
    without, everything = ({one["name"] for one in devices} for devices in listed)
    assert "acme-base" in everything - without


def test_a_broken_profile_spoils_its_row_only(devices: Command, mine: Path) -> None:
    written(mine, "a: [\x1b", "broken.yaml")
    text = devices.out("list")
    assert "acme-board " in text and "cannot be used\n  broken\n    " in text
    assert all(line.isprintable() for line in text.splitlines())
    assert "**broken** cannot be used" in devices.out("list", "-f", "markdown")
    row = next(one for one in json.loads(devices.out("list", "--json"))["devices"] if one["name"] == "broken")
    assert row["problem"] and row["weight_bytes"] is None


def test_files_are_written(devices: Command) -> None:
    assert devices.out("list", "-f", "json=a.json", "-f", "csv=a.csv") == ""
    assert json.loads(Path("a.json").read_text())["devices"]
    assert devices.error("list", "-o", "boards").endswith("boards: cannot be written: a directory; name a file in it")


# ---- show
def test_the_page_of_a_device(devices: Command) -> None:
    text = devices.out("show", "acme")
    lines = text.splitlines()
    assert len(lines) <= 60 and max(map(len, lines)) <= 80
    for said in (
        "acme-board   Acme evaluation board",
        "mcu by Acme, part ACME1234",
        "2 MAC/cycle a core dense [vendor manual] = 400 Mop/s; ridge",
        "largest contiguous 304.0 KiB; holds activations, stack",
        "8.000 KiB of sram for stack [vendor manual]",
        "tflm  the default; rules tflm on core; code 80.00 KiB [vendor manual]",
        "conv 0.5 (0.4..0.6) MAC/cycle [measured paper]",
        "error 12 % in the median, 80 % within a factor of 1.4, 15 measurements",
        "int8 407 pJ/MAC [vendor manual]",
        "manual  Acme RM1, read 2026-01-31  https://acme.example/rm1",
    ):
        assert said in text, said


def test_sparse_peaks_stand_apart(devices: Command) -> None:
    text = devices.out("show", "acme-gpu")
    assert "312 TFLOP/s dense, 624 TFLOP/s 2:4-sparse [vendor sheet]; ridge" in text
    assert "153 hbm" in text


def test_the_whole_device_as_json(devices: Command) -> None:
    document = json.loads(devices.out("show", "acme", "acme-gpu", "--json"))
    assert [one["name"] for one in document["devices"]] == ["acme-board", "acme-gpu"]
    board, gpu = document["profiles"]
    assert board["device"]["engines"][0]["clock_hz"] == {
        "value": 100_000_000,
        "unit": "Hz",
        "source": "manual",
        "status": "vendor",
        "low": None,
        "high": None,
        "note": "",
    }
    assert board["largest_contiguous_bytes"] == {"flash": 2**20, "sram": 304 * 1024}
    ridges = {one["dtype"]: one["ridge_op_per_byte"]["hbm"] for one in gpu["peaks"]}
    assert ridges["float16"] == pytest.approx(153, abs=0.1)


def test_several_on_a_page(devices: Command) -> None:
    assert devices.out("show", "acme,acme-gpu") == devices.out("show", "acme") + "\n" + devices.out("show", "acme-gpu")


def test_unknown_devices(devices: Command) -> None:
    assert "did you mean" in devices.error("show", "acme-gpi")
    assert devices.error("show").startswith("effaudit: Missing argument 'NAME...'.")


def test_names_of_a_profile_reach_no_terminal_raw(devices: Command, mine: Path) -> None:
    text = changed(BOARD, "title: Acme evaluation board", 'title: "a\\e[31m\\u202eb"')
    text = changed(text, "notes: [made up]", 'notes: ["x\\ny\\e]0;z\\a"]')
    written(mine, changed(text, "vendor: Acme\n", 'vendor: "\\e[2J"\n'))
    for form in (
        ("show", "acme"),
        ("show", "acme", "--json"),
        ("list",),
        ("list", "-f", "csv"),
        ("list", "-f", "markdown"),
    ):
        assert all(line.isprintable() for line in devices.out(*form).splitlines()), form


def test_every_number_is_on_the_page() -> None:
    """Whatever number the schema knows, the page has words for it; of hundreds of costs it says how many there are."""
    source = Path(effaudit.render.devices.page.__file__).read_text()
    numbers, _ = fact_keys(Device)
    counted = {key for key in numbers if key in KernelCost.__struct_fields__ and key != "rows_count"}
    assert [key for key in sorted(numbers - counted) if key not in source] == []


AMOUNTS = [
    ((1536, "B"), "1.500 KiB"),
    ((3.35e12, "B/s"), "3.35 TB/s"),
    ((1979e12, "FLOP/s"), "1.979 PFLOP/s"),
    ((480e6, "Hz"), "480 MHz"),
    ((0, "Hz"), "0 Hz"),
    ((1.8e-6, "s"), "1.8 us"),
    ((0.25, "s"), "250 ms"),
    ((4e-11, "s"), "0.04 ns"),
    ((0.5, "1"), "0.5"),
    ((407, "pJ/MAC"), "407 pJ/MAC"),
    ((10**40, "cycles"), "1e+40 cycles"),
    ((None, "W"), "unknown"),
]


@pytest.mark.parametrize(("number", "said"), AMOUNTS)
def test_numbers_for_people(number: tuple[float | None, str], said: str) -> None:
    assert amount(Fact(*number, "s", "vendor")) == said


def test_bounds_for_people() -> None:
    assert amount(Fact(2, "W", "s", "vendor", 1, 3)) == "2 (1..3) W"
    assert amount(Fact(2e6, "Hz", "s", "vendor", 1e6, 3e9)) == "2 MHz (1 MHz..3 GHz)"
    assert amount(Fact(2, "B", "s", "vendor", 1)) == "2 B (at least 1 B)"
    assert amount(Fact(2, "W", "s", "vendor", None, 3)) == "2 (at most 3) W"
    assert amount(Fact(None, "W", "s", "vendor", 1, 3)) == "1 W..3 W"
    assert amount(Fact(None, "W", "s", "vendor", 1)) == "1 W or more"


def test_a_tag_holds_back_to_the_one_before() -> None:
    a, b = Fact(1, "1", "x", "vendor"), Fact(1, "1", "y", "measured")
    pieces = [("kind", None), ("one", a), ("two", a), ("three", b), ("four", a)]
    assert tagged(pieces) == "kind, one, two [vendor x]; three [measured y]; four [vendor x]"
    assert tagged([("one", a), ("words", None), ("two", b)]) == "one, words [vendor x]; two [measured y]"
    assert tagged([]) == ""


# ---- validate
def test_validate(devices: Command, mine: Path) -> None:
    assert devices.out("validate", "boards").splitlines() == ["boards/acme-board.yaml: ok", "boards/acme-gpu.yaml: ok"]
    written(mine, changed(BOARD, "size_bytes: 16384", "size_bytes: -1"))
    done = devices("validate", "boards/acme-gpu.yaml", "boards/acme-board.yaml")
    assert done == (
        2,
        "boards/acme-gpu.yaml: ok\n"
        "boards/acme-board.yaml: $.memories[2].size_bytes: expected no number below 0, got -1\n",
        "",
    )


def test_validate_looks_across_the_files_of_a_folder(devices: Command, mine: Path) -> None:
    written(mine, changed(GPU, "class: gpu\n", "class: gpu\naliases: [board-m7]\n"), "acme-gpu.yaml")
    done = devices("validate", "boards")
    assert done.code == 2
    assert "acme-gpu.yaml: $.aliases[0]: 'board-m7' is claimed by boards/acme-board.yaml as well" in done.out


def test_validate_knows_the_sets_of_operators(devices: Command, mine: Path) -> None:
    written(mine, changed(GPU, "rules: ort, engine", "rules: ort, supports: nothing-such, engine"), "acme-gpu.yaml")
    done = devices("validate", "boards/acme-gpu.yaml")
    assert done.code == 2 and "$.runtimes[0].supports: no set of operators 'nothing-such'" in done.out


def test_validate_what_is_not_there(devices: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert devices.error("validate", "empty") == "effaudit: empty: no profiles (*.yaml) in this folder"
    done = devices("validate", "none.yaml")
    assert (done.code, done.out) == (2, "none.yaml: cannot be read: No such file or directory\n")


# ---- new and schema
def test_a_new_profile_holds_as_it_stands(devices: Command) -> None:
    text = devices.out("new", "acme-new")
    assert devices.out("new", "acme-new", "-o", "boards/acme-new.yaml") == ""
    assert Path("boards/acme-new.yaml").read_text() == text
    assert devices.out("validate", "boards/acme-new.yaml") == "boards/acme-new.yaml: ok\n"
    assert find("acme-new", ["boards"]).engines[0].peaks["int8"].dense_mac_per_cycle is not None
    assert devices.out("show", "acme-new")


@pytest.mark.parametrize("base", ["acme", "acme-gpu", "boards/acme-gpu.yaml"])
def test_a_new_profile_may_complete_another(base: str, devices: Command) -> None:
    assert devices.out("new", "acme-two", "--from", base, "-o", "boards/two.yaml") == ""
    assert devices.out("validate", "boards/two.yaml") == "boards/two.yaml: ok\n"
    old, new = find(base, ["boards"]), find("acme-two", ["boards"])
    assert (new.kind, new.memories, new.runtimes) == (old.kind, old.memories, old.runtimes)
    commented = Path("boards/two.yaml").read_text()
    whole = "\n".join(line.removeprefix("# ") if "# " in line[:2] else line for line in commented.splitlines()[2:])
    Path("boards/two.yaml").write_text(whole)
    assert devices.out("validate", "boards/two.yaml") == "boards/two.yaml: ok\n"


def test_a_file_that_is_there_is_kept(devices: Command) -> None:
    assert "boards/acme-board.yaml: is there already" in devices.error("new", "x-y", "-o", "boards/acme-board.yaml")
    assert Path("boards/acme-board.yaml").read_text() == BOARD


@pytest.mark.parametrize("name", ["Acme", "a b", "", "../x", "a\x1b"])
def test_names_that_cannot_be(name: str, devices: Command) -> None:
    assert "expected lower-case letters, digits, - and ." in devices.error("new", name)


@pytest.mark.parametrize("name", ["null", "1e9", "true", "0x1f", "007"])
def test_names_that_yaml_takes_for_something_else(name: str, devices: Command) -> None:
    for more in ([], ["--from", "acme"]):
        document = strict_yaml.parse(devices.out("new", name, *more), "x")
        assert isinstance(document, dict) and document["name"] == name


def test_a_profile_cannot_complete_itself(devices: Command) -> None:
    assert "is the name of what it completes" in devices.error("new", "acme-board", "--from", "acme")


def test_the_schema_is_json(devices: Command) -> None:
    schema: dict[str, Any] = json.loads(devices.out("schema"))
    assert schema["$ref"] == "#/$defs/Device"
    assert set(schema["$defs"]["Device"]["properties"]) >= {"schema", "name", "class", "engines", "memories"}


# ---- as a process of its own
def test_the_help_names_the_sections() -> None:
    assert [name for names in SECTIONS.values() for name in names] == list(COMMANDS)
    text = run("--help").stdout.decode()
    assert text.index("Look:") < text.index("report") < text.index("Decide:") < text.index("Set up:")
    assert text.index("Set up:") < text.index("\n  devices")


def test_same_input_same_bytes(mine: Path) -> None:
    for arguments in (("list",), ("show", "acme", "--json"), ("schema",)):
        first, second = (run("devices", *arguments, cwd=mine.parent, PYTHONHASHSEED=seed).stdout for seed in "12")
        assert first == second and first


def test_a_report_of_the_configured_models(mine: Path) -> None:
    settings = "schema: effaudit.config/1\nmodels: ['sample:ic', 'sample:ad']\ndims: {batch: 1}\n"
    written(mine.parent, settings, "effaudit.yaml")
    done = run("report", "--json", cwd=mine.parent)
    assert done.returncode == 0
    assert [one["path"] for one in json.loads(done.stdout)["models"]] == ["sample:ic", "sample:ad"]
    broken = run("report", cwd=mine)
    assert broken.returncode == 0
    written(mine, "schema: effaudit.config/1\nmodel: [x]\n", "effaudit.yaml")
    done = run("report", cwd=mine)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"effaudit.yaml: $: unknown key 'model'; did you mean 'models'?" in done.stderr
