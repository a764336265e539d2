"""Attention in one operator, against ONNX Runtime running it spelled out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from effaudit import whatif
from effaudit.audited import examine
from effaudit.errors import UsageError
from effaudit.load import Given
from tests.whatif.running import Array, changed, model, same_outputs

RNG = np.random.default_rng(9)
BATCH, HEADS, QUERIES, DIM = 2, 4, 6, 8
WIDTH = HEADS * DIM


def drawn(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def numbers(*given: int) -> Array:
    return np.array(given, np.int64)


def spelled(
    mask: str = "", opset: int = 17, *, keys: int = QUERIES, turn: str = "twice", open_: bool = False
) -> onnx.ModelProto:
    """Attention of three inputs; `mask` is added, or a condition. `turn`: how the keys come to be transposed."""
    node, shape = helper.make_node, {"heads": numbers(0, 0, HEADS, DIM), "flat": numbers(0, 0, WIDTH)}
    held = shape | {"scale": np.array(0.25, np.float32), "low": np.array(-1e30, np.float32)}
    nodes = [node("Reshape", [x, "heads"], [f"{x}4"]) for x in "qkv"]
    nodes += [node("Transpose", [f"{x}4"], [f"{x}h"], perm=[0, 2, 1, 3]) for x in "qv"]
    if turn == "twice":
        nodes += [
            node("Transpose", ["k4"], ["kh"], perm=[0, 2, 1, 3]),
            node("Transpose", ["kh"], ["kt"], perm=[0, 1, 3, 2]),
        ]
    else:
        nodes.append(node("Transpose", ["k4"], ["kt" if turn == "once" else "k0"], perm=[0, 2, 3, 1]))
        nodes += [node("Mul", ["k0", "scale"], ["kt"])] if turn == "scaled" else []
    nodes.append(node("MatMul", ["qh", "kt"], ["s0"], name="scores"))
    nodes.append(node("Div", ["s0", "scale"], ["s1"]))
    last = "s1"
    if mask in ("where", "added", "row"):
        put = ["mask", "s1", "low"] if mask == "where" else ["mask", "s1"]
        nodes.append(node("Where" if mask == "where" else "Add", put, ["s2"]))
        last = "s2"
    nodes += [
        node("Softmax", [last], ["p"], name="softmax", axis=-1),
        node("MatMul", ["p", "vh"], ["o"], name="values"),
        node("Transpose", ["o"], ["o1"], perm=[0, 2, 1, 3]),
        node("Reshape", ["o1", "flat"], ["y"]),
    ]
    rows: list[object] = ["b", "s", "t"] if open_ else [BATCH, QUERIES, keys]
    inputs = {"q": [rows[0], rows[1], WIDTH], "k": [rows[0], rows[2], WIDTH], "v": [rows[0], rows[2], WIDTH]}
    masks = {"where": [rows[1], rows[2]], "added": [1, 1, rows[1], rows[2]], "row": [rows[0], 1, 1, rows[2]]}
    if mask:
        inputs["mask"] = masks[mask]
    types = {"mask": TensorProto.BOOL} if mask == "where" else {}
    return model(nodes, inputs, {"y": [rows[0], rows[1], WIDTH]}, held, opset, types=types)


def feeds(mask: str, keys: int = QUERIES) -> dict[str, Array]:
    made = {"q": drawn(BATCH, QUERIES, WIDTH), "k": drawn(BATCH, keys, WIDTH), "v": drawn(BATCH, keys, WIDTH)}
    if mask == "where":
        made["mask"] = np.tril(np.ones((QUERIES, keys), np.bool_))
    elif mask:
        made["mask"] = drawn(1, 1, QUERIES, keys) if mask == "added" else drawn(BATCH, 1, 1, keys)
    return made


def same_audit(made: object, path: Path) -> None:
    found = examine(path)
    for figure in ("macs", "ops", "reads", "writes"):
        assert found.table.total(figure) == made.table.total(figure)  # type: ignore[attr-defined]
    assert found.memory.live_bytes == made.memory.live_bytes  # type: ignore[attr-defined]


@pytest.mark.parametrize("mask", ["", "added", "row", "where"])
@pytest.mark.parametrize("opset", [17, 23])
@pytest.mark.parametrize("open_", [False, True])
def test_one_operator_computes_the_same(tmp_path: Path, mask: str, opset: int, open_: bool) -> None:
    net = spelled(mask, opset, keys=9, open_=open_)
    change, before, made, old, new = changed(tmp_path, net, "flash", "all")
    same_outputs(old, new, feeds(mask, 9), tolerance=1e-4)
    ops = [node.op for node in made.raw.nodes]
    assert ("Attention" if opset == 23 else "MultiHeadAttention") in ops
    assert "Softmax" not in ops and "MatMul" not in ops
    assert change.loss == 0 and not change.retrain and not change.blocked
    assert made.table.total("macs") == before.table.total("macs")
    same_audit(made, new)


@pytest.mark.parametrize("turn", ["twice", "once", "scaled"])
def test_keys_come_in_three_ways(tmp_path: Path, turn: str) -> None:
    *_, old, new = changed(tmp_path, spelled("added", turn=turn), "flash", "all")
    same_outputs(old, new, feeds("added"), tolerance=1e-4)


@pytest.mark.parametrize("opset", [17, 23])
def test_values_of_another_size(tmp_path: Path, opset: int) -> None:
    node = helper.make_node
    nodes = [
        node("MatMul", ["q", "k"], ["s"]),
        node("Add", ["s", "mask"], ["t"]),
        node("Softmax", ["t"], ["p"], axis=-1),
        node("MatMul", ["p", "v"], ["y"]),
    ]
    shapes = {"q": [2, 4, 6, 8], "k": [2, 4, 8, 9], "v": [2, 4, 9, 5], "mask": [1, 4, 6, 9]}
    net = model(nodes, shapes, {"y": [2, 4, 6, 5]}, {}, opset)
    _, _, made, old, new = changed(tmp_path, net, "flash", "all")
    same_outputs(old, new, {name: drawn(*shape) for name, shape in shapes.items()}, tolerance=1e-4)
    same_audit(made, new)


def test_scores_of_two_products_are_left(tmp_path: Path) -> None:
    """Positions that depend on the queries are a product of their own."""
    node = helper.make_node
    nodes = [
        node("MatMul", ["q", "k"], ["s"]),
        node("MatMul", ["q", "r"], ["u"]),
        node("Add", ["s", "u"], ["t"]),
        node("Softmax", ["t"], ["p"], name="softmax", axis=-1),
        node("MatMul", ["p", "v"], ["y"]),
    ]
    shapes = {"q": [2, 4, 6, 8], "k": [2, 4, 8, 9], "r": [2, 4, 8, 9], "v": [2, 4, 9, 8]}
    net = model(nodes, shapes, {"y": [2, 4, 6, 8]}, {})
    for name, text in (("flash", "all"), ("gqa", "kv_heads=2")):
        with pytest.raises(UsageError, match="softmax: its scores are not followed back to one product"):
            changed(tmp_path, net, name, text)


def test_the_memory_of_the_scores_is_gone(tmp_path: Path) -> None:
    """Long enough, the scores are what memory is needed for: two of their tensors are live at once."""
    queries = 256
    net = spelled(keys=queries)
    for value in (*net.graph.input, *net.graph.output):
        value.type.tensor_type.shape.dim[1].dim_value = queries
    change, before, made, *_ = changed(tmp_path, net, "flash", "all")
    scores = BATCH * HEADS * queries * queries * 4
    (row,) = change.details
    assert row.figures["scores_bytes"] == scores and row.figures["bytes_gone"] == 3 * scores
    assert before.memory.live_bytes.value >= 2 * scores  # type: ignore[operator]
    assert made.memory.live_bytes.value < scores / 2  # type: ignore[operator]


def test_the_sample_of_bert_without_its_scores() -> None:
    audited = examine("sample:bert-base", Given({"batch": 1, "sequence": 512}, {}, {}))
    change, made = whatif.apply(audited, whatif.parse("flash", "all"))
    assert len(change.details) == 12 and not change.blocked
    assert made.table.total("macs") == audited.table.total("macs")
    before, after = audited.memory.live_bytes.value, made.memory.live_bytes.value
    assert before is not None and after is not None
    assert after < 2 * 12 * 512 * 512 * 4 < before  # two tensors of scores


def test_the_sample_decoder_runs(tmp_path: Path) -> None:
    change, _, made, old, new = changed(tmp_path, Path("sample_models/decoder-gqa.onnx"), "flash", "all")
    assert len(change.details) == 2
    fed = {"input_ids": np.arange(5, dtype=np.int64)[None], "attention_mask": np.ones((1, 8), np.int64)}
    fed |= {name: drawn(1, 2, 3, 16) for name in made.raw.inputs if name.startswith("past")}  # type: ignore[misc]
    same_outputs(old, new, fed, tolerance=1e-4)
    same_audit(made, new)


def test_what_is_no_operator_says_why(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="MultiHeadAttention computes in float32 alone"):
        whatif.apply(examine("sample:decoder-7b"), whatif.parse("flash", "all"))
    with pytest.raises(UsageError, match="it spells out no attention"):
        whatif.apply(examine("sample:ic"), whatif.parse("flash", "all"))
    net = spelled()
    net.graph.output.append(helper.make_tensor_value_info("p", TensorProto.FLOAT, None))
    with pytest.raises(UsageError, match="p must exist: it is an output"):
        changed(tmp_path, net, "flash", "all")
    net = spelled()
    net.graph.node.append(helper.make_node("Relu", ["s1"], ["more"]))
    net.graph.output.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, None))
    with pytest.raises(UsageError, match="s1 must exist: more reads it"):
        changed(tmp_path, net, "flash", "all")
    net = spelled("where")
    next(t for t in net.graph.initializer if t.name == "low").CopyFrom(
        onnx.numpy_helper.from_array(np.array(-3, np.float32), "low")
    )
    with pytest.raises(UsageError, match="puts in place of scores what is no mask"):
        changed(tmp_path, net, "flash", "all")
    with pytest.raises(UsageError, match="no attention has a name like 'soft'"):
        changed(tmp_path, spelled(), "flash", "only=soft")
    for text in ("none", "all,only=x"):
        with pytest.raises(UsageError, match="expected all, only=PATTERN"):
            whatif.parse("flash", text)
    assert whatif.text(whatif.parse("flash", "all")) == "--flash all"
    assert whatif.text(whatif.parse("flash", "skip=a|b")) == "--flash skip=a|b"
