"""ai.onnx.ml against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, ValueInfoProto, helper

from effaudit.errors import Undecided
from effaudit.graph import SEQUENCE
from effaudit.ops._registry import find
from tests.ops.oracle import SYMBOLIC, Array, compare, cost, infer, ints, random, single_node, value

ML = "ai.onnx.ml"


def ml_check(op: str, inputs: list[Any], attrs: dict[str, Any], version: int = 3, **options: Any) -> Any:
    """`check` with a version of the ml domain."""
    outputs = options.pop("outputs", 1)
    model = single_node(op, inputs, attrs, 17, ML, outputs)
    model.opset_import[1].version = version
    return compare(model, {f"in{i}": x for i, x in enumerate(inputs)}, **options)


@pytest.mark.parametrize("shape", [(2, 3), (3,)])
def test_features(shape: tuple[int, ...]) -> None:
    x = random(*shape)
    graph = ml_check("ArrayFeatureExtractor", [x, ints(0, 2, 1)[None]], {})
    assert cost(graph).ops == 0
    assert cost(ml_check("Scaler", [x], {"offset": [0.5], "scale": [2.0]})).ops == 2 * x.size
    assert cost(ml_check("Binarizer", [x], {"threshold": 0.5})).ops == x.size
    attrs = {"imputed_value_floats": [1.0], "replaced_value_float": 0.0}
    assert cost(ml_check("Imputer", [x], attrs)).ops == x.size
    assert cost(ml_check("Normalizer", [x], {"norm": "L2"})).ops == 4 * x.size
    graph = ml_check("OneHotEncoder", [random(*shape, dtype=np.int64)], {"cats_int64s": [*range(9)]})
    assert value(graph).shape == (*shape, 9)


def test_feature_vectorizer() -> None:
    ml_check("FeatureVectorizer", [random(2, 3), random(2, 4)], {"inputdimensions": [3, 4]})


def test_label_encoders() -> None:
    text = np.array(["a", "b"])
    attrs: dict[str, Any] = {"keys_strings": ["a", "b"], "values_int64s": [1, 2]}
    assert cost(ml_check("LabelEncoder", [text], attrs, 2)).ops == 2
    ml_check("LabelEncoder", [ints(1, 2)], {"keys_int64s": [1, 2], "values_floats": [0.5, 1.5]}, 2)
    ml_check("LabelEncoder", [ints(1, 2)], {"keys_int64s": [1, 2], "values_strings": ["x", "y"]}, 2)
    tensor = helper.make_tensor("v", TensorProto.INT16, [2], [3, 4])
    keys = helper.make_tensor("k", TensorProto.INT64, [2], [1, 2])
    default = helper.make_tensor("d", TensorProto.INT16, [1], [0])
    attrs = {"keys_tensor": keys, "values_tensor": tensor, "default_tensor": default}
    made = single_node("LabelEncoder", [ints(1, 2)], attrs, 17, ML)
    assert value(infer(made)).encoding.dtype == "int16"
    ml_check("CategoryMapper", [text], {"cats_strings": ["a", "b"], "cats_int64s": [1, 2]}, 1)
    ml_check("CategoryMapper", [ints(1, 2)], {"cats_strings": ["a", "b"], "cats_int64s": [1, 2]}, 1)


@pytest.mark.parametrize("targets", [1, 3])
def test_linear_regressor(targets: int) -> None:
    attrs = {"coefficients": [0.5] * 4 * targets, "intercepts": [0.1] * targets, "targets": targets}
    graph = ml_check("LinearRegressor", [random(2, 4)], attrs, 1)
    assert cost(graph).ops == 2 * targets * (2 * 4 + 1)


@pytest.mark.parametrize(("classes", "trained"), [(3, 3), (2, 2), (2, 1)])
def test_linear_classifier(classes: int, trained: int) -> None:
    attrs: dict[str, Any] = {"coefficients": [0.5] * 4 * trained, "intercepts": [0.1] * trained}
    attrs |= {"classlabels_ints": [*range(classes)], "post_transform": "LOGISTIC"}
    graph = ml_check("LinearClassifier", [random(2, 4)], attrs, 1, outputs=2)
    assert cost(graph).ops == 2 * trained * (2 * 4 + 1 + 1 + 4)
    del attrs["classlabels_ints"]
    attrs["classlabels_strings"] = [str(i) for i in range(classes)]
    ml_check("LinearClassifier", [random(2, 4)], attrs, 1, outputs=2)


@pytest.mark.parametrize(("kernel", "each"), [("LINEAR", 8), ("RBF", 14), ("POLY", 11), ("SIGMOID", 11)])
def test_support_vector_regressor(kernel: str, each: int) -> None:
    attrs: dict[str, Any] = {"coefficients": [0.5] * 3, "support_vectors": [0.1] * 12, "n_supports": 3, "rho": [0.1]}
    attrs |= {"kernel_type": kernel, "kernel_params": [0.5, 0.1, 2.0]}
    graph = ml_check("SVMRegressor", [random(2, 4)], attrs, 1)
    assert cost(graph).ops == 2 * (3 * (each + 2) + 1)


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("probabilities", [False, True])
def test_support_vector_classifier(classes: int, probabilities: bool) -> None:
    vectors, pairs = 2 * classes, classes * (classes - 1) // 2
    attrs: dict[str, Any] = {"classlabels_ints": [*range(classes)], "vectors_per_class": [2] * classes}
    attrs |= {"coefficients": [0.5] * vectors * (classes - 1), "support_vectors": [0.1] * vectors * 4}
    attrs |= {"rho": [0.1] * pairs, "kernel_type": "RBF", "kernel_params": [0.5, 0.0, 3.0]}
    if probabilities:
        attrs |= {"prob_a": [-1.0] * pairs, "prob_b": [0.1] * pairs}
    graph = ml_check("SVMClassifier", [random(2, 4)], attrs, 1, outputs=2)
    if probabilities:
        with pytest.raises(Undecided, match="to converge"):
            cost(graph)
    else:
        assert cost(graph).ops == 2 * (vectors * (14 + 2 * (classes - 1)) + 2 * pairs)


def _stump(prefix: str, labels: int) -> dict[str, Any]:
    """One tree of one decision."""
    nodes: dict[str, Any] = {
        "nodes_treeids": [0, 0, 0],
        "nodes_nodeids": [0, 1, 2],
        "nodes_featureids": [1, 0, 0],
        "nodes_values": [0.5, 0.0, 0.0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0],
    }
    leaves = {"treeids": [0] * labels * 2, "nodeids": [1] * labels + [2] * labels, "ids": [*range(labels)] * 2}
    return nodes | {f"{prefix}_{k}": v for k, v in leaves.items()} | {f"{prefix}_weights": [0.5] * labels * 2}


@pytest.mark.parametrize("count", [1, 3])
def test_trees_have_shapes_and_no_price(count: int) -> None:
    ml_check("TreeEnsembleRegressor", [random(5, 4)], _stump("target", count) | {"n_targets": count}, 1)
    attrs = _stump("class", count) | {"classlabels_strings": ["x", "y", "z"][: max(count, 2)]}
    ml_check("TreeEnsembleClassifier", [random(5, 4)], attrs, 1, outputs=2)
    for op in ("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"):
        rules = find(ML, op)
        assert rules is not None and rules.cost is None and "how deep" in rules.unpriced


def test_tree_ensemble_of_version_5() -> None:
    def tensor(name: str, kind: int, values: Any) -> Any:
        return helper.make_tensor(name, kind, [len(values)], values)

    attrs = {
        "n_targets": 2,
        "tree_roots": [0],
        "nodes_featureids": [1],
        "nodes_modes": tensor("m", TensorProto.UINT8, [0]),
        "nodes_splits": tensor("s", TensorProto.FLOAT, [0.5]),
        "nodes_truenodeids": [0],
        "nodes_falsenodeids": [1],
        "nodes_trueleafs": [1],
        "nodes_falseleafs": [1],
        "leaf_targetids": [0, 1],
        "leaf_weights": tensor("w", TensorProto.FLOAT, [0.5, 1.5]),
    }
    ml_check("TreeEnsemble", [random(5, 4)], attrs, 5)


def test_maps() -> None:
    graph = infer(single_node("ZipMap", [random(2, 3)], {"classlabels_int64s": [0, 1, 2]}, 17, ML))
    assert value(graph).encoding == SEQUENCE
    fed = ValueInfoProto(name="in0")
    fed.type.map_type.key_type = TensorProto.INT64
    fed.type.map_type.value_type.tensor_type.elem_type = TensorProto.FLOAT
    attrs: dict[str, Any] = {"map_form": "SPARSE", "max_map": 7}
    node = helper.make_node("CastMap", ["in0"], ["out0"], domain=ML, **attrs)
    imports = [helper.make_opsetid("", 17), helper.make_opsetid(ML, 3)]
    model = helper.make_model(
        helper.make_graph([node], "g", [fed], [ValueInfoProto(name="out0")]), opset_imports=imports
    )
    assert value(infer(model)).shape == (1, 7)


def test_rows_and_vectors_stay_symbolic() -> None:
    x: Array = random(2, 4)
    ml_check("LinearRegressor", [x], {"coefficients": [0.5] * 8, "targets": 2}, 1, unknown=SYMBOLIC)
