"""Width multipliers, against networks built at that width by the rules of their families."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from effaudit import whatif
from effaudit.audited import Audited, examine
from effaudit.errors import UsageError
from effaudit.graph import Graph
from effaudit.whatif.steps import read_steps
from effaudit.whatif.types import Change
from effaudit.whatif.width import divisible
from tests.corpus.score import folder
from tests.whatif.running import Array, changed, model, run
from tests.whatif.test_lowrank import drawn, same_audit

HEAD = "features/18/0/Conv"  # of sample:mobilenetv2: the convolution to 1280 channels
# Expansion, channels, blocks, stride: https://arxiv.org/abs/1801.04381, table 2
MOBILENET_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def make_divisible(value: float, divisor: int = 8) -> int:
    """As torchvision has it: https://github.com/pytorch/vision/blob/main/torchvision/models/_utils.py"""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class Builder:
    """A network of convolutions with batch norms, layer by layer."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.held: dict[str, Array] = {}

    def conv(self, x: str, cin: int, cout: int, k: int, *, stride: int = 1, group: int = 1, clip: bool = True) -> str:
        name = f"layer{len(self.nodes)}"
        self.held[f"{name}.w"] = np.ones((cout, cin // group, k, k), np.float32)
        norms = [f"{name}.{part}" for part in "gbmv"]
        self.held.update({norm: np.ones(cout, np.float32) for norm in norms})
        pads = [k // 2] * 4
        conv = helper.make_node("Conv", [x, f"{name}.w"], [f"{name}.c"], pads=pads, strides=[stride] * 2, group=group)
        self.nodes += [conv, helper.make_node("BatchNormalization", [f"{name}.c", *norms], [f"{name}.n"])]
        if not clip:
            return f"{name}.n"
        self.held |= {"least": np.array(0, np.float32), "most": np.array(6, np.float32)}
        self.nodes.append(helper.make_node("Clip", [f"{name}.n", "least", "most"], [f"{name}.y"]))
        return f"{name}.y"


def mobilenet_v2(width: float) -> onnx.ModelProto:
    """The published network: channels are multiples of 8, hidden ones 6 times those, the last 1280 at widths below 1.

    https://github.com/pytorch/vision/blob/main/torchvision/models/mobilenetv2.py
    """
    net = Builder()
    channels = make_divisible(32 * width)
    x = net.conv("x", 3, channels, 3, stride=2)
    for expansion, wide, blocks, stride in MOBILENET_V2:
        out = make_divisible(wide * width)
        for i in range(blocks):
            hidden, y = channels * expansion, x
            if expansion > 1:
                y = net.conv(y, channels, hidden, 1)
            y = net.conv(y, hidden, hidden, 3, stride=stride if i == 0 else 1, group=hidden)
            y = net.conv(y, hidden, out, 1, clip=False)
            if i:
                net.nodes.append(helper.make_node("Add", [x, y], [f"{y}.sum"]))
                y = f"{y}.sum"
            x, channels = y, out
    x = net.conv(x, channels, 1280, 1)
    net.held |= {"w": np.ones((1000, 1280), np.float32), "c": np.ones(1000, np.float32)}
    net.nodes += [
        helper.make_node("GlobalAveragePool", [x], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "c"], ["y"], transB=1),
    ]
    return model(net.nodes, {"x": [1, 3, 224, 224]}, {"y": [1, 1000]}, net.held)


def shapes(graph: Graph) -> list[tuple[int, ...]]:
    return sorted(constant.shape for constant in graph.constants.values())


@pytest.mark.parametrize(
    ("width", "macs", "params"),
    [(0.35, 59_285_808, 1_677_128), (0.5, 97_131_840, 1_968_680), (0.75, 209_069_792, None)],
)
def test_mobilenet_v2_is_the_published_one(tmp_path: Path, width: float, macs: int, params: int | None) -> None:
    """97 M MACs and 1.97 M parameters at 0.5, 59 M and 1.68 M at 0.35, 209 M at 0.75:
    https://github.com/tensorflow/models/tree/master/research/slim/nets/mobilenet"""
    change, made = whatif.apply(examine("sample:mobilenetv2"), whatif.parse("width", f"{width},round=8,keep={HEAD}"))
    onnx.save(mobilenet_v2(width), tmp_path / "built.onnx")
    built = examine(tmp_path / "built.onnx")
    assert made.table.total("macs").value == built.table.total("macs").value == macs
    assert made.weights.params == built.weights.params == (params or built.weights.params)
    assert made.memory.live_bytes.value == built.memory.live_bytes.value
    assert shapes(made.raw) == shapes(built.raw)
    assert change.retrain and change.loss is None


def test_hidden_layers_by_themselves() -> None:
    """24 -> 16 channels and six times these, or 144 -> 72 rounded by itself."""
    net = examine("sample:mobilenetv2")
    lengths = {}
    for expand in ("ratio", "round"):
        change, _ = whatif.apply(net, whatif.parse("width", f"0.5,round=8,expand={expand}"))
        lengths[expand] = lengths_of(change)
    differ = {name for name in lengths["ratio"] if lengths["ratio"][name] != lengths["round"][name]}
    assert differ == {"features/3/conv/0/0/Conv", "features/4/conv/0/0/Conv"}
    assert {lengths["ratio"][name] for name in differ} == {96} and {lengths["round"][name] for name in differ} == {72}


def test_the_rule_of_the_families() -> None:
    for multiple in (4, 8, 16):
        for length in range(1, 400):
            for width in (Fraction(7, 20), Fraction(1, 2), Fraction(3, 4), Fraction(1, 4)):
                assert divisible(length * width, multiple) == make_divisible(float(length * width), multiple)
    assert [divisible(Fraction(length) / 2, 1) for length in (1, 2, 3, 5)] == [1, 1, 2, 3]


def test_a_gate_is_no_second_input(tmp_path: Path) -> None:
    """Squeeze and excitation between an expansion and its projection: 12 -> 48, a gate of 6."""
    held = {"s": drawn(12, 3, 3, 3), "e": drawn(48, 12, 1, 1), "r": drawn(6, 48, 1, 1), "g": drawn(48, 6, 1, 1)}
    held |= {"p": drawn(12, 48, 1, 1), "h": drawn(12, 5)}
    nodes = [
        helper.make_node("Conv", ["x", "s"], ["a"], pads=[1, 1, 1, 1], name="stem"),
        helper.make_node("Conv", ["a", "e"], ["b"], name="expand"),
        helper.make_node("GlobalAveragePool", ["b"], ["q"]),
        helper.make_node("Conv", ["q", "r"], ["t"], name="squeeze"),
        helper.make_node("Conv", ["t", "g"], ["u"], name="excite"),
        helper.make_node("Sigmoid", ["u"], ["v"]),
        helper.make_node("Mul", ["b", "v"], ["m"]),
        helper.make_node("Conv", ["m", "p"], ["n"], name="project"),
        helper.make_node("Add", ["a", "n"], ["o"]),
        helper.make_node("GlobalAveragePool", ["o"], ["z"]),
        helper.make_node("Flatten", ["z"], ["f"]),
        helper.make_node("MatMul", ["f", "h"], ["y"], name="head"),
    ]
    net = model(nodes, {"x": [1, 3, 6, 6]}, {"y": [1, 5]}, held)
    change, *_ = changed(tmp_path, net, "width", "0.6,round=8")
    assert lengths_of(change) == {"stem": 8, "expand": 32, "squeeze": 6}
    change, _, made, _, after = changed(tmp_path, net, "width", "0.9,round=4")
    assert lengths_of(change) == {"stem": 12, "expand": 48, "squeeze": 6}  # 43.2 alone would be 44
    same_audit(made, after)
    assert run(after, {"x": drawn(1, 3, 6, 6)})[0].shape == (1, 5)


def lengths_of(change: Change) -> Mapping[str, object]:
    return {row.name: row.figures["channels_after"] for row in change.details}


def test_channels_of_weights_by_criterion(tmp_path: Path) -> None:
    change, before, made, _, after = changed(
        tmp_path, Path("sample_models/kws.onnx").resolve(), "width", "0.5,criterion=l1"
    )
    assert change.loss is not None and 0 < change.loss < 0.5
    assert 3.0 < ratio(before, made) < 4.0  # all but the first and the last layer lose half on both sides
    same_audit(made, after)


def ratio(before: Audited, made: Audited) -> float:
    return before.table.total("macs").low / made.table.total("macs").low


def test_heads_are_rounded_with_their_elements() -> None:
    """3 heads of 64: two are 128 channels, a multiple of 8 already."""
    corpus = folder()
    path = None if corpus is None else corpus / "models" / "deit_tiny_distilled_patch16_224.ts.op17.onnx"
    if path is None or not path.is_file():
        pytest.skip("no corpus here")
    change, made = whatif.apply(examine(path), whatif.parse("width", "0.5,round=8"))
    pairs = {(row.figures["channels_before"], row.figures["channels_after"]) for row in change.details}
    assert pairs == {(192, 96), (768, 384), (3, 2)}
    assert not any(value.invalid for value in made.graph.values.values())


def test_refusals() -> None:
    net = examine("sample:mobilenetv2")
    with pytest.raises(UsageError, match="--width: no group of channels has a name like 'head'"):
        whatif.apply(net, whatif.parse("width", "0.5,keep=head"))
    with pytest.raises(UsageError, match="--width: none of the 26 groups of channels can be pruned; classifier/1/Gemm"):
        whatif.apply(net, whatif.parse("width", "0.5,only=classifier*"))
    with pytest.raises(UsageError, match="criterion=first"):
        whatif.apply(net, whatif.parse("width", "0.5,criterion=l2"))


@pytest.mark.parametrize(
    ("text", "shortest"),
    [("0.5", ""), ("50%,round=8", "0.5,round=8"), ("width=0.35,keep=a|b*,expand=round", "0.35,expand=round,keep=a|b*")],
)
def test_the_text_of_arguments(text: str, shortest: str) -> None:
    step = whatif.parse("width", text)
    assert whatif.text(step) == f"--width {shortest or text}"
    assert whatif.parse("width", shortest or text) == step


@pytest.mark.parametrize(
    "text",
    ["", "0", "1", "1.4", "0.5,0.6", "0.5,width=0.5", "0.5,round=0", "0.5,expand=six", "0.5,criterion=last", "keep=a"],
)
def test_refused_arguments(text: str) -> None:
    with pytest.raises(UsageError, match="--width"):
        whatif.parse("width", text)


def test_arguments_in_a_file_of_steps(tmp_path: Path) -> None:
    """As objects and as text, of all what-ifs that put others for operators or change widths."""
    path = tmp_path / "steps.yaml"
    lines = (
        "width: {width: 0.5, round: 8, keep: head}",
        "lowrank: {ratio: 25%, skip: stem}",
        "lowrank: energy=99%",
        "separable: {only: 'a*|b'}",
        "separable: all",
        "group: {groups: 4}",
        "codebook: {bits: 4}",
    )
    path.write_text("schema: effaudit.steps/1\nsteps:\n" + "".join(f"  - {line}\n" for line in lines))
    assert [whatif.text(step) for step in read_steps(path)] == [
        "--width 0.5,round=8,keep=head",
        "--lowrank ratio=25%,skip=stem",
        "--lowrank energy=99%",
        "--separable only=a*|b",
        "--separable all",
        "--group groups=4",
        "--codebook bits=4",
    ]
    path.write_text("schema: effaudit.steps/1\nsteps:\n  - width: {width: 1.5}\n")
    with pytest.raises(UsageError, match=r"\$.steps\[0\].width"):
        read_steps(path)
