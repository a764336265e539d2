"""The house rules that a machine can check: the one-way flow of imports, and a small public surface."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import effaudit

PACKAGE = Path(effaudit.__file__).parent
# Imports only go down: a module may import those named before it, and those of its own line.
ORDER = (
    ("errors",),
    ("units", "printable"),
    ("schema_errors", "wrapping", "nearest"),
    ("strict_yaml",),
    ("dims",),
    ("graph",),
    ("elements", "dataflow", "quantity"),
    ("ops",),
    ("operators", "extend"),
    ("load",),
    ("table", "weights", "kinds", "assume"),
    ("lower", "axes"),
    ("plan",),
    ("runtimes", "save"),
    ("run",),
    ("support",),
    ("findings", "audited"),
    ("whatif",),
    ("views",),
    ("report",),
    ("memory",),
    ("device",),
    ("estimate",),
    ("serving", "energy"),
    ("checks",),
    ("fit",),
    ("before_after", "search"),
    ("timing",),
    ("calibrate",),
    ("config",),
    ("tables",),
    ("explain",),
    ("render",),
    ("api",),
    ("cli",),
    ("__init__", "__main__"),
)
RANK = {name: i for i, names in enumerate(ORDER) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))


def part(module: str) -> str:
    """effaudit.load.shapes -> load; the package itself is free to all (it holds the version)."""
    names = module.split(".")
    return names[1] if len(names) > 1 else ""


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("effaudit"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found.update(part(name) for name in names if part(name) in RANK)
        elif isinstance(node, ast.Import):
            found.update(part(alias.name) for alias in node.names if alias.name.startswith("effaudit."))
    return found - {""}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    own = relative.parts[0].removesuffix(".py")
    for imported in imports(path):
        assert RANK[imported] <= RANK[own], f"{relative} imports {imported}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_module_imports_a_runtime(path: Path) -> None:
    """Neither onnx nor onnxruntime: an audit needs neither, and both cost more to import than an audit takes. One
    module runs models, in a process of its own."""
    if path.relative_to(PACKAGE).as_posix() == "run/_child.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not any(name.split(".")[0] in ("onnx", "onnxruntime") for name in names)


def test_public_surface() -> None:
    assert effaudit.__all__ == ["Audit", "Given", "ModelReport", "__version__", "audit"]
    for name in effaudit.__all__:
        assert getattr(effaudit, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        effaudit.nothing


def test_every_shape_rule_has_a_price_or_a_reason() -> None:
    from effaudit.ops._registry import load_families, registered

    load_families()
    through_bodies = {("", op) for op in ("If", "Loop", "Scan", "SequenceMap")}
    for key, rules in registered().items():
        assert rules.cost is not None or rules.unpriced or key in through_bodies, key


def test_the_rules_of_an_operator_stand_together() -> None:
    """Families are imported until one has the operator: none of its rules may lie in another."""
    from effaudit.ops._registry import load_families, registered

    load_families()
    for key, rules in registered().items():
        if rules.shape is not None and rules.cost is not None:
            assert rules.shape.__module__ == rules.cost.__module__, key


def test_every_standard_operator_has_a_shape_and_a_price() -> None:
    """All of ai.onnx as the installed onnx knows it, whatever version introduced it."""
    from onnx import defs

    from effaudit.ops._registry import find

    through_bodies = {"If", "Loop", "Scan", "SequenceMap"}
    missing = []
    for schema in defs.get_all_schemas():
        rules = find("", schema.name) if schema.domain == "" and not schema.deprecated else None
        if schema.domain == "" and not schema.deprecated and schema.name not in through_bodies:
            if rules is None or rules.shape is None or not (rules.cost or rules.unpriced):
                missing.append(schema.name)
    assert missing == []
