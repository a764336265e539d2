"""A formula with numbers put in is worth printing only if a calculator gives the count."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effaudit import dims
from effaudit.errors import EffauditError
from effaudit.explain.derivation import derivation
from effaudit.explain.lookup import Operator
from effaudit.explain.operator import OperatorAnswer, calculate_operator, examples
from effaudit.explain.substitute import (
    Environment,
    Leaf,
    Product,
    Sum,
    Tree,
    formula_of,
    substitute,
    text_of,
    value_of,
)
from effaudit.graph import Graph
from effaudit.load import load
from effaudit.ops._registry import load_families, registered
from effaudit.table import CostTable, Row, price
from tests.corpus.score import folder
from tests.explain.arithmetic import agree, calculate

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "sample_models").glob("*.onnx"))
CORPUS = folder()
load_families()

ENVIRONMENT = Environment(
    {"C": 64, "group": 2, "K": 7, "inputs": 3, "columns of W": 30, "masks and biases": 1, "the activation's number": 4},
    {"out": (1, 128, 56, 56), "kernel": (3, 3), "x": (2, 5), "w.shape[1:]": (32, 3, 3)},
    {"for a bias": 1, "with peepholes": 0, "per element of q": 11},
)


@pytest.mark.parametrize(
    ("formula", "count", "expected"),
    [
        ("numel(out) x C/group x prod(kernel)", 401408 * 32 * 9, "1 x 128 x 56 x 56 x 64/2 x 3 x 3"),
        ("numel(x) x prod(W.shape[1:]) (every element)", 10 * 288, "2 x 5 x 32 x 3 x 3"),
        ("numel(out) for a bias", 401408, "1 x 128 x 56 x 56"),
        ("numel(x) x (13 (4 sums, 1; more) + 8 with peepholes)", 130, "2 x 5 x 13"),
        ("numel(x) x (6 + masks and biases), + 1 per element of Q, K and V for a bias", 81, "2 x 5 x (6 + 1) + 11 x 1"),
        ("numel(x) x (prod(kernel) - 1) comparisons", 80, "2 x 5 x (3 x 3 - 1)"),
        ("numel(x) x (inputs - 1)", 20, "2 x 5 x (3 - 1)"),
        ("2 x numel(x) to dequantize, + 4 x numel(x) (add), padding included", 60, "2 x 2 x 5 + 4 x 2 x 5"),
        ("numel(x) x the activation's number", 40, "2 x 5 x 4"),
        ("K with peepholes", 0, "0"),
        ("numel(x) x columns of W", 300, "2 x 5 x 30"),
    ],
)
def test_reading(formula: str, count: int, expected: str) -> None:
    assert substitute(formula, ENVIRONMENT, count) == expected
    assert calculate(expected) == count


@pytest.mark.parametrize(
    ("formula", "count"),
    [
        ("numel(out) x K", 1),  # another count than the rule's
        ("numel(out) x Z", 401408),  # a name nothing knows
        ("numel(nothing)", 0),
        ("numel(x) with luck", 10),  # a condition nothing knows
        ("K/group", 3),  # not whole
        ("K/(inputs - 3)", 0),
        ("numel(x) x (3", 30),
        ("5 n ceil(log2 n)", 5),
        ("", 0),
        ("(" * 500 + "K", 7),
    ],
)
def test_refusing(formula: str, count: int) -> None:
    assert substitute(formula, ENVIRONMENT, count) == ""


def test_clauses() -> None:
    text = "macs = a x b (c; d);\n ops = e, + f for a bias; 4 without"
    assert formula_of(text, "macs") == "a x b (c; d)"
    assert formula_of(text, "ops") == "e, + f for a bias"
    assert formula_of("no arithmetic: moves", "macs") == ""


leaves = st.lists(st.integers(0, 99), max_size=3).map(lambda f: Leaf(tuple(f)))


def larger(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    parts = st.lists(st.tuples(st.sampled_from("+-"), inner), max_size=3).map(lambda p: Sum(tuple(p)))
    factors = st.lists(st.tuples(st.sampled_from("x/"), inner), min_size=1, max_size=3).map(
        lambda p: Product((("x", p[0][1]), *p[1:]))
    )
    return st.one_of(parts, factors)


@given(st.recursive(leaves, larger, max_leaves=8))
def test_the_text_of_a_tree_means_its_value(tree: Tree) -> None:
    try:
        value = value_of(tree)
    except ArithmeticError:
        return
    assert calculate(text_of(tree)) == value


@given(st.integers(1, 50), st.integers(1, 50))
def test_symbols_stand_for_their_sizes(b: int, h: int) -> None:
    batch, height = dims.symbol("B"), dims.symbol("H")
    environment = Environment({"C": 6, "group": 3}, {"out": (batch, height + 1)})
    put = substitute("numel(out) x C/group", environment, (batch * (height + 1)) * 2)
    assert put == "B x (H + 1) x 6/3"
    assert calculate(put, {"B": b, "H": h}) == b * (h + 1) * 2


def rows(graph: Graph, table: CostTable) -> Iterator[tuple[Graph, Row]]:
    """Every priced row, those of bodies in place of the node that holds them."""
    for row in table.rows:
        for name, inner in row.bodies.items():
            yield from rows(row.node.bodies[name], inner)
        if not row.bodies and not row.why:
            yield graph, row


def succeeded(path: Path) -> tuple[int, int, set[tuple[str, str]]]:
    """(figures above 0 with a substitution, figures above 0, the operators without); what is printed must be right."""
    put = total = 0
    without = set()
    graph = load(str(path))
    for inside, row in rows(graph, price(graph)):
        key = (row.node.domain, row.node.op)
        for step in derivation(row.node, inside.values, registered()[key], row):
            assert step.formula
            if step.substituted:
                assert step.result is not None
                assert agree(step.substituted, step.result), f"{path.name}: {row.node.op} {step}"
            if step.result != 0:
                total += 1
                put += bool(step.substituted)
                if not step.substituted:
                    without.add(key)
    return put, total, without


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_node_of_the_samples(path: Path) -> None:
    put, total, without = succeeded(path)
    assert total > 0
    assert not without
    assert put == total


@pytest.mark.skipif(CORPUS is None, reason="the corpus is not here")
def test_the_corpus() -> None:
    """Right everywhere, and there for nearly every node of real models."""
    put = total = 0
    assert CORPUS is not None
    for path in sorted(CORPUS.rglob("*.onnx")):
        one, all_, _ = succeeded(path)
        put, total = put + one, total + all_
    assert total > 20_000
    assert put >= 0.995 * total


def arguments(command: str) -> tuple[str, dict[str, str]]:
    _, _, name, *rest = command.split()
    return name, dict(item.split("=", 1) for item in rest)


PRICED = [key for key, rules in sorted(registered().items()) if rules.cost is not None]


@pytest.mark.parametrize("key", PRICED, ids=lambda key: "::".join(key))
def test_every_operator_with_an_example(key: tuple[str, str]) -> None:
    """Every example calculates, and what it prints is right."""
    commands = examples(Operator(*key, registered()[key]))
    for command in commands:
        answer = calculate_operator(*arguments(command))
        assert answer.unpriced is None, command
        for step in answer.derivation:
            if step.substituted:
                assert step.result is not None
                assert agree(step.substituted, step.result), f"{command}: {step}"


def test_most_operators_have_an_example() -> None:
    found = [key for key in PRICED if examples(Operator(*key, registered()[key]))]
    assert len(found) >= 290
    assert {"Conv", "MatMul", "LSTM", "Attention", "Resize", "QLinearConv"} <= {op for _, op in found}


FAMILIES = """
Conv x=2x8x10x10 w=12x4x3x3 b=12 group=2 strides=2,1 pads=1,0,1,2
Conv x=1x8x20 w=16x8x5
Conv x=1x2x6x6x6 w=4x2x3x3x3 b=4
Conv x=1x32x8x8 w=32x1x3x3 group=32
com.microsoft::FusedConv x=1x8x9x9 w=8x8x3x3 b=8 z=1x8x7x7 activation=Relu
com.microsoft::NhwcConv x=1x9x9x8 w=16x8x3x3 b=16
ConvInteger x=1x8x9x9 w=16x8x3x3
QLinearConv x=1x8x9x9 x_scale=scalar x_zero_point=scalar w=16x8x3x3 w_scale=scalar w_zero_point=scalar y_scale=scalar y_zero_point=scalar b=16
ConvTranspose x=1x8x9x9 w=8x4x3x3 b=8 group=2 strides=2,2
MatMul a=2x3x4x5 b=5x6
MatMul a=7 b=7x3
MatMul a=3x7 b=7
MatMulInteger a=4x5 b=5x6
QLinearMatMul a=4x5 a_scale=scalar a_zero_point=scalar b=5x6 b_scale=scalar b_zero_point=scalar y_scale=scalar y_zero_point=scalar
com.microsoft::MatMulNBits a=3x64 b=10x2x16 scales=20 K=64 N=10 bits=4 block_size=32
com.microsoft::MatMulNBits a=3x64 b=10x2x16 scales=20 bias=10 K=64 N=10 bits=4 block_size=32
com.microsoft::FusedMatMul a=5x4 b=5x6 transA=1 alpha=0.5
Gemm a=4x5 b=5x6 c=6 alpha=0.5 beta=2.0
Gemm a=5x4 b=6x5 transA=1 transB=1
Einsum inputs0=2x3x4 inputs1=2x4x5 equation=bij,bjk->bik
Einsum inputs0=2x3x4 inputs1=2x4x5 equation=bij,bkl->bi
Attention q=2x12x5x8 k=2x4x7x8 v=2x4x7x16 attn_mask=5x7 softcap=2.0
Attention q=2x5x96 k=2x7x32 v=2x7x64 q_num_heads=12 kv_num_heads=4
Attention q=2x12x1x8 k=2x4x1x8 v=2x4x1x8 past_key=2x4x9x8 past_value=2x4x9x8
com.microsoft::Attention input=2x5x24 weights=24x72 bias=72 mask_index=2 num_heads=4 do_rotary=1
com.microsoft::Attention input=2x5x24 weights=24x72 past=2x2x4x6x6 num_heads=4
com.microsoft::MultiHeadAttention query=2x5x24 key=2x7x24 value=2x7x48 bias=96 attention_bias=2x4x5x7 num_heads=4
com.microsoft::MultiHeadAttention query=2x5x4x3x6 num_heads=4
com.microsoft::MultiHeadAttention query=2x5x24 key=2x4x7x6 value=2x4x7x6 num_heads=4
com.microsoft::GroupQueryAttention query=2x3x64 key=2x3x16 value=2x3x16 past_key=2x2x9x8 past_value=2x2x9x8 seqlens_k=2 total_sequence_length=12:value num_heads=8 kv_num_heads=2 do_rotary=1 softcap=1.5
com.microsoft::GroupQueryAttention query=2x3x96 seqlens_k=2 total_sequence_length=3:value num_heads=8 kv_num_heads=2
LSTM x=6x2x5 w=2x16x5 r=2x16x4 b=2x32 p=2x12 direction=bidirectional
LSTM x=2x6x5 w=1x16x5 r=1x16x4 layout=1
GRU x=6x2x5 w=1x12x5 r=1x12x4 b=1x24
RNN x=6x2x5 w=1x4x5 r=1x4x4
LayerNormalization x=2x3x8 scale=8
LayerNormalization x=2x3x8 scale=8 b=8
BatchNormalization x=2x8x4x4 scale=8 b=8 input_mean=8 input_var=8
BatchNormalization x=2x8x4x4 scale=8 b=8 input_mean=8 input_var=8 training_mode=1 outputs=3
Softmax input=2x3x4
LogSoftmax input=2x3x4
MaxPool x=1x8x9x9 kernel_shape=3,3
AveragePool x=1x8x9x9 kernel_shape=3,3
LpPool x=1x8x9x9 kernel_shape=2,2
GlobalAveragePool x=1x8x9x9
GlobalMaxPool x=1x8x9x9
Add a=2x3 b=3
Where condition=2x1 x=3 y=2x3
Max inputs0=2x3 inputs1=3 inputs2=1
Mean inputs0=2x3 inputs1=3
Gelu x=2x3
Clip input=2x3
Gather data=100x8 indices=2x3
Cast input=2x3 to=10
com.microsoft::SkipLayerNormalization input=2x3x8 skip=2x3x8 gamma=8 bias=8
""".strip().splitlines()  # noqa: E501


@pytest.mark.parametrize("line", FAMILIES)
def test_the_families_everyone_asks_about(line: str) -> None:
    """These never fall back to words."""
    answer: OperatorAnswer = calculate_operator(*arguments(f"effaudit explain {line}"))
    steps = {step.figure: step for step in answer.derivation}
    for figure in ("macs", "ops"):
        step = steps[figure]
        assert step.substituted, step
        assert step.result == getattr(answer, figure)
        assert agree(step.substituted, step.result or 0)
    assert answer.kind in ("movement",) or (answer.macs, answer.ops) != (0, 0)


def test_open_dims_stay_names() -> None:
    answer = calculate_operator("Conv", {"x": "Bx3xHxW", "w": "64x3x7x7", "strides": "2,2", "pads": "3,3,3,3"})
    (macs,) = (step for step in answer.derivation if step.figure == "macs")
    assert isinstance(macs.result, str)
    assert agree(macs.substituted, macs.result)
    assert "B x 64 x" in macs.substituted
    sizes = {"B": 2, "H": 224, "W": 192}
    assert calculate(macs.result, sizes) == prod((2, 64, 112, 96, 3, 7, 7))


def test_a_fallback_says_what_the_formula_is_about() -> None:
    answer = calculate_operator("Resize", {"x": "1x3x8x8", "scales": "[1.0,1.0,2.0,2.0]", "mode": "linear"})
    (ops,) = (step for step in answer.derivation if step.figure == "ops")
    assert ops.substituted == ""
    assert ops.result == answer.ops
    assert {"x = 1x3x8x8", "out = 1x3x16x16", "mode = linear"} <= set(ops.where)


def test_an_unknown_operator_is_no_surprise() -> None:
    with pytest.raises(EffauditError, match=r"did you mean Conv"):
        calculate_operator("Convv", {})
