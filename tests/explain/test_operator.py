"""Operators priced without a model: against ONNX models of the same node, published numbers and counting by hand."""

from __future__ import annotations

import itertools
import re

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effaudit.errors import UsageError
from effaudit.explain.formulas import calculate
from effaudit.explain.lookup import operator
from effaudit.explain.operator import calculate_operator, explain_operator
from effaudit.ops._registry import load_families, registered
from effaudit.render.explained import lines
from effaudit.table import price
from tests.explain.arithmetic import calculate as value_of
from tests.ops import oracle

load_families()


def ask(line: str):  # type: ignore[no-untyped-def]
    name, *rest = line.split()
    return calculate_operator(name, dict(item.split("=", 1) for item in rest))


@pytest.mark.parametrize(
    ("line", "macs", "params"),
    [
        # torchvision's figures for single layers: ResNet-50 conv1, VGG-16 fc6, MobileNetV2 depthwise
        ("Conv cin=3 cout=64 k=7 s=2 p=3 in=224x224", 118_013_952, 9_408),
        ("Gemm cin=25088 cout=4096 bias=yes", 102_760_448, 102_764_544),
        ("Conv cin=32 cout=32 k=3 p=1 g=32 in=112x112", 3_612_672, 288),
        # BERT base, one layer's attention core and its table of words
        ("Attention tokens=128 d=768 heads=12", 2 * 12 * 128 * 128 * 64, 0),
        ("Gather vocab=30522 d=768 tokens=128", 0, 23_440_896),
        # torch.nn.LSTM(128, 256): 4*256*(128 + 256) + 2*4*256
        ("LSTM input=128 hidden=256 steps=10", 10 * 393_216, 395_264),
        ("GRU input=128 hidden=256 steps=10", 10 * 294_912, 296_448),
        ("RNN input=128 hidden=256 steps=10 bidirectional=yes bias=no", 10 * 196_608, 196_608),
    ],
)
def test_published_layers(line: str, macs: int, params: int) -> None:
    answer = ask(line)
    assert (answer.macs, answer.params) == (macs, params)
    assert answer.flops == 2 * macs + answer.ops


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(0, 2), st.integers(1, 2))
@settings(max_examples=60, deadline=None)
def test_conv_by_counting(cin: int, cout: int, k: int, s: int, p: int, d: int) -> None:
    """One multiply-accumulate per output position, filter and weight; padding counts as data."""
    size = 9
    answer = ask(f"Conv cin={cin} cout={cout} k={k} s={s} p={p} d={d} in={size}x{size} bias=yes")
    starts = range(0, size + 2 * p - d * (k - 1), s)
    positions = list(itertools.product(starts, starts))
    assert answer.outputs[0].shape == (1, cout, len(starts), len(starts))
    assert answer.macs == sum(1 for _ in itertools.product(positions, range(cout), range(cin), range(k * k)))
    assert answer.ops == len(positions) * cout
    again = ask(f"Conv cin={cin} cout={cout} k={k} s={s} p={p} d={d} out={len(starts)}x{len(starts)} bias=yes")
    assert (again.macs, again.ops, again.outputs) == (answer.macs, answer.ops, answer.outputs)


@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 1), st.integers(2, 9))
@settings(max_examples=60, deadline=None)
def test_transposed_out_is_what_was_asked(k: int, s: int, p: int, out: int) -> None:
    try:
        answer = ask(f"ConvTranspose cin=3 cout=5 k={k} s={s} p={p} out={out}x{out}")
    except UsageError:
        return
    assert answer.outputs[0].shape == (1, 5, out, out)
    assert answer.macs == answer.inputs[0].shape[2] ** 2 * 3 * 5 * k * k


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_dimensions_follow_from_the_sizes(rank: int) -> None:
    size = "x".join(["8"] * rank)
    axes = f"rank={rank}"
    for line in (f"k=3 in={size} {axes}", f"k={'x'.join(['3'] * rank)} in=8 {axes}", f"k=3 p=same in={size} {axes}"):
        answer = ask(f"Conv cin=2 cout=4 {line}")
        side = 8 if "same" in line else 6
        assert answer.outputs[0].shape == (1, 4, *[side] * rank)
        assert answer.macs == 4 * 2 * side**rank * 3**rank


@pytest.mark.parametrize("size", [1, 7, 14])
def test_single_numbers_mean_what_they_mean_in_a_formula(size: int) -> None:
    """Two axes, in an operator as in the named formula of it, and both say so; one axis where that is asked for."""
    for operator_, formula in (
        ("Conv cin=3 cout=64 k=7", "conv-macs cin=3 cout=64 k=7"),
        ("ConvTranspose cin=8 cout=4 k=2 s=2", "conv-transpose-macs cin=8 cout=4 k=2"),
    ):
        sizes = f"out={size}" if operator_.startswith("Conv ") else f"in={size}"
        for more in ("", " rank=1", " rank=3"):
            answer = ask(f"{operator_} {sizes}{more}")
            name, *rest = f"{formula} {sizes}{more}".split()
            named = calculate(name, dict(item.split("=", 1) for item in rest))
            assert answer.macs == named.value
            told = [any("count for each of 2 axes" in note for note in one.notes) for one in (answer, named)]
            assert told == [not more, not more]


@pytest.mark.parametrize(
    ("line", "shape"),
    [
        ("Conv cin=3 cout=4 k=3 in=8", (1, 4, 6, 6)),
        ("Conv cin=3 cout=4 k=3 in=8 rank=1", (1, 4, 6)),
        ("conv1d cin=3 cout=4 k=3 in=8", (1, 4, 6)),
        ("conv2d cin=3 cout=4 k=3 in=8", (1, 4, 6, 6)),
        ("Conv3d cin=3 cout=4 k=3 in=8", (1, 4, 6, 6, 6)),
        ("Conv cin=3 cout=4 k=3 in=8 strides=2", (1, 4, 3)),
        ("Conv cin=3 cout=4 k=3 in=8x9", (1, 4, 6, 7)),
        ("Conv cin=3 cout=4 k=3 in=H", (1, 4, "H - 2", "H - 2")),
        ("ConvTranspose cin=3 cout=4 k=2 s=2 in=8", (1, 4, 16, 16)),
        ("MaxPool c=4 k=2 s=2 in=8", (1, 4, 4, 4)),
        ("maxpool1d c=4 k=2 s=2 in=8", (1, 4, 4)),
        ("AveragePool c=4 k=2x2x2 s=2 in=8", (1, 4, 4, 4, 4)),
        ("GlobalAveragePool c=4 in=7", (1, 4, 1, 1)),
        ("GlobalAveragePool c=4 in=7 rank=1", (1, 4, 1)),
        ("BatchNormalization c=4 in=7", (1, 4, 7, 7)),
        ("batchnorm1d c=4 in=7", (1, 4, 7)),
        ("LayerNormalization d=4 tokens=7", (1, 7, 4)),
    ],
)
def test_axes(line: str, shape: tuple[int | str, ...]) -> None:
    """Lists, rank and a name of frameworks say how many there are; else two, and a note says so."""
    answer = ask(line)
    assert answer.outputs[0].shape == shape
    unsaid = line.split()[0] in ("Conv", "ConvTranspose", "MaxPool", "GlobalAveragePool", "BatchNormalization")
    unsaid = unsaid and not re.search(r"\dx\d|rank=|strides=", line)
    assert any("rank=1 for one axis" in note for note in answer.notes) == unsaid


CASES = [
    ("Conv", [(1, 8, 9, 9), (12, 4, 3, 3), (12,)], {"group": 2, "strides": [2, 2]}, ("x", "w", "b")),
    ("Gemm", [(4, 5), (6, 5), (6,)], {"transB": 1, "alpha": 0.5}, ("a", "b", "c")),
    ("MatMul", [(2, 3, 4), (4, 5)], {}, ("a", "b")),
    ("MaxPool", [(1, 3, 8, 8)], {"kernel_shape": [2, 2], "strides": [2, 2]}, ("x",)),
    ("LayerNormalization", [(2, 3, 8), (8,), (8,)], {}, ("x", "scale", "b")),
    ("LSTM", [(6, 2, 5), (1, 16, 5), (1, 16, 4), (1, 32)], {"hidden_size": 4}, ("x", "w", "r", "b")),
    ("Softmax", [(2, 3, 4)], {}, ("input",)),
    ("Transpose", [(2, 3, 4)], {"perm": [2, 0, 1]}, ("data",)),
]


@pytest.mark.parametrize(("op", "shapes", "attrs", "names"), CASES, ids=lambda x: x if isinstance(x, str) else "")
def test_the_generic_form_is_a_model_of_one_node(op, shapes, attrs, names) -> None:  # type: ignore[no-untyped-def]
    """The same figures as the ONNX model, and the output shape that ONNX Runtime makes."""
    inputs = [oracle.random(*shape) for shape in shapes]
    model = oracle.single_node(op, inputs, attrs, 17, "", 1)
    graph = oracle.infer(model)
    row = price(graph).rows[0]
    (measured,) = oracle.run(model, {f"in{i}": x for i, x in enumerate(inputs)})
    given_ = {name: "x".join(map(str, shape)) for name, shape in zip(names, shapes, strict=True)}
    given_ |= {name: ",".join(map(str, v)) if isinstance(v, list) else str(v) for name, v in attrs.items()}
    answer = calculate_operator(op, given_)
    assert answer.outputs[0].shape == measured.shape
    assert (answer.macs, answer.ops) == (row.low.macs, row.low.ops)
    assert (answer.read_bytes, answer.write_bytes) == (row.low.reads, row.low.writes)


def test_every_stated_name_is_taken() -> None:
    """The inputs and attributes a card lists are those a call takes: a call with all of them never says otherwise."""
    for (domain, op), rules in sorted(registered().items()):
        if rules.shape is None or (not domain and op in ("If", "Loop", "Scan", "SequenceMap")):
            continue
        card = explain_operator(f"{domain}::{op}" if domain else f"ai.onnx::{op}")
        names = [i.name for i in card.inputs if not i.variadic] + [a.name for a in card.attributes]
        try:
            calculate_operator(f"{domain or 'ai.onnx'}::{op}", dict.fromkeys(names, "1"))
        except UsageError as error:
            assert "no argument is named" not in str(error), op
            assert "missing; " not in str(error) or any(i.variadic for i in card.inputs), f"{op}: {error}"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Convv cin=1", r"no operator is named 'Convv'; did you mean Conv"),
        ("Conv", r"^Conv: x=, w= missing; for example: effaudit explain Conv "),
        ("Conv cin=64 k=3", r"^Conv: cout=, in= or out= missing; for example: effaudit explain Conv cin="),
        ("Conv x=1x64x56x56", r"^Conv: w= missing; for example: effaudit explain Conv x="),
        ("Conv cinn=64", r"no argument is named 'cinn'; did you mean cin.*for example"),
        ("Conv cin=64 cout=8 k=3 x=1x64x8x8", r"x= gives a shape in full, cin= is of the short form"),
        ("Conv x=1x63x56x56 w=128x64x3x3", r"^Conv: 63 input channels where the kernel takes 64 x 1 groups$"),
        ("Conv cin=6 cout=6 k=3 in=8x8 g=4", r"6 does not divide into 4"),
        ("Conv cin=6 cout=6 k=3 in=8x8 out=9x9", r"in=8x8 gives out=6x6"),
        ("Conv cin=6 cout=6 k=3x3x3 in=8x8", r"number of axes differs: k=3x3x3 has 3, in=8x8 has 2"),
        ("Conv cin=6 cout=6 k=3 in=8x8 rank=1", r"number of axes differs: in=8x8 has 2, rank=1 has 1"),
        ("conv1d cin=6 cout=6 k=3 in=8x8", r"number of axes differs: in=8x8 has 2, conv1d has 1"),
        ("Conv cin=6 cout=6 k=3 in=8 rank=4", r"4 axes, where there are at most 3"),
        ("Conv cin=6 cout=6 k=3 in=scalar", r"^Conv: in= or out=: a size is missing"),
        ("Conv cin=6 cout=6 k=9 in=8x8", r"^Conv: a window of 9"),
        ("MatMul m=2 k=3", r"^MatMul: cout= or n= missing; for example: effaudit explain MatMul "),
        ("MatMul m=2 n=3", r"k missing; for example: effaudit explain MatMul m=128 k=512 n=2048"),
        ("MatMul m=2 k=3 n=4 cin=2", r"cin does not go with m, k, n"),
        ("MatMul cin=2 cout=3 bias=yes", r"MatMul has no bias; Gemm has one"),
        ("Relu shape=1x2:int3", r"no number"),
        ("Relu x=1x2:int3", r"'int3' is no element type"),
        ("Conv cin=64 cout=8 k=3 in=8x8 bias=perhaps", r"expected yes or no"),
        ("Reshape data=2x3 shape=[1,x]", r"'x' is no number"),
        ("Attention tokens=4 d=10 heads=3", r"10 does not divide into 3"),
        ("Loop m=1", r"its bodies cost, which only a model has"),
        ("GRUUnit x=1", r"a leftover of Caffe2"),
        ("Conv x=1x64x56x99999999999999999999 w=1x64x1x1", r"too large for a dim"),
        ("LSTM input=1 hidden=2 steps=3 layers=2", r"no argument is named 'layers'"),
        ("com.microsoft::GroupQueryAttention tokens=4 d=8 heads=2 kv_tokens=2", r"they include the new ones"),
        ("Gemm cin=4 cout=5 batch=B tokens=T", r"give all but one of its names as numbers"),
    ],
)
def test_messages(line: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        ask(line)
    assert "\n" not in str(caught.value)


def test_examples_in_messages_can_be_pasted() -> None:
    for line in ("Conv cinn=1", "Conv cin=1", "Conv x=1", "Gemm cin=1", "LSTM x=1x2x3", "Resize q=1"):
        with pytest.raises(UsageError) as caught:
            ask(line)
        (command,) = re.findall(r"effaudit explain (.*)$", str(caught.value))
        assert ask(command).unpriced is None


@pytest.mark.parametrize(
    "name", ["Conv", "conv", "ai.onnx::Conv", "CONV", "conv2d"], ids=lambda name: name.replace("::", "-")
)
def test_names(name: str) -> None:
    assert (operator(name).domain, operator(name).op) == ("", "Conv")


def test_domains() -> None:
    assert operator("com.microsoft::attention").domain == "com.microsoft"
    assert operator("Attention").domain == ""
    assert operator("MultiHeadAttention").domain == "com.microsoft"


@given(st.text(max_size=30))
@settings(max_examples=50, deadline=None)
def test_any_name_is_an_operator_or_one_line(name: str) -> None:
    try:
        assert explain_operator(name).name
    except UsageError as error:
        assert str(error).isprintable()


@given(
    st.dictionaries(st.sampled_from("cin cout k s p d g in out batch x w pads group q".split()), st.text(max_size=12))
)
@settings(max_examples=200, deadline=None)
def test_any_arguments_are_an_answer_or_one_line(arguments: dict[str, str]) -> None:
    try:
        assert calculate_operator("Conv", arguments).macs is not None
    except UsageError as error:
        assert "\n" not in str(error)


def test_types_and_weights() -> None:
    answer = ask("MatMul a=4x8:float16 b=8x16:int4:weight")
    assert [t.bytes for t in answer.inputs] == [4 * 8 * 2, 8 * 16 // 2]
    assert answer.params == 128
    assert answer.read_bytes == 64 + 64
    plain = ask("MatMul a=4x8 b=8x16")
    assert plain.params == 0
    assert any(":weight" in note for note in plain.notes)


def test_values_decide_shapes() -> None:
    answer = ask("Reshape data=2x12 shape=[4,-1]")
    assert answer.outputs[0].shape == (4, 6)
    assert np.zeros((2, 12)).reshape(4, -1).shape == (4, 6)
    assert ask("Range start=2:value limit=11:value delta=3:value").outputs[0].shape == (len(range(2, 11, 3)),)
    assert ask("Squeeze data=1x5x1 axes=[0]").outputs[0].shape == (5, 1)


def test_formulas_of_open_dims() -> None:
    answer = ask("Attention tokens=S d=64 heads=4 batch=2 kv_tokens=T")
    assert isinstance(answer.macs, str)
    assert value_of(answer.macs, {"S": 5, "T": 9}) == 2 * 4 * 5 * 9 * (16 + 16)
    assert answer.intensity is None
    weights = ask("Conv x=1xCx8x8 w=CxCx1x1")
    assert value_of(str(weights.params), {"C": 3}) == 9


def test_grouped_query_attention_reads_its_cache() -> None:
    answer = ask("com.microsoft::GroupQueryAttention tokens=1 d=64 heads=8 kv_heads=2 kv_tokens=100 dtype=float16")
    assert answer.macs == 8 * 100 * 2 * 8
    cache = {t.name: t.bytes for t in answer.inputs}
    assert cache["past_key"] == 2 * 99 * 8 * 2
    assert answer.outputs[1].shape == (1, 2, 100, 8)


def test_an_operator_without_a_price_says_why() -> None:
    answer = ask("TreeEnsemble x=1x64")
    assert answer.unpriced and "how deep" in answer.unpriced
    assert (answer.macs, answer.ops, answer.flops) == (0, None, None)
    assert explain_operator("TreeEnsemble").unpriced == answer.unpriced


def test_every_card_has_its_facts() -> None:
    for domain, op in registered():
        card = explain_operator(f"{domain or 'ai.onnx'}::{op}")
        assert card.name == op
        assert card.cost or card.unpriced
        if registered()[domain, op].shape is not None:
            assert card.specification.startswith("https://"), op
        assert msgspec.json.encode(card)


def test_cards_say_what_the_schema_says() -> None:
    card = explain_operator("Gemm")
    assert [(i.name, i.required) for i in card.inputs] == [("a", True), ("b", True), ("c", False)]
    assert {a.name: a.default for a in card.attributes} == {"alpha": "1.0", "beta": "1.0", "transA": "0", "transB": "0"}
    assert card.specification == "https://onnx.ai/onnx/operators/onnx__Gemm.html"
    assert explain_operator("LpPool").specification == "https://onnx.ai/onnx/operators/onnx__LpPool.html"
    assert "view" in explain_operator("Reshape").storage
    assert explain_operator("Cast").attributes[-1].required


@pytest.mark.parametrize("line", ["Conv cin=64 cout=128 k=3 p=1 in=56x56", "Softmax shape=BxSxS", "TreeEnsemble x=1x4"])
def test_text(line: str) -> None:
    shown = lines(ask(line))
    assert all(len(text) <= 80 and text.isprintable() for text in shown)
    assert f"{ask(line).ops:,}" in "\n".join(shown) if isinstance(ask(line).ops, int) else True
    assert msgspec.json.encode(ask(line))


def test_text_of_every_card_fits() -> None:
    for domain, op in registered():
        for text in lines(explain_operator(f"{domain or 'ai.onnx'}::{op}")):
            assert len(text) <= 80 or text[9:].startswith(("https://", "effaudit explain ")), text
