"""Other sizes of inputs: the saved model runs in ONNX Runtime, and gives of a batch what it gives of each sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from effaudit import whatif
from effaudit.audited import examine
from effaudit.errors import UsageError
from effaudit.load import Given
from effaudit.whatif.bind import Arguments, parse, text
from effaudit.whatif.reshaped import Ambiguous, Sizes, blocks, resolved, retargeted, wanted
from tests.corpus.score import folder
from tests.whatif.running import Array, changed, model, run

RNG = np.random.default_rng(3)


def values(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def encoder(position: bool = False) -> onnx.ModelProto:
    """Patches of an image with a class token, one head-splitting Reshape and back, as exporters trace it at batch 1."""
    held = {
        "w": values(8, 3, 4, 4),
        "flat": ints(1, 8, 16),
        "token": values(1, 1, 8),
        "q": values(8, 8),
        "heads": ints(1, 17, 2, 4),
        "joined": ints(17, 8),
        "back": ints(1, 17, 8),
        "first": ints(0),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["patches"], strides=[4, 4]),
        helper.make_node("Reshape", ["patches", "flat"], ["f"]),
        helper.make_node("Transpose", ["f"], ["t"], perm=[0, 2, 1]),
        helper.make_node("Concat", ["token", "t"], ["c"], axis=1),
        helper.make_node("MatMul", ["c", "q"], ["m"]),
        helper.make_node("Reshape", ["m", "heads"], ["h"]),
        helper.make_node("Softmax", ["h"], ["s"], axis=1),
        helper.make_node("Reshape", ["s", "joined"], ["j"]),
        helper.make_node("Relu", ["j"], ["r"]),
        helper.make_node("Reshape", ["r", "back"], ["b"]),
        helper.make_node("Gather", ["b", "first"], ["g"], axis=1),
        helper.make_node("Flatten", ["g"], ["y"]),
    ]
    if position:
        held["table"] = values(1, 17, 8)
        nodes[4:5] = [
            helper.make_node("Add", ["c", "table"], ["p"], name="add_table"),
            helper.make_node("MatMul", ["p", "q"], ["m"]),
        ]
    return model(nodes, {"x": [1, 3, 16, 16]}, {"y": [1, 8]}, held)


def test_a_batch_gives_what_each_sample_gives(tmp_path: Path) -> None:
    change, before, made, one, other = changed(tmp_path, encoder(position=True), "bind", "batch=3")
    x = values(3, 3, 16, 16)
    alone = np.concatenate([run(one, {"x": x[i : i + 1]})[0] for i in range(3)])
    (together,) = run(other, {"x": x})
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)
    assert made.graph.values["y"].shape == (3, 8) and made.raw.declared["y"].shape == (3, 8)
    assert made.table.total("macs").low == 3 * before.table.total("macs").low
    assert change.loss == 0 and not change.retrain and not change.blocked
    assert "4 targets of Reshape nodes recomputed" in change.notes


def test_another_resolution_is_that_of_the_model_exported_at_it(tmp_path: Path) -> None:
    change, before, made, _, other = changed(tmp_path, encoder(), "bind", "x=1x3x16x8")
    assert made.graph.values["y"].shape == (1, 8) and run(other, {"x": values(1, 3, 16, 8)})[0].shape == (1, 8)
    assert change.loss == 0.5 and any("check the accuracy" in note for note in change.notes)
    tokens = 9  # 4 x 2 patches and the class token; every product is over tokens
    per_token = 8 * 8
    assert made.table.total("macs").low == 8 * 8 * 3 * 16 + tokens * per_token
    assert before.table.total("macs").low == 16 * 8 * 3 * 16 + 17 * per_token


def test_one_dim_of_an_input_by_its_place(tmp_path: Path) -> None:
    _, _, made, *_ = changed(tmp_path, encoder(), "bind", "x[3]=8,x[0]=2")
    assert made.graph.values["x"].shape == (2, 3, 16, 8) and made.graph.values["y"].shape == (2, 8)


def test_a_table_of_positions_contradicts_another_resolution(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Add 'add_table' becomes invalid: dims 9 and 17"):
        changed(tmp_path, encoder(position=True), "bind", "x=1x3x16x8")


@pytest.mark.parametrize("name", ["kws", "ic", "vww", "ad", "unet", "ic-int8"])
def test_samples_in_batches(tmp_path: Path, name: str) -> None:
    path = Path(__file__).parents[2] / "sample_models" / f"{name}.onnx"
    audited = examine(path)
    (x,) = audited.raw.inputs
    shape = tuple(d for d in audited.graph.values[x].shape or () if isinstance(d, int))
    _, _, made, one, other = changed(tmp_path, path, "bind", "batch=2")
    if any(type(d) is not int for d in audited.raw.declared[x].shape or ()):
        assert made.raw.declared[x].shape == (2, *shape[1:])
    feed = values(2, *shape[1:])
    alone = np.concatenate([run(one, {x: feed[i : i + 1]})[0] for i in range(2)])
    np.testing.assert_allclose(run(other, {x: feed})[0], alone, rtol=1e-4, atol=1e-5)


def test_named_dims_bind_wherever_they_occur(tmp_path: Path) -> None:
    nodes = [helper.make_node("Concat", ["past", "x"], ["y"], axis=1)]
    sizes = {"x": ["batch", "seq", 4], "past": ["batch", "past", 4]}
    net = model(nodes, sizes, {"y": ["batch", "past + seq", 4]}, {})
    _, _, made, _, other = changed(tmp_path, net, "bind", "batch=2,past=7")
    assert made.raw.declared["past"].shape == (2, 7, 4)
    assert [str(d) for d in made.raw.declared["x"].shape or ()] == ["2", "seq", "4"]
    assert run(other, {"x": values(2, 3, 4), "past": values(2, 7, 4)})[0].shape == (2, 10, 4)


def test_a_size_given_before_and_bound_now_is_bound() -> None:
    audited = examine("sample:dynamic", Given({"batch": 5}) if "batch" in _dims("sample:dynamic") else Given())
    name = next(iter(_dims("sample:dynamic")))
    _, made = whatif.apply(audited, whatif.parse("bind", f"{name}=2"))
    assert name not in made.given.dims and 2 in (made.graph.values[made.raw.inputs[0]].shape or ())


def _dims(name: str) -> dict[str, object]:
    return dict(examine(name).symbolic.dims)


def test_what_keeps_its_size_is_listed(tmp_path: Path) -> None:
    held = {"w": values(4, 3, 3, 3), "roi": np.zeros(0, np.float32), "sizes": ints(1, 4, 8, 8)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Resize", ["c", "roi", "", "sizes"], ["y"], name="up"),
    ]
    net = model(nodes, {"x": [1, 3, 8, 8]}, {"y": [1, 4, 8, 8]}, held)
    change, *_, other = changed(tmp_path, net, "bind", "x=1x3x4x4")
    assert [blocked.group for blocked in change.blocked] == ["Resize 'up'"]
    assert run(other, {"x": values(1, 3, 4, 4)})[0].shape == (1, 4, 8, 8)


def test_an_output_that_does_not_carry_the_batch_is_listed(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=0), helper.make_node("Relu", ["m"], ["y"])]
    change, *_ = changed(tmp_path, model(nodes, {"x": [1, 3]}, {"y": [3]}, {}), "bind", "batch=2")
    assert [blocked.group for blocked in change.blocked] == ["output 'y'"]


def test_a_node_that_picks_one_sample_contradicts_a_batch(tmp_path: Path) -> None:
    """As a traced mask does: its shape broadcasts, so that every sample would be masked like the first."""
    nodes = [
        helper.make_node("GatherND", ["mask", "at"], ["m"], name="pick"),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    at = np.stack([np.zeros(4, np.int64), np.arange(4)], -1)[None]
    net = model(nodes, {"x": [1, 4], "mask": [1, 4]}, {"y": [1, 4]}, {"at": at})
    with pytest.raises(UsageError, match="GatherND 'pick' takes the same elements of a batch"):
        changed(tmp_path, net, "bind", "batch=3")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "expected words"),
        ("batch", "has no size"),
        ("batch=0", "from 1"),
        ("batch=two", "whole number"),
        ("x=1x3x0x16", "from 1"),
        ("y=1x2", "no input is named 'y'"),
        ("bach=2", "no dim or input is named 'bach'"),
        ("x=1x3x16", "has 4 dims, 3"),
        ("x[4]=2", "has no dim 4"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, written: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("[", r"\[")):
        changed(tmp_path, encoder(), "bind", written)


def test_leading_dims_that_differ_are_no_batch(tmp_path: Path) -> None:
    net = model([helper.make_node("MatMul", ["a", "b"], ["y"])], {"a": [2, 3], "b": [3, 4]}, {"y": [2, 4]}, {})
    with pytest.raises(UsageError, match="name an input"):
        changed(tmp_path, net, "bind", "batch=5")
    with pytest.raises(UsageError, match=r"MatMul .* becomes invalid"):
        changed(tmp_path, net, "bind", "b[0]=5")
    _, _, made, *_ = changed(tmp_path, net, "bind", "a[0]=5")
    assert made.graph.values["y"].shape == (5, 4)


def test_texts_give_back_what_they_parse_to() -> None:
    for written in ("batch=4,seq=128", "x=1x3x160x160", "batch=2,x[3]=5,x=1x2"):
        assert text(parse(written)) == written
    assert parse("n=3,x=2x4") == Arguments({"n": 3}, {"x": (2, 4)})


def test_blocks_are_the_finest() -> None:
    assert [(a.stop, b.stop) for a, b in blocks((1, 8, 4, 4), (1, 8, 16))] == [(1, 1), (2, 2), (4, 3)]
    assert [(a.stop, b.stop) for a, b in blocks((6, 4), (4, 6))] == [(2, 2)]
    assert [(a.stop, b.stop) for a, b in blocks((5, 1, 1), (5,))] == [(1, 1), (2, 1), (3, 1)]


@pytest.mark.parametrize(
    ("source", "made", "now", "target", "became", "batch", "goal"),
    [
        ((1, 8, 1, 1), (1, 8), (4, 8, 1, 1), (1, -1), {1: {4}}, (1, 4), (4, 8)),
        ((1, 17, 8), (17, 8), (4, 17, 8), (17, 8), {1: {4}}, (1, 4), (68, 8)),
        ((17, 8), (1, 17, 2, 4), (68, 8), (1, 17, 2, 4), {1: {4}, 17: {68}}, (1, 4), (4, 17, 2, 4)),
        ((64, 49, 8), (1, 8, 8, 7, 7, 8), (128, 49, 8), (1, 8, 8, 7, 7, 8), {1: {2}}, (1, 2), (2, 8, 8, 7, 7, 8)),
        ((1, 8, 196), (1, 8, 14, 14), (1, 8, 100), (1, 8, 14, 14), {14: {10}}, None, (1, 8, 10, 10)),
        ((17, 8), (1, 17, 8), (18, 8), (1, 17, 8), {1: {2}, 17: {9, 18}}, (1, 2), (2, 9, 8)),
        ((197, 8), (1, 197, 8), (101, 8), (1, 197, 8), {197: {101}}, None, (1, 101, 8)),
    ],
)
def test_targets_that_can_be_told(
    source: tuple[int, ...],
    made: tuple[int, ...],
    now: tuple[int, ...],
    target: tuple[int, ...],
    became: dict[int, set[int]],
    batch: tuple[int, int] | None,
    goal: tuple[int, ...],
) -> None:
    assert wanted(source, made, now, target, Sizes(became, batch)) == goal
    assert resolved(retargeted(target, now, goal, zeros=False), now) == goal


def test_targets_that_cannot_be_told() -> None:
    with pytest.raises(Ambiguous):  # 2 x 9 and 1 x 18 are both made of sizes that are there
        wanted((17, 8), (1, 17, 8), (18, 8), (1, 17, 8), Sizes({1: {2}, 17: {9, 18}}))
    with pytest.raises(Ambiguous):  # windows of 7 do not tile 40, and of 8 or 5 nobody spoke
        wanted((1, 56, 56, 3), (1, 8, 7, 8, 7, 3), (1, 40, 40, 3), (1, 8, 7, 8, 7, 3), Sizes({56: {40}}))


CORPUS = [
    "swin_tiny_patch4_window7_224.dynamo.op18",
    "deit_tiny_distilled_patch16_224.ts.op17",
    "swin_tiny_patch4_window7_224.ts.op17",
    "gpt2_mini_64.dynamo.op18",
    "tv_shufflenet_v2_x1_0.dynamo.op18",
    "resnet18.ts.op17.q_qdq_int8",
    "pvt_v2_b0.ts.op17",
    "mobilevit_s.ts.op17",
]


@pytest.mark.parametrize("name", CORPUS)
def test_macs_of_a_batch_are_those_of_its_samples(name: str) -> None:
    corpus = folder()
    path = None if corpus is None else corpus / "models" / f"{name}.onnx"
    if path is None or not path.is_file():
        pytest.skip("no corpus here")
    audited = examine(path)
    change, made = whatif.apply(audited, whatif.parse("bind", "batch=3"))
    assert made.table.total("macs").low == 3 * audited.table.total("macs").low
    assert made.table.complete == audited.table.complete and not change.blocked
    for out in made.raw.outputs:
        assert made.graph.values[out].shape == (3, *(audited.graph.values[out].shape or ())[1:])
        assert made.raw.declared[out].shape == made.graph.values[out].shape


def test_bodies_state_the_new_sizes(tmp_path: Path) -> None:
    def branch(name: str) -> onnx.GraphProto:
        stated = helper.make_tensor_value_info(f"{name}_out", onnx.TensorProto.FLOAT, [1, 4])
        node = helper.make_node("Relu" if name == "then" else "Neg", ["x"], [f"{name}_out"])
        return helper.make_graph([node], name, [], [stated])

    chosen = helper.make_node("If", ["which"], ["y"], then_branch=branch("then"), else_branch=branch("else"))
    built = model([chosen], {"x": [1, 4], "which": []}, {"y": [1, 4]}, {}, types={"which": onnx.TensorProto.BOOL})
    _, _, _, _, after = changed(tmp_path, built, "bind", "x=3x4")
    onnx.checker.check_model(onnx.load(after), full_check=True)
    (y,) = run(after, {"x": -np.ones((3, 4), np.float32), "which": np.array(False)})
    assert y.shape == (3, 4) and y.min() == 1
