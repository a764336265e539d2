"""The documentation holds: examples, tables, links, options, fields and limits are the program's own."""

from __future__ import annotations

import doctest
import importlib
import re
from itertools import chain
from pathlib import Path

import click
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from effaudit import audit
from effaudit.cli import COMMANDS, cli
from effaudit.explain import formulas
from effaudit.findings import RULES
from effaudit.report import NodeReport, Report
from effaudit.views.weights.findings import RULES as OF_WEIGHTS
from tests.corpus.score import folder

from . import console, devices, figures, operators, runtimes, structs, validation
from .generate import (
    DEVICES,
    EXPLAIN,
    FORMULAS,
    JSON,
    JSON_FIT,
    JSON_MEMORY,
    JSON_SWEEP,
    JSON_TIME,
    JSON_WHATIF,
    OPERATORS,
    RUNTIMES,
    VALIDATION,
    filled,
)

CORPUS = folder()
PAGES = {str(path.relative_to(console.ROOT)): path.read_text(encoding="utf-8") for path in console.pages()}
BLOCKS = [
    pytest.param(block, id=f"{name}-{i}")
    for name, text in PAGES.items()
    for i, block in enumerate(console.blocks(text))
]
STALE = "run `python -m tests.docs.generate`"


def fenced(language: str, text: str) -> list[str]:
    """The blocks of a language in a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


# ---- what is generated
def test_operators_are_up_to_date() -> None:
    made, stored = operators.page(), OPERATORS.read_text(encoding="utf-8")
    if operators.versions() not in stored:  # other schemas than the page was made from
        made, stored = operators.without_schemas(made), operators.without_schemas(stored)
    assert made == stored, STALE


def test_formulas_views_and_figures_are_up_to_date() -> None:
    assert FORMULAS.read_text(encoding="utf-8") == formulas.page(), STALE
    generated = (
        (JSON, {"views": structs.sections()}),
        (JSON_MEMORY, {"memory": structs.memory_sections()}),
        (JSON_FIT, {"fit": structs.fit_sections()}),
        (JSON_WHATIF, {"whatif": structs.whatif_sections()}),
        (JSON_SWEEP, {"sweep": structs.sweep_sections()}),
        (JSON_TIME, {"time": structs.time_sections()}),
        (EXPLAIN, {"figures": figures.table()}),
        (RUNTIMES, {"runtimes": runtimes.sections()}),
        (DEVICES, devices.parts()),
    )
    for file, parts in generated:
        stored = file.read_text(encoding="utf-8")
        assert filled(stored, parts) == stored, STALE


@pytest.mark.skipif(CORPUS is None, reason="the corpus is not beside this checkout")
def test_validation_is_up_to_date() -> None:
    assert CORPUS is not None
    stored = VALIDATION.read_text(encoding="utf-8")
    assert filled(stored, validation.tables(CORPUS)) == stored, STALE


@pytest.mark.parametrize("block", BLOCKS)
def test_commands_print_what_is_shown(block: str) -> None:
    assert console.played(block) == block, STALE


@pytest.mark.parametrize("name", [name for name, text in PAGES.items() if fenced("pycon", text)])
def test_python_examples(name: str) -> None:
    session = "\n".join(fenced("pycon", PAGES[name]))
    test = doctest.DocTestParser().get_doctest(session, {}, name, name, 0)
    assert test.examples
    failed, _ = doctest.DocTestRunner().run(test)
    assert not failed


def test_code_shown_is_the_packages_own() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (console.ROOT / "effaudit").rglob("*.py"))
    shown = fenced("python", PAGES["docs/architecture.md"])
    assert shown
    for block in shown:
        assert block in source


# ---- set-up
def test_the_two_set_up_commands() -> None:
    first, second = fenced("sh", PAGES["README.md"])
    assert first == "python3.11 -m venv .venv && .venv/bin/pip install . && .venv/bin/effaudit report sample:ic\n"
    assert (console.ROOT / ".ci" / "run").read_text().splitlines()[-1] == f"exec {second.strip()}"


def test_make_targets_exist() -> None:
    makefile = (console.ROOT / "Makefile").read_text()
    named = set(chain.from_iterable(re.findall(r"`[^`\n]*\bmake (\w+)`", text) for text in PAGES.values()))
    assert named >= {"docs", "format"}
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


# ---- links and names
def slugs(text: str) -> set[str]:
    """The anchors GitHub gives to headings."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", PAGES)
def test_links_resolve(name: str) -> None:
    text = re.sub(r"^```.*?^```$", "", PAGES[name], flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        path = (console.ROOT / name).parent / file if file else console.ROOT / name
        assert path.exists(), target
        if anchor:
            assert anchor in slugs(path.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "README.md", "docs/architecture.md", "docs/validation.md"])
def test_named_files_exist(name: str) -> None:
    for path in re.findall(r"`((?:effaudit|tests|sample_models|docs|benchmarks|\.ci)/[\w./-]*)`", PAGES[name]):
        assert (console.ROOT / path).exists(), path


def test_every_page_is_linked_from_the_readme() -> None:
    for name in PAGES:
        assert name == "README.md" or f"({name})" in PAGES["README.md"]


# ---- completeness
def test_every_command_and_option_is_documented() -> None:
    text = "\n".join(PAGES.values())
    commands = {name: cli.get_command(click.Context(cli), name) for name in COMMANDS}
    for name, command in (("", cli), *commands.items()):
        assert command is not None
        assert f"effaudit {name}".strip() in text
        for parameter in command.get_params(click.Context(command)):
            if isinstance(parameter, click.Option):
                for option in parameter.opts:
                    assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text), f"{name} {option}"


def test_every_json_field_is_documented() -> None:
    kinds = [*structs.structs(Report, []), *structs.structs(NodeReport, [])]
    names = {name for kind in kinds for name in structs.hints(kind)} - {"part_of"}
    assert len(names) > 60
    for name in names:
        assert re.search(rf"^\|.*`{name}`", PAGES["docs/json.md"], re.MULTILINE), name


def test_every_finding_is_documented() -> None:
    section = PAGES["docs/json.md"].split("\n## Findings\n")[1].split("\n## ")[0]
    assert sorted(RULES) == sorted(re.findall(r"^\| `([a-z-]+)` \|[^|]*\|$", section, re.MULTILINE))
    of_weights = re.findall(r"^\| `([a-z0-9-]+)` \|[^|]*\|[^|]*\|$", PAGES["docs/weights.md"], re.MULTILINE)
    assert sorted(OF_WEIGHTS) == sorted(of_weights)
    assert len(RULES) > 7 and len(OF_WEIGHTS) > 11


LIMITS = re.findall(r"^\|[^|]*\| ([\d,]+) \| `([\w.]+)` \|$", PAGES["docs/input.md"], re.MULTILINE)


@pytest.mark.parametrize(("stated", "name"), LIMITS)
def test_limits_are_the_codes_own(stated: str, name: str) -> None:
    module, _, constant = name.rpartition(".")
    assert getattr(importlib.import_module(module), constant) == int(stated.replace(",", ""))


def test_limits_are_listed() -> None:
    assert len(LIMITS) > 12


# ---- the example of docs/memory.md
def test_the_memory_example(tmp_path: Path) -> None:
    stated = dict(re.findall(r"^\| `(\w+_bytes)` \| ([\d,]+) \|$", PAGES["docs/memory.md"], re.MULTILINE))
    assert len(stated) == 4
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("MatMul", ["a", "W"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("MatMul", ["c", "V"], ["d"]),
        helper.make_node("Add", ["a", "d"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 100]) for name in "xy")
    weights = [
        numpy_helper.from_array(np.zeros(shape, np.float32), name)
        for name, shape in (("W", (100, 300)), ("V", (300, 100)))
    ]
    model = helper.make_model(helper.make_graph(nodes, "example", [x], [y], weights))
    path = tmp_path / "example.onnx"
    path.write_bytes(model.SerializeToString())
    memory = audit(str(path)).memory
    assert {name: f"{getattr(memory, name):,}" for name in stated} == stated
    assert (memory.peak_node, memory.peak_step) == ("c", 2)
