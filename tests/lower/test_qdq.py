"""Quantized pairs folded, pattern by pattern."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from effaudit.lower import qdq
from effaudit.lower._rewrite import ACTIVATION, FUSED
from effaudit.runtimes import find
from tests.lower.graphs import WEIGHTS, assert_sound, dq, dtypes, graph, loaded, n, only, ops, q

SAMPLES = Path(__file__).parents[2] / "sample_models"
ENTRY = (q("x", "xq"), dq("xq", "xd"))
EXIT = dq("yq", "y")


def test_a_convolution_between_pairs_reads_and_writes_integers() -> None:
    found = qdq.fold(graph(*ENTRY, *WEIGHTS, n("Conv", "xd wd bd", "c"), q("c", "yq"), EXIT))
    assert_sound(found)
    assert ops(found) == ["QuantizeLinear", "Conv", "DequantizeLinear"]
    conv = only(found, "Conv")
    assert (conv.inputs, conv.outputs) == (("xq", "wq", "bq"), ("yq",))
    assert dtypes(found, conv.inputs + conv.outputs) == ["int8", "int8", "int32", "int8"]
    assert FUSED not in conv.attrs


@pytest.mark.parametrize("clip", ["Relu", "Clip"])
def test_a_clipping_before_the_quantizer_is_part_of_the_convolution(clip: str) -> None:
    inputs = "c" if clip == "Relu" else "c zero six"
    nodes = (*ENTRY, *WEIGHTS, n("Conv", "xd wd bd", "c"), n(clip, inputs, "r"), q("r", "yq"), EXIT)
    found = qdq.fold(graph(*nodes))
    assert ops(found) == ["QuantizeLinear", "Conv", "DequantizeLinear"]
    conv = only(found, "Conv")
    assert conv.outputs == ("yq",)
    assert (conv.attrs[FUSED], conv.attrs[ACTIVATION]) == (("n_r",), clip)


def test_a_clip_whose_bounds_are_fed_stays_and_keeps_its_input_floating() -> None:
    nodes = (*ENTRY, *WEIGHTS, n("Conv", "xd wd bd", "c"), n("Clip", "c - high", "r"), q("r", "yq"), EXIT)
    found = qdq.fold(graph(*nodes, inputs={"x": (1, 4, 6, 6), "high": ()}))
    assert dtypes(found, ["c", "r"]) == ["float32", "float32"]
    assert "Clip" in ops(found)


def test_a_relu_of_its_own_pair_is_an_integer_kernel() -> None:
    found = qdq.fold(graph(*ENTRY, n("Relu", "xd", "r"), q("r", "yq", "s2 z"), EXIT))
    assert ops(found) == ["QuantizeLinear", "Relu", "DequantizeLinear"]
    assert only(found, "Relu").inputs == ("xq",)


def test_both_inputs_of_an_add_must_be_quantized() -> None:
    half = graph(*ENTRY, n("Add", "xd other", "a"), q("a", "yq"), EXIT, inputs={"x": (1, 4), "other": (1, 4)})
    found = qdq.fold(half)
    assert only(found, "Add").inputs == ("xd", "other")
    assert dtypes(found, only(found, "Add").outputs) == ["float32"]
    both = (q("other", "oq", "s2 z2"), dq("oq", "od", "s2 z2"), n("Add", "xd od", "a"))
    whole = graph(*ENTRY, *both, q("a", "yq"), EXIT, inputs={"x": (1, 4), "other": (1, 4)})
    assert only(qdq.fold(whole), "Add").inputs == ("xq", "oq")


def test_one_tensor_dequantized_for_each_reader() -> None:
    nodes = (q("x", "xq"), dq("xq", "xd"), dq("xq", "xd2"), n("Add", "xd xd2", "a"), q("a", "yq"), EXIT)
    assert only(qdq.fold(graph(*nodes)), "Add").inputs == ("xq", "xq")


def test_quantizers_of_equal_scale_behind_one_output_are_one() -> None:
    twins = (q("r", "r1"), q("r", "r2", "s3 z"), dq("r1", "d1"), dq("r2", "d2", "s3 z"))
    nodes = (*ENTRY, n("Relu", "xd", "r"), *twins, n("Add", "d1 d2", "a"), q("a", "yq"), EXIT)
    found = qdq.fold(graph(*nodes, weights={"s3": np.asarray(0.5, np.float32)}))
    assert only(found, "Add").inputs == ("r1", "r1")
    assert ops(found) == ["QuantizeLinear", "Relu", "Add", "DequantizeLinear"]


def test_quantizers_of_two_scales_keep_the_output_floating() -> None:
    twins = (q("r", "r1"), q("r", "r2", "s2 z"), dq("r1", "d1"), dq("r2", "d2", "s2 z"))
    found = qdq.fold(graph(*ENTRY, n("Relu", "xd", "r"), *twins, n("Add", "d1 d2", "a"), q("a", "yq"), EXIT))
    assert dtypes(found, only(found, "Relu").outputs) == ["float32"]
    assert only(found, "Add").inputs == ("r1", "r2")


def test_requantization_is_one_node_where_scales_differ_and_none_where_they_are_the_same() -> None:
    other = qdq.fold(graph(q("x", "xq"), dq("xq", "a"), q("a", "kq", "s2 z"), dq("kq", "y", "s2 z")))
    assert ops(other) == ["QuantizeLinear", "QuantizeLinear", "DequantizeLinear"]
    assert other.nodes[1].inputs == ("xq", "s2", "z")
    same = qdq.fold(graph(q("x", "xq"), dq("xq", "a"), q("a", "kq"), dq("kq", "y")))
    assert ops(same) == ["QuantizeLinear", "DequantizeLinear"]
    assert same.nodes[1].inputs[0] == "xq"


def test_equal_scales_with_other_zero_points_are_not_the_same() -> None:
    found = qdq.fold(graph(q("x", "xq"), dq("xq", "a"), q("a", "kq", "s z2"), dq("kq", "y", "s z2")))
    assert ops(found) == ["QuantizeLinear", "QuantizeLinear", "DequantizeLinear"]


def test_a_requantized_graph_output_keeps_its_name() -> None:
    found = qdq.fold(graph(q("x", "xq"), dq("xq", "a"), q("a", "y")))
    assert found.outputs == ("y",)
    assert found.nodes[-1].inputs[0] == "xq"


def test_pairs_that_nothing_reads_disappear() -> None:
    found = qdq.fold(graph(*ENTRY, q("xd", "unread", "s2 z"), dq("unread", "unread2"), n("Relu", "x", "y")))
    assert ops(found) == ["Relu"]


def test_a_floating_reader_gets_its_tensor_dequantized_where_the_file_does() -> None:
    """Sqrt has no pair: its input stays floating."""
    nodes = (*ENTRY, n("Relu", "xd", "r"), q("r", "rq"), dq("rq", "rd"), n("Sqrt", "xd", "e"), n("Mul", "e rd", "y"))
    found = qdq.fold(graph(*nodes))
    assert_sound(found)
    assert ops(found) == ["QuantizeLinear", "DequantizeLinear", "Relu", "DequantizeLinear", "Sqrt", "Mul"]
    assert found.nodes[1].outputs == ("xd",)
    assert only(found, "Relu").inputs == ("xq",)


def test_weights_alone_quantized_stay_dequantized_at_run_time() -> None:
    found = qdq.fold(graph(WEIGHTS[0], n("Conv", "x wd", "y")))
    assert ops(found) == ["DequantizeLinear", "Conv"]
    assert only(found, "Conv").inputs == ("x", "wd")


def test_a_floating_bias_stays_a_constant_of_the_integer_kernel() -> None:
    found = qdq.fold(graph(*ENTRY, WEIGHTS[0], n("Conv", "xd wd b", "c"), q("c", "yq"), EXIT))
    assert only(found, "Conv").inputs == ("xq", "wq", "b")


def test_moves_without_a_pair_pass_quantization_on() -> None:
    """DQ -> Reshape -> Transpose -> Relu -> Q: no pair stands between, all are integers."""
    nodes = (*ENTRY, n("Reshape", "xd flat", "a"), n("Transpose", "a", "t"), n("Relu", "t", "r"), q("r", "yq"), EXIT)
    found = qdq.fold(graph(*nodes))
    assert_sound(found)
    assert ops(found) == ["QuantizeLinear", "Reshape", "Transpose", "Relu", "DequantizeLinear"]
    assert dtypes(found, ["a", "t", "yq"]) == ["int8", "int8", "int8"]


def test_a_floating_reader_behind_a_move_gets_it_dequantized() -> None:
    found = qdq.fold(graph(*ENTRY, n("Reshape", "xd flat", "a"), n("Sqrt", "a", "y")))
    assert_sound(found)
    assert ops(found) == ["QuantizeLinear", "Reshape", "DequantizeLinear", "Sqrt"]
    assert dtypes(found, ["a", found.nodes[2].outputs[0]]) == ["int8", "float32"]
    assert found.nodes[2].inputs == ("a", "s", "z")


def test_moves_before_the_quantizer_pass_it_back() -> None:
    nodes = (*ENTRY, *WEIGHTS, n("Conv", "xd wd bd", "c"), n("Relu", "c", "r"), n("Flatten", "r", "f"))
    found = qdq.fold(graph(*nodes, q("f", "yq", "s2 z"), dq("yq", "y", "s2 z")))
    assert ops(found) == ["QuantizeLinear", "Conv", "Flatten", "DequantizeLinear"]
    assert only(found, "Conv").outputs == ("r",)
    assert dtypes(found, ["r", "yq"]) == ["int8", "int8"]


def test_a_move_that_makes_a_graph_output_stays_floating() -> None:
    found = qdq.fold(graph(*ENTRY, n("Transpose", "xd", "y")))
    assert dtypes(found, found.outputs) == ["float32"]


def test_a_split_of_a_quantized_tensor() -> None:
    nodes = (*ENTRY, n("Split", "xd", "p1 p2", axis=1), n("Add", "p1 p2", "a"), q("a", "yq"), EXIT)
    found = qdq.fold(graph(*nodes, opset=13))
    assert ops(found) == ["QuantizeLinear", "Split", "Add", "DequantizeLinear"]
    assert dtypes(found, ["p1", "p2"]) == ["int8", "int8"]


def test_the_index_of_the_largest_needs_no_floats() -> None:
    found = qdq.fold(graph(*ENTRY, n("ArgMax", "xd", "y")))
    assert ops(found) == ["QuantizeLinear", "ArgMax"]
    assert only(found, "ArgMax").inputs == ("xq",)


def test_a_transposed_weight_is_the_stored_one_transposed() -> None:
    weights = {"mq": np.ones((8, 6), np.int8)}
    nodes = (*ENTRY, dq("mq", "md", "s z"), n("Transpose", "md", "mt"), n("MatMul", "xd mt", "m"), q("m", "yq"), EXIT)
    found = qdq.fold(graph(*nodes, weights=weights))
    assert_sound(found)
    assert dtypes(found, only(found, "MatMul").inputs) == ["int8", "int8"]


def test_a_tensor_a_body_captures_keeps_its_name_and_type() -> None:
    then = helper.make_graph([n("Sqrt", "xd", "t")], "then", [], [helper.make_empty_tensor_value_info("t")])
    other = helper.make_graph([n("Neg", "xd", "e")], "else", [], [helper.make_empty_tensor_value_info("e")])
    branch = n("If", "cond", "i", then_branch=then, else_branch=other)
    nodes = (*ENTRY, n("Relu", "xd", "r"), q("r", "rq"), dq("rq", "rd"), branch, n("Add", "i rd", "y"))
    found = qdq.fold(graph(*nodes, weights={"cond": np.asarray(True)}))
    assert_sound(found)
    assert dtypes(found, ["xd"]) == ["float32"]
    assert only(found, "Relu").inputs == ("xq",)


def test_pairs_of_com_microsoft_and_of_16_bits() -> None:
    weights = {"u": np.asarray(7, np.uint16), "t": np.asarray(0.5, np.float32)}
    domain = "com.microsoft"
    nodes = (
        q("x", "xq", "t u", domain),
        dq("xq", "xd", "t u", domain),
        n("Relu", "xd", "r"),
        q("r", "yq", "t u", domain),
        dq("yq", "y", "t u", domain),
    )
    found = qdq.fold(graph(*nodes, weights=weights))
    assert dtypes(found, only(found, "Relu").outputs) == ["uint16"]


@pytest.mark.parametrize("opset", [10, 13, 19, 21, 23])
def test_every_version_of_the_operators(opset: int) -> None:
    weights = dq("wq", "wd", "s z") if opset < 13 else WEIGHTS[0]
    found = qdq.fold(graph(*ENTRY, weights, n("Conv", "xd wd", "c"), q("c", "yq"), EXIT, opset=opset))
    assert only(found, "Conv").inputs == ("xq", "wq")


def test_a_zero_point_left_out_and_the_type_as_an_attribute() -> None:
    nodes = (
        n("QuantizeLinear", "x s", "xq", output_dtype=TensorProto.INT16),
        n("DequantizeLinear", "xq s", "xd"),
        n("Relu", "xd", "r"),
        n("QuantizeLinear", "r s", "yq", output_dtype=TensorProto.INT16),
        n("DequantizeLinear", "yq s", "y"),
    )
    found = qdq.fold(graph(*nodes, opset=21))
    assert dtypes(found, only(found, "Relu").outputs) == ["int16"]


def test_a_pytorch_layout() -> None:
    """Floating weights behind both nodes of a pair, a floating bias, a norm and a Relu before the quantizer."""
    nodes = (
        *ENTRY,
        q("w", "wq_", "s z"),
        dq("wq_", "wd", "s z"),
        n("Conv", "xd wd b", "c"),
        n("BatchNormalization", "c b b b b", "m"),
        n("Relu", "m", "r"),
        q("r", "rq", "s2 z"),
        dq("rq", "rd", "s2 z"),
        n("Flatten", "rd", "f"),
        dq("mq", "md", "s z"),
        n("Gemm", "f md", "g", transB=1),
        q("g", "yq"),
        EXIT,
    )
    found = find("tflm").lower(graph(*nodes, weights={"mq": np.ones((3, 64), np.int8)}))
    assert_sound(found)
    assert ops(found) == ["Conv", "Flatten", "Gemm"]
    assert dtypes(found, ["x", "rq", "f", "yq"]) == ["int8"] * 4
    assert only(found, "Conv").attrs[FUSED] == ("n_m", "n_r")
    assert found.constants["wq_"].nbytes == 144


def test_a_graph_without_pairs_is_returned_as_it_is() -> None:
    given = graph(n("Relu", "x", "y"))
    assert qdq.fold(given) is given


def test_long_chains_of_moves_are_followed_in_linear_time() -> None:
    chain = [n("Transpose", f"t{i}", f"t{i + 1}") for i in range(20000)]
    nodes = (*ENTRY, n("Relu", "xd", "t0"), *chain, q("t20000", "yq"), EXIT)
    found = qdq.fold(graph(*nodes))
    assert ops(found) == ["QuantizeLinear", "Relu", *["Transpose"] * len(chain), "DequantizeLinear"]


def test_long_chains_of_clippings_are_followed_in_linear_time() -> None:
    chain = [n("Relu", f"t{i}", f"t{i + 1}") for i in range(20000)]
    found = qdq.fold(graph(*ENTRY, n("Sin", "xd", "t0"), *chain, q("t20000", "yq"), EXIT))
    assert ops(found) == ["QuantizeLinear", "Sin", "DequantizeLinear"]
    assert len(only(found, "Sin").attrs[FUSED]) == len(chain)


@pytest.mark.parametrize("name", ["ad-int8", "kws-int8", "ic-int8", "vww-int8"])
def test_onnxruntime_runs_the_same_integer_kernels(name: str, tmp_path: Path) -> None:
    """Its optimised graph has one QLinear kernel for each of our nodes, and conversions where we have them."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    options.add_session_config_entry("session.qdqisint8allowed", "1")  # keep int8 where x86 would go to uint8
    ort.InferenceSession(SAMPLES / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
    theirs = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    kernels = {"QGemm": "Gemm"} | {f"QLinear{op}": op for op in ("Conv", "Add", "AveragePool", "Softmax")}
    ours = qdq.fold(loaded(onnx.load(SAMPLES / f"{name}.onnx")))
    assert Counter(kernels.get(op, op) for op in theirs) == Counter(ops(ours))
