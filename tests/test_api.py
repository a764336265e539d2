"""The Python interface holds what the command prints."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from onnx import TensorProto, helper, save

import effaudit
from effaudit.errors import EffauditError, UsageError


def test_the_same_content_as_the_command() -> None:
    command = [sys.executable, "-m", "effaudit", "report", "sample:kws", "--group-by", "kind", "--winograd", "--json"]
    printed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["models"][0]
    assert effaudit.audit("sample:kws", group_by=["kind"], views=["winograd"]).to_dict() == printed


def test_dims_and_shapes() -> None:
    by_dim = effaudit.audit("sample:bert-base", dims={"batch": 8, "sequence": 512})
    by_shape = effaudit.audit("sample:bert-base", shapes={"input_ids": (8, 512)})
    assert by_dim.totals.macs == by_shape.totals.macs == 386_551_775_232


class _Cells(HTMLParser):
    """The text of a document, and the tags that were left open."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        assert tag in ("div", "table", "tr", "th", "td", "p", "h4")
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_html_is_whole_and_escaped(tmp_path: Path) -> None:
    name = "<script>alert('&')</script>"
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"], name=name)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])],
    )
    save(helper.make_model(graph, ir_version=8), str(tmp_path / "m.onnx"))
    html = effaudit.audit(tmp_path / "m.onnx")._repr_html_()
    cells = _Cells()
    cells.feed(html)
    assert cells.open == [] and "<script" not in html
    assert name in "".join(cells.text)


def test_a_data_frame_where_pandas_is() -> None:
    pandas = pytest.importorskip("pandas")
    frame = effaudit.audit("sample:ic").to_dataframe()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["macs"].sum() == 12_501_632
    assert effaudit.audit("sample:ic", group_by=["op"]).to_dataframe("groups")["op"].iloc[0] == "Conv"


def test_without_pandas_a_frame_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pip install pandas"):
        effaudit.audit("sample:ic").to_dataframe()


def test_text_is_the_screen() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "effaudit", "report", "sample:ic"], capture_output=True, text=True, check=True
    ).stdout
    assert str(effaudit.audit("sample:ic")) == printed


def test_mistakes_raise_one_line() -> None:
    for arguments in ({"views": ["colour"]}, {"dims": {"batch": 2}}, {"group_by": ["colour"]}):
        with pytest.raises(EffauditError) as caught:
            effaudit.audit("sample:ic", **arguments)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)


def test_one_name_stands_for_a_list_of_one() -> None:
    model = effaudit.audit("sample:ic", group_by="op", views="winograd", against="12.5M")
    assert model.groups is not None and model.groups.by == ("op",)
    assert model.winograd is not None and model.against[0].reproduced


def test_definitions_that_were_read_already(tmp_path: Path) -> None:
    from effaudit import operators

    graph = helper.make_graph(
        [helper.make_node("Twice", ["x"], ["y"], domain="acme")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("acme", 1)]
    save(helper.make_model(graph, ir_version=8, opset_imports=imports), str(tmp_path / "m.onnx"))
    file = tmp_path / "ops.yaml"
    file.write_text(
        "schema: effaudit.operators/1\noperators:\n  - op: acme::Twice\n    inputs: [x]\n"
        "    outputs: [{like: x}]\n    macs: 0\n    ops: 2 * numel(x)\n    kind: elementwise\n"
    )
    for given in (file, str(file), [file], operators.read(file)):
        assert effaudit.audit(tmp_path / "m.onnx", operators=given).totals.ops == 16
    assert effaudit.audit(tmp_path / "m.onnx").totals.ops is None


def test_an_audit_travels_between_processes() -> None:
    model = effaudit.audit("sample:control-flow", views=["movement"])
    other = pickle.loads(pickle.dumps(model))
    assert other.to_dict() == model.to_dict()


@pytest.mark.parametrize("path", [None, 3, b"m.onnx", object()])
def test_what_is_no_path(path: object) -> None:
    with pytest.raises(UsageError, match="a model is a path"):
        effaudit.audit(path)  # type: ignore[arg-type]


def test_values_that_make_no_sense() -> None:
    for arguments in ({"top": 0}, {"against": 1250}, {"views": [1]}):
        with pytest.raises(UsageError):
            effaudit.audit("sample:ic", **arguments)  # type: ignore[arg-type]
