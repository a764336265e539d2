"""Worked examples of quantization, pruning, sparse formats and stacks: the what-ifs themselves, on small graphs.

What no rewrite of a graph tells is calculated by a named formula, and says so below.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

from effaudit.audited import Audited, examine
from effaudit.load.values import values
from effaudit.whatif import apply, parse
from effaudit.whatif.prune import storage
from effaudit.whatif.types import Change
from tests.explain import test_worked_examples as calculator

from . import test_complete, test_weight_sizes
from .example import KIB, MIB
from .graphs import Net
from .layers import conv, linears
from .test_complete import REFERENCE

TOPICS = frozenset(
    """quant_size quant_scale per_channel model_size pruning csr_size codebook smoothquant lora qlora stacking bn_fold
    depthwise_separable winograd latency""".split()
)
ASKED = ("graph", "graph+whatif", "calc")


@dataclass(frozen=True)
class Before:
    """A model, the last of the what-ifs made of it, and what it then is."""

    given: Audited
    change: Change
    made: Audited

    def figures(self, name: str = "") -> Mapping[str, Any]:
        """Of the detail of a tensor; of the only one where none is named."""
        (found,) = (detail for detail in self.change.details if name in ("", detail.name))
        return found.figures

    def weights(self) -> int:
        """Bytes of the weights themselves: scales and zero points are overhead, itemised apart."""
        return self.made.weights.bytes_of("param")

    def weights_before(self) -> int:
        return self.given.weights.bytes_of("param")

    def codes(self, name: str = "w") -> np.ndarray:
        """The integers that a tensor became."""
        (found,) = (c for key, c in self.made.raw.constants.items() if key.startswith(name) and c.shape == SHAPE)
        return np.array(values(found)).ravel()


Figure = Callable[[Before], object]


# ---- graphs
# The range -2..6 of the examples, 1.5 and 0 among it, and half a step, which rounding moves furthest.
GIVEN = [-2.0, 6.0, 1.5, 0.0, 0.5 * 8 / 255, *np.linspace(-2, 6, 95)]
SHAPE = (100, 1)


def ranged() -> ModelProto:
    """One product with the weights `GIVEN`."""
    return stored(np.array(GIVEN, np.float32).reshape(SHAPE))


def stored(weight: np.ndarray) -> ModelProto:
    """x @ w, the weights in the file."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], "product")]
    x = helper.make_tensor_value_info("x", 1, [1, weight.shape[0]])
    y = helper.make_tensor_value_info("y", 1, [1, weight.shape[1]])
    graph = helper.make_graph(nodes, "given", [x], [y], [numpy_helper.from_array(weight, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def drawn(cin: int, cout: int) -> ModelProto:
    """x @ w of weights that are all different and none zero."""
    draw = np.random.default_rng(0)
    return stored(draw.permutation(np.arange(1, cin * cout + 1)).astype(np.float32).reshape(cin, cout))


def normalized() -> ModelProto:
    """A convolution of 64 channels with its bias, and a batch norm."""
    net = Net()
    return net.model(net.batch_norm(net.conv(net.input(1, 64, 8, 8), 64, 3, bias=True)))


# ---- figures
def data(unit: float) -> Figure:
    return lambda b: b.weights() / unit


def times_smaller(b: Before) -> float:
    return b.weights_before() / b.weights()


def survive(b: Before) -> float:
    """Of a hundred weights, those that are not zero."""
    weight = values(b.made.raw.constants["w"])
    return 100 * np.count_nonzero(weight) / weight.size


def indices(b: Before) -> Fraction:
    """Bits of metadata per group: what is stored beside the values."""
    figures = b.figures()
    groups = Fraction(figures["elements"], 4)
    return (figures["compressed_bytes"] - 2 * 4 * groups) * 8 / groups


def payload(b: Before) -> float:
    """CSR without its row pointers, in MB."""
    return (b.weights() - 4 * (b.figures()["rows"] + 1)) / 1e6


def payload_break_even(b: Before) -> float:
    """The sparsity in percent from which CSR is smaller, had it no row pointers."""
    rows, columns = b.figures()["rows"], b.figures()["columns"]
    even = storage.csr_break_even(rows, columns, 32)
    assert even is not None and float(even) == b.figures()["csr_break_even"]
    return float(100 * (even - Fraction(32 * (rows + 1), rows * columns * (32 + 32))))


def steps(b: Before) -> int:
    """Between the least and the largest: the range over the scale."""
    return round((max(GIVEN) - min(GIVEN)) / b.figures()["scale"])


def code_of(value: float) -> Figure:
    return lambda b: int(b.codes()[GIVEN.index(value)])


def read_back(value: float) -> Figure:
    return lambda b: float(b.figures()["scale"] * (code_of(value)(b) - b.figures()["zero_point"]))  # type: ignore[operator]


def macs(audited: Audited) -> int:
    value = audited.table.total("macs").value
    assert value is not None
    return value


# ---- the examples
AFFINE = "--quantize uint8,per-tensor,affine,weights-only"
SEVEN_BILLION = partial(linears, 80_000, 87_500)  # described, never stored; whole blocks of 32
CLASSIFIER = partial(linears, 4096, 4096, 1000)
MOBILE = partial(linears, 1700, 2000)  # 3.4 M weights
SIX_MEGABYTES = partial(linears, 1000, 1500)
RUN: dict[str, tuple[object, Callable[[], ModelProto], str, Figure]] = {
    "s0-009": (83.492864, CLASSIFIER, "", lambda b: b.weights_before() / 1e6),
    "s0-010": (
        62.619648,
        CLASSIFIER,
        "--quantize int8,weights-only",
        lambda b: (b.weights_before() - b.weights()) / 1e6,
    ),
    "s0-194": (4.0, CLASSIFIER, "--quantize int8,weights-only", times_smaller),
    "s1-001": (28.0, SEVEN_BILLION, "", data(1e9)),
    "s1-002": (14.0, SEVEN_BILLION, "--quantize fp16", data(1e9)),
    "s1-004": (3.5, SEVEN_BILLION, "--quantize int4", data(1e9)),
    "s1-029": (18.375, partial(conv, 3, 224, 64, 7), "--quantize fp16", data(KIB)),
    "s2-054": (4.0, SEVEN_BILLION, "--quantize int8,weights-only,per-tensor", times_smaller),
    "s3-001": (13.6, MOBILE, "", data(1e6)),
    "s3-002": (3.4, MOBILE, "--quantize int8,weights-only", data(1e6)),
    "s3-025": (30.0, partial(drawn, 50, 40), "--prune sparsity=70%", survive),
    "s3-026": (50.0, partial(drawn, 64, 16), "--prune 2:4", lambda b: 100 - survive(b)),  # type: ignore[operator]
    "s3-027": (4, partial(drawn, 64, 16), "--prune 2:4,storage=compressed", indices),
    "s3-028": (0.8, partial(drawn, 100_000, 10), "--prune sparsity=90%,storage=csr", payload),
    "s3-030": (50.0, partial(linears, 100_000, 10), "--prune sparsity=50%,scope=layer,storage=csr", payload_break_even),
    "s3-032": (60.0, partial(drawn, 50, 40), "--prune sparsity=40%", survive),
    "s3-034": (8 / 255, ranged, AFFINE, lambda b: b.figures()["scale"]),
    "s3-035": (255, ranged, AFFINE, steps),
    "s3-037": (112, ranged, AFFINE, code_of(1.5)),
    "s3-041": (8 / 255 / 2, ranged, AFFINE, lambda b: b.figures()["max_abs_error"]),
    "s3-042": (4, partial(drawn, 64, 16), "--codebook k=16", lambda b: b.figures()["index_bytes"] * 8 / (64 * 16)),
    "s3-044": (
        508,
        partial(linears, 64, 128),
        "--quantize int8,weights-only",
        lambda b: b.figures()["scale_bytes"] - 4,
    ),
    "s3-050": (14.0, SEVEN_BILLION, "--quantize fp16", data(1e9)),
    "s3-052": (16, ranged, "--quantize uint4,per-tensor,affine", lambda b: len(set(b.codes().tolist()))),
    "s3-053": (15, ranged, "--quantize uint4,per-tensor,affine", steps),
    "s3-115": (
        6.0,
        partial(linears, 1000, 15_000, 1000),
        "--prune channels=80%,criterion=first",
        lambda b: macs(b.made) / 1e6,
    ),
    "s3-119": (26.0, partial(linears, 100_000, 130_000), "--quantize fp16", data(1e9)),
    "s3-121": (1.5, SIX_MEGABYTES, "--prune sparsity=50%,scope=layer --quantize int8,weights-only", data(1e6)),
    "s3-123": (4.0, SIX_MEGABYTES, "--prune sparsity=50%,scope=layer --quantize int8,weights-only", times_smaller),
    "s3-130": (0.0, ranged, AFFINE, read_back(0.0)),
    "s0-110": (0, normalized, "--fold bn", lambda b: macs(b.given) - macs(b.made)),
    "s0-202": (128, normalized, "--fold bn", lambda b: b.given.weights.params - b.made.weights.params),
}
ROUNDED = {"s3-034", "s3-041"}  # scales are stored as float32, and so are the weights they round

_ADAPTERS = "adapters beside a frozen weight: two small factors that a formula counts"
BY_FORMULA = {
    "s1-019": "the biases at four bits too: quantization leaves them in full, and the matrices take 27 MiB (below)",
    "s3-040": "with a scale rounded to 0.03137; the what-if's own scale gives 0.0059 (below)",
    "s3-046": "a factor of one channel whose largest activation and weight are given",
    "s3-048": "the largest weight after that factor",
    "s3-097": _ADAPTERS,
    "s3-098": _ADAPTERS,
    "s3-099": _ADAPTERS,
    "s3-100": _ADAPTERS,
    "s3-103": "a sum of two sizes: weights at four bits, and adapters",
    "s4-037": "a model against itself",
}


def asked(path: Path, written: str) -> Before:
    """The model after each of the options, in order."""
    given = audited = examine(path)
    change = Change(given.raw)
    words = written.split()
    for option, text in zip(words[::2], words[1::2], strict=True):
        change, audited = apply(audited, parse(option.removeprefix("--"), text))
    return Before(given, change, audited)


def looked(tmp_path: Path, graph: Callable[[], ModelProto], written: str) -> Before:
    path = tmp_path / "example.onnx"
    path.write_bytes(graph().SerializeToString())
    return asked(path, written)


@pytest.mark.parametrize("ident", RUN)
def test_examples(ident: str, tmp_path: Path) -> None:
    value, graph, written, figure = RUN[ident]
    found = figure(looked(tmp_path, graph, written))
    wanted = pytest.approx(value, rel=1e-6 if ident in ROUNDED else 1e-12) if isinstance(value, float) else value
    assert found == wanted


# ---- what the examples' own notes say
def test_four_bits_of_the_feed_forward_layers(tmp_path: Path) -> None:
    """s1-019: 27.022 MiB with the biases at four bits; the what-if leaves those, and says what each tensor takes."""
    found = looked(tmp_path, test_weight_sizes.feed_forward_of_gpt2, "--quantize int4")
    assert sum(int(detail.figures["data_bytes"] or 0) for detail in found.change.details) == 27 * MIB


def test_the_error_of_one_weight(tmp_path: Path) -> None:
    """s3-040: 0.0059 with the exact scale, where a scale rounded to 0.03137 gives 0.0058."""
    found = looked(tmp_path, ranged, AFFINE)
    assert abs(float(read_back(1.5)(found)) - 1.5) == pytest.approx(48 * 8 / 255 - 1.5, abs=1e-6)  # type: ignore[arg-type]


def test_indices_of_2_4_by_width() -> None:
    """s3-027: 36 of 64 bits in float16, 20 of 32 in int8."""
    assert storage.compressed_ratio(2, 4, 16) == Fraction(36, 64)
    assert storage.compressed_ratio(2, 4, 8) == Fraction(20, 32)


def test_csr_with_its_row_pointers() -> None:
    """s3-028 and s3-030: 0.804 MB and 50.05 % of 1000 x 1000; 80 % of int8 with 32-bit indices."""
    assert storage.csr_bytes(1000, 1000, 100_000, 32, index=32) == 804_004
    even = storage.csr_break_even(1000, 1000, 32, index=32)
    assert even is not None and round(float(100 * even), 2) == 50.05
    even = storage.csr_break_even(10_000, 100_000, 8, index=32)
    assert even is not None and round(float(100 * even), 1) == 80.0


def test_zero_points_come_on_top(tmp_path: Path) -> None:
    """s3-044: 127 bytes more for zero points of 8 bits."""
    graph = partial(linears, 64, 128)
    each = looked(tmp_path, graph, "--quantize int8,weights-only").figures()
    one = looked(tmp_path, graph, "--quantize int8,weights-only,per-tensor").figures()
    assert each["scale_bytes"] - one["scale_bytes"] == 508
    assert each["zero_point_bytes"] - one["zero_point_bytes"] in (0, 127)


def test_what_is_not_multiplied(tmp_path: Path) -> None:
    """s3-121: half the weights zero and a quarter of the bits is four times smaller, not eight; and no MAC less."""
    _, graph, written, _ = RUN["s3-121"]
    found = looked(tmp_path, graph, written)
    assert macs(found.made) == macs(found.given)


# ---- completeness
@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    if not REFERENCE.exists():
        pytest.skip("the collection of worked examples is not here")
    return {entry["id"]: entry for entry in json.loads(REFERENCE.read_text())}


def test_every_example_of_these_topics(reference: dict[str, Any]) -> None:
    """Run here as what-ifs, or calculated by a formula with the reason why; of plain graphs, tested as such."""
    wanted = {id: e["testable"] for id, e in reference.items() if e["topic"] in TOPICS and e["testable"] in ASKED}
    calculated = {ident for ident, _, _ in calculator.rows()} | calculator.LOOKS.keys()
    on_graphs = {example.id for example in test_complete.EXAMPLES}
    assert not RUN.keys() & BY_FORMULA.keys()
    assert BY_FORMULA.keys() <= calculated
    assert {id for id, how in wanted.items() if how == "graph+whatif"} == {
        id for id in RUN.keys() | BY_FORMULA.keys() if reference[id]["testable"] == "graph+whatif"
    }
    for id, how in wanted.items():
        assert id in RUN or id in BY_FORMULA or (how == "graph" and id in on_graphs) or id in calculated, id
    assert sum(id in RUN for id in wanted) >= 29


def test_values_are_the_collections(reference: dict[str, Any]) -> None:
    for id, (value, *_) in RUN.items():
        assert value == pytest.approx(reference[id]["computed_value"], rel=1e-9), id
