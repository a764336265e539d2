"""A saved graph is the graph: read again, it is equal; audited again, too; run, it computes the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from onnx import TensorProto, helper, numpy_helper

from effaudit.audited import examine
from effaudit.graph import FLOAT, Graph, Node, Value
from effaudit.load import read
from effaudit.load.files import resolve
from effaudit.load.values import values
from effaudit.run import random_inputs
from effaudit.save import save_model
from effaudit.save.attributes import attribute
from effaudit.save.storage import Storage
from effaudit.whatif.constants import derived, literal
from tests.corpus.score import folder
from tests.laws.models import SAMPLES, parse
from tests.save.models import added, check_equal, document, header, renamed, run, written

WITHOUT_WEIGHTS = ("alexnet", "bert-base", "decoder-7b", "mobilenetv2", "resnet50")
WITH_WEIGHTS = tuple(name for name in SAMPLES if name not in WITHOUT_WEIGHTS)
CORPUS = (  # bodies, functions, an old IR, every kind of quantization, external data, half precision, unknown shapes
    "bert_mini_128.dynamo.op18.extdata",
    "bert_mini_128.dynamo.op18.q_matmul4bits_qdq",
    "bert_mini_128.dynamo.op18.fp16conv",
    "hand_function.hand.op17",
    "hand_if.hand.op17",
    "hand_ir3_inputs.hand.op9",
    "hand_loop5.hand.op17",
    "lenet5.ts.op17.q_qop_u8",
    "lstm_bi2.ts.op17.dynbatch",
    "mlperftiny_ic_resnet8.ts.op17.extdata_many",
    "mlperftiny_ic_resnet8.ts.op17.q_qdq_a16w8",
    "onnx-asr__nemo80",
    "pythainlp__deepcut",
    "speechmos__model_v8",
)
FILES = [*(f"sample:{name}" for name in SAMPLES), *CORPUS]


def path_of(name: str) -> str:
    """The sample or corpus file of a name."""
    if name.startswith("sample:"):
        return name
    corpus = folder()
    if corpus is None:
        pytest.skip("the corpus is not here")
    return str(corpus / "models" / f"{name}.onnx")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("change", [lambda graph: graph, renamed], ids=["unchanged", "renamed"])
def test_read_again_it_is_equal(tmp_path: Path, name: str, change: object) -> None:
    graph = change(read(path_of(name)))  # type: ignore[operator]
    save_model(graph, tmp_path / "new.onnx", weightless=True)
    check_equal(read(tmp_path / "new.onnx"), graph)


@pytest.mark.parametrize("name", [name for name in FILES if name not in ("sample:decoder-7b", "sample:bert-base")])
def test_audited_again_it_is_the_same(tmp_path: Path, name: str) -> None:
    save_model(read(path_of(name)), tmp_path / "new.onnx", weightless=True)
    assert document(tmp_path / "new.onnx") == document(path_of(name))


@pytest.mark.parametrize("inline_bytes", [10**9, 1])
@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_saved_samples_compute_the_same(tmp_path: Path, name: str, inline_bytes: int) -> None:
    """Every node is written anew, weights go into the model or beside it."""
    audited = examine(f"sample:{name}")
    (feeds,) = random_inputs(audited.graph, 1)
    saved = tmp_path / "new.onnx"
    save_model(renamed(audited.raw), saved, inline_bytes=inline_bytes)
    onnx.checker.check_model(str(saved), full_check=True)
    again = read(saved)
    for one, constant in audited.raw.constants.items():
        assert values(again.constants[one]).tobytes() == values(constant).tobytes()
    for old, new in zip(run(resolve(f"sample:{name}"), feeds), run(saved, feeds), strict=True):
        np.testing.assert_array_equal(old, new)


def test_an_unchanged_file_keeps_every_byte_of_its_parts(tmp_path: Path) -> None:
    """Documentation, metadata and fields of a later version, of the model, the graph, nodes, tensors and inputs."""
    model = parse("m (float[2,3] x) => (float[2,3] y) { a = Relu(x) y = Add(a, w) }", w=(2, 3))
    model.producer_name, model.doc_string, model.domain, model.model_version = "me", "about", "my.domain", 7
    model.metadata_props.add(key="k", value="v")
    model.graph.doc_string = "graph"
    model.graph.input[0].doc_string = "input"
    model.graph.initializer[0].doc_string = "tensor"
    model.graph.node[0].doc_string = "node"
    model.graph.node[1].metadata_props.add(key="a", value="b")
    model.graph.node[1].attribute.append(helper.make_attribute("note", 3, "attribute"))
    note = model.graph.quantization_annotation.add(tensor_name="a")
    note.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="w")
    path = written(tmp_path / "model.onnx", model)
    save_model(read(path), tmp_path / "new.onnx")
    assert onnx.load(tmp_path / "new.onnx") == model
    save_model(renamed(read(path)), tmp_path / "new.onnx")
    again = onnx.load(tmp_path / "new.onnx")
    for i, node in enumerate(model.graph.node):
        node.name += f"'{i}"
        node.ClearField("domain")  # said to be empty; left out where it is
    assert again == model


# ---- rewrites
def scaled(name: str) -> tuple[Graph, np.ndarray]:
    """A sample whose first large constant is doubled."""
    graph = read(name)
    large = max(graph.constants.values(), key=lambda constant: constant.numel)
    double = derived(large, lambda array: array * 2, shape=large.shape)
    return replace(graph, constants={**graph.constants, large.name: double}, history=("scaled",)), values(large) * 2


def test_a_computed_constant_is_written(tmp_path: Path) -> None:
    graph, wanted = scaled("sample:ic")
    save_model(graph, tmp_path / "new.onnx")
    again = read(tmp_path / "new.onnx")
    name = next(one.name for one in graph.constants.values() if one.read is not None)
    np.testing.assert_array_equal(values(again.constants[name]), wanted)
    others = [one for one in graph.constants if one != name]
    assert [header(again.constants[one]) for one in others] == [header(graph.constants[one]) for one in others]


@pytest.mark.parametrize("value", [0.25, 1, (0.5,), "0.5"])
def test_a_changed_attribute_is_written(tmp_path: Path, value: object) -> None:
    model = parse("m (float[2,3] x) => (float[2,3] y) { y = Some <a = 0.5, b = 7> (x) }")
    graph = read(written(tmp_path / "model.onnx", model))
    (node,) = graph.nodes
    save_model(replace(graph, nodes=(replace(node, attrs={**node.attrs, "a": value}),)), tmp_path / "new.onnx")
    found = read(tmp_path / "new.onnx").nodes[0].attrs
    assert dict(found) == {"a": value, "b": 7} and type(found["a"]) is type(value)


def test_stated_types_inside_stay_until_a_rewrite(tmp_path: Path) -> None:
    """What the file says of an operator nobody knows; after a rewrite it might be wrong."""
    model = parse("m (float[2,3] x) => (float[?,?] y) { a = Nobody(x) y = Neg(a) }")
    model.graph.value_info.append(helper.make_tensor_value_info("a", TensorProto.FLOAT, [5, 7]))
    graph = read(written(tmp_path / "model.onnx", model))
    save_model(graph, tmp_path / "new.onnx")
    assert examine(tmp_path / "new.onnx").graph.values["a"].shape == (5, 7)
    save_model(replace(graph, history=("something",)), tmp_path / "new.onnx")
    assert not onnx.load(tmp_path / "new.onnx").graph.value_info


def test_new_nodes_constants_and_domains(tmp_path: Path) -> None:
    """A rewrite that puts a node of another domain, with its constant, before everything else."""
    path = written(tmp_path / "model.onnx", parse("m (float[2,3] x) => (float[2,3] y) { y = Neg(x) }"))
    graph = read(path)
    node = Node("new", "com.microsoft", "BiasGelu", ("x", "bias"), ("g",), {})
    graph = replace(graph, nodes=(replace(graph.nodes[0], inputs=("g",)),))
    save_model(added(graph, node, bias=literal("bias", np.ones(3, np.float32))), tmp_path / "new.onnx")
    again = read(tmp_path / "new.onnx")
    assert again.opsets == {"": 21, "com.microsoft": 1} or again.opsets["com.microsoft"] == 1
    x = np.zeros((2, 3), np.float32)
    np.testing.assert_allclose(run(tmp_path / "new.onnx", {"x": x})[0], np.full((2, 3), -0.8413447), rtol=1e-5)


def test_types_of_attributes_that_values_leave_open(tmp_path: Path) -> None:
    """A whole number for a float, an empty list, lists of every kind."""
    path = written(tmp_path / "model.onnx", parse("m (float[2,3] x) => (float[2,3] y) { y = Neg(x) }"))
    graph = read(path)
    nodes = (
        Node("", "", "LeakyRelu", ("x",), ("a",), {"alpha": 2}),
        Node("", "", "ReduceSum", ("a",), ("b",), {"keepdims": True}),
        Node("", "", "Constant", (), ("c",), {"value_floats": (1.0, 2, 3.5)}),
        Node("", "", "Constant", (), ("d",), {"value_strings": ("a", "é")}),
        Node("", "", "Constant", (), ("e",), {"value": literal("e", np.arange(6, dtype=np.int64), place="node")}),
    )
    save_model(added(graph, *nodes), tmp_path / "new.onnx")
    found = {
        n.op_type + n.output[0]: n.attribute[0] for n in onnx.load(tmp_path / "new.onnx").graph.node if n.attribute
    }
    assert found["LeakyRelua"].type == onnx.AttributeProto.FLOAT and found["LeakyRelua"].f == 2.0
    assert found["ReduceSumb"].i == 1
    assert list(found["Constantc"].floats) == [1.0, 2.0, 3.5]
    assert list(found["Constantd"].strings) == [b"a", "é".encode()]
    np.testing.assert_array_equal(numpy_helper.to_array(found["Constante"].t), np.arange(6))
    onnx.checker.check_model(str(tmp_path / "new.onnx"), full_check=True)
    run(tmp_path / "new.onnx")


def test_an_empty_list_has_the_type_its_operator_takes() -> None:
    """Of every attribute of every operator, of each of its versions, whose name has one type everywhere."""
    kinds: dict[str, set[str]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        for name, one in schema.attributes.items():
            kinds.setdefault(name, set()).add(one.type.name)
    lists = {
        name: kind.pop() for name, kind in kinds.items() if len(kind) == 1 and kind <= {"INTS", "FLOATS", "STRINGS"}
    }
    assert len(lists) > 40
    for name, kind in lists.items():
        message = attribute(Node("", "", "Some", (), (), {}), name, (), Storage("", ""))
        found = onnx.AttributeProto.FromString(b"".join(map(bytes, message.pieces)))  # type: ignore[arg-type]
        assert (name, onnx.AttributeProto.AttributeType.Name(found.type)) == (name, kind)


BRANCH = """m (float[2,3] x, bool yes) => (float[2,3] y)
{ a = Relu(x)
  y = If (yes) <then_branch = t () => (float[2,3] p) { k = Constant <value = float {2.0}> () p = Mul(a, k) },
                else_branch = e () => (float[2,3] q) { q = Sub(a, x) }> }"""


def test_a_changed_node_keeps_its_bodies_and_a_changed_body_is_written(tmp_path: Path) -> None:
    path = written(tmp_path / "model.onnx", parse(BRANCH))
    graph = read(path)
    x = np.array([[1, -2, 3], [-4, 5, -6]], np.float32)
    save_model(renamed(graph), tmp_path / "new.onnx")
    before, after = onnx.load(path).graph.node[1], onnx.load(tmp_path / "new.onnx").graph.node[1]
    assert list(before.attribute) == list(after.attribute) and after.name.endswith("'1")

    branch = graph.nodes[1]
    body = branch.bodies["else_branch"]
    wider = replace(body, nodes=(replace(body.nodes[0], op="Add"),))
    nodes = (graph.nodes[0], replace(branch, bodies={**branch.bodies, "else_branch": wider}))
    save_model(replace(graph, nodes=nodes, history=("body",)), tmp_path / "new.onnx")
    onnx.checker.check_model(str(tmp_path / "new.onnx"), full_check=True)
    after = onnx.load(tmp_path / "new.onnx").graph.node[1]
    assert before.attribute[0] in list(after.attribute)
    (found,) = run(tmp_path / "new.onnx", {"x": x, "yes": np.array(False)})
    np.testing.assert_array_equal(found, np.maximum(x, 0) + x)


def test_a_model_with_functions(tmp_path: Path) -> None:
    text = """<ir_version: 9, opset_import: ["": 17, "mine": 1]>
    m (float[2,3] x) => (float[2,3] y) { a = mine.twice(x) y = mine.leak <slope = 0.5> (a) }
    <domain: "mine", opset_import: ["": 17]> twice (v) => (w) { w = Add(v, v) }
    <domain: "mine", opset_import: ["": 17]> leak <slope> (v) => (w) { w = LeakyRelu <alpha: float = @slope> (v) }"""
    path = written(tmp_path / "model.onnx", onnx.parser.parse_model(text))
    for change in (lambda graph: graph, renamed):
        graph = change(read(path))  # type: ignore[no-untyped-call]
        save_model(graph, tmp_path / "new.onnx")
        check_equal(read(tmp_path / "new.onnx"), graph)
        assert list(onnx.load(tmp_path / "new.onnx").functions) == list(onnx.load(path).functions)
        np.testing.assert_array_equal(run(path)[0], run(tmp_path / "new.onnx")[0])


def test_types_of_inputs_and_outputs(tmp_path: Path) -> None:
    """Named, unnamed and fixed dims; a new output without a type; an input whose shape a rewrite set."""
    model = parse("m (float[N,?,3] x, float[N,?,3] z) => (float[N,?,3] y) { a = Neg(x) y = Add(a, z) }")
    path = written(tmp_path / "model.onnx", model)
    graph = read(path)
    bound = {**graph.declared, "z": Value(FLOAT, (4, graph.declared["x"].shape[1], 3))}  # type: ignore[index]
    save_model(replace(graph, outputs=("y", "a"), declared=bound, history=("bound",)), tmp_path / "new.onnx")
    again = read(tmp_path / "new.onnx")
    assert again.declared["x"] == graph.declared["x"] and again.declared["z"] == bound["z"]
    dims = {
        i.name: [d.dim_value or d.dim_param for d in i.type.tensor_type.shape.dim]
        for i in onnx.load(tmp_path / "new.onnx").graph.input
    }
    assert dims == {"x": ["N", "", 3], "z": [4, "x[1]", 3]}
    x = np.ones((4, 2, 3), np.float32)
    np.testing.assert_array_equal(run(tmp_path / "new.onnx", {"x": x, "z": x})[1], -x)


def test_an_old_model_whose_weights_are_inputs(tmp_path: Path) -> None:
    """Before IR 4 every initializer is an input; one that is none makes it IR 4, where those inputs could be set."""
    w = numpy_helper.from_array(np.ones(3, np.float32), "w")
    io = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in "xwy"]
    inner = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", io[:2], io[2:], [w])
    model = helper.make_model(inner, opset_imports=[helper.make_opsetid("", 8)], ir_version=3)
    graph = read(written(tmp_path / "model.onnx", model))
    save_model(graph, tmp_path / "new.onnx")
    assert onnx.load(tmp_path / "new.onnx") == model
    nodes = (replace(graph.nodes[0], inputs=("x", "v")),)
    more = {**graph.constants, "v": literal("v", np.full(3, 2, np.float32))}
    save_model(replace(graph, nodes=nodes, constants=more, history=("v",)), tmp_path / "new.onnx")
    saved = onnx.load(tmp_path / "new.onnx")
    assert saved.ir_version == 4 and [i.name for i in saved.graph.input] == ["x"]
    onnx.checker.check_model(str(tmp_path / "new.onnx"), full_check=True)
    np.testing.assert_array_equal(run(tmp_path / "new.onnx", {"x": np.ones(3, np.float32)})[0], np.full(3, 3.0))


@pytest.mark.parametrize(
    ("dtype", "opset", "ir"), [("int4", 17, 10), ("float8e4m3fn", 17, 9), ("int2", 17, 13), ("float32", 21, 10)]
)
def test_the_ir_version_is_what_the_model_needs(tmp_path: Path, dtype: str, opset: int, ir: int) -> None:
    from effaudit.whatif.constants import BY_NAME

    model = parse("m (float[2,3] x) => (float[2,3] y) { y = Neg(x) }")
    model.ir_version, model.opset_import[0].version = 8, 17
    graph = read(written(tmp_path / "model.onnx", model))
    more = {"k": literal("k", np.ones(3, np.float32), BY_NAME[dtype])}
    save_model(replace(graph, constants=more, opsets={"": opset}, history=("k",)), tmp_path / "new.onnx")
    assert onnx.load(tmp_path / "new.onnx").ir_version == ir


def test_a_newer_ir_than_runtimes_read_is_lowered(tmp_path: Path) -> None:
    model = parse("m (float[2,3] x) => (float[2,3] y) { y = Neg(x) }")
    model.ir_version = 14
    save_model(read(written(tmp_path / "model.onnx", model)), tmp_path / "new.onnx")
    assert onnx.load(tmp_path / "new.onnx").ir_version == 13


def test_a_graph_built_in_memory(tmp_path: Path) -> None:
    node = Node("", "", "Add", ("x", "k"), ("y",), {})
    graph = Graph(
        "",
        (node,),
        ("x",),
        ("y",),
        {"k": literal("k", np.ones(3, np.float32))},
        {n: Value(FLOAT, (3,)) for n in "xy"},
        {"": 17},
    )
    save_model(graph, tmp_path / "new.onnx")
    onnx.checker.check_model(str(tmp_path / "new.onnx"), full_check=True)
    np.testing.assert_array_equal(run(tmp_path / "new.onnx", {"x": np.ones(3, np.float32)})[0], [2, 2, 2])


def test_an_unsorted_file_is_saved_sorted(tmp_path: Path) -> None:
    model = parse("m (float[2,3] x) => (float[2,3] y) { a = Relu(x) b = Neg(a) y = Exp(b) }")
    model.graph.node.sort(key=lambda node: node.output[0], reverse=True)
    path = written(tmp_path / "model.onnx", model)
    save_model(read(path), tmp_path / "new.onnx")
    assert [n.output[0] for n in onnx.load(tmp_path / "new.onnx").graph.node] == ["a", "b", "y"]
    onnx.checker.check_model(str(tmp_path / "new.onnx"))
