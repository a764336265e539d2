"""The QOperator format: the same network as the QDQ format makes, once lowered."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from effaudit.audited import examine
from effaudit.lower import qoperator
from effaudit.plan.liveness import analyse
from effaudit.runtimes import find
from effaudit.table import price
from tests.lower.graphs import CORPUS, assert_sound, graph, n, only, ops, q

PAIRS = sorted(CORPUS.glob("*.q_qop_u8.onnx"))


def test_inputs_without_scales_and_zero_points() -> None:
    given = graph(q("x", "xq"), n("QLinearConv", "xq s z wq ws wz s2 z bq", "y"))
    found = qoperator.plain(given)
    assert_sound(found)
    assert only(found, "Conv").inputs == ("xq", "wq", "bq")
    assert found.values["y"] == given.values["y"]
    assert qoperator.plain(found) is found


def test_a_concat_of_triples() -> None:
    node = n("QLinearConcat", "s2 z xq s z xq s z", "y", domain="com.microsoft", axis=1)
    found = qoperator.plain(graph(q("x", "xq"), node))
    assert only(found, "Concat").inputs == ("xq", "xq")


def test_an_absent_addend_is_no_input() -> None:
    weights = {"m": np.ones((6, 6), np.int8)}
    node = n("QGemm", "xq s z m s z - s2 z", "y", domain="com.microsoft", transB=1)
    found = qoperator.plain(graph(q("x", "xq"), node, inputs={"x": (2, 6)}, weights=weights))
    assert only(found, "Gemm").inputs == ("xq", "m")


def test_a_layout_with_channels_last_stays() -> None:
    node = n("QLinearGlobalAveragePool", "xq s z s2 z", "y", domain="com.microsoft", channels_last=1)
    given = graph(q("x", "xq"), node)
    assert qoperator.plain(given) is given


@pytest.mark.parametrize("path", PAIRS, ids=lambda p: p.stem)
def test_both_formats_lower_to_one_network(path: object) -> None:
    other = path.with_name(path.name.replace("q_qop_u8", "q_qdq_int8"))
    if not other.exists():
        pytest.skip("quantized in one format only")
    tflm = find("tflm")
    plain, pairs = tflm.lower(examine(path).graph), tflm.lower(examine(other).graph)
    assert_sound(plain)
    assert price(plain).total("macs") == price(pairs).total("macs")
    if "bert" not in path.name and "lenet" not in path.name:  # of these the two formats quantize different operators
        assert Counter(ops(plain)) == Counter(ops(pairs))
        assert analyse(plain).live_bytes == analyse(pairs).live_bytes
