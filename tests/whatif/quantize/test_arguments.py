"""The text of `--quantize`, and the rules that follow from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from effaudit import strict_yaml
from effaudit.errors import UsageError
from effaudit.graph import Node
from effaudit.whatif.quantize import Arguments, Rule, parse, text
from effaudit.whatif.quantize.tables import rules_of
from effaudit.whatif.quantize.types import rule_of

RULES = {
    "int8": Rule("int8", "int8", "per-channel"),
    "w8a8": Rule("int8", "int8", "per-channel"),
    "uint8": Rule("uint8", "uint8", "per-tensor", symmetric=False),
    "w8a16": Rule("int8", "int16", "per-channel"),
    "int4": Rule("int4", "", "block", 32),
    "W4": Rule("int4", "", "block", 32),
    "int3,per-tensor": Rule("int3", "", "per-tensor"),
    "w4,group=128,affine": Rule("int4", "", "block", 128, symmetric=False),
    "nf4": Rule("nf4", "", "block", 64),
    "fp8": Rule("float8e4m3fn"),
    "fp8e5m2,per-tensor": Rule("float8e5m2", "", "per-tensor"),
    "fp16": Rule("float16", "float16"),
    "bf16,weights-only": Rule("bfloat16"),
    "dynamic": Rule("int8", "dynamic", "per-tensor"),
    "int8,weights-only,clip=percentile=99.5": Rule("int8", clip="percentile", percentile=99.5),
    "int8,activations=uint8,clip=mse": Rule("int8", "uint8", clip="mse"),
    "float": Rule(""),
}


@pytest.mark.parametrize("written", RULES)
def test_a_scheme_states_a_rule(written: str) -> None:
    assert rule_of(parse(written)) == RULES[written]


@pytest.mark.parametrize(
    "written", [*RULES, "table=mixed.yaml,seed=3", "int8,nodes=a*|b,skip=c", "int8,format=qoperator,calibrate=random"]
)
def test_the_text_of_arguments_parses_to_them(written: str) -> None:
    arguments = parse(written)
    assert parse(text(arguments)) == arguments
    assert strict_yaml.convert({"scheme": arguments.scheme}, Arguments, "steps.yaml").scheme == arguments.scheme


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("intt8", "did you mean int8"),
        ("int1", "expected 2 to 16"),
        ("int17", "expected 2 to 16"),
        ("int8,int4", "give one of them"),
        ("per-tensor", "no scheme"),
        ("int8,group=3,per-tensor", "size of a block"),
        ("w4,group=0", "from 1"),
        ("int8,clip=max", "expected minmax"),
        ("int8,clip=percentile=0", "above 0"),
        ("fp16,affine", "no zero point"),
        ("fp16,per-tensor", "no scale"),
        ("nf4,affine", "no zero point"),
        ("int8,format=nbits", "weights-only"),
        ("int4,format=qoperator", "activations of 8"),
        ("int4,format=onnx", "expected one of"),
        ("int8,grup=3", "did you mean group"),
        ("int4,activations=dynamic", "weights of 8 bits"),
        ("dynamic,group=32", "per tensor or per channel"),
        ("int4,activations=fp16", "a step of its own"),
        ("int8,activations=nf4", "expected int8"),
        ("int8,weights-only,activations=int8", "drop activations="),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(written: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        parse(written)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("--quantize")


def test_a_file_of_steps_is_checked_as_the_text_is() -> None:
    with pytest.raises(UsageError, match=r"steps\.yaml: .*no scale"):
        strict_yaml.convert({"scheme": "fp16", "group": 4}, Arguments, "steps.yaml")
    with pytest.raises(UsageError, match=r"steps\.yaml"):
        strict_yaml.convert({"scheme": "int8", "bits": 4}, Arguments, "steps.yaml")


NODES = tuple(Node(name, "", "Conv", (), (f"{name}_out",), {}) for name in ("/a/conv", "/b/conv", "/b/fc", "/c[0]"))


def table(folder: Path, written: str) -> str:
    path = folder / "mixed.yaml"
    path.write_text(written)
    return str(path)


def test_the_first_line_of_a_table_that_matches_wins(tmp_path: Path) -> None:
    path = table(tmp_path, "/b/conv: float\n/b/*: w4,group=64\n'/c[0]': fp8\n")
    found = rules_of(NODES, parse(f"int8,table={path}"))
    assert [rule.weights for rule in found] == ["int8", "", "int4", "float8e4m3fn"]
    assert [rule.named for rule in found] == [False, True, True, True]
    assert found[2].group == 64
    alone = rules_of(NODES, parse(f"table={path}"))
    assert [rule.weights for rule in alone] == ["", "", "int4", "float8e4m3fn"]


def test_patterns_choose_and_leave_out_nodes() -> None:
    found = rules_of(NODES, parse("int8,nodes=/b/*|/a/conv,skip=*fc"))
    assert [rule.weights for rule in found] == ["int8", "int8", "", ""]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("/nowhere/*: int8\n", "no node has a name like '/nowhere/\\*'"),
        ("/a/conv: int9000\n", "'/a/conv': --quantize 'int9000'"),
        ("/a/conv: int8,seed=3\n", "goes with the whole step"),
        ("{}\n", "an empty table"),
        ("/a/conv: 8\n", "expected text"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(tmp_path: Path, written: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        rules_of(NODES, parse(f"int8,table={table(tmp_path, written)}"))
