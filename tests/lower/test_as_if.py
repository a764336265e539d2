"""Graphs as if quantized: sizes of the new type, everything else as it was."""

from __future__ import annotations

import numpy as np
import pytest

from effaudit.audited import examine
from effaudit.errors import UsageError
from effaudit.lower.as_if import DTYPES, as_if
from effaudit.plan.liveness import analyse
from effaudit.table import price
from tests.lower.graphs import assert_sound, dtypes, graph, n

CONV = n("Conv", "x w b", "c")


@pytest.mark.parametrize(
    ("dtype", "stored", "bias"),
    [
        ("int8", "int8", "int32"),
        ("uint8", "uint8", "int32"),
        ("int16", "int16", "int64"),
        ("fp16", "float16", "float16"),
        ("bf16", "bfloat16", "bfloat16"),
    ],
)
def test_activations_weights_and_biases(dtype: str, stored: str, bias: str) -> None:
    found = as_if(graph(CONV, n("Relu", "c", "y")), dtype)
    assert_sound(found)
    assert dtypes(found, ["x", "w", "b", "c", "y"]) == [stored, stored, bias, stored, stored]
    width = DTYPES[dtype].bits // 8
    assert found.constants["w"].nbytes == 4 * 4 * 9 * width
    assert (found.constants["b"].encoding.dtype, found.constants["w"].raw) == (bias, None)
    assert found.declared["x"].encoding.dtype == stored
    assert found.history == (f"as if {dtype}",)


def test_shapes_and_nodes_stay() -> None:
    given = graph(CONV, n("Relu", "c", "y"))
    found = as_if(given, "int8")
    assert found.nodes == given.nodes
    assert {k: v.shape for k, v in found.values.items()} == {k: v.shape for k, v in given.values.items()}


def test_settings_keep_their_type() -> None:
    found = as_if(graph(CONV, n("Clip", "c zero six", "y")), "int8")
    assert dtypes(found, ["zero", "six"]) == ["float32", "float32"]
    assert found.values["six"].data == (6.0,)


def test_indices_and_conditions_keep_their_type() -> None:
    found = as_if(graph(n("ArgMax", "x", "i"), n("Greater", "x one", "y"), outputs="i y"), "int8")
    assert dtypes(found, ["x", "i", "y"]) == ["int8", "int64", "bool"]


def test_again_changes_nothing() -> None:
    found = as_if(graph(CONV, outputs="c"), "int8")
    assert as_if(found, "int8") is found


def test_another_type_on_top_is_recorded_too() -> None:
    found = as_if(as_if(graph(CONV, outputs="c"), "fp16"), "int8")
    assert found.history == ("as if fp16", "as if int8")
    assert dtypes(found, ["x", "w", "b"]) == ["int8", "int8", "int32"]


def test_a_quantized_graph_is_folded_first() -> None:
    """Nothing is floating in it afterwards, so it is what it was: an int8 graph."""
    found = as_if(examine("sample:ic-int8").graph, "int8")
    assert analyse(found).live_bytes.value == 49152


def test_an_unknown_type() -> None:
    with pytest.raises(UsageError, match=r"--quantize 'int3': expected one of int8, uint8, int16, fp16, bf16"):
        as_if(graph(CONV, outputs="c"), "int3")


@pytest.mark.parametrize("name", ["ic", "mobilenetv2", "unet"])
def test_activations_of_networks_shrink_by_the_ratio_of_widths(name: str) -> None:
    audited = examine(f"sample:{name}")
    for dtype, ratio in (("int8", 4), ("fp16", 2)):
        found = as_if(audited.graph, dtype)
        assert analyse(found).live_bytes.value * ratio == audited.memory.live_bytes.value
        assert price(found).total("macs") == audited.table.total("macs")


def test_weights_shared_by_two_nodes_are_converted_once() -> None:
    found = as_if(graph(n("MatMul", "x k", "a"), n("MatMul", "a k", "y"), inputs={"x": (4, 4)}, weights={
        "k": np.ones((4, 4), np.float32)
    }), "int8")  # fmt: skip
    assert found.constants["k"].nbytes == 16
