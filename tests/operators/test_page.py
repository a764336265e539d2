"""docs/operators-of-your-own.md holds: its file is read, its rules work, its errors and limits are real."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import msgspec
import pytest

from effaudit import operators
from effaudit.errors import UsageError
from effaudit.operators.formula import FUNCTIONS
from effaudit.operators.schema import OperatorSpec, OutputSpec

from .models import HEAD, costs, node, save, zeros
from .test_packages import ROOT, audited, install

PAGE = (ROOT / "docs" / "operators-of-your-own.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_file(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    (tmp_path / "ops.yaml").write_text(text)
    found = operators.read(tmp_path / "ops.yaml")
    assert list(found) == [("acme", "FusedDense"), ("acme", "TopTokens")]
    nodes = [node("FusedDense", ["x", "w"], ["h"]), node("TopTokens", ["h", "t"], ["y", "z"], k=5, passes=3)]
    path = save(tmp_path / "m.onnx", nodes, {"x": [2, 8]}, [zeros("w", 8, 4), zeros("t", 7)], ["y", "z"])
    graph, table = costs(path, found)
    assert (table.total("macs").value, table.total("ops").value) == (64, 24)
    assert (graph.values["y"].shape, graph.values["z"].shape) == ((2, 5), (2, 4))
    assert table.rows[1].low.reads == 2 * 4 * 4 + 2 * 5 * 8


def test_the_rules(tmp_path: Path) -> None:
    (rules,) = [block for block in blocks("python") if "effaudit.extend" in block]
    (points,) = blocks("toml")
    assert points.splitlines()[0] == '[project.entry-points."effaudit.ops"]'
    install(tmp_path / "site", "acme-rules", points.splitlines()[1].replace('"', ""), acme_rules=rules)
    nodes = [node("FusedDense", ["x", "w", "b"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, {"x": [2, 8]}, [zeros("w", 8, 4), zeros("b", 4)])
    assert audited(tmp_path / "site", path)[0] == "[64, 64] [8, 8] 36 gemm"


def test_the_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = "  - op: acme::One\n    inputs: [x]\n"
    files = [
        f"{HEAD}{one}    macs: 1\n    ops: 1\n    macs: 1\n",
        f"{HEAD}  - op: acme::One\n    input: [x]\n",
        f"{HEAD}{one}    macs: 2 ** 9\n    ops: 0\n",
        f"{HEAD}  - op: ai.onnx::Conv\n    inputs: [x, w]\n",
    ]
    said = []
    for text in files:
        Path("ops.yaml").write_text(text)
        with pytest.raises(UsageError) as caught:
            operators.read("ops.yaml")
        said.append(str(caught.value))
    assert said == blocks("text")[0].splitlines()


def test_the_limits() -> None:
    limits = re.findall(r"^\|[^|]*\| ([\d,]+) \| `([\w.]+)` \|$", PAGE, re.MULTILINE)
    assert len(limits) == 7
    for stated, name in limits:
        module, _, constant = name.rpartition(".")
        assert getattr(importlib.import_module(module), constant) == int(stated.replace(",", ""))


def test_every_key_and_function_is_documented() -> None:
    for spec in (OperatorSpec, OutputSpec):
        for field in msgspec.structs.fields(spec):
            assert f"`{field.name}`" in PAGE, field.name
    for name in FUNCTIONS:
        assert f"{name}(" in PAGE
