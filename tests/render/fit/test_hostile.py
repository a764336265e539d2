"""Names of a model and words of a profile are untrusted: they do nothing in any format."""

from __future__ import annotations

import csv
import io
import json
import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import pytest
from onnx import TensorProto, helper, numpy_helper, save

from effaudit.audited import examine
from effaudit.device.types import Device
from effaudit.fit.asked import FitAsked
from effaudit.fit.model import document, fit, parts
from effaudit.fit.pipeline import pipelines
from effaudit.fit.types import FitDocument
from effaudit.fit.view import OnDevice, device_view, on_device
from effaudit.render import render as render_report
from effaudit.render.fit import render
from effaudit.report import describe, report
from effaudit.tables.table import Shown

from . import devices

NASTY = "<script>alert(1)</script>|`=1+2`\x1b[31m\u202e&lt;\n\x9b0m"
EVIL = "\x1b\x9b\x00\x07\r\u202e\u2028"
LISTS = ("nodes", "roofline", "left", "memories", "energy")


def _model(folder: str) -> str:
    import numpy as np

    def nasty(text: str) -> str:
        return f"{text}{NASTY}"

    weight = numpy_helper.from_array(np.zeros((8, 3, 3, 3), np.float32), nasty("W"))
    nodes = [
        helper.make_node("Conv", [nasty("x"), nasty("W")], [nasty("y")], name=nasty("=conv")),
        helper.make_node("Relu", [nasty("y")], [nasty("z")], name=nasty("relu")),
        helper.make_node("Nasty", [nasty("z")], [nasty("q")], name=nasty("own"), domain="evil"),
    ]
    x = helper.make_tensor_value_info(nasty("x"), TensorProto.FLOAT, [1, 3, 16, 16])
    z = helper.make_tensor_value_info(nasty("z"), TensorProto.FLOAT, [1, 8, 14, 14])
    q = helper.make_tensor_value_info(nasty("q"), TensorProto.FLOAT, [1, 8, 14, 14])
    graph = helper.make_graph(nodes, "g", [x], [z, q], [weight])
    path = str(Path(folder, "<b>m|odel&.onnx"))
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("evil", 1)]
    save(helper.make_model(graph, opset_imports=imports), path)
    return path


def _device(folder: str) -> Device:
    text = devices.BOARD.replace("title: Acme evaluation board", 'title: "<script>\\e[2J|board</script>"')
    assert text != devices.BOARD
    return devices.device(Path(folder), "board", text)


@cache
def documents() -> dict[str, FitDocument]:
    with TemporaryDirectory() as folder:
        path, device = _model(folder), _device(folder)
        one = fit(path, [device], [FitAsked()])
        whole = pipelines(parts(path, [device], [FitAsked()]))
        two = fit(path, [device], [FitAsked(), FitAsked(quantize="int8")])
        return {"one": document(one), "two": document(two), "pipeline": document(one, whole)}


@cache
def reported() -> OnDevice:
    with TemporaryDirectory() as folder:
        audited = examine(_model(folder))
        return on_device(describe(audited), device_view(audited, _device(folder), FitAsked()))


def test_the_names_are_in_the_document() -> None:
    text = "".join(render("json", documents()["one"], Shown()))
    for name in ("=conv<script>", "own<script>"):
        assert name in text


@pytest.mark.parametrize("name", ["one", "two", "pipeline"])
@pytest.mark.parametrize("form", ["text", "markdown", "json", "csv"])
def test_nothing_reaches_a_terminal(name: str, form: str) -> None:
    lists: tuple[tuple[str, ...], ...] = (LISTS,) if form != "csv" else ((), *((one,) for one in LISTS))
    for shown in lists:
        text = "".join(render(form, documents()[name], Shown(shown)))
        assert not set(text) & set(EVIL)
        harmless(form, text)


@pytest.mark.parametrize("form", ["text", "markdown", "json", "jsonl", "csv", "latex", "html"])
def test_nor_from_a_report_on_a_device(form: str) -> None:
    text = "".join(
        render_report(form, report([reported()]), Shown(("nodes",) if form == "csv" else ("nodes", "roofline")))
    )
    assert not set(text) & set(EVIL)
    harmless(form, text)


def harmless(form: str, text: str) -> None:
    """A document of the format, in which no name is more than a name."""
    if form in ("markdown", "html"):
        assert not re.search(r"(?<!\\)<script", text)
        assert not re.search(r"(?<!\\)<b>", text)
    if form == "json":
        json.loads(text)
    if form == "csv":
        rows = list(csv.reader(io.StringIO(text), strict=True))
        assert len({len(row) for row in rows}) == 1
        assert not any(cell[:1] in ("=", "@") for row in rows for cell in row)


def test_svg_is_xml_in_which_names_are_text() -> None:
    text = "".join(render("svg", documents()["one"], Shown()))
    assert not set(text) & set(EVIL)
    root = ElementTree.fromstring(text)
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
        *("svg", "title", "style", "rect", "text", "line", "polyline", "circle")
    }
    assert any("<script>" in (title.text or "") for title in root.iter("{http://www.w3.org/2000/svg}title"))


@pytest.mark.parametrize("name", ["one", "two", "pipeline"])
def test_80_columns_hold(name: str) -> None:
    text = "".join(render("text", documents()[name], Shown(LISTS)))
    # a path, and a command to paste, stay whole
    lines = [line for line in text.splitlines() if not line.startswith("next ") and "<b>m" not in line]
    assert max(map(len, lines)) <= 80
