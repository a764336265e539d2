"""ai.onnx.ml: classical models and feature transformations. ops only: a dot product counts 2 per element here.

https://onnx.ai/onnx/operators/index.html#ai-onnx-ml
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from effaudit.dims import Dim
from effaudit.graph import FLOAT, INT64, SEQUENCE, STRING, UNKNOWN, Constant, Encoding, Value
from effaudit.ops._inputs import ranked
from effaudit.ops._registry import ML, Context, Cost, cost, shape, storage, unpriced

POST: Final = {"NONE": 0, "LOGISTIC": 4, "SOFTMAX": 5, "SOFTMAX_ZERO": 6, "PROBIT": 4}  # per score
NORMS: Final = {"MAX": 2, "L1": 2, "L2": 4}  # per element: max or sum, divide; squares and a root for L2


def post_ops(post_transform: str) -> int:
    """The operations per score of a post transform. Raises ValueError on an unknown one."""
    if post_transform not in POST:
        raise ValueError(f"post_transform {post_transform!r} is unknown")
    return POST[post_transform]


def samples(x: Value) -> tuple[Dim, Dim]:
    """(rows, features); a vector is one row."""
    data = ranked(x, "X", 1, 2)
    return (1, data[0]) if len(data) == 1 else (data[0], data[1])


@shape("ArrayFeatureExtractor", domain=ML)
def array_feature_extractor(x: Value, y: Value) -> Value:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_ArrayFeatureExtractor.html"""
    data = ranked(x, "X")
    if not data:
        raise ValueError("X is a scalar")
    return Value(x.encoding, (*((1,) if len(data) == 1 else data[:-1]), y.numel))


@cost("ArrayFeatureExtractor", domain=ML, kind="movement")
def array_feature_extractor_cost(x: Value, y: Value, *, out: Value) -> Cost:
    """no arithmetic: reads its indices and the elements they pick"""
    return Cost(0, 0, out.nbytes + y.nbytes)


@shape("Binarizer", domain=ML)
def binarizer(x: Value, *, threshold: float = 0.0) -> Value:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_Binarizer.html"""
    return Value(x.encoding, x.shape)


@shape("Imputer", domain=ML)
def imputer(
    x: Value,
    *,
    imputed_value_floats: Sequence[float] | None = None,
    imputed_value_int64s: Sequence[int] | None = None,
    replaced_value_float: float = 0.0,
    replaced_value_int64: int = 0,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_Imputer.html"""
    return Value(x.encoding, x.shape)


@cost("Binarizer", "Imputer", domain=ML, kind="elementwise")
def compare_cost(x: Value, *, out: Value) -> Cost:
    """ops = numel(out) (one comparison each)"""
    return Cost(0, out.numel)


@shape("Scaler", domain=ML)
def scaler(x: Value, *, offset: Sequence[float] | None = None, scale: Sequence[float] | None = None) -> Value:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_Scaler.html"""
    return Value(FLOAT, x.shape)


@cost("Scaler", domain=ML, kind="elementwise")
def scaler_cost(x: Value, *, out: Value) -> Cost:
    """ops = 2 x numel(out) (subtract, multiply)"""
    return Cost(0, 2 * out.numel)


@shape("Normalizer", domain=ML)
def normalizer(x: Value, *, norm: str = "MAX") -> Value:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_Normalizer.html"""
    return Value(FLOAT, x.shape)


@cost("Normalizer", domain=ML, kind="norm")
def normalizer_cost(x: Value, *, norm: str = "MAX", out: Value) -> Cost:
    """ops = numel(out) x 2 (MAX, L1: accumulate, divide) or x 4 (L2: square, accumulate, divide, root)"""
    return Cost(0, NORMS[norm] * out.numel)


storage("Binarizer", "Imputer", "Scaler", "Normalizer", domain=ML, overwrites=(0,))


@shape("CategoryMapper", domain=ML)
def category_mapper(
    x: Value,
    *,
    cats_int64s: Sequence[int] | None = None,
    cats_strings: Sequence[str] | None = None,
    default_int64: int = -1,
    default_string: str = "_Unused",
) -> Value:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_CategoryMapper.html"""
    return Value(INT64 if x.encoding == STRING else STRING, x.shape)


@shape("LabelEncoder", domain=ML)
def label_encoder(
    x: Value,
    *,
    values_floats: Sequence[float] | None = None,
    values_int64s: Sequence[int] | None = None,
    values_strings: Sequence[str] | None = None,
    values_tensor: Any = None,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_LabelEncoder.html"""
    if isinstance(values_tensor, Constant):
        return Value(values_tensor.encoding, x.shape)
    for values, encoding in ((values_floats, FLOAT), (values_int64s, INT64), (values_strings, STRING)):
        if values is not None:
            return Value(encoding, x.shape)
    return Value(INT64 if x.encoding == STRING else STRING, x.shape)  # the first version: classes_strings


@cost("CategoryMapper", "LabelEncoder", domain=ML, kind="embedding")
def look_up_cost(x: Value, *, out: Value) -> Cost:
    """ops = numel(out) (one look-up each)"""
    return Cost(0, out.numel)


@shape("OneHotEncoder", domain=ML)
def one_hot_encoder(
    x: Value, *, cats_int64s: Sequence[int] | None = None, cats_strings: Sequence[str] | None = None, zeros: int = 1
) -> Value:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_OneHotEncoder.html"""
    categories = cats_int64s or cats_strings
    if not categories:
        raise ValueError("it has no categories")
    return Value(FLOAT, (*ranked(x, "X"), len(categories)))


@cost("OneHotEncoder", domain=ML, kind="embedding")
def one_hot_encoder_cost(x: Value, *, out: Value) -> Cost:
    """ops = numel(x) (one look-up each)"""
    return Cost(0, x.numel)


@shape("FeatureVectorizer", domain=ML)
def feature_vectorizer(*x: Value, inputdimensions: Sequence[int] | None = None) -> Value:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_FeatureVectorizer.html"""
    if not inputdimensions or len(inputdimensions) != len(x):
        raise ValueError(f"inputdimensions {inputdimensions} for {len(x)} inputs")
    return Value(FLOAT, (samples(x[0])[0], sum(inputdimensions)))


@cost("FeatureVectorizer", domain=ML, kind="movement")
def feature_vectorizer_cost(*x: Value, out: Value) -> Cost:
    """ops = 0 (elements are moved)"""
    return Cost()


@shape("CastMap", domain=ML, partial=True)
def cast_map(x: Value, *, cast_to: str = "TO_FLOAT", map_form: str = "DENSE", max_map: int = 1, ctx: Context) -> Value:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_CastMap.html"""
    known = {"TO_FLOAT": FLOAT, "TO_STRING": STRING, "TO_INT64": INT64}
    width: Dim = max_map if map_form == "SPARSE" else ctx.data_dim("the number of entries of the map fed")
    return Value(known[cast_to], (1, width))


@shape("DictVectorizer", domain=ML, partial=True)
def dict_vectorizer(
    x: Value, *, int64_vocabulary: Sequence[int] | None = None, string_vocabulary: Sequence[str] | None = None
) -> Value:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_DictVectorizer.html (its elements are of the map's value type)"""
    return Value(UNKNOWN, (1, len(int64_vocabulary or string_vocabulary or ())))


@shape("ZipMap", domain=ML)
def zip_map(x: Value) -> Value:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_ZipMap.html"""
    return Value(SEQUENCE, None, why="a sequence of maps")


@cost("ZipMap", "CastMap", "DictVectorizer", domain=ML, kind="movement")
def map_cost(x: Value, *, out: Value) -> Cost:
    """ops = 0 (elements are moved)"""
    return Cost()


def labels(ints: Sequence[int] | None, strings: Sequence[str] | None) -> tuple[Encoding, int]:
    """The encoding and the number of class labels."""
    return (STRING, len(strings)) if strings else (INT64, len(ints or ()))


@shape("LinearRegressor", domain=ML)
def linear_regressor(
    x: Value,
    *,
    coefficients: Sequence[float] | None = None,
    intercepts: Sequence[float] | None = None,
    post_transform: str = "NONE",
    targets: int = 1,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_LinearRegressor.html"""
    return Value(FLOAT, (samples(x)[0], targets))


@cost("LinearRegressor", domain=ML, kind="gemm")
def linear_regressor_cost(
    x: Value, *, intercepts: Sequence[float] | None = None, post_transform: str = "NONE", out: Value
) -> Cost:
    """ops = rows x targets x (2 x features + 1 for an intercept + the post transform)"""
    per_score = 2 * samples(x)[1] + (1 if intercepts else 0) + post_ops(post_transform)
    return Cost(0, out.numel * per_score)


@shape("LinearClassifier", domain=ML)
def linear_classifier(
    x: Value,
    *,
    classlabels_ints: Sequence[int] | None = None,
    classlabels_strings: Sequence[str] | None = None,
    coefficients: Sequence[float],
    intercepts: Sequence[float] | None = None,
    multi_class: int = 0,
    post_transform: str = "NONE",
) -> tuple[Value, Value]:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_LinearClassifier.html (two labels, one weight vector: two scores)"""
    rows, features = samples(x)
    encoding, named = labels(classlabels_ints, classlabels_strings)
    trained = _weights(coefficients, intercepts, features)
    scores = 2 if trained == 1 and named == 2 else trained
    return Value(encoding, (rows,)), Value(FLOAT, (rows, scores))


def _weights(coefficients: Sequence[float], intercepts: Sequence[float] | None, features: Dim) -> Dim:
    """The number of weight vectors a linear classifier holds."""
    if intercepts:
        return len(intercepts)
    if not isinstance(features, int) or features < 1:
        raise ValueError(f"{features} features without intercepts")
    return len(coefficients) // features


@cost("LinearClassifier", domain=ML, kind="gemm")
def linear_classifier_cost(
    x: Value,
    *,
    coefficients: Sequence[float],
    intercepts: Sequence[float] | None = None,
    post_transform: str = "NONE",
    outs: tuple[Value | None, ...],
) -> Cost:
    """ops = rows x (weight vectors x (2 x features + 1 for an intercept) + scores x (1 to find the best + the post
    transform))"""
    rows, features = samples(x)
    trained = _weights(coefficients, intercepts, features)
    per_row = trained * (2 * features + (1 if intercepts else 0)) + trained * (1 + post_ops(post_transform))
    return Cost(0, rows * per_row)


@shape("TreeEnsembleRegressor", domain=ML)
def tree_ensemble_regressor(x: Value, *, n_targets: int = 1) -> Value:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleRegressor.html"""
    return Value(FLOAT, (samples(x)[0], n_targets))


@shape("TreeEnsemble", domain=ML)
def tree_ensemble(x: Value, *, n_targets: int = 1) -> Value:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html"""
    return Value(x.encoding, (samples(x)[0], n_targets))


@shape("TreeEnsembleClassifier", domain=ML)
def tree_ensemble_classifier(
    x: Value, *, classlabels_int64s: Sequence[int] | None = None, classlabels_strings: Sequence[str] | None = None
) -> tuple[Value, Value]:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleClassifier.html"""
    rows, _ = samples(x)
    encoding, named = labels(classlabels_int64s, classlabels_strings)
    return Value(encoding, (rows,)), Value(FLOAT, (rows, named))


unpriced(
    "TreeEnsemble",
    "TreeEnsembleClassifier",
    "TreeEnsembleRegressor",
    domain=ML,
    kind="tree",
    reason="the values fed decide how deep each row descends each tree",
)
unpriced(
    "Adagrad",
    "Adam",
    "Gradient",
    "Momentum",
    domain="ai.onnx.preview.training",
    reason="a training step; effaudit counts inference",
)
