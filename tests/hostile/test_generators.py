"""The files are what they claim: onnx itself reads the legal ones and refuses those that are no protobuf."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .case import Case
from .generators import CASES
from .generators.structure import largest

onnx = pytest.importorskip("onnx")
message = pytest.importorskip("google.protobuf.message")
unknown_fields = pytest.importorskip("google.protobuf.unknown_fields")

PARSED = [case for case in CASES if case.parses]
MANY = ("tensors/rank-million", *(case.id for case in largest()))  # long to write, and of fields that others have too
LEGAL = [case for case in PARSED if case.expect == "report"]
REFUSED = [case for case in PARSED if case.expect == "error"]
# Made of fields that onnx does not know, or cut short, or deeper than its parser goes.
BY_NATURE = (
    "protobuf/",
    "attributes/strides-kind-99",
    "attributes/strides-packed-cut",
    "figures/stated-type-runs-past-its-end",
)
DEEP = (
    "structure/ifs-40-deep",
    "structure/ifs-1000-deep",
    "structure/ifs-5000-deep",
    "structure/loops-500-deep",
)


def load(case: Case, folder: Path) -> Any:
    return onnx.ModelProto.FromString(case.make(folder).read_bytes())


def unknown(found: Any, path: str = "model") -> Iterator[str]:
    yield from (f"{path}.{field.field_number}" for field in unknown_fields.UnknownFieldSet(found))
    for field, content in found.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for one in content if field.is_repeated else [content]:
                yield from unknown(one, f"{path}.{field.name}")


@pytest.mark.parametrize("case", LEGAL, ids=lambda case: case.id)
def test_onnx_reads_what_is_called_legal(case: Case, tmp_path: Path) -> None:
    assert load(case, tmp_path).HasField("graph")


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_onnx_refuses_what_is_called_broken(case: Case, tmp_path: Path) -> None:
    try:
        model = load(case, tmp_path)
    except message.DecodeError:
        return
    assert not model.HasField("graph")


def test_every_field_that_is_written_is_one_onnx_knows(tmp_path: Path) -> None:
    """A wrong field number would turn a hostile attribute into nothing at all."""
    strays = {}
    for case in PARSED:
        if case.expect == "error" or case.id.startswith(BY_NATURE + DEEP + MANY):
            continue
        folder = tmp_path / case.id.replace("/", "-")
        folder.mkdir()
        path = case.make(folder)
        if path.is_file() and path.stat().st_size < 1 << 20:
            try:
                found = list(unknown(onnx.ModelProto.FromString(path.read_bytes())))
            except message.DecodeError as refusal:
                found = [str(refusal)]
            if found:
                strays[case.id] = found
    assert not strays
