"""Settings of a project: where they are found, and what they may say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from effaudit.cli.options import given, models
from effaudit.config import Config, device_folders, nearest
from effaudit.errors import UsageError

HEAD = "schema: effaudit.config/1\n"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a repository, and the current folder two below it."""
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(folder / "a" / "b")
    monkeypatch.delenv("EFFAUDIT_DEVICES", raising=False)
    monkeypatch.delenv("CI", raising=False)
    return folder


def error(*start: str) -> str:
    with pytest.raises(UsageError) as caught:
        nearest(*start)
    (line,) = str(caught.value).splitlines()
    return line


def config() -> Config:
    found = nearest()
    assert found is not None
    return found.config


FULL = """\
models: [m.onnx, "sample:ic", "-", "https://host/x.onnx", /abs/y.onnx]
dims: {batch: 1, seq: 128}
shapes: {x: [1, 3, 224, 224]}
devices: [boards, other/acme.yaml]
"""
TOML = """\
[project]
name = "x"
[tool.effaudit]
models = ["m.onnx"]
devices = ["boards"]
[tool.effaudit.dims]
batch = 2
"""


@pytest.mark.parametrize("name", ["effaudit.yaml", ".effaudit.yaml"])
def test_a_file_above(name: str, project: Path) -> None:
    (project / name).write_text(HEAD + FULL)
    found = nearest()
    assert found is not None and found.path == str(project / name)
    assert found.models() == ("../../m.onnx", "sample:ic", "-", "https://host/x.onnx", "/abs/y.onnx")
    assert found.devices() == ("../../boards", "../../other/acme.yaml")
    assert found.config.dims == {"batch": 1, "seq": 128}
    assert found.config.shapes == {"x": (1, 3, 224, 224)}


def test_the_table_of_pyproject(project: Path) -> None:
    (project / "a" / "pyproject.toml").write_text(TOML)
    found = nearest()
    assert found is not None and found.models() == ("../m.onnx",) and found.config.dims == {"batch": 2}
    (project / "a" / "pyproject.toml").write_text(TOML + '\n[tool.other]\nname = "effaudit"\n')
    assert nearest() == found


@pytest.mark.parametrize(
    "text", ['[project]\nname = "x"\n', '[project]\nname = "effaudit"\n', "[broken", "tool = 3 # effaudit"]
)
def test_a_pyproject_of_others(project: Path, text: str) -> None:
    (project / "effaudit.yaml").write_text(HEAD)
    (project / "a" / "pyproject.toml").write_text(text)
    found = nearest()
    assert found is not None and found.path == str(project / "effaudit.yaml")


def test_the_nearest_counts(project: Path) -> None:
    (project / "effaudit.yaml").write_text(HEAD + "models: [far.onnx]\n")
    (project / "a" / "b" / "effaudit.yaml").write_text(HEAD + "models: [near.onnx]\n")
    assert config().models == ("near.onnx",)


def test_nothing_above_the_repository_counts(project: Path) -> None:
    (project.parent / "effaudit.yaml").write_text(HEAD)
    assert nearest() is None
    assert nearest(project.parent) is not None


@pytest.mark.parametrize("pair", [("effaudit.yaml", ".effaudit.yaml"), ("effaudit.yaml", "pyproject.toml")])
def test_two_are_one_too_many(project: Path, pair: tuple[str, str]) -> None:
    for name in pair:
        (project / name).write_text(TOML if name.endswith("toml") else HEAD)
    said = error()
    assert said.startswith(f"{project}: {pair[0]} and {pair[1]}") and said.endswith(
        "two configurations; keep one of them"
    )


BROKEN = [
    ("", "$: the file is empty"),
    ("[1]\n", "$: expected keys and values"),
    ("models: [m.onnx]\n", "$.schema: expected effaudit.config/1, got nothing"),
    ("schema: effaudit.config/2\n", "$.schema: expected effaudit.config/1, got 'effaudit.config/2'"),
    (HEAD + "model: [m.onnx]\n", "$: unknown key 'model'; did you mean 'models'?"),
    (HEAD + "models: m.onnx\n", "$.models: expected a list, got text"),
    (HEAD + "models: [1]\n", "$.models[0]: expected text, got a whole number"),
    (HEAD + "dims: {batch: one}\n", "$.dims[...]: expected a whole number, got text"),
    (HEAD + "dims: {batch: -1}\n", "$.dims[...]: expected a whole number >= 0"),
    (HEAD + "shapes: {x: 1x3}\n", "$.shapes[...]: expected a list, got text"),
    (HEAD + "devices: {a: b}\n", "$.devices: expected a list, got keys and values"),
    (HEAD + "models: [a]\nmodels: [b]\n", "line 3: duplicate key 'models'"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN, ids=range(len(BROKEN)))
def test_what_is_refused(project: Path, text: str, message: str) -> None:
    path = project / "effaudit.yaml"
    path.write_text(text)
    assert error().startswith(f"{path}: ") and message in error()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.effaudit]\nmodel = 3\n", "pyproject.toml: [tool.effaudit]: $: unknown key 'model'"),
        ("[tool]\neffaudit = 3\n", "pyproject.toml: [tool.effaudit]: $: expected keys and values"),
        ('[tool.effaudit]\nschema = "x"\n', "$.schema: expected effaudit.config/1, got 'x'"),
        ("[tool.effaudit]\nmodels = [\n", "pyproject.toml: no TOML: "),
        ("x = " + "[" * 5_000 + "# effaudit\n", "pyproject.toml: no TOML: "),
        ("#" * 1_100_000 + "effaudit", "more than 1,048,576 bytes; refused"),
    ],
    ids=range(6),
)
def test_what_is_refused_in_pyproject(project: Path, text: str, message: str) -> None:
    (project / "pyproject.toml").write_text(text)
    if "refused" in message:
        (project / "pyproject.toml").write_text(text.replace("#", "effaudit #", 1))
    assert message in error()


# ---- what commands make of it
def test_models_of_the_configuration(project: Path) -> None:
    (project / "a" / "b" / "only.onnx").touch()
    assert models(("x.onnx",)) == ("x.onnx",)
    assert models(()) == ("only.onnx",)
    (project / "effaudit.yaml").write_text(HEAD + "models: [m.onnx]\n")
    assert models(()) == ("../../m.onnx",)
    assert models(("x.onnx",)) == ("x.onnx",)


def test_an_empty_list_leaves_the_only_model_of_the_folder(project: Path) -> None:
    (project / "a" / "b" / "only.onnx").touch()
    (project / "effaudit.yaml").write_text(HEAD + "models: []\n")
    assert models(()) == ("only.onnx",)


def test_sizes_of_the_configuration_are_those_of_its_models(project: Path) -> None:
    (project / "effaudit.yaml").write_text(HEAD + "dims: {batch: 1, seq: 8}\nshapes: {x: [1, 2]}\n")
    asked = given(["seq=4"], ["y=3x3"], ())
    assert (asked.dims, asked.shapes) == ({"batch": 1, "seq": 4}, {"x": (1, 2), "y": (3, 3)})
    assert given(["seq=4"], [], ("named.onnx",)).dims == {"seq": 4}
    assert given(["seq=4"], []).dims == {"seq": 4}


def test_folders_of_devices(project: Path) -> None:
    assert device_folders({}) == ()
    (project / "effaudit.yaml").write_text(HEAD + "devices: [boards]\n")
    environment = {"EFFAUDIT_DEVICES": os.pathsep.join(["/one", "", "two"])}
    assert device_folders(environment) == ("/one", "two", "../../boards")
    assert device_folders({}) == ("../../boards",)


def test_a_folder_that_is_gone(project: Path) -> None:
    gone = project / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert nearest() is None
