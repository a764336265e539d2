"""What no runtime goes below: constants once, the largest peaks, the fewest products."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from effaudit.audited import examine
from effaudit.checks.subject import Limits
from effaudit.device.peaks import largest_flop_per_s
from effaudit.device.types import Device
from effaudit.estimate.algorithms import saving, saving_of
from effaudit.estimate.bound import lower_bound
from effaudit.estimate.reading import unique_reads
from effaudit.estimate.setting import Setting, setting
from effaudit.estimate.types import NOTHING, Kernel
from effaudit.estimate.work import kernels
from effaudit.fit.asked import FitAsked
from effaudit.fit.model import fit
from effaudit.quantity import Quantity
from effaudit.weights import classify
from tests.profiles import MIB, accelerator, device, document

N = 8  # rows and columns of a small weight
ROWS = 16  # of a small table


def floats(name: str, *shape: int) -> TensorProto:
    return numpy_helper.from_array(np.zeros(shape, np.float32), name)


def saved(
    folder: Path, nodes: Sequence[NodeProto], constants: Sequence[TensorProto], ids: int = 1, n: int = N, **more: Any
) -> str:
    """A model of int64 ids and a float vector x -> y."""
    inputs = [
        helper.make_tensor_value_info("ids", TensorProto.INT64, [ids]),
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [ids, n]),
        helper.make_tensor_value_info("yes", TensorProto.BOOL, []),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(list(nodes), "g", inputs, outputs, list(constants))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1), helper.make_opsetid("com.microsoft", 1)]
    model: ModelProto = helper.make_model(graph, opset_imports=opsets, **more)
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return str(path)


def read(path: str, computes: dict[str, str] | None = None) -> int:
    made = examine(path).graph
    return unique_reads(made, computes=computes or {})


def chain(last: str, names: Sequence[str]) -> list[NodeProto]:
    """x @ w @ w ...; the last is `last`."""
    ends = ["x", *(f"h{i}" for i in range(len(names) - 1)), last]
    return [helper.make_node("MatMul", [ends[i], w], [ends[i + 1]]) for i, w in enumerate(names)]


def shared(folder: Path) -> str:
    """Four products with one weight of 4 MiB, and one row of a table of 16 MiB."""
    looked = helper.make_node("Gather", ["table", "ids"], ["row"])
    nodes = [looked, *chain("h", ["w"] * 4), helper.make_node("Add", ["h", "row"], ["y"])]
    return saved(folder, nodes, [floats("w", 1024, 1024), floats("table", 4096, 1024)], n=1024)


# ---- constants once
def test_a_weight_that_is_used_four_times_is_read_once(tmp_path: Path) -> None:
    path = shared(tmp_path)
    assert read(path) == 4 * MIB + 4 * 1024
    graph = examine(path).graph
    assert sum(kernel.weight_bytes.low for kernel in kernels(graph)) == 16 * MIB + 4 * 1024


def test_it_does_not_fail_at_a_throughput_that_the_memory_sustains(tmp_path: Path) -> None:
    """4.2 MB a run over 1 GB/s: 238 runs a second are possible, 239 are not; 16.8 MB, counted four times, gave 59."""
    path, gpu = shared(tmp_path), device(tmp_path, accelerator(4e12, 1e9, dtype="float32"))
    for rate, status in ((200, "unknown"), (238, "unknown"), (239, "fail")):
        (found,) = fit(path, [gpu], [FitAsked(limits=Limits(throughput_per_s=rate))])
        (one,) = (result for result in found.findings if result.check == "bandwidth")
        assert one.status == status
        assert one.bounds[0] == pytest.approx((4 * MIB + 4 * 1024) * rate)
    assert found.latency_s.low == pytest.approx((4 * MIB + 4 * 1024) / 1e9)


@settings(max_examples=30, deadline=None)
@given(
    weights=st.lists(st.integers(0, 3), min_size=1, max_size=6),
    tables=st.lists(st.integers(0, 2), max_size=5),
    ids=st.integers(1, 2 * ROWS),
)
def test_against_counting_by_hand(
    tmp_path_factory: pytest.TempPathFactory, weights: list[int], tables: list[int], ids: int
) -> None:
    """Every weight that is used, and one row of every table, however many rows are picked how often."""
    nodes, last = chain("h", [f"w{i}" for i in weights]), "h"
    for i, table in enumerate(tables):
        nodes.append(helper.make_node("Gather", [f"t{table}", "ids"], [f"r{i}"]))
        nodes.append(helper.make_node("Add", [last, f"r{i}"], [f"a{i}"]))
        last = f"a{i}"
    nodes.append(helper.make_node("Relu", [last], ["y"]))
    constants = [floats(f"w{i}", N, N) for i in range(4)] + [floats(f"t{i}", ROWS, N) for i in range(3)]
    path = saved(tmp_path_factory.mktemp("m"), nodes, constants, ids)
    expected = 4 * N * N * len(set(weights)) + 4 * N * len(set(tables))
    assert read(path) == expected
    graph = examine(path).graph
    assert expected <= sum(kernel.weight_bytes.low for kernel in kernels(graph))
    assert unique_reads(graph, computes={"float32": "float16"}) == expected // 2
    assert unique_reads(graph, only=classify(graph)) == expected


def test_a_product_that_shares_its_weight_with_a_table(tmp_path: Path) -> None:
    """A tied head: all of it is read, and no row beside."""
    looked = helper.make_node("Gather", ["w", "ids"], ["row"])
    nodes = [looked, *chain("h", ["w"]), helper.make_node("Add", ["h", "row"], ["y"])]
    assert read(saved(tmp_path, nodes, [floats("w", N, N)])) == 4 * N * N


@pytest.mark.parametrize(
    ("then", "other", "expected"), [("ab", "ac", 2), ("ab", "a", 1), ("a", "bb", 1), ("", "abc", 0)]
)
@pytest.mark.parametrize("beside", ["", "a", "b"])
def test_of_an_if_the_cheapest_branch(then: str, other: str, expected: int, beside: str, tmp_path: Path) -> None:
    """What both branches read for sure, and as much beside as the one that reads least: what was read anyway once."""

    def branch(used: str, out: str) -> Any:
        nodes = chain(f"{out}_", used) if used else [helper.make_node("Identity", ["x"], [f"{out}_"])]
        for node in nodes:  # names of a body must not meet those of the other
            node.input[:] = [n if n in "abcx" else f"{out}{n}" for n in node.input]
            node.output[:] = [f"{out}{n}" for n in node.output]
        return helper.make_graph(nodes, out, [], [helper.make_tensor_value_info(f"{out}{out}_", 1, None)])

    chosen = helper.make_node("If", ["yes"], ["i"], then_branch=branch(then, "t"), else_branch=branch(other, "e"))
    nodes = [*(chain("h", beside) if beside else []), chosen]
    nodes += [helper.make_node("Add", ["i", "h" if beside else "x"], ["y"])]
    found = read(saved(tmp_path, nodes, [floats(name, N, N) for name in "abc"])) // (4 * N * N)
    by_hand = min(len({*used, *beside}) for used in (then, other))
    assert found <= by_hand  # never above; below it where what a branch reads beside may have been read before
    if not beside:
        assert found == expected == by_hand


def test_a_loop_reads_once_and_one_that_may_not_run_nothing(tmp_path: Path) -> None:
    body = helper.make_graph(
        [helper.make_node("MatMul", ["s", "w"], ["t"]), helper.make_node("Identity", ["c"], ["d"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("s", TensorProto.FLOAT, [1, N]),
        ],
        [helper.make_tensor_value_info("d", TensorProto.BOOL, []), helper.make_tensor_value_info("t", 1, [1, N])],
    )
    trips = numpy_helper.from_array(np.array(5, np.int64), "trips")
    always = saved(
        tmp_path, [helper.make_node("Loop", ["trips", "", "x"], ["y"], body=body)], [trips, floats("w", N, N)]
    )
    assert read(always) == 4 * N * N
    maybe = helper.make_node("Loop", ["trips", "yes", "x"], ["y"], body=body)
    assert read(saved(tmp_path, [maybe], [trips, floats("w", N, N)])) == 0


def test_a_function_reads_what_it_is_handed(tmp_path: Path) -> None:
    """Called three times with two weights; its own constant is one, however often it is called."""
    own = helper.make_node("Constant", [], ["k"], value=floats("k", N, N))
    nodes = [own, helper.make_node("MatMul", ["p", "q"], ["m"]), helper.make_node("MatMul", ["m", "k"], ["r"])]
    made = helper.make_function("own", "Twice", ["p", "q"], ["r"], nodes, [helper.make_opsetid("", 17)])
    calls = [
        helper.make_node("Twice", [a, w], [b], domain="own")
        for a, w, b in (("x", "v", "g"), ("g", "w", "h"), ("h", "v", "y"))
    ]
    path = saved(tmp_path, calls, [floats("v", N, N), floats("w", N, N)], functions=[made])
    assert read(path) == 3 * 4 * N * N


def test_of_experts_those_of_one_token(tmp_path: Path) -> None:
    """Two of eight, for 16 tokens that may all be sent to the same two."""
    node = helper.make_node("MoE", ["x", "p", "w1", "", "w2"], ["y"], domain="com.microsoft", k=2)
    router = helper.make_node("MatMul", ["x", "r"], ["p"])
    path = saved(tmp_path, [router, node], [floats("r", N, 8), floats("w1", 8, N, 32), floats("w2", 8, 32, N)], ids=16)
    assert read(path) == 4 * (N * 8 + 2 * 2 * N * 32)


def test_what_is_computed_ahead_is_not_read(tmp_path: Path) -> None:
    """The sum of a weight is a scalar before the model runs."""
    nodes = [helper.make_node("ReduceSum", ["w"], ["s"]), helper.make_node("Add", ["x", "s"], ["y"])]
    assert read(saved(tmp_path, nodes, [floats("w", N, N)])) == 0


@pytest.mark.parametrize("name", ["sample:ic", "sample:vww-int8", "sample:decoder-gqa", "sample:bert-base"])
def test_never_more_than_there_is(name: str) -> None:
    graph = examine(name).graph
    found = unique_reads(graph)
    assert 0 < found <= sum({id(c): c.nbytes for c in graph.constants.values()}.values())
    assert found <= sum(kernel.weight_bytes.low for kernel in kernels(graph))


# ---- peaks
def engine(**peaks: Any) -> dict[str, Any]:
    return {"name": "gpu", "kind": "gpu", "peaks": peaks}


def on(folder: Path, **peaks: Any) -> Device:
    memory = {"name": "ram", "kind": "dram", "size_bytes": 10**9, "holds": ["weights", "activations"]}
    runtime = {"name": "bare", "rules": "ideal", "engine": "gpu"}
    return device(folder, document(engines=[engine(**peaks)], memories=[memory], runtimes=[runtime]))


def kernel(macs: int, dtype: str, saved_by: float = 1.0) -> Kernel:
    size = Quantity(macs, macs)
    return Kernel(0, "n", "Conv", "conv", dtype, size, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, saving=saved_by)


def test_the_largest_peak_that_the_type_may_run_at(tmp_path: Path) -> None:
    """19.5 TFLOP/s of float32, 156 of tfloat32 (NVIDIA A100): 1.56e14 products of two operations take two seconds."""
    both = {"float32": {"dense_flop_per_s": 19.5e12}, "tfloat32": {"dense_flop_per_s": 156e12}}
    gpu = on(tmp_path, **both)
    assert largest_flop_per_s(gpu.engines[0], "float32") == 156e12
    assert lower_bound([kernel(156 * 10**12, "float32")], setting(gpu, gpu.runtimes[0], 0, 0)) == pytest.approx(2.0)
    assert largest_flop_per_s(gpu.engines[0], "float16") is None


def test_the_upper_end_of_a_range(tmp_path: Path) -> None:
    """MACs per cycle x cores x clock, each at its largest."""
    ends = {"value": 2, "low": 1, "high": 4}
    part = {"name": "gpu", "kind": "simd", "cores": ends, "clock_hz": {"value": 1e6, "high": 3e6}}
    part["peaks"] = {"int8": {"dense_mac_per_cycle": ends}}
    memory = {"name": "ram", "kind": "dram", "size_bytes": 10**9, "holds": ["weights", "activations"]}
    runtime = {"name": "bare", "rules": "ideal", "engine": "gpu"}
    cpu = device(tmp_path, document(engines=[part], memories=[memory], runtimes=[runtime]))
    assert largest_flop_per_s(cpu.engines[0], "int8") == 2 * 4 * 4 * 3e6
    assert largest_flop_per_s(cpu.engines[0], "uint8") == 2 * 4 * 4 * 3e6


# ---- products
def test_the_fewest_products() -> None:
    """Of the published: F(6x6, 3x3) makes 36 outputs of 9 taps with 64 products, F(6, 3) 6 of 3 with 8."""
    assert saving((3, 3), (1, 1)) == 36 * 9 / 64 == 5.0625
    assert saving((1, 3), (1, 1)) == 6 * 3 / 8
    assert saving((3, 3), ()) == 5.0625 and saving((3, 3), (2, 2)) == saving((1, 1), (1, 1)) == 1.0
    assert saving((7, 7), (1, 1)) == 49 / 2  # Fourier


@given(st.lists(st.integers(1, 40), min_size=1, max_size=3), st.integers(0, 2))
def test_more_taps_save_no_less_and_never_more_than_all_but_one(window: list[int], axis: int) -> None:
    """Every output needs a product of its own."""
    found = saving(window, [1] * len(window))
    assert 1 <= found <= max(prod(window), 1)
    if prod(window) > 1:
        assert saving([2 * r for r in window], [1] * len(window)) >= found


def test_the_window_of_a_node(tmp_path: Path) -> None:
    """As stated, else that of the weights."""
    for attrs, expected in (
        ({}, 5.0625),
        ({"kernel_shape": [3, 3], "strides": [2, 1]}, 1.0),
        ({"strides": [1, 1]}, 5.0625),
    ):
        nodes = [
            helper.make_node("Reshape", ["x", "shape"], ["image"]),
            helper.make_node("Conv", ["image", "w"], ["y"], **attrs),
        ]
        shape = numpy_helper.from_array(np.array([1, 1, 8, 8], np.int64), "shape")
        graph = examine(saved(tmp_path, nodes, [floats("w", 1, 1, 3, 3), shape], n=64)).graph
        assert saving_of(graph, graph.nodes[1], "conv") == expected
        (conv,) = (one for one in kernels(graph) if one.op == "Conv")
        assert conv.saving == expected


@pytest.mark.parametrize(
    ("dtype", "peaks", "expected"),
    [
        ("float32", {"float32": {"dense_flop_per_s": 2}}, 100.0),
        ("int16", {"int16": {"dense_op_per_s": 2}}, 100.0),
        ("int8", {"int8": {"dense_op_per_s": 2}}, 400.0),
        ("int8", {"int8": {"dense_op_per_s": 2}, "int16": {"dense_op_per_s": 1}}, 200.0),
        ("int8", {"int8": {"dense_op_per_s": 8}, "int16": {"dense_op_per_s": 1}}, 100.0),
    ],
)
def test_which_types_save(dtype: str, peaks: dict[str, Any], expected: float, tmp_path: Path) -> None:
    """400 MACs that a quarter of the products make: of int8 only in int16, where the engine has it."""
    gpu = on(tmp_path, **peaks)
    assert lower_bound([kernel(400, dtype, 4.0)], setting(gpu, gpu.runtimes[0], 0, 0)) == pytest.approx(expected)


# ---- weights over the bandwidth
MEMORIES = [
    {"name": "near", "kind": "ram", "size_bytes": 600, "read_bandwidth_byte_per_s": 100, "holds": ["weights"]},
    {"name": "far", "kind": "dram", "size_bytes": MIB, "read_bandwidth_byte_per_s": 10, "holds": ["weights"]},
    {"name": "work", "kind": "ram", "size_bytes": MIB, "holds": ["activations"]},
]


def split(folder: Path, total: int, read_bytes: int | None, *more: dict[str, Any]) -> Setting:
    runtime = {"name": "bare", "rules": "ideal", "engine": "cpu"}
    made = device(folder, document(memories=[*MEMORIES, *more], runtimes=[runtime]))
    return setting(made, made.runtimes[0], total, 0, unique_bytes=read_bytes)


def test_what_is_not_read_may_be_what_lies_far(tmp_path: Path) -> None:
    """600 of 1,000 bytes lie near: of 700 that are read 100 at the least come from the far one, 300 from the near."""
    assert lower_bound([], split(tmp_path, 1000, 700)) == pytest.approx(10.0)
    assert lower_bound([], split(tmp_path, 1000, 410)) == pytest.approx(0.1)
    assert lower_bound([], split(tmp_path, 1000, 1000)) == pytest.approx(40.0)
    assert lower_bound([], split(tmp_path, 1000, None)) == 0.0  # not known: no bound rather than a wrong one


def test_all_caches_together_may_keep_weights(tmp_path: Path) -> None:
    caches = [{"name": name, "kind": "cache", "size_bytes": size} for name, size in (("l2", 100), ("l3", 150))]
    assert lower_bound([], split(tmp_path, 1000, 1000, *caches)) == pytest.approx(15.0)


@settings(max_examples=40)
@given(
    macs=st.integers(0, 10**6),
    more=st.integers(0, 10**6),
    held=st.integers(0, 2000),
    parts=st.tuples(*[st.floats(0, 1)] * 2),
)
def test_the_bound_is_monotone_and_no_larger_than_its_formula(
    tmp_path_factory: pytest.TempPathFactory, macs: int, more: int, held: int, parts: tuple[float, float]
) -> None:
    less, much = sorted(int(part * held) for part in parts)
    made = split(tmp_path_factory.mktemp("p"), held, less)
    fast = msgspec.structs.replace(
        made.device.engines[0], peaks=on(tmp_path_factory.mktemp("q"), int8={"dense_op_per_s": 1000}).engines[0].peaks
    )
    made = msgspec.structs.replace(made, device=msgspec.structs.replace(made.device, engines=(fast,)))
    small, large = kernel(macs, "int8"), kernel(macs + more, "int8")
    low = lower_bound([small], made)
    assert low <= lower_bound([large], msgspec.structs.replace(made, unique_bytes=much))
    assert low <= lower_bound([small, large], made)
    near, far = min(held, 600), max(held - 600, 0)
    formula = max(2 * macs / 1000, max(less - far, 0) / 100, max(less - near, 0) / 10)
    assert low == pytest.approx(formula, abs=0.2)  # a byte of rounding
    assert low <= max(2 * macs / 1000, less / 10) + 1e-9
