"""Pruning of channels: the network that comes out is the one built with fewer, on every architecture."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from effaudit.audited import Audited, examine, examined
from effaudit.errors import UsageError
from effaudit.load import Given
from effaudit.load.files import sample_names
from effaudit.load.values import values
from effaudit.memory import Asked, plan_memory
from effaudit.save import save_model
from effaudit.whatif.prune.channels import Channels, rewrite
from effaudit.whatif.types import Change
from tests.axes.filled import numbers, ran
from tests.axes.nets import NETS, Net
from tests.corpus.score import folder, rows
from tests.whatif.prune.half_mobilenet import half_mobilenet

HALF = Channels(Fraction(1, 2), "first")


def halved(audited: Audited) -> tuple[Change, Audited]:
    change = rewrite(audited, HALF)
    return change, examined(change.graph, audited.given)


def saved(change: Change, audited: Audited, place: Path) -> Audited:
    save_model(change.graph, place / "pruned.onnx", weightless=True)
    return examine(place / "pruned.onnx", audited.given)


# ---- MobileNetV2
def test_half_of_mobilenetv2_is_the_network_built_at_half_width(tmp_path: Path) -> None:
    audited = examine("sample:mobilenetv2")
    change, pruned = halved(audited)
    assert pruned.table.total("macs").value == 83_402_176
    (tmp_path / "built.onnx").write_bytes(half_mobilenet().SerializeToString())
    built = examine(tmp_path / "built.onnx")
    assert built.table.total("macs").value == 83_402_176
    for figure in ("macs", "ops", "reads", "writes"):
        assert str(pruned.table.total(figure)) == str(built.table.total(figure))
    assert pruned.weights.params == built.weights.params
    assert pruned.weights.buffers == built.weights.buffers
    for name in pruned.memory.__struct_fields__:
        if name.endswith("_bytes"):
            assert str(getattr(pruned.memory, name)) == str(getattr(built.memory, name)), name
    save_model(change.graph, tmp_path / "pruned.onnx", weightless=True)
    plans = [plan_memory(str(tmp_path / f"{name}.onnx"), asked=[Asked()])[0].memory for name in ("pruned", "built")]
    assert plans[0].arena_bytes == plans[1].arena_bytes is not None
    assert [blocked.group for blocked in change.blocked] == ["classifier/1/Gemm"]
    assert all(d.figures["channels_after"] == d.figures["channels_before"] // 2 for d in change.details)


# ---- every architecture
def test_densenet(tmp_path: Path) -> None:
    """DenseNet-BC of three blocks, https://arxiv.org/abs/1608.06993"""
    net = Net("densenet")
    x = net.conv(net.input("x", 1, 3, 16, 16), 16, 3)
    for block in range(3):
        for _ in range(4):
            y = net.conv(net.norm(net.conv(net.norm(x), 16)), 4, 3, relu=False)
            wide = net.channels[x] + 4
            x = net.node("Concat", x, y, axis=1)
            net.channels[x] = wide
        if block < 2:
            x = net.node("AveragePool", net.conv(net.norm(x), wide // 2), kernel_shape=[2, 2], strides=[2, 2])
            net.channels[x] = wide // 2
    net.head(net.norm(x), net.channels[x])
    (tmp_path / "net.onnx").write_bytes(net.model().SerializeToString())
    audited = examine(tmp_path / "net.onnx")
    change, pruned = halved(audited)
    assert [blocked.reason[:30] for blocked in change.blocked] == ["it is an axis of the graph out"]
    assert numbers(pruned) == numbers(saved(change, audited, tmp_path))
    shapes = {"x": (1, 3, 16, 16)}
    assert list(ran(change.graph, shapes, tmp_path).values()) == [(1, 5)]


STRUCTURE = ("alexnet", "resnet50", "bert-base", "decoder-7b")  # too large to be filled and run here


@pytest.mark.parametrize("name", sorted({*sample_names()} - {"control-flow"}))
def test_samples_halve_and_save(name: str, tmp_path: Path) -> None:
    audited = examine(f"sample:{name}")
    change, pruned = halved(audited)
    assert change.retrain and change.loss is None  # nothing was ranked
    assert numbers(pruned) == numbers(saved(change, audited, tmp_path))
    if name not in STRUCTURE:
        sizes = {n: tuple(int(d) for d in pruned.graph.values[n].shape or ()) for n in pruned.graph.inputs}
        for output, shape in ran(change.graph, sizes, tmp_path).items():
            assert shape == pruned.graph.values[output].shape


# Of every family one. What may not be blocked of the groups of each is all but the output, and what the comment says.
BLOCKED = {
    "resnet18.ts.op17": 1,
    "efficientnet_b3.ts.op17": 1,
    "deit_tiny_distilled_patch16_224.ts.op17": 1,
    "gpt2_mini_64.dynamo.op18": 1,
    "bert_mini_128.dynamo.op18.ortopt_all": 1,
    "convmixer_768_32.ts.op17": 1,
    "crossvit_tiny_240.ts.op17": 1,
    "ghostnet_100.ts.op17": 1,
    "gpt2_mini_past31.dynamo.op18": 13,  # keys and values are graph outputs
    "hrnet_w18_small.ts.op17": 1,
    "inception_next_tiny.ts.op17": 1,
    "levit_128s.ts.op17": 1,
    "mixer_b16_224.ts.op17": 3,  # tokens are positions
    "mobilenetv3_small_100.ts.op17": 1,
    "neumf.ts.op17.dynbatch": 0,
    "regnetx_016.ts.op17": 1,
    "res2net50_26w_4s.ts.op17": 1,
    "resnet18.ts.op17.q_qdq_int8": 1,
    "resnet18.ts.op17.q_qop_u8": 1,
    "selecsls42b.ts.op17": 1,
    "seresnet18.ts.op17": 1,
    "swin_tiny_patch4_window7_224.dynamo.op18": 1,
    "tv_shufflenet_v2_x1_0.dynamo.op18": 1,
    "tv_squeezenet1_1.ts.op17": 1,
    "whisper_tiny_encoder.dynamo.op18": 1,
}


@pytest.mark.parametrize("name", BLOCKED)
def test_architectures_halve_and_save(name: str, tmp_path: Path) -> None:
    corpus = folder()
    if corpus is None:
        pytest.skip("the corpus is not here")
    (row,) = (row for row in rows(corpus) if row["file"] == f"{name}.onnx")
    shapes = {k: tuple(shape) for k, shape in json.loads(row["fed_shapes"]).items()}
    audited = examine(corpus / "models" / row["file"], Given(shapes=shapes))
    change, pruned = halved(audited)
    assert len(change.blocked) == BLOCKED[name]
    assert numbers(pruned) == numbers(saved(change, audited, tmp_path))
    before, after = audited.table.total("macs").value, pruned.table.total("macs").value
    assert isinstance(before, int) and isinstance(after, int) and 0.24 < after / before < 0.65
    for output, shape in ran(change.graph, shapes, tmp_path).items():
        assert shape == pruned.graph.values[output].shape


# ---- which channels, and how many
@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """16 channels whose L1 norms fall and whose L2 norms rise with their number, and 6 behind them."""
    made = Net("ranks")
    x = made.norm(made.conv(made.input("x", 1, 3, 4, 4), 16, relu=False))
    made.head(made.conv(x, 6), 6)
    model = made.model()
    ranked = np.zeros((16, 3, 1, 1), np.float32)
    for i in range(16):
        ranked[i, 0] = 1 + i / 100  # one weight: L1 and L2 are the same
        ranked[i, 1:] = 0.9 - i / 20
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(ranked, "w0"))
    path = tmp_path_factory.mktemp("ranks") / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return examine(path)


def stay(audited: Audited, channels: Channels) -> list[int]:
    """Which filters of the first convolution are left."""
    change = rewrite(audited, channels)
    before, after = audited.raw.constants["w0"], change.graph.constants["w0"]
    whole, few = values(before), values(after)
    return [i for i in range(16) if any(np.array_equal(whole[i], one) for one in few)]


def test_criteria(net: Audited) -> None:
    weights = values(net.raw.constants["w0"]).reshape(16, 3)
    gamma = np.abs(values(net.raw.constants[net.raw.nodes[1].inputs[1]]))
    for criterion, score in (("l1", np.abs(weights).sum(1)), ("l2", (weights**2).sum(1)), ("bn", gamma)):
        largest = sorted(np.argsort(-score, kind="stable")[:4].tolist())
        channels = Channels(Fraction(3, 4), criterion, only=("Conv_0",))
        assert stay(net, channels) == largest, criterion
        change = rewrite(net, channels)
        (detail,) = change.details
        gone = np.delete(score if criterion != "l2" else np.sqrt(score), largest)
        whole = score if criterion != "l2" else np.sqrt(score)
        assert detail.figures["saliency_removed"] == pytest.approx((gone**2).sum() / (whole**2).sum())
        assert change.loss == pytest.approx((gone**2).sum() / (whole**2).sum())
    assert stay(net, Channels(Fraction(3, 4), "first", only=("Conv_0",))) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("ratio", "round_to", "left"),
    [
        (Fraction(0), 1, (16, 6)),
        (Fraction(1, 3), 1, (11, 4)),  # 5 and 2 go: whole ones below a third
        (Fraction(1, 3), 8, (16, 6)),  # 11 become 16: never fewer than asked
        (Fraction(1, 2), 8, (8, 6)),
        (Fraction(1, 2), 4, (8, 4)),
        (Fraction(1), 1, (1, 1)),
    ],
)
def test_how_many_stay(net: Audited, ratio: Fraction, round_to: int, left: tuple[int, int]) -> None:
    change = rewrite(net, Channels(ratio, "first", round_to=round_to))
    assert tuple(detail.figures["channels_after"] for detail in change.details) == left
    assert change.retrain == any("re-train" in note for note in change.notes) == (left != (16, 6))
    assert change.loss == (0 if left == (16, 6) else None)


def test_all_groups_together_lose_the_share(net: Audited) -> None:
    for share in (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4)):
        change = rewrite(net, Channels(share, "l1", scope="global"))
        after = [int(detail.figures["channels_after"]) for detail in change.details]
        assert 22 - sum(after) == int(22 * share) and min(after) >= 1
    even = rewrite(net, Channels(Fraction(1, 2), "first", scope="global"))
    assert sum(int(detail.figures["channels_after"]) for detail in even.details) == 11


def test_indices_go(net: Audited) -> None:
    assert stay(net, Channels(criterion="indices", indices={"Conv_0": (0, 3, 15)})) == [1, 2, *range(4, 15)]


# ---- refusals
@pytest.mark.parametrize(
    ("channels", "message"),
    [
        (
            Channels(Fraction(1, 2), "l1", only=("Conf_0",)),
            "no group of channels has a name like 'Conf_0'; did you mean",
        ),
        (Channels(criterion="indices", indices={"Conv_9": (1,)}), "no group of channels is named 'Conv_9'"),
        (Channels(criterion="indices", indices={"Conv_0": (16,)}), "has no channel 16: there are 16, from 0"),
        (Channels(criterion="indices", indices={"Conv_0": tuple(range(16))}), "one of its 16 channels must stay"),
        (
            Channels(criterion="indices", indices={"Gemm_7": (1,)}),
            "keeps its 5 channels: it is an axis of the graph out",
        ),
    ],
)
def test_wrong_names_are_refused(net: Audited, channels: Channels, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        rewrite(net, channels)


@pytest.mark.parametrize("criterion", ["l1", "l2", "bn"])
def test_structure_alone_is_ranked_by_place_only(criterion: str) -> None:
    with pytest.raises(UsageError, match=r"reads the weights, and '.*' has none: .*; use criterion=first"):
        rewrite(examine("sample:mobilenetv2"), Channels(Fraction(1, 2), criterion))


def test_a_network_without_prunable_channels_says_why() -> None:
    with pytest.raises(UsageError, match="none of the 1 groups of channels can be pruned; head/Gemm: it is an axis of"):
        rewrite(examine("sample:control-flow"), HALF)


def test_more_channels_than_any_network_has_are_left_alone(tmp_path: Path) -> None:
    many = 50_000_000
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"], "first"), helper.make_node("Conv", ["a", "v"], ["y"])]
    held = [TensorProto(name="w", dims=(many, 3, 1, 1), data_type=1, data_location=1)]
    held.append(TensorProto(name="v", dims=(2, many, 1, 1), data_type=1, data_location=1))
    for tensor in held:
        tensor.external_data.add(key="location", value="none.bin")
    ends = [helper.make_tensor_value_info(name, 1, [1, size, 8, 8]) for name, size in (("x", 3), ("y", 2))]
    graph = helper.make_graph(nodes, "wide", ends[:1], ends[1:], held)
    (tmp_path / "wide.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(UsageError, match="50,000,000 channels, more than the 1,048,576 that are told apart"):
        rewrite(examine(tmp_path / "wide.onnx"), Channels(Fraction(1, 2), "first"))


def test_vectors_stored_once_are_cut_apart(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(NETS["shared_vectors"]().SerializeToString())
    audited = examine(tmp_path / "net.onnx")
    change = rewrite(audited, Channels(criterion="indices", indices={"Conv_0": (0,), "Conv_2": (1, 2)}))
    convolutions = [node for node in change.graph.nodes if node.op == "Conv"]
    sizes = [change.graph.constants[node.inputs[2]].shape for node in convolutions]
    assert sizes == [(7,), (6,)]
