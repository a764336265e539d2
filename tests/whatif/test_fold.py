"""Constants computed ahead, nodes that change nothing, duplicates, requantizations: ONNX Runtime gives the same."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from effaudit import whatif
from effaudit.audited import examine
from effaudit.errors import UsageError
from effaudit.whatif.fold import KINDS, Arguments, parse, text
from tests.corpus.score import folder
from tests.whatif.running import Array, changed, model, run, same_outputs

RNG = np.random.default_rng(5)
SAMPLES = Path(__file__).parents[2] / "sample_models"


def values(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def node(op: str, inputs: str, outputs: str, **attrs: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), outputs.split(), name=f"{op}_{outputs.split()[0]}", **attrs)


def ops(made: Any) -> list[str]:
    return [n.op for n in made.raw.nodes]


def test_texts() -> None:
    assert parse("all") == Arguments(KINDS) and text(parse("all")) == "all"
    assert parse("bn,qdq").kinds == ("bn", "qdq") and text(parse("bn,qdq")) == "bn,qdq"
    for wrong in ("", "bm", "bn,bn", "bn=1", "all,bn"):
        with pytest.raises(UsageError):
            parse(wrong)
    with pytest.raises(UsageError, match=r"'all': expected some of .*, or all alone$"):
        parse("all,bn")
    with pytest.raises(UsageError, match=r"'BN': expected .*; did you mean bn"):
        parse("BN")
    with pytest.raises(UsageError):
        whatif.apply(examine("sample:kws"), whatif.types.Step("fold", Arguments(("none",))))


@pytest.mark.parametrize("name", ["kws", "ic", "vww", "ad", "unet", "ic-int8", "kws-int8", "decoder-gqa"])
def test_samples_give_the_same_with_everything_folded(tmp_path: Path, name: str) -> None:
    path = SAMPLES / f"{name}.onnx"
    _, before, made, one, other = changed(tmp_path, path, "fold", "all")
    feeds = {}
    for value in before.raw.inputs:
        found = before.graph.values[value]
        shape = tuple(d for d in found.shape or () if isinstance(d, int))
        whole = found.encoding.dtype.startswith("int")
        feeds[value] = np.ones(shape, found.encoding.dtype) if whole else values(*shape)
    same_outputs(one, other, feeds)
    assert len(made.raw.nodes) <= len(before.raw.nodes)
    assert made.table.total("macs") == before.table.total("macs")


# Of more elements than shape inference follows.
CONSTANT: dict[str, tuple[list[onnx.NodeProto], dict[str, Array]]] = {
    "transpose": ([node("Transpose", "w", "c", perm=[1, 0])], {"w": values(50, 40)}),
    "chain": (
        [
            node("Transpose", "w", "a", perm=[1, 0]),
            node("Reshape", "a s", "b"),
            node("Mul", "b m", "d"),
            node("Sqrt", "p", "e"),
            node("Div", "d e", "f"),
            node("Slice", "f from to on by", "c"),
        ],
        {"w": values(40, 60), "s": ints(60, 40), "m": values(40), "p": np.full((1,), 2.5, np.float32)}
        | {"from": ints(59), "to": ints(-61), "on": ints(0), "by": ints(-2)},
    ),
    "slices": (
        [node("Slice", "w from to on", "a"), node("Concat", "a a", "c", axis=0)],
        {"w": values(50, 50), "from": ints(-30, 0), "to": ints(2**62, -1), "on": ints(0, 1)},
    ),
    "gather": ([node("Gather", "w i", "c", axis=1)], {"w": values(50, 90), "i": ints(0, -1, 3, 3)}),
    "expand": (
        [node("Expand", "w s", "a"), node("Tile", "a r", "c")],
        {"w": values(1, 2000), "s": ints(3, 2000), "r": ints(1, 2)},
    ),
    "filled": ([node("ConstantOfShape", "s", "a"), node("Add", "a v", "c")], {"s": ints(30, 40), "v": values(40)}),
    "squeezed": (
        [node("Unsqueeze", "w z", "a"), node("Squeeze", "a z", "b"), node("Neg", "b", "c")],
        {"w": values(30, 40), "z": ints(0)},
    ),
    "quantized": (
        [node("QuantizeLinear", "w s z", "q", axis=0), node("DequantizeLinear", "q s z", "c", axis=0)],
        {"w": values(3, 400), "s": np.array([0.01, 0.02, 0.03], np.float32), "z": np.array([1, -2, 0], np.int8)},
    ),
    "half": ([node("Cast", "w", "a", to=10), node("Cast", "a", "c", to=1)], {"w": values(30, 40)}),
}


@pytest.mark.parametrize("name", CONSTANT)
def test_constants_are_computed_ahead(tmp_path: Path, name: str) -> None:
    nodes, held = CONSTANT[name]
    net = model([*nodes, node("MatMul", "c x", "y")], {"x": ["k", 2]}, {"y": [None, None]}, held)
    change, _, made, one, other = changed(tmp_path, net, "fold", "constants")
    inner = examine(one).graph.values["c"].shape
    assert inner is not None and isinstance(inner[1], int)
    same_outputs(one, other, {"x": values(inner[1], 2)}, 1e-6)
    left = {"quantized": ["DequantizeLinear", "MatMul"], "chain": ["Slice", "MatMul"]}.get(name, ["MatMul"])
    assert ops(made) == left
    assert len(change.blocked) == len(left) - 1


def test_shapes_of_fixed_sizes_are_constants_and_open_ones_are_not(tmp_path: Path) -> None:
    def net(rows: object) -> onnx.ModelProto:
        nodes = [
            node("Shape", "x", "s"),
            node("Gather", "s i", "g"),
            node("Concat", "g m", "t", axis=0),
            node("Reshape", "x t", "y"),
        ]
        return model(nodes, {"x": [rows, 2, 3]}, {"y": [None, None]}, {"i": ints(0), "m": ints(-1)})

    _, _, made, one, other = changed(tmp_path, net(4), "fold", "constants")
    same_outputs(one, other, {"x": values(4, 2, 3)}, 0)
    assert ops(made) == ["Reshape"]
    _, _, made, *_ = changed(tmp_path, net("n"), "fold", "constants")
    assert len(made.raw.nodes) == 4


def test_nothing_is_made_large_by_the_files_word(tmp_path: Path) -> None:
    nodes = [
        node("ConstantOfShape", "s", "a"),
        node("Add", "x a", "b"),
        node("Expand", "v t", "c"),
        node("Add", "b c", "y"),
    ]
    held = {"s": ints(1 << 15), "v": values(1), "t": ints(1 << 15)}
    net = model(nodes, {"x": [1]}, {"y": [None]}, held)
    change, before, made, *_ = changed(tmp_path, net, "fold", "constants")
    assert made.raw.nodes == before.raw.nodes
    assert [b.group for b in change.blocked] == ["ConstantOfShape 'ConstantOfShape_a'", "Expand 'Expand_c'"]
    assert all("131,072 bytes, made of" in b.reason for b in change.blocked)


def test_doubling_does_not_add_up(tmp_path: Path) -> None:
    """Every node makes twice what it reads: each is small enough alone."""
    names = ["w", *(f"n{i}" for i in range(34))]
    nodes = [node("Concat", f"{a} {a}", b, axis=0) for a, b in pairwise(names)]
    net = model(
        [*nodes, node("MatMul", f"x {names[-1]}", "y")], {"x": ["a", "b"]}, {"y": [None, None]}, {"w": values(64, 4)}
    )
    change, _, made, *_ = changed(tmp_path, net, "fold", "constants")
    assert sum(c.nbytes for c in made.raw.constants.values()) <= 1 << 16
    assert change.blocked and len(made.raw.nodes) > 20


def test_chance_and_dead_nodes_are_left_alone(tmp_path: Path) -> None:
    nodes = [
        node("RandomNormal", "", "r", shape=[2, 2]),
        node("Add", "x r", "y"),
        node("Transpose", "w", "dead"),
    ]
    net = model(nodes, {"x": [2, 2]}, {"y": [2, 2]}, {"w": values(2, 2)})
    _, _, made, *_ = changed(tmp_path, net, "fold", "all")
    assert ops(made)[:2] == ["RandomNormal", "Add"]


NEUTRAL = {
    "Identity": ([node("Identity", "a", "b")], {}),
    "Dropout": ([node("Dropout", "a", "b")], {}),
    "Cast": ([node("Cast", "a", "b", to=1)], {}),
    "Reshape": ([node("Reshape", "a s", "b")], {"s": ints(0, 0, -1)}),
    "Transpose": ([node("Transpose", "a", "b", perm=[0, 1, 2])], {}),
    "Pad": ([node("Pad", "a p", "b")], {"p": ints(0, 0, 0, 0, 0, 0)}),
    "Slice": ([node("Slice", "a from to", "b")], {"from": ints(0), "to": ints(2**62)}),
    "Concat": ([node("Concat", "a", "b", axis=0)], {}),
    "Expand": ([node("Expand", "a s", "b")], {"s": ints(1)}),
    "Add": ([node("Add", "z a", "b")], {"z": np.zeros((1, 3), np.float32)}),
    "Mul": ([node("Mul", "a o", "b")], {"o": np.ones((), np.float32)}),
    "Div": ([node("Div", "a o", "b")], {"o": np.ones((1,), np.float32)}),
    "two": ([node("Identity", "a", "i"), node("Sub", "i z", "b")], {"z": np.zeros((), np.float32)}),
}


@pytest.mark.parametrize("last", [False, True], ids=["inside", "output"])
@pytest.mark.parametrize("name", NEUTRAL)
def test_nodes_that_change_nothing_go(tmp_path: Path, name: str, last: bool) -> None:
    nodes, held = NEUTRAL[name]
    out = "b" if last else "y"
    behind = [] if last else [node("Neg", "b", "y")]
    net = model([node("Relu", "x", "a"), *nodes, *behind], {"x": [1, "n", 3]}, {out: [None, None, None]}, held)
    _, _, made, one, other = changed(tmp_path, net, "fold", "identity")
    same_outputs(one, other, {"x": values(1, 4, 3)}, 0)
    assert ops(made) == ["Relu", *(n.op_type for n in behind)]
    assert made.raw.outputs == (out,)


CHANGING = {
    "Transpose": ([node("Transpose", "a", "b", perm=[0, 2, 1])], {}),
    "Slice": (
        [node("Slice", "a from to on by", "b")],
        {"from": ints(-1), "to": ints(-9), "on": ints(2), "by": ints(-1)},
    ),
    "Pad": ([node("Pad", "a p", "b")], {"p": ints(0, 1, 0, 0, -1, 0)}),
    "Add": ([node("Add", "a z", "b")], {"z": np.array([0, 0, 1e-7], np.float32)}),
    "spread": ([node("Add", "a z", "b")], {"z": np.zeros((2, 1, 1, 1), np.float32)}),
    "Sub": ([node("Sub", "z a", "b")], {"z": np.zeros((), np.float32)}),
    "Cast": ([node("Cast", "a", "c", to=10), node("Cast", "c", "b", to=1)], {}),
    "Reshape": ([node("Reshape", "a s", "b")], {"s": ints(3, -1, 3)}),
}


@pytest.mark.parametrize("name", CHANGING)
def test_nodes_that_change_something_stay(tmp_path: Path, name: str) -> None:
    nodes, held = CHANGING[name]
    rank = [None] * (4 if name == "spread" else 3)
    net = model([node("Relu", "x", "a"), *nodes, node("Neg", "b", "y")], {"x": [3, 3, 3]}, {"y": rank}, held)
    _, before, made, one, other = changed(tmp_path, net, "fold", "identity")
    same_outputs(one, other, {"x": values(3, 3, 3)}, 0)
    assert len(made.raw.nodes) == len(before.raw.nodes) - (name == "Reshape")  # 3 x 3 x 3 is what there was


def test_an_output_that_is_an_input_or_another_output_keeps_its_node(tmp_path: Path) -> None:
    nodes = [node("Identity", "x", "y"), node("Relu", "x", "z"), node("Identity", "z", "v")]
    shape = [2, 3]
    net = model(nodes, {"x": shape}, {"y": shape, "z": shape, "v": shape}, {})
    change, _, made, one, other = changed(tmp_path, net, "fold", "identity")
    same_outputs(one, other, {"x": values(2, 3)}, 0)
    assert len(made.raw.nodes) == 3 and "2 nodes" in change.blocked[0].group


def test_what_a_body_captures_keeps_its_name(tmp_path: Path) -> None:
    inner = helper.make_graph(
        [node("Add", "kept w", "o")], "then", [], [helper.make_tensor_value_info("o", TensorProto.FLOAT, [2, 3])]
    )
    other_branch = helper.make_graph(
        [node("Mul", "kept v", "o2")], "else", [], [helper.make_tensor_value_info("o2", TensorProto.FLOAT, [2, 3])]
    )
    nodes = [
        node("Relu", "x", "r"),
        node("Identity", "r", "kept"),
        node("If", "b", "i", then_branch=inner, else_branch=other_branch),
        node("Identity", "i", "j"),
        node("Neg", "j", "y"),
    ]
    same = values(1, 3)
    net = model(
        nodes,
        {"x": [2, 3], "b": []},
        {"y": [2, 3]},
        {"w": same, "v": same.copy(), "w2": same.copy()},
        types={"b": TensorProto.BOOL},
    )
    _, _, made, one, other = changed(tmp_path, net, "fold", "all")
    for branch in (True, False):
        same_outputs(one, other, {"x": values(2, 3), "b": np.array(branch)}, 0)
    assert ops(made) == ["Relu", "If", "Neg"]


def test_duplicates_become_one(tmp_path: Path) -> None:
    w = values(3, 3)
    nodes = [
        node("Constant", "", "k", value=numpy_helper.from_array(w, "k")),
        node("MatMul", "x w", "a"),
        node("MatMul", "x v", "b"),
        node("MatMul", "x k", "c"),
        node("MatMul", "x u", "d"),
        node("Relu", "a", "e"),
        node("Relu", "b", "f"),
        node("LeakyRelu", "c", "g", alpha=0.1),
        node("LeakyRelu", "d", "h", alpha=0.2),
        node("Sum", "e f g h", "y"),
    ]
    other_w = w.copy()
    other_w[2, 2] += 1
    held = {"w": w, "v": w.copy(), "u": other_w}
    net = model(nodes, {"x": [2, 3]}, {"y": [2, 3]}, held)
    change, before, made, one, other = changed(tmp_path, net, "fold", "duplicates")
    same_outputs(one, other, {"x": values(2, 3)}, 1e-6)
    assert ops(made) == ["MatMul", "MatMul", "Relu", "LeakyRelu", "LeakyRelu", "Sum"]
    assert before.weights.params - made.weights.params == 18
    assert change.notes == ("duplicates: 2 constants and 3 nodes that were there before; 72 B of constants less",)


def test_large_constants_that_differ_late_stay_apart(tmp_path: Path) -> None:
    one = values(200, 100)
    other = one.copy()
    other[-1, -1] += 1
    nodes = [node("Add", "x a", "p"), node("Add", "p b", "q"), node("Add", "q c", "y")]
    net = model(nodes, {"x": [200, 100]}, {"y": [200, 100]}, {"a": one, "b": other, "c": one.copy()})
    _, _, made, before, after = changed(tmp_path, net, "fold", "duplicates")
    same_outputs(before, after, {"x": values(200, 100)}, 0)
    assert set(made.raw.constants) == {"a", "b"}


def test_random_nodes_are_no_duplicates(tmp_path: Path) -> None:
    nodes = [node("RandomNormalLike", "x", "a"), node("RandomNormalLike", "x", "b"), node("Sub", "a b", "y")]
    net = model(nodes, {"x": [4, 4]}, {"y": [4, 4]}, {})
    _, _, made, _, other = changed(tmp_path, net, "fold", "duplicates")
    assert len(made.raw.nodes) == 3 and np.abs(run(other, {"x": values(4, 4)})[0]).max() > 0


SCALES = {"s": np.array(0.1, np.float32), "z": np.array(3, np.uint8), "t": np.array(0.2, np.float32)}


def quantized(*nodes: onnx.NodeProto, held: dict[str, Array] | None = None) -> onnx.ModelProto:
    """x -> quantized -> the nodes -> y, dequantized."""
    ends = [node("QuantizeLinear", "x s z", "q"), *nodes, node("DequantizeLinear", "r s z", "y")]
    return model(ends, {"x": [1, 2, 4, 4]}, {"y": [None] * 4}, SCALES | (held or {}))


PAIR = node("DequantizeLinear", "q s z", "f")
REDUNDANT = {
    "pair": (quantized(PAIR, node("QuantizeLinear", "f s z", "r")), []),
    "moved": (
        quantized(
            PAIR,
            node("Reshape", "f n", "g"),
            node("Transpose", "g", "h", perm=[0, 2, 1, 3]),
            node("QuantizeLinear", "h s z", "r"),
            held={"n": ints(1, 4, 4, 2)},
        ),
        ["Reshape", "Transpose"],
    ),
    "joined": (
        quantized(
            PAIR,
            node("DequantizeLinear", "q s z", "f2"),
            node("Concat", "f f2", "g", axis=1),
            node("QuantizeLinear", "g s z", "r"),
        ),
        ["Concat"],
    ),
    "pooled": (
        quantized(
            PAIR, node("MaxPool", "f", "g", kernel_shape=[2, 2], strides=[2, 2]), node("QuantizeLinear", "g s z", "r")
        ),
        ["MaxPool"],
    ),
    "twice": (
        quantized(
            PAIR,
            node("QuantizeLinear", "f s z", "q2"),
            node("DequantizeLinear", "q2 s z", "f2"),
            node("QuantizeLinear", "f2 s z", "r"),
        ),
        [],
    ),
}


@pytest.mark.parametrize("name", REDUNDANT)
def test_requantizations_to_the_same_scale_go(tmp_path: Path, name: str) -> None:
    net, between = REDUNDANT[name]
    change, _, made, one, other = changed(tmp_path, net, "fold", "qdq")
    same_outputs(one, other, {"x": 20 * values(1, 2, 4, 4)}, 0)
    assert ops(made) == ["QuantizeLinear", *between, "DequantizeLinear"] and not change.blocked


STAYS = {
    "scale": ((PAIR, node("QuantizeLinear", "f t z", "r")), "requantizes"),
    "readers": (
        (
            PAIR,
            node("Identity", "f", "g"),
            node("Neg", "g", "other"),
            node("Add", "g other", "zero"),
            node("QuantizeLinear", "g s z", "r0"),
            node("Max", "r0 r0", "r"),
        ),
        "floating numbers",
    ),
}


@pytest.mark.parametrize("name", STAYS)
def test_what_requantizes_stays_and_is_listed(tmp_path: Path, name: str) -> None:
    nodes, said = STAYS[name]
    net = quantized(*nodes)
    if name == "readers":
        net.graph.output.append(helper.make_tensor_value_info("zero", TensorProto.FLOAT, [None] * 4))
    change, before, made, one, other = changed(tmp_path, net, "fold", "qdq")
    same_outputs(one, other, {"x": 20 * values(1, 2, 4, 4)}, 0)
    assert len(made.raw.nodes) == len(before.raw.nodes)
    assert len(change.blocked) == 1 and said in change.blocked[0].reason


CORPUS = [
    "swin_tiny_patch4_window7_224.ts.op17",
    "rapidocr-onnxruntime__ch_PP-OCRv4_rec_infer",
    "botnet26t_256.ts.op17",
]


@pytest.mark.parametrize("name", CORPUS)
def test_networks_of_the_corpus(name: str) -> None:
    corpus = folder()
    path = None if corpus is None else corpus / "models" / f"{name}.onnx"
    if path is None or not path.is_file():
        pytest.skip("no corpus here")
    net = examine(path)
    change, made = whatif.apply(net, whatif.parse("fold", "all"))
    assert len(change.notes) == 5 and len(made.raw.nodes) < len(net.raw.nodes)
    assert made.table.total("macs") == net.table.total("macs")
    assert len(made.table.unpriced) <= len(net.table.unpriced)
    assert made.raw.history == ("fold all",)
