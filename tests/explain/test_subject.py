"""What words mean: which of several things of one name, in a model and without one."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from effaudit.audited import Audited, examine
from effaudit.errors import UsageError
from effaudit.explain.catalogue import KINDS, Catalogue, catalogue
from effaudit.explain.figures import Explanation, figures
from effaudit.explain.formulas import Answer, Formula, formulas
from effaudit.explain.lookup import Registry
from effaudit.explain.node import NodeExplanation
from effaudit.explain.notes import RULES, Rule
from effaudit.explain.operator import OperatorAnswer, OperatorCard
from effaudit.explain.several import MAX_NODES, Several
from effaudit.explain.subject import Explained, explain
from effaudit.load import NOTHING_GIVEN
from effaudit.ops._registry import load_families, registered
from effaudit.render.explanation import render
from tests.operators.models import DENSE, defined, node, save, zeros

load_families()


def asked(line: str, own: Registry | None = None) -> Explained:
    """What `effaudit explain LINE` finds."""
    words = shlex.split(line)
    arguments = dict(word.split("=", 1) for word in words if "=" in word)

    def examined(name: str) -> Audited:
        return examine(name, NOTHING_GIVEN, own)

    return explain([word for word in words if "=" not in word], arguments, examined, own or {})


def shown(found: Explained) -> str:
    return " ".join("".join(render("text", found)).split())


def document(found: Explained) -> dict[str, Any]:
    made: dict[str, Any] = json.loads("".join(render("json", found)))
    return made


# ---- examples run


@pytest.mark.parametrize("name", [formula.name for formula in formulas()])
def test_the_example_of_every_formula_runs(name: str) -> None:
    text = "".join(render("text", asked(name)))
    (line,) = [line for line in text.splitlines() if line.startswith("try    effaudit explain ")]
    assert isinstance(asked(line.removeprefix("try    effaudit explain ")).subject, Answer)


@pytest.mark.parametrize("name", ["Conv", "MaxPool", "Softmax", "com.microsoft::GroupQueryAttention", "Resize"])
def test_the_examples_of_an_operator_run(name: str) -> None:
    card = asked(name).subject
    assert isinstance(card, OperatorCard) and card.examples
    for example in card.examples:
        assert isinstance(asked(example.removeprefix("effaudit explain ")).subject, OperatorAnswer)


# ---- one name, several things


@pytest.mark.parametrize(
    ("word", "kind", "also"),
    [
        ("Softmax", OperatorCard, "effaudit explain softmax (the formula)"),
        ("softmax", Formula, "effaudit explain Softmax (the operator)"),
        ("Size", OperatorCard, "effaudit explain size (the figure)"),
        ("size", Explanation, "effaudit explain Size (the operator)"),
        ("Sum", OperatorCard, "effaudit explain sum_bytes (the figure)"),
        ("sum", Explanation, "effaudit explain Sum (the operator)"),
    ],
)
def test_the_exact_spelling_wins_and_the_other_is_named(word: str, kind: type, also: str) -> None:
    found = asked(word)
    assert isinstance(found.subject, kind)
    assert found.see_also == (also,)
    assert f"see also {also}" in shown(found)
    assert document(found)["see_also"] == [also]
    other = asked(also.removeprefix("effaudit explain ").split(" (")[0])
    assert not isinstance(other.subject, kind)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("softmax shape=1x8", OperatorAnswer),
        ("Softmax shape=1x8", OperatorAnswer),
        ("Softmax logits=2,1,0", Answer),
        ("sum inputs0=1x8 inputs1=1x8", OperatorAnswer),
        ("size data=1x8", OperatorAnswer),
    ],
)
def test_arguments_that_one_of_them_takes_choose_it(line: str, kind: type) -> None:
    assert isinstance(asked(line).subject, kind)


def test_names_that_mean_one_thing_have_no_other() -> None:
    for word in ("macs", "conv-macs", "Conv", "dims-assumed", "com.microsoft::FusedMatMul"):
        assert asked(word).see_also == ()


def test_every_operator_is_reached_by_its_own_name() -> None:
    for domain, op in registered():
        found = asked(f"{domain or 'ai.onnx'}::{op}").subject
        assert isinstance(found, OperatorCard)
        assert (found.name, found.domain) == (op, domain or "ai.onnx")
        if not domain:
            assert asked(op).subject == found


@pytest.mark.parametrize("word", ["kv_cache_bytes", "KV-Cache_Bytes", "kv cache bytes"])
def test_a_formula_in_other_spellings(word: str) -> None:
    assert asked(f"'{word}'").subject == asked("kv-cache-bytes").subject
    numbers = "layers=32 kv_heads=32 head_dim=128 tokens=512"
    answer = asked(f"'{word}' {numbers}").subject
    assert isinstance(answer, Answer) and answer.value == 2 * 32 * 32 * 128 * 512 * 2


def test_a_figure_goes_before_a_formula_that_differs_in_spelling() -> None:
    found = asked("weight_bytes")
    assert isinstance(found.subject, Explanation)
    assert found.see_also == ("effaudit explain weight-bytes (the formula)",)
    assert isinstance(asked("weight_bytes params=7B bits=16").subject, Answer)


def test_every_figure_formula_and_note_is_reached_by_its_name() -> None:
    assert all(isinstance(asked(name).subject, Explanation) for name in figures())
    assert all(isinstance(asked(formula.name).subject, Formula) for formula in formulas())
    assert all(isinstance(asked(name).subject, Rule) for name in RULES)


# ---- messages


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("macs x=3", r"^macs is a figure: it takes no numbers; .* effaudit explain MODEL macs$"),
        ("live x=3", r"^live_bytes is a figure: it takes no numbers"),
        ("dims-assumed x=3", r"^dims-assumed is a note: it takes no numbers"),
        ("mcas", r"is no figure, formula, operator or note; did you mean macs"),
        (
            "qqqqqq",
            r"is no figure, formula, operator or note; effaudit explain --list names all there is; a node needs",
        ),
        ("acme::Foo", r"an operator of your own needs --operators FILE"),
        ("Softmax nonsense=1", r"^Softmax: no argument is named 'nonsense'"),
        ("sample:ic mcas", r"no node or tensor is named 'mcas'; did you mean macs\?"),
        ("sample:ic qqqqqq", r"effaudit report sample:ic --nodes lists all of them"),
        ("sample:ic", r"effaudit report sample:ic --nodes lists the nodes"),
    ],
)
def test_messages(line: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        asked(line)
    assert str(caught.value).isprintable()


# ---- notes of a model


def test_a_note_of_a_model() -> None:
    note = asked("sample:lstm dims-assumed").subject
    assert isinstance(note, Rule)
    assert (note.model, note.count) == ("sample:lstm", 2)
    assert note.meaning == RULES["dims-assumed"]
    text = shown(asked("sample:lstm dims-assumed"))
    for part in (note.meaning, note.message, f"what to do: {note.remedy}", *note.where):
        assert part in text
    assert note.message and note.remedy and note.where


def test_a_note_that_a_model_does_not_have() -> None:
    found = asked("sample:ic dims-assumed")
    assert isinstance(found.subject, Rule) and found.subject.count == 0
    assert "in sample:ic: no such note" in shown(found)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_note_of_a_report_is_told_alike(rule: str) -> None:
    """What `explain MODEL NOTE` says is what the report says, the notes of weights included."""
    from effaudit.report import Asked, describe

    for name in ("sample:ic-int8", "sample:decoder-gqa"):
        audited = examine(name)
        reported = {f.rule: f for f in describe(audited, Asked(views=frozenset({"weights"}))).findings}
        told = explain([name, rule], {}, lambda _, audited=audited: audited).subject  # type: ignore[misc]
        assert isinstance(told, Rule)
        if rule in reported:
            assert (told.count, told.message, told.where) == (
                reported[rule].count,
                reported[rule].message,
                reported[rule].where,
            )
        else:
            assert not told.count


def test_notes_of_weights_that_cannot_be_read_are_unknown(tmp_path: Path) -> None:
    weight = zeros("w", 8, 8)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "absent.bin"
    path = save(tmp_path / "m.onnx", [node("MatMul", ["x", "w"], ["y"], "")], {"x": [2, 8]}, [weight])
    found = asked(f"{path} dead-channels")
    assert isinstance(found.subject, Rule)
    assert found.subject.count is None and found.subject.why
    assert "unknown: the values of 1 tensor(s)" in shown(found)


# ---- many nodes


def test_many_nodes_say_how_many_there_are() -> None:
    found = asked("sample:resnet50 Conv")
    assert isinstance(found.subject, Several)
    assert (found.subject.total, len(found.subject.nodes)) == (53, MAX_NODES)
    assert "20 of 53 nodes, 33 more; effaudit report sample:resnet50 --nodes lists all of them" in shown(found)
    assert document(found)["total"] == 53
    few = asked("sample:ic Add")
    assert isinstance(few.subject, Several) and few.subject.total == 3
    assert "lists all of them" not in shown(few)


# ---- operators of other domains


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FusedDense and MatMul of acme, MatMul of ai.onnx, FusedMatMul of com.microsoft, a function, and a Sum."""
    folder = tmp_path_factory.mktemp("models")
    add = helper.make_node("Add", ["a", "a"], ["b"])
    twice = helper.make_function("acme", "Twice", ["a"], ["b"], [add], [helper.make_opsetid("", 20)])
    nodes = [
        node("FusedDense", ["x", "w"], ["h"]),
        node("MatMul", ["h", "v"], ["m"]),
        node("MatMul", ["x", "w"], ["n"], ""),
        node("Twice", ["n"], ["t"]),
        node("FusedMatMul", ["n", "v"], ["f"], "com.microsoft"),
        node("Sum", ["n", "t", "f"], ["y"], ""),
    ]
    constants = [zeros("w", 8, 16), zeros("v", 16, 16)]
    return save(folder / "acme.onnx", nodes, {"x": [4, 8]}, constants, ("y", "m"), [twice])


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return defined(tmp_path_factory.mktemp("operators"), DENSE)


def cards(found: Explained) -> list[tuple[str, str, str]]:
    assert isinstance(found.subject, Several)
    return [(card.domain, card.name, card.kind) for card in found.subject.operators]


def test_an_operator_of_ones_own_in_a_model(model: Path, own: Registry) -> None:
    """The card and the costs are the definition's: 4 x 16 outputs of 8 products each."""
    for word in ("FusedDense", "fuseddense", "acme::FusedDense"):
        found = asked(f"{model} {word}", own)
        assert isinstance(found.subject, Several)
        (card,), (one,) = found.subject.operators, found.subject.nodes
        assert (card.name, card.domain, card.kind) == ("FusedDense", "acme", "gemm")
        assert [(i.name, i.required) for i in card.inputs] == [("x", True), ("w", True), ("b", False)]
        assert card.cost == "macs = numel(out) * x[-1]; ops = numel(out) if b else 0"
        assert card.specification == "https://acme.example/fused-dense" and card.defined_in.endswith("ops.yaml")
        assert one.macs == 4 * 16 * 8
        assert [operand.role for operand in one.inputs] == ["x", "w"]
        assert one.derivation[0].where == ("x = 4x8", "w = 8x16", "out = 4x16")


def test_without_its_definition_it_is_unpriced(model: Path) -> None:
    found = asked(f"{model} FusedDense")
    assert cards(found) == [("acme", "FusedDense", "unpriced")]
    assert isinstance(found.subject, Several)
    assert found.subject.operators[0].unpriced == "no cost rule for acme::FusedDense"


def test_the_card_is_that_of_the_domain(model: Path) -> None:
    acme, standard, both = (asked(f"{model} {word}") for word in ("acme::MatMul", "ai.onnx::MatMul", "MatMul"))
    assert cards(acme) == [("acme", "MatMul", "unpriced")]
    assert cards(standard) == [("ai.onnx", "MatMul", "gemm")]
    assert cards(both) == [("acme", "MatMul", "unpriced"), ("ai.onnx", "MatMul", "gemm")]
    assert isinstance(acme.subject, Several) and acme.subject.operators[0].cost == ""
    assert [document(found)["total"] for found in (acme, standard, both)] == [1, 1, 2]


def test_the_domains_of_onnx_runtime_and_functions(model: Path) -> None:
    assert cards(asked(f"{model} com.microsoft::FusedMatMul")) == [("com.microsoft", "FusedMatMul", "gemm")]
    found = asked(f"{model} acme::Twice")
    assert cards(found) == [("acme", "Twice", "function")]
    assert isinstance(found.subject, Several)
    assert "its body of 1 nodes" in found.subject.operators[0].cost
    assert found.subject.nodes[0].ops == 4 * 16


def test_an_operator_of_a_model_in_its_exact_spelling_goes_before_a_label(model: Path) -> None:
    found, label, name = (asked(f"{model} {word}") for word in ("Sum", "sum", "size"))
    assert cards(found) == [("ai.onnx", "Sum", "elementwise")]
    assert found.see_also == (f"effaudit explain {model} sum_bytes (the figure)",)
    assert isinstance(label.subject, Explanation) and label.subject.name == "sum_bytes"
    assert label.see_also == (f"effaudit explain {model} Sum (the operator)",)
    assert isinstance(name.subject, Explanation) and name.see_also == ()
    assert isinstance(asked(f"{model} Sum_y").subject, NodeExplanation)


def test_an_operator_of_ones_own_without_a_model(own: Registry) -> None:
    for word in ("acme::FusedDense", "FusedDense", "acme::fuseddense"):
        card = asked(word, own).subject
        assert isinstance(card, OperatorCard)
        assert (card.name, card.domain) == ("FusedDense", "acme")
        (example,) = card.examples
        words, _, file = example.removeprefix("effaudit explain ").partition(" --operators ")
        assert file.endswith("ops.yaml")
        assert isinstance(asked(words, own).subject, OperatorAnswer)
    with pytest.raises(UsageError, match="--operators FILE"):
        asked("acme::FusedDense")


@pytest.mark.parametrize(
    ("line", "macs", "ops", "params"),
    [
        ("FusedDense x=4x8 w=8x16", 4 * 16 * 8, 0, 0),
        ("acme::FusedDense x=4x8 w=8x16:weight b=16:weight", 4 * 16 * 8, 4 * 16, 8 * 16 + 16),
        ("FusedDense x=2x3x8:float16 w=8x16", 2 * 3 * 16 * 8, 0, 0),
    ],
)
def test_a_call_of_ones_own_operator(own: Registry, line: str, macs: int, ops: int, params: int) -> None:
    answer = asked(line, own).subject
    assert isinstance(answer, OperatorAnswer)
    assert (answer.macs, answer.ops, answer.params, answer.kind) == (macs, ops, params, "gemm")
    assert answer.unpriced is None


MORE = """\
  - op: acme::Pick
    inputs: [scores, table?, more*]
    outputs:
      - shape: ["scores[0]", attrs.k]
        dtype: int64
    macs: 0
    ops: numel(scores) * attrs.get('passes', 1) + len(more)
    reads: bytes(scores)
  - op: acme::Bare
    inputs: [x]
    macs: numel(x)
    ops: 0
  - op: Gelu
    inputs: [x]
    macs: 0
    ops: 99 * numel(x)
    replace: true
"""


def test_definitions_of_all_kinds(tmp_path: Path) -> None:
    own = defined(tmp_path, MORE)
    answer = asked("Pick scores=4x9 table=3 more0=1 more1=1 k=5 passes=2", own).subject
    assert isinstance(answer, OperatorAnswer)
    assert (answer.ops, answer.read_bytes, answer.outputs[0].shape) == (4 * 9 * 2 + 2, 4 * 9 * 4, (4, 5))
    assert answer.attributes == {"k": "5", "passes": "2"}
    reads = next(step for step in answer.derivation if step.figure == "read_bytes")
    assert reads.formula == "bytes(scores)"
    with pytest.raises(UsageError, match=r"no argument is named 'scors'; did you mean scores"):
        asked("Pick scors=4x9 k=5", own)
    with pytest.raises(UsageError, match=r"Pick: scores= missing"):
        asked("Pick k=5", own)
    with pytest.raises(UsageError, match=r"Bare: .* states no outputs of it"):
        asked("Bare x=4", own)
    replaced = asked("Gelu x=2x5", own).subject
    assert isinstance(replaced, OperatorAnswer) and replaced.ops == 99 * 10
    assert asked("Gelu x=2x5").subject != replaced
    assert asked("gelu", own).subject == asked("Gelu", own).subject


def test_a_domain_of_ones_own_does_not_hide_a_standard_operator(tmp_path: Path) -> None:
    own = defined(tmp_path, DENSE.replace("FusedDense", "MatMul"))
    standard, mine = asked("MatMul", own).subject, asked("acme::MatMul", own).subject
    assert isinstance(standard, OperatorCard) and isinstance(mine, OperatorCard)
    assert (standard.domain, mine.domain) == ("ai.onnx", "acme")


# ---- the catalogue


def test_everything_listed_can_be_explained(own: Registry) -> None:
    found = catalogue(own=own)
    assert found.kinds == KINDS
    listed = {kind: [e.name for s in found.sections if s.kind == kind for e in s.entries] for kind in KINDS}
    assert listed["figures"] == list(figures())
    assert listed["formulas"] == [formula.name for formula in formulas()]
    assert listed["notes"] == list(RULES)
    assert len(listed["operators"]) == len(registered()) + 1 and "FusedDense" in listed["operators"]
    kinds = {"figures": Explanation, "formulas": Formula, "notes": Rule, "operators": OperatorCard}
    for kind, names in listed.items():
        assert len(set(names)) == len(names)
        assert all(isinstance(asked(name, own).subject, kinds[kind]) for name in names)


@pytest.mark.parametrize("kind", ["all", *KINDS])
def test_the_catalogue_as_text(kind: str) -> None:
    found = catalogue(kind)
    assert isinstance(found, Catalogue)
    text = "".join(render("text", Explained(found)))
    words = set(text.split())
    assert all(entry.name in words for section in found.sections for entry in section.entries)
    assert max(map(len, text.splitlines())) <= 80
    assert document(Explained(found))["subject"] == "list"


def test_a_kind_there_is_not() -> None:
    with pytest.raises(UsageError, match="expected one of figures, formulas, operators, notes"):
        catalogue("nodes")
