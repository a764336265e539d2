"""The offline plan of TensorFlow Lite Micro, number by number."""

from __future__ import annotations

import json
import struct

import pytest

from effaudit.errors import UsageError
from effaudit.plan.emit.tflm import emit_tflm, emit_tflm_json, offline_plan
from effaudit.plan.lifetimes import Lifetime
from effaudit.plan.problem import Buffer, Plan, Problem

BUFFERS = (Buffer("x", 0, 1, 64), Buffer("a", 0, 2, 32), Buffer("y", 1, 2, 64))
PLAN = Plan(Problem(BUFFERS, 16), (0, 64, 0), "by hand", 96)
FILE = ("x", "conv/weight", "a", "conv/bias", "y")  # a tensor's place here is its index in the file


def test_the_numbers_are_a_header_and_an_offset_per_tensor_of_the_file() -> None:
    """Documented: version, number of subgraphs, n, then n offsets; -1 for what is not planned."""
    assert offline_plan(PLAN, FILE) == (1, 1, 5, 0, -1, 64, -1, 0)


def test_the_content_is_little_endian_32_bit_integers() -> None:
    content = emit_tflm(PLAN, FILE)
    assert content == struct.pack("<8i", 1, 1, 5, 0, -1, 64, -1, 0)
    assert content[12:20].hex() == "00000000ffffffff"


def test_tensors_that_share_a_storage_get_its_offset() -> None:
    storages = [Lifetime("a", 0, 2, 32, others=("reshaped",))]
    assert offline_plan(PLAN, (*FILE, "reshaped"), storages)[3:] == (0, -1, 64, -1, 0, 64)
    assert json.loads(emit_tflm_json(PLAN, storages))["offsets"] == {"x": 0, "a": 64, "reshaped": 64, "y": 0}


def test_the_json_form_names_tensors_and_the_arena() -> None:
    document = json.loads(emit_tflm_json(PLAN))
    assert document["metadata"] == "OfflineMemoryAllocation"
    assert document["arena_bytes"] == 96
    assert list(document["offsets"].items()) == [("x", 0), ("a", 64), ("y", 0)]


def test_a_buffer_that_the_file_does_not_have_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"the file has no tensor x \(and 1 more\); give its tensors"):
        offline_plan(PLAN, ("y",))


def test_two_tensors_of_one_name_are_an_error() -> None:
    with pytest.raises(UsageError, match="a names two tensors of the file"):
        offline_plan(PLAN, (*FILE, "a"))


def test_two_buffers_of_one_name_are_an_error() -> None:
    plan = Plan(Problem((Buffer("x", 0, 1, 16), Buffer("x", 1, 2, 16)), 16), (0, 0), "by hand", 16)
    with pytest.raises(UsageError, match="two buffers are named x"):
        emit_tflm_json(plan)


def test_offsets_must_be_aligned_as_the_runtime_aligns() -> None:
    plan = Plan(Problem(BUFFERS, 8), (0, 72, 0), "by hand", 96)
    with pytest.raises(UsageError, match="a lies at 72, no multiple of 16; plan with --align 16"):
        emit_tflm_json(plan)


@pytest.mark.parametrize(("offset", "fits"), [(2**31 - 16, True), (2**31, False)])
def test_offsets_are_32_bit(offset: int, fits: bool) -> None:
    plan = Plan(Problem((Buffer("x", 0, 1, 16),), 16), (offset,), "by hand", 16)
    if fits:
        assert emit_tflm(plan, ("x",))[-4:] == struct.pack("<i", offset)
    else:
        with pytest.raises(UsageError, match="the format ends at 2147483647 bytes"):
            emit_tflm(plan, ("x",))


def test_a_plan_of_nothing() -> None:
    assert offline_plan(Plan(Problem((), 16), (), "none", 0), ()) == (1, 1, 0)
