"""Files of definitions: what they say, and the one line each refusal is."""

from __future__ import annotations

from pathlib import Path

import pytest

from effaudit import operators
from effaudit.errors import UsageError
from effaudit.operators.rules import define
from effaudit.operators.schema import KINDS, OperatorSpec, OutputSpec
from effaudit.ops._registry import MAC_KINDS, Rules, find, load_families, registered

from .models import DENSE, HEAD, defined

ONE = "  - op: acme::One\n    inputs: [x, w, b?, xs*]\n"
COST = "    macs: 0\n    ops: 0\n"


def test_a_definition_keeps_the_files_words(tmp_path: Path) -> None:
    found = defined(tmp_path, DENSE)
    one = found["acme", "FusedDense"]
    assert list(found) == [("acme", "FusedDense")]
    assert one.source == "https://acme.example/fused-dense"
    assert one.formulas == {"macs": "numel(out) * x[-1]", "ops": "numel(out) if b else 0"}
    assert one.cost is not None and one.cost.__doc__ == "macs = numel(out) * x[-1]; ops = numel(out) if b else 0"
    assert (one.kind, one.path, one.replace) == ("gemm", str(tmp_path / "ops.yaml"), False)
    with pytest.raises(TypeError):
        found["acme", "Other"] = one  # type: ignore[index]


def test_several_files(tmp_path: Path) -> None:
    second = tmp_path / "second.yaml"
    second.write_text(HEAD + ONE + COST)
    defined(tmp_path, DENSE)
    assert set(operators.read(tmp_path / "ops.yaml", second)) == {("acme", "FusedDense"), ("acme", "One")}
    assert operators.read() == {}
    with pytest.raises(UsageError) as caught:
        operators.read(second, tmp_path / "ops.yaml", second)
    said = f"{second}: $.operators[0].op: acme::One is defined twice, the first time in {second}"
    assert str(caught.value) == said


def test_no_domain_is_the_standard_one(tmp_path: Path) -> None:
    text = "".join(f"  - op: {op}\n    inputs: [x]\n" for op in ("MyOwn", "ai.onnx::MyOther", "ai.onnx.ml::MyThird"))
    assert list(defined(tmp_path, text)) == [("", "MyOwn"), ("", "MyOther"), ("ai.onnx.ml", "MyThird")]


REFUSED = [
    # ---- the file
    (f"schema: effaudit.operators/2\noperators: []\n{ONE}", "no YAML"),
    (
        "schema: effaudit.operators/2\noperaters: []",
        "$.schema: expected effaudit.operators/1, got effaudit.operators/2",
    ),
    ("operators: []", "$: the key 'schema' is missing"),
    ("schema: effaudit.operators/1", "$: the key 'operators' is missing"),
    ("", "$: the file is empty"),
    (HEAD + "  - op: a::B\n    inputs: [x]\n    macz: 1", "$.operators[0]: unknown key 'macz'; did you mean 'macs'?"),
    (HEAD + "  - op: a::B\n", "$.operators[0]: the key 'inputs' is missing"),
    (HEAD + "  - op: a::B\n    inputs: [x]\n    op: a::C", "line 5: duplicate key 'op'"),
    (
        HEAD + ONE + "    macs: 1.5\n    ops: 0",
        "$.operators[0].macs: expected a whole number or text or nothing, got a",
    ),
    (HEAD + ONE + COST + "    replace: yes", "$.operators[0].replace: expected true or false, got text"),
    # ---- the operator
    (HEAD + "  - op: ''\n    inputs: []", "$.operators[0].op: '' is no operator; written domain::Operator"),
    (HEAD + "  - op: 'a::'\n    inputs: []", "$.operators[0].op: 'a::' is no operator"),
    (HEAD + "  - op: 'a: B'\n    inputs: []", "$.operators[0].op: 'a: B' is no operator"),
    (HEAD + "  - op: acme:FusedDense\n    inputs: []", "$.operators[0].op: 'acme:FusedDense' is no operator"),
    (HEAD + "  - op: acme.FusedDense\n    inputs: []", "'acme.FusedDense' is no operator; written domain::Operator"),
    (HEAD + "  - op: ' B'\n    inputs: []", "$.operators[0].op: ' B' is no operator"),
    (HEAD + '  - op: "a::B\\e[2J"\n    inputs: []', r"$.operators[0].op: 'a::B\x1b[2J' is no operator"),
    (HEAD + ONE + ONE, "$.operators[1].op: acme::One is defined twice"),
    (
        HEAD + "  - op: ai.onnx::Conv\n    inputs: [x]\n" + COST,
        "$.operators[0].op: ai.onnx::Conv has a built-in rule; `replace: true` puts this definition in its place",
    ),
    (HEAD + "  - op: com.microsoft::Gelu\n    inputs: [x]\n" + COST, "com.microsoft::Gelu has a built-in rule"),
    (HEAD + "  - op: Loop\n    inputs: [x]\n    replace: true", "Loop cannot be defined"),
    (HEAD + "  - op: Constant\n    inputs: []\n    replace: true", "Constant cannot be defined"),
    # ---- inputs
    (HEAD + "  - op: a::B\n    inputs: [x, x]", "$.operators[0].inputs[1]: 'x' is there twice"),
    (HEAD + "  - op: a::B\n    inputs: [x, x*]", "$.operators[0].inputs[1]: 'x' is there twice"),
    (HEAD + "  - op: a::B\n    inputs: [xs*, x]", "$.operators[0].inputs[1]: nothing may follow xs*"),
    (HEAD + "  - op: a::B\n    inputs: [1x]", "$.operators[0].inputs[0]: '1x' is no name"),
    (HEAD + "  - op: a::B\n    inputs: [x?*]", "$.operators[0].inputs[0]: 'x?*' is no name"),
    (HEAD + "  - op: a::B\n    inputs: [lambda]", "$.operators[0].inputs[0]: 'lambda' is no name"),
    (HEAD + "  - op: a::B\n    inputs: [out]", "$.operators[0].inputs[0]: 'out' means something else in formulas"),
    (HEAD + "  - op: a::B\n    inputs: [float32]", "'float32' means something else in formulas"),
    # ---- outputs
    (HEAD + ONE + "    outputs: [{}]", "$.operators[0].outputs[0]: either shape or like is expected"),
    (HEAD + ONE + "    outputs: [{like: x, shape: [1]}]", "$.operators[0].outputs[0]: either shape or like"),
    (HEAD + ONE + "    outputs: [{like: z}]", "$.operators[0].outputs[0].like: no input is named 'z'; there are: x, w"),
    (HEAD + ONE + "    outputs: [{like: xs}]", "$.operators[0].outputs[0].like: no input is named 'xs'"),
    (HEAD + ONE + "    outputs: [{like: x, dtype: float}]", "$.operators[0].outputs[0].dtype: 'float' is no input and"),
    (HEAD + "  - op: a::B\n    inputs: []\n    outputs: [{shape: [1]}]", ".dtype: an element type is needed"),
    (
        HEAD + ONE + "    outputs: [{shape: numel(x)}]",
        "$.operators[0].outputs[0].shape: column 1: numel(x) is a number",
    ),
    (HEAD + ONE + "    outputs: [{shape: [1, 'out[0]']}]", ".outputs[0].shape[1]: column 1: unknown name out; known: "),
    (HEAD + ONE + "    outputs: [{shape: [1, x]}]", "$.operators[0].outputs[0].shape[1]: column 1: x is a tensor"),
    (HEAD + ONE + "    outputs: [{shape: [x[0], 1]}]", "a text with brackets or commas needs quotes"),
    (HEAD + ONE + "    outputs: [{shap: 1}]", "$.operators[0].outputs[0]: unknown key 'shap'; did you mean 'shape'?"),
    # ---- costs
    (HEAD + ONE + "    macs: 1", "$.operators[0]: macs is given and ops is not; write `ops: 0` where it has none"),
    (HEAD + ONE + "    ops: 1", "$.operators[0]: ops is given and macs is not; write `macs: 0` where it has none"),
    (HEAD + ONE + "    reads: 1", "$.operators[0]: reads is given and macs is not"),
    (HEAD + ONE + COST.replace("macs: 0", "macs: 2 ** 9"), "$.operators[0].macs: column 1: 2 ** 9: this operator is"),
    (
        HEAD + ONE + COST + "    writes: numel(y)",
        "$.operators[0].writes: column 7: unknown name y; known: b, out, outs,",
    ),
    (HEAD + ONE + COST + "    kind: convolution", "$.operators[0].kind: 'convolution' is none of activation, "),
    (HEAD + ONE + "    kind: gemm", "$.operators[0].kind: it goes with macs and ops, which are missing"),
    (
        HEAD + ONE + "    macs: numel(x)\n    ops: 0\n    kind: norm",
        "$.operators[0].kind: norm has no MACs, but macs is",
    ),
    # ---- roles
    (
        HEAD + ONE + COST + "    roles: {z: other}",
        "$.operators[0].roles: no input is named 'z'; there are: x, w, b, xs",
    ),
    (
        HEAD + ONE + COST + "    roles: {w: weight}",
        "$.operators[0].roles[...]: expected one of buffer, other, param, quantiz",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=range(len(REFUSED)))
def test_refuses(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "ops.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        operators.read(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert message in said
    assert said.isprintable() and said.count(str(path)) <= 2 and len(said) < 700


def test_every_built_in_kind_may_be_used() -> None:
    load_families()
    built_in = {rules.kind for rules in registered().values() if isinstance(rules.kind, str)}
    assert built_in - KINDS <= {"control", "function", "unpriced"}
    assert KINDS - built_in <= MAC_KINDS


def test_a_definition_keeps_every_field_it_does_not_state() -> None:
    """Whatever fields rules have: each has a value of its own here, and none gets lost."""
    marked = {field: f"the {field} of the built-in rule" for field in Rules.__struct_fields__}
    built_in = Rules(**marked)  # type: ignore[arg-type]
    bare = define(OperatorSpec("Mine", ("x",), replace=True), built_in, "ops.yaml")
    assert {field for field in marked if getattr(bare, field) != marked[field]} == {"roles"}
    shaped = define(OperatorSpec("Mine", ("x",), (OutputSpec(like="x"),), replace=True), built_in, "ops.yaml")
    changed = {field for field in marked if getattr(shaped, field) != marked[field]}
    assert changed == {"roles", "shape", "shape_takes", "partial"}
    priced = define(OperatorSpec("Mine", ("x",), macs=0, ops=1, kind="norm", replace=True), built_in, "ops.yaml")
    changed = {field for field in marked if getattr(priced, field) != marked[field]}
    assert changed == {"roles", "cost", "cost_takes", "kind", "unpriced"}
    assert {field: getattr(built_in, field) for field in marked} == marked


def test_the_registry_stays_as_it_is(tmp_path: Path) -> None:
    before = find("", "Relu")
    assert before is not None
    kept = (before.shape, before.cost, before.kind, before.overwrites, before.roles)
    found = defined(tmp_path, "  - op: Relu\n    inputs: [x]\n    macs: 0\n    ops: 7\n    replace: true\n" + DENSE)
    assert ("acme", "FusedDense") not in registered()
    after = registered()["", "Relu"]
    assert after is before
    assert (after.shape, after.cost, after.kind, after.overwrites, after.roles) == kept
    mine = found["", "Relu"]
    assert mine.shape is before.shape  # what it leaves out stays
    assert mine.overwrites == before.overwrites
    assert mine.cost is not before.cost
