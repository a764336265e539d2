"""Files of sets: what they say, and the one line each refusal is."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from effaudit.errors import UsageError
from effaudit.support import find, folder, names, read
from effaudit.support.types import SCHEMA, Conditions, Limits

HEAD = f"schema: {SCHEMA}\nname: mine\ntitle: Mine\nsources: [{{url: 'https://example.com/ops'}}]\n"


def written(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text)
    return str(path)


def refused(folder: Path, text: str) -> str:
    path = written(folder, text)
    with pytest.raises(UsageError) as error:
        read(path)
    said = str(error.value)
    assert said.startswith(f"{path}: ") and "\n" not in said
    return said.removeprefix(f"{path}: ")


def test_what_a_file_says(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        HEAD + "limits: {fixed_shapes: true, max_rank: 4, opset: [9, null]}\noperators:\n"
        "  Relu:\n  ai.onnx:Conv: {kernel_sizes: [1, [3, 3]], constant: [W]}\n"
        "  com.microsoft:Gelu:\n  acme:Dense:\n    - {ranks: [2]}\n    - {attributes: {mode: [fast, 1, null]}}\n",
    )
    found = find(path)
    assert (found.name, found.title, found.path) == ("mine", "Mine", path)
    assert found.limits == Limits(fixed_shapes=True, max_rank=4, opset=(9, None))
    assert found.operators == {
        ("", "Relu"): (Conditions(),),
        ("", "Conv"): (Conditions(kernel_sizes=(1, (3, 3)), constant=("W",)),),
        ("com.microsoft", "Gelu"): (Conditions(),),
        ("acme", "Dense"): (Conditions(ranks=(2,)), Conditions(attributes={"mode": ("fast", 1, None)})),
    }
    with pytest.raises(TypeError):
        found.operators["", "Add"] = ()  # type: ignore[index]


REFUSALS = {
    "operators: {Relu: {kernal_sizes: [3]}}": "$.operators.Relu: unknown key 'kernal_sizes'; did you mean",
    "operators: {Relu: {strides: two}}": "$.operators.Relu.strides: expected a list, got text",
    "operators: {Relu: [{strides: [1]}, {stride: [1]}]}": "$.operators.Relu[1]: unknown key 'stride'",
    "operators: {Relu: {groups: some}}": "$.operators.Relu.groups: expected one of any, depthwise, none, got 'some'",
    "operators: {Relu: []}": "$.operators.Relu: an empty list; leave it out, or write nothing after the colon",
    "operators: {Rellu: }": "$.operators.Rellu: ai.onnx has no operator Rellu; did you mean Relu",
    "operators: {com.microsoft:Gelus: }": "$.operators.com.microsoft:Gelus: com.microsoft has no operator Gelus; did",
    "operators: {Inverse: }": "$.operators.Inverse: ai.onnx has no operator Inverse",
    "operators: {'Re lu': }": "$.operators.Re lu: no operator; written Operator or domain:Operator",
    "operators: {'a:b:Relu': }": "$.operators.a:b:Relu: no operator; written Operator or domain:Operator",
    "operators: {Relu: , ai.onnx:Relu: }": "$.operators.ai.onnx:Relu: Relu stands here twice",
    "operators: {Relu: {dtypes: [float23]}}": "$.operators.Relu.dtypes: no element type 'float23'; did you mean",
    "operators: {Conv: {constant: [weights]}}": "$.operators.Conv.constant: the operator has no input 'weights'",
    "operators: {Conv: {input_dtypes: {Z: [int8]}}}": "$.operators.Conv.input_dtypes: the operator has no input 'Z'",
    "operators: {Conv: {input_dtypes: {w: [int9]}}}": "$.operators.Conv.input_dtypes.w: no element type 'int9'",
    "operators: {Conv: {max_kernel: 0}}": "$.operators.Conv.max_kernel: expected a whole number of 1 or more, got 0",
    "operators: {Conv: {kernel_sizes: [[3, 0]]}}": "$.operators.Conv.kernel_sizes: expected a whole number of 1",
    "operators: {Conv: {strides: [0]}}": "$.operators.Conv.strides: expected a whole number of 1 or more, got 0",
    "operators: {Conv: {max_pad: -1}}": "$.operators.Conv.max_pad: expected a whole number of 0 or more, got -1",
    "operators: {Conv: {min_kernel: 5, max_kernel: 3}}": "$.operators.Conv.min_kernel: 5 is more than max_kernel",
    "operators: {Conv: {opset: [13, 11]}}": "$.operators.Conv.opset: expected the first version and the last (or null)",
    "operators: {Conv: {attributes: {group: []}}}": "$.operators.Conv.attributes.group: an empty list allows nothing",
    "operators: {}\nlimits: {max_rnk: 4}": "$.limits: unknown key 'max_rnk'; did you mean 'max_rank'?",
    "operators: {}\nlimits: {max_partitions: 0}": "$.limits.max_partitions: expected a whole number of 1 or more",
    "operators: {}\nlimits: {dtypes: [int7]}": "$.limits.dtypes: no element type 'int7'",
    "operators: {}\nlimits: {opset: [0, 4]}": "$.limits.opset: expected the first version and the last (or null)",
    "operators: {}\nlimits: {weight_quantization: none}": "$.limits.weight_quantization: expected one of",
    "operators: {}\nlimit: {}": "$: unknown key 'limit'; did you mean 'limits'?",
    "operators: {Relu: , Relu: }": "line 5: duplicate key 'Relu'",
    "operators: 3": "$.operators: expected keys and values, got a whole number",
}


@pytest.mark.parametrize("text", REFUSALS)
def test_what_is_refused(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, HEAD + text).startswith(REFUSALS[text])


def test_the_head_of_a_file(tmp_path: Path) -> None:
    body = "operators: {Relu: }\n"
    assert refused(tmp_path, body + HEAD.replace("/1", "/2")) == f"$.schema: expected {SCHEMA}, got {SCHEMA[:-1]}2"
    assert refused(tmp_path, body + HEAD.replace("name: mine\n", "")) == "$: the key 'name' is missing"
    without = HEAD.replace("sources: [{url: 'https://example.com/ops'}]", "sources: []")
    assert refused(tmp_path, body + without) == "$.sources: at least one page that says so is needed"
    assert refused(tmp_path, "[]") == "$: expected keys and values, got a list"
    assert refused(tmp_path, "") == "$: the file is empty"


def test_finding_by_name() -> None:
    assert find("TensorRT").path.endswith("/operators/tensorrt.yaml")
    assert find("onnxruntime_qnn").name == "onnxruntime-qnn"
    with pytest.raises(UsageError, match=r"^operator support 'tensortr': no such set; did you mean tensorrt\?$"):
        find("tensortr")
    with pytest.raises(UsageError, match="no such set; there are: edgetpu, ethos-u55"):
        find("zzz")
    with pytest.raises(UsageError, match=r"^/nowhere/x.yaml: cannot be read: No such file or directory$"):
        find("/nowhere/x.yaml")


def test_the_folder_is_beside_the_package_or_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel has the profiles inside the package."""
    module = import_module("effaudit.support.read")
    assert (Path(folder()) / "operators" / "tflm.yaml").is_file()
    package = tmp_path / "effaudit"
    (package / "_device_profiles" / "operators").mkdir(parents=True)
    (package / "support").mkdir()
    monkeypatch.setattr(module, "__file__", str(package / "support" / "read.py"))
    assert folder() == str(package / "_device_profiles") and names() == ()
    (package / "_device_profiles" / "operators" / "one.yaml").write_text("")
    assert names() == ("one",)
    (package / "_device_profiles").rename(package / "gone")
    assert folder() == str(tmp_path / "device_profiles") and names() == ()
