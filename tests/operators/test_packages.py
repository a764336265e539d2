"""Rules of installed packages: real entry points, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import effaudit

from .models import node, save, zeros

ROOT = Path(effaudit.__file__).parents[1]
AUDIT = """
import sys
from effaudit import load
from effaudit.errors import UsageError
from effaudit.table import price
from effaudit.weights import classify
for path in sys.argv[1:]:
    try:
        graph = load.load(path)
        table = price(graph)
    except UsageError as error:
        print(error)
        continue
    print(table.total("macs").bounds, table.total("ops").bounds, classify(graph).params, table.rows[0].kind)
print("looked", "importlib.metadata" in sys.modules)
"""
RULES = """
from effaudit.extend import Cost, Value, cost, numel, shape, storage

@shape("FusedDense", domain="acme")
def fused_dense(x: Value, w: Value, b: Value | None = None, *, units: int = 1) -> Value:
    return Value(x.encoding, (*x.shape[:-1], w.shape[1]))

@cost("FusedDense", domain="acme", kind="gemm")
def fused_dense_cost(x: Value, w: Value, b: Value | None = None, *, units: int = 1, out: Value) -> Cost:
    return Cost(out.numel * x.shape[-1], numel(out.shape) * units)

storage("FusedDense", domain="acme", overwrites=(0,))
"""


def install(folder: Path, name: str, points: str, **modules: str) -> None:
    """What an installer leaves: modules beside a dist-info folder."""
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[effaudit.ops]\n{points}\n")
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(textwrap.dedent(text))


def audited(site: Path, *models: Path, code: str = AUDIT) -> list[str]:
    """The lines a process prints that has `site` on its path."""
    env = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    arguments = [sys.executable, "-c", code, *map(str, models)]
    done = subprocess.run(arguments, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    nodes = [node("FusedDense", ["x", "w"], ["y"], units=3)]
    return save(tmp_path / "m.onnx", nodes, {"x": [2, 8]}, [zeros("w", 8, 4)])


def test_a_module(tmp_path: Path, model: Path) -> None:
    install(tmp_path / "site", "acme-rules", "acme = acme_rules", acme_rules=RULES)
    assert audited(tmp_path / "site", model) == ["[64, 64] [24, 24] 32 gemm", "looked True"]


def test_a_function(tmp_path: Path, model: Path) -> None:
    inside = "def register():\n" + textwrap.indent(RULES, "    ")
    install(tmp_path / "site", "acme-rules", "acme = acme_rules:register", acme_rules=inside)
    assert audited(tmp_path / "site", model, model) == ["[64, 64] [24, 24] 32 gemm"] * 2 + ["looked True"]


def test_an_import_by_the_program_itself(tmp_path: Path, model: Path) -> None:
    install(tmp_path / "site", "acme-rules", "acme = acme_rules", acme_rules=RULES)
    assert audited(tmp_path / "site", model, code="import acme_rules\n" + AUDIT)[0] == "[64, 64] [24, 24] 32 gemm"


def test_packages_are_looked_for_only_when_an_operator_is_not_known(tmp_path: Path) -> None:
    install(tmp_path / "site", "acme-rules", "acme = acme_rules", acme_rules="raise SystemExit('imported')")
    known = save(tmp_path / "known.onnx", [node("Relu", ["x"], ["y"], "")], {"x": [2, 8]})
    assert audited(tmp_path / "site", known) == ["[0, 0] [16, 16] 0 activation", "looked False"]


def test_a_file_goes_before_a_package(tmp_path: Path, model: Path) -> None:
    """Even of a package that is broken: it is not needed."""
    install(tmp_path / "site", "acme-rules", "acme = acme_rules", acme_rules="1 / 0")
    text = "  - op: acme::FusedDense\n    inputs: [x, w]\n    outputs: [{like: x}]\n    macs: 5\n    ops: 6\n"
    (tmp_path / "ops.yaml").write_text("schema: effaudit.operators/1\noperators:\n" + text)
    code = "from effaudit import operators\n" + AUDIT.replace(
        "load.load(path)", f"load.load(path, operators=operators.read({str(tmp_path / 'ops.yaml')!r}))"
    )
    assert audited(tmp_path / "site", model, code=code)[0] == "[5, 5] [6, 6] 32 other"


def test_a_file_may_define_what_a_package_has(tmp_path: Path, model: Path) -> None:
    """Whether or not its rules were loaded before: only built-in rules ask for `replace`."""
    install(tmp_path / "site", "acme-rules", "acme = acme_rules", acme_rules=RULES)
    text = "  - op: acme::FusedDense\n    inputs: [x, w]\n    outputs: [{like: x}]\n    macs: 5\n    ops: 6\n"
    (tmp_path / "ops.yaml").write_text("schema: effaudit.operators/1\noperators:\n" + text)
    code = f"{AUDIT}\nfrom effaudit import operators\nprint(len(operators.read({str(tmp_path / 'ops.yaml')!r})))"
    assert audited(tmp_path / "site", model, code=code)[-1] == "1"


WHO = "package acme-rules 1.2 (entry point effaudit.ops: acme = acme_rules)"
BROKEN = [
    ("import nothing_of_this_name", f"{WHO} cannot be loaded: ModuleNotFoundError: No module named 'nothing_of_this"),
    ("1 / 0", f"{WHO} cannot be loaded: ZeroDivisionError: division by zero; repair or uninstall it"),
    ("raise SystemExit(3)", f"{WHO} cannot be loaded: SystemExit: 3; repair"),
    (
        "raise RuntimeError('two\\nlines \\x1b[31m')",
        f"{WHO} cannot be loaded: RuntimeError: two lines \\x1b[31m; repai",
    ),
    ("this is no Python", f"{WHO} cannot be loaded: SyntaxError: "),
    (
        RULES.replace('"FusedDense", domain="acme"', '"Conv"'),
        f"{WHO} has rules for ai.onnx::Conv, and so has effaudit's built-in rule; only one may",
    ),
    (
        'from effaudit.extend import storage\nstorage("Relu", overwrites=())',
        f"{WHO} has rules for ai.onnx::Relu, and so has effaudit's built-in rule; only one may",
    ),
    (RULES + RULES, f"{WHO} cannot be loaded: ValueError: two shape rules for acme::FusedDense"),
    (
        RULES.replace("return Cost(", "return (lambda *a: a)("),
        f"{WHO}: the cost rule of acme::FusedDense is broken: it returns tuple where a Cost is expected",
    ),
    (
        RULES.replace("return Cost(", "return Cost(0.5 * "),
        f"{WHO}: the cost rule of acme::FusedDense is broken: macs is 32.0; a whole number of 0 or more is expected",
    ),
    (
        RULES.replace("return Cost(", "return Cost(-"),
        f"{WHO}: the cost rule of acme::FusedDense is broken: macs is -64; a whole number of 0 or more is expected",
    ),
    (
        RULES.replace('kind="gemm"', 'kind="norm"'),
        f"{WHO}: the cost rule of acme::FusedDense is broken: it has MACs, which its kind has not; kinds with MACs: ",
    ),
    (
        RULES.replace("return Value(x.encoding, (*x.shape[:-1], w.shape[1]))", "return x.shape"),
        f"{WHO}: the shape rule of acme::FusedDense is broken: it returns int where a Value is expected",
    ),
    (
        RULES.replace("return Value(", "assert False\n    return Value("),
        f"{WHO}: the shape rule of acme::FusedDense is broken: AssertionError",
    ),
]


@pytest.mark.parametrize(("text", "message"), BROKEN, ids=range(len(BROKEN)))
def test_a_broken_package_is_one_line(tmp_path: Path, model: Path, text: str, message: str) -> None:
    """The same line for every model of a process, though Python imports a module once."""
    install(tmp_path / "site", "acme-rules", "acme = acme_rules", acme_rules=text)
    *lines, looked = audited(tmp_path / "site", model, model)
    assert looked == "looked True"
    assert len(lines) == 2 and lines[0] == lines[1]
    assert lines[0].startswith(message)


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_attributes_are_of_the_types_a_rule_states(tmp_path: Path, future: str) -> None:
    """Whether or not the module leaves its annotations unevaluated."""
    rules = RULES.replace("units: int = 1", "units: int = 1, sizes: Sequence[int] | None = None")
    rules = f"{future}from collections.abc import Sequence\n{rules}"
    install(tmp_path / "site", "acme-rules", "acme = acme_rules", acme_rules=rules)
    wrong: list[dict[str, object]] = [{"units": "three"}, {"sizes": ["a", "b"]}]
    models = [
        save(
            tmp_path / f"{i}.onnx", [node("FusedDense", ["x", "w"], ["y"], **attrs)], {"x": [2, 8]}, [zeros("w", 8, 4)]
        )
        for i, attrs in enumerate([*wrong, {"sizes": [1, 2]}])
    ]
    code = AUDIT.replace("table.rows[0].kind", "table.rows[0].why")
    *bad, good, _ = audited(tmp_path / "site", *models, code=code)
    assert "attribute units has the wrong type" in bad[0]
    assert "attribute sizes has the wrong type" in bad[1]
    assert good == "[64, 64] [8, 8] 32 "


def test_two_packages_with_one_operator(tmp_path: Path, model: Path) -> None:
    for name in ("one", "two"):
        install(tmp_path / "site", f"{name}-rules", f"{name} = {name}_rules", **{f"{name}_rules": RULES})
    assert audited(tmp_path / "site", model)[0] == (
        "package two-rules 1.2 (entry point effaudit.ops: two = two_rules) has rules for acme::FusedDense, and so has "
        "package one-rules 1.2 (entry point effaudit.ops: one = one_rules); only one may"
    )


def test_the_command_ends_in_one_line(tmp_path: Path, model: Path) -> None:
    install(tmp_path / "site", "acme-rules", "acme = acme_rules", acme_rules="1 / 0")
    env = {**os.environ, "PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "effaudit", "report", str(model)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "package acme-rules 1.2" in line and "ZeroDivisionError" in line
