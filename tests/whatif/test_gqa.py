"""Fewer key/value heads, against ONNX Runtime running the network whose heads are copies of the means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from effaudit import whatif
from effaudit.audited import examine
from effaudit.errors import UsageError
from effaudit.load.values import values as elements
from tests.corpus.score import folder
from tests.whatif.running import Array, changed, model, run, same_outputs

RNG = np.random.default_rng(6)
HEADS, DIM = 4, 8
WIDTH = HEADS * DIM
INT = TensorProto.INT64


def drawn(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def numbers(*given: int) -> Array:
    return np.array(given, np.int64)


def decoder(op: str = "MatMul", *, stated: bool = False) -> onnx.ModelProto:
    """Attention with a cache, spelled out; projections are MatMul with an Add, or Gemm on two axes."""
    node, held = (
        helper.make_node,
        {"split": numbers(1, 5, HEADS if stated else -1, DIM), "join": numbers(1, -1, WIDTH)},
    )
    nodes = [] if op == "MatMul" else [node("Reshape", ["x", "flat"], ["x2"])]
    held |= {"flat": numbers(-1, WIDTH), "scale": np.array(DIM**-0.5, np.float32)}
    for part in "qkv":
        held |= {f"w{part}": drawn(WIDTH, WIDTH), f"b{part}": drawn(WIDTH)}
        if op == "MatMul":
            nodes.append(node("MatMul", ["x", f"w{part}"], [f"{part}0"]))
            nodes.append(node("Add", [f"b{part}", f"{part}0"], [f"{part}1"]))
        else:
            nodes.append(node("Gemm", ["x2", f"w{part}", f"b{part}"], [f"{part}1"], transB=1))
        nodes.append(node("Reshape", [f"{part}1", "split"], [f"{part}2"]))
        nodes.append(node("Transpose", [f"{part}2"], [f"{part}3"], perm=[0, 2, 1, 3]))
    nodes += [
        node("Concat", ["past_k", "k3"], ["present_k"], axis=2),
        node("Concat", ["past_v", "v3"], ["present_v"], axis=2),
        node("Transpose", ["present_k"], ["kt"], perm=[0, 1, 3, 2]),
        node("MatMul", ["q3", "kt"], ["s"]),
        node("Mul", ["s", "scale"], ["s1"]),
        node("Add", ["s1", "mask"], ["s2"]),
        node("Softmax", ["s2"], ["p"], name="softmax", axis=-1),
        node("MatMul", ["p", "present_v"], ["y0"]),
        node("Transpose", ["y0"], ["y1"], perm=[0, 2, 1, 3]),
        node("Reshape", ["y1", "join"], ["y"]),
    ]
    cache = [1, HEADS, "past", DIM]
    inputs = {"x": [1, 5, WIDTH], "past_k": cache, "past_v": cache, "mask": [1, 1, 5, "past + 5"]}
    kept = [1, HEADS, None, DIM]
    outputs = {"y": [1, 5, WIDTH], "present_k": kept, "present_v": kept}
    return model(nodes, inputs, outputs, held)


def feeds(heads: int = HEADS) -> dict[str, Array]:
    cache = (1, heads, 3, DIM)
    return {"x": drawn(1, 5, WIDTH), "past_k": drawn(*cache), "past_v": drawn(*cache), "mask": drawn(1, 1, 5, 8)}


def meaned(array: Array, axis: int, kept: int, times: int = 1) -> Array:
    """The mean of the heads of each group, so many times."""
    split = np.moveaxis(array, axis, 0).reshape(kept, HEADS // kept, DIM, -1).mean(1, keepdims=True)
    made = np.repeat(split, times, 1).reshape(kept * times * DIM, *np.moveaxis(array, axis, 0).shape[1:])
    return np.ascontiguousarray(np.moveaxis(made, 0, axis)).astype(np.float32)


def with_means(net: onnx.ModelProto, kept: int) -> onnx.ModelProto:
    """The network as it is, each head of keys and values the mean of its group: what shared heads must compute."""
    copy = onnx.ModelProto.FromString(net.SerializeToString())
    gemm = any(node.op_type == "Gemm" for node in copy.graph.node)
    for held in copy.graph.initializer:
        if held.name in ("wk", "wv", "bk", "bv"):
            array = onnx.numpy_helper.to_array(held)
            axis = 0 if gemm or array.ndim == 1 else 1
            held.CopyFrom(onnx.numpy_helper.from_array(meaned(array, axis, kept, HEADS // kept), held.name))
    return copy


@pytest.mark.parametrize("kept", [1, 2])
@pytest.mark.parametrize("make", [decoder, lambda: decoder("Gemm"), lambda: decoder(stated=True)])
def test_heads_share_the_mean_of_their_group(tmp_path: Path, make: Callable[[], onnx.ModelProto], kept: int) -> None:
    net = make()
    change, before, made, _, after = changed(tmp_path, net, "gqa", f"kv_heads={kept}")
    wanted = tmp_path / "wanted.onnx"
    onnx.save(with_means(net, kept), wanted)
    fed = feeds(kept)
    full = fed | {name: np.repeat(fed[name], HEADS // kept, 1) for name in ("past_k", "past_v")}
    got, keys, values = run(after, fed)
    y, all_keys, all_values = run(wanted, full)
    assert got == pytest.approx(y, abs=1e-5)
    assert np.repeat(keys, HEADS // kept, 1) == pytest.approx(all_keys, abs=1e-5)
    assert np.repeat(values, HEADS // kept, 1) == pytest.approx(all_values, abs=1e-5)
    for name in ("past_k", "past_v", "present_k", "present_v"):
        assert made.raw.declared[name].shape[1] == kept  # type: ignore[index]
    gone = 2 * (WIDTH * WIDTH + WIDTH) * (HEADS - kept) // HEADS
    assert made.weights.params == before.weights.params - gone
    macs = [audited.table.total("macs").value for audited in (before, made)]
    assert macs[0] - macs[1] == 2 * 5 * WIDTH * WIDTH * (HEADS - kept) // HEADS  # type: ignore[operator]
    (row,) = change.details
    assert row.name == "softmax" and row.figures["kv_heads_after"] == kept and change.retrain
    assert row.figures["cache_bytes_per_token_after"] == 2 * kept * DIM * 4
    weights = [onnx.numpy_helper.to_array(t) for t in net.graph.initializer if t.name in ("wk", "wv")]
    axis = 0 if any(node.op_type == "Gemm" for node in net.graph.node) else 1
    lost = sum(((w - meaned(w, axis, kept, HEADS // kept)).astype(float) ** 2).sum() for w in weights)
    assert change.loss == pytest.approx(lost / sum((w.astype(float) ** 2).sum() for w in weights), rel=1e-4)
    same_audit(made, after)


def same_audit(made: object, path: Path) -> None:
    found = examine(path)
    for figure in ("macs", "ops", "reads", "writes"):
        assert found.table.total(figure) == made.table.total(figure)  # type: ignore[attr-defined]
    assert found.memory.live_bytes == made.memory.live_bytes  # type: ignore[attr-defined]


def test_heads_that_are_alike_lose_nothing(tmp_path: Path) -> None:
    net = with_means(decoder(), 2)
    change, *_, before, after = changed(tmp_path, net, "gqa", "groups=2")
    fed = feeds(2)
    full = fed | {name: np.repeat(fed[name], 2, 1) for name in ("past_k", "past_v")}
    assert run(after, fed)[0] == pytest.approx(run(before, full)[0], abs=1e-5)
    assert change.loss == pytest.approx(0, abs=1e-12)


def test_the_sample_decoder_shares_one_head_and_runs(tmp_path: Path) -> None:
    change, before, made, _, after = changed(tmp_path, Path("sample_models/decoder-gqa.onnx"), "gqa", "kv_heads=1")
    assert len(change.details) == 2 and not change.blocked
    assert made.weights.params == before.weights.params - 2 * 2 * 64 * 16
    fed = {"input_ids": np.arange(5, dtype=np.int64)[None], "attention_mask": np.ones((1, 8), np.int64)}
    fed |= {name: drawn(1, 1, 3, 16) for name in made.raw.inputs if name.startswith("past")}  # type: ignore[misc]
    found = run(after, fed)
    assert [one.shape for one in found] == [(1, 5, 512)] + [(1, 1, 8, 16)] * 4
    same_audit(made, after)
    weight = "model.layers.0.self_attn.k_proj.weight"
    old, new = (elements(one.raw.constants[weight]) for one in (before, made))
    assert new == pytest.approx(old.reshape(64, 2, 16).mean(1), abs=1e-7)


def test_the_7b_sample_without_its_weights() -> None:
    audited = examine("sample:decoder-7b")
    change, made = whatif.apply(audited, whatif.parse("gqa", "groups=4"))
    assert change.loss is None and len(change.details) == 32
    assert made.weights.params == audited.weights.params - 32 * 2 * 4096 * 4096 * 3 // 4
    assert all(made.raw.declared[f"present.{i}.value"].shape[1] == 8 for i in range(32))  # type: ignore[index]


def fused(op: str) -> onnx.ModelProto:
    """An operator that attends, behind three projections."""
    node, held = helper.make_node, {f"w{part}": drawn(WIDTH, WIDTH) for part in "qkv"}
    nodes = [node("MatMul", ["x", f"w{part}"], [part]) for part in "qkv"]
    inputs, types = {"x": [1, 5, WIDTH]}, {}
    if op == "MultiHeadAttention":
        nodes.append(node(op, ["q", "k", "v"], ["y"], name="it", domain="com.microsoft", num_heads=HEADS))
    elif op == "Attention":
        nodes.append(node(op, ["q", "k", "v"], ["y"], name="it", q_num_heads=HEADS, kv_num_heads=HEADS))
    else:
        held |= {"lengths": np.array([[4]], np.int32), "total": np.array([5], np.int32)}
        read = ["q", "k", "v", "", "", "lengths", "total"]
        heads = {"num_heads": HEADS, "kv_num_heads": HEADS}
        nodes.append(node(op, read, ["y", "pk", "pv"], name="it", domain="com.microsoft", **heads))
    graph = helper.make_graph(
        nodes,
        "made",
        [
            helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), shape)
            for name, shape in inputs.items()
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5, WIDTH])],
        [onnx.numpy_helper.from_array(array, name) for name, array in held.items()],
    )
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def together(way: str) -> onnx.ModelProto:
    """One product makes queries, keys and values: split before the heads are told apart, or behind it."""
    node = helper.make_node
    held = {"w": drawn(WIDTH, 3 * WIDTH), "b": drawn(3 * WIDTH), "scale": np.array(DIM**-0.5, np.float32)}
    held |= {"heads": numbers(2, 5, -1, DIM), "all": numbers(2, 5, 3, HEADS, DIM), "flat": numbers(-1, WIDTH)}
    held |= {"wide": numbers(2, 5, 3 * WIDTH), "one": numbers(0), "join": numbers(2, 5, WIDTH)}
    if way == "gemm":
        nodes = [
            node("Reshape", ["x", "flat"], ["x2"]),
            node("Gemm", ["x2", "w", "b"], ["m0"], name="qkv"),
            node("Reshape", ["m0", "wide"], ["m"]),
        ]
    else:
        nodes = [node("MatMul", ["x", "w"], ["m0"], name="qkv"), node("Add", ["m0", "b"], ["m"])]
    if way == "behind":
        nodes += [node("Reshape", ["m", "all"], ["m1"]), node("Transpose", ["m1"], ["m2"], perm=[2, 0, 3, 1, 4])]
        nodes.append(node("Split", ["m2"], ["q1", "k1", "v1"], axis=0))
        nodes += [node("Squeeze", [f"{part}1", "one"], [f"{part}h"]) for part in "qkv"]
    else:
        nodes.append(node("Split", ["m"], ["q1", "k1", "v1"], axis=2))
        for part in "qkv":
            nodes.append(node("Reshape", [f"{part}1", "heads"], [f"{part}2"]))
            nodes.append(node("Transpose", [f"{part}2"], [f"{part}h"], perm=[0, 2, 1, 3]))
    nodes += [
        node("Transpose", ["kh"], ["kt"], perm=[0, 1, 3, 2]),
        node("MatMul", ["qh", "kt"], ["s"]),
        node("Mul", ["s", "scale"], ["t"]),
        node("Softmax", ["t"], ["p"], name="softmax", axis=-1),
        node("MatMul", ["p", "vh"], ["o"]),
        node("Transpose", ["o"], ["o1"], perm=[0, 2, 1, 3]),
        node("Reshape", ["o1", "join"], ["y"]),
    ]
    return model(nodes, {"x": [2, 5, WIDTH]}, {"y": [2, 5, WIDTH]}, held)


@pytest.mark.parametrize("way", ["matmul", "gemm", "behind"])
def test_products_that_make_all_three(tmp_path: Path, way: str) -> None:
    net = together(way)
    change, before, made, _, after = changed(tmp_path, net, "gqa", "kv_heads=2")
    for held in net.graph.initializer:
        if held.name in ("w", "b"):
            q, *others = np.split(onnx.numpy_helper.to_array(held), 3, -1)
            both = np.concatenate([q, *(meaned(one, one.ndim - 1, 2, 2) for one in others)], -1)
            held.CopyFrom(onnx.numpy_helper.from_array(both, held.name))
    wanted = tmp_path / "wanted.onnx"
    onnx.save(net, wanted)
    same_outputs(wanted, after, {"x": drawn(2, 5, WIDTH)})
    assert made.weights.params == before.weights.params - WIDTH * WIDTH - WIDTH
    assert "Split" not in [node.op for node in made.raw.nodes]
    assert any("1 product" in note for note in change.notes)
    same_audit(made, after)


@pytest.mark.parametrize("op", ["MultiHeadAttention", "Attention", "GroupQueryAttention"])
def test_operators_that_attend(tmp_path: Path, op: str) -> None:
    net = fused(op)
    _, before, made, _, after = changed(tmp_path, net, "gqa", "kv_heads=2")
    wanted = tmp_path / "wanted.onnx"
    onnx.save(with_means(net, 2), wanted)
    same_outputs(wanted, after, {"x": drawn(1, 5, WIDTH)})
    assert made.weights.params == before.weights.params - WIDTH * WIDTH
    same_audit(made, after)


def test_what_cannot_have_fewer_heads_says_why(tmp_path: Path) -> None:
    net = decoder()
    for text, why in (
        ("kv_heads=3", "4 key/value heads cannot be shared out to 3: expected a divisor of 4"),
        ("kv_heads=4", "it has 4 key/value heads already"),
        ("groups=3", "4 query heads are no whole number of groups of 3"),
        ("kv_heads=2,only=soft", "no attention has a name like 'soft'; did you mean softmax"),
        ("kv_heads=2,skip=soft*", "no attention can have fewer"),
    ):
        with pytest.raises(UsageError, match=why.replace("/", ".")):
            changed(tmp_path, net, "gqa", text)
    other = onnx.ModelProto.FromString(net.SerializeToString())
    other.graph.node.append(helper.make_node("Relu", ["k1"], ["more"]))
    other.graph.output.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, None))
    with pytest.raises(UsageError, match="Relu more reads 'k1' too"):
        changed(tmp_path, other, "gqa", "kv_heads=2")
    with pytest.raises(UsageError, match="it holds no attention"):
        whatif.apply(examine("sample:ic"), whatif.parse("gqa", "kv_heads=2"))
    for text in ("kv_heads=2,groups=2", "only=x", "2", "kv_heads=0"):
        with pytest.raises(UsageError, match="--gqa"):
            whatif.parse("gqa", text)
    step = whatif.parse("gqa", "groups=4,skip=a|b")
    assert whatif.text(step) == "--gqa groups=4,skip=a|b"


CORPUS = {
    "deit_tiny_distilled_patch16_224.ts.op17": 12,
    "bert_mini_128_sdpa.dynamo.op23": 4,
    "whisper_tiny_encoder.ts.op17": 4,
    "nextvit_small.ts.op17": 4,
}


@pytest.mark.skipif(folder() is None, reason="the corpus is not here")
@pytest.mark.parametrize("name", CORPUS)
def test_exported_structures_are_followed(name: str) -> None:
    audited = examine(folder() / "models" / f"{name}.onnx")  # type: ignore[operator]
    change, made = whatif.apply(audited, whatif.parse("gqa", "kv_heads=1"))
    assert len(change.details) == CORPUS[name] and not change.blocked
    gone = sum(row.figures["params_before"] - row.figures["params_after"] for row in change.details)  # type: ignore[operator,misc]
    assert made.weights.params == audited.weights.params - gone
