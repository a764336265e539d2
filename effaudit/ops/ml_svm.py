"""ai.onnx.ml support vector machines. ops = rows x support vectors x the kernel, and the sums over them.

https://onnx.ai/onnx/operators/index.html#ai-onnx-ml
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.graph import FLOAT, Value
from effaudit.ops._registry import ML, Cost, cost, shape
from effaudit.ops.ml import labels, post_ops, samples

KERNELS: Final = {"LINEAR": (2, 0), "POLY": (2, 3), "RBF": (3, 2), "SIGMOID": (2, 3)}  # (per feature, per vector)


def _kernel_ops(kernel_type: str, features: Dim) -> Dim:
    """One evaluation of the kernel. Raises ValueError on an unknown one."""
    if kernel_type not in KERNELS:
        raise ValueError(f"kernel_type {kernel_type!r} is unknown")
    per_feature, per_vector = KERNELS[kernel_type]
    return per_feature * features + per_vector


@shape("SVMRegressor", domain=ML)
def svm_regressor(
    x: Value,
    *,
    coefficients: Sequence[float] | None = None,
    kernel_params: Sequence[float] | None = None,
    kernel_type: str = "LINEAR",
    n_supports: int = 0,
    one_class: int = 0,
    post_transform: str = "NONE",
    rho: Sequence[float] | None = None,
    support_vectors: Sequence[float] | None = None,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_SVMRegressor.html"""
    return Value(FLOAT, (samples(x)[0], 1))


@cost("SVMRegressor", domain=ML, kind="gemm")
def svm_regressor_cost(
    x: Value, *, kernel_type: str = "LINEAR", n_supports: int = 0, post_transform: str = "NONE", out: Value
) -> Cost:
    """ops = rows x (support vectors x (kernel + 2) + 1 + the post transform); kernel: 2 x features (linear), + 3 (poly,
    sigmoid), 3 x features + 2 (RBF); without support vectors one linear kernel"""
    rows, features = samples(x)
    kernel = _kernel_ops(kernel_type, features)
    total = n_supports * (kernel + 2) if n_supports else kernel
    return Cost(0, rows * (total + 1 + post_ops(post_transform)))


def _score_columns(classes: int, vectors: int, probabilities: bool) -> int:
    """Probabilities: one per class; else of support vectors one per pair of classes (two for a single pair)."""
    if probabilities or not vectors or classes <= 2:
        return classes
    return classes * (classes - 1) // 2


@shape("SVMClassifier", domain=ML)
def svm_classifier(
    x: Value,
    *,
    classlabels_ints: Sequence[int] | None = None,
    classlabels_strings: Sequence[str] | None = None,
    coefficients: Sequence[float] | None = None,
    kernel_params: Sequence[float] | None = None,
    kernel_type: str = "LINEAR",
    post_transform: str = "NONE",
    prob_a: Sequence[float] | None = None,
    prob_b: Sequence[float] | None = None,
    rho: Sequence[float] | None = None,
    support_vectors: Sequence[float] | None = None,
    vectors_per_class: Sequence[int] | None = None,
) -> tuple[Value, Value]:
    """https://onnx.ai/onnx/operators/onnx_aionnxml_SVMClassifier.html"""
    rows, _ = samples(x)
    encoding, classes = labels(classlabels_ints, classlabels_strings)
    columns = _score_columns(classes, sum(vectors_per_class or ()), bool(prob_a))
    return Value(encoding, (rows,)), Value(FLOAT, (rows, columns))


@cost("SVMClassifier", domain=ML, kind="gemm")
def svm_classifier_cost(
    x: Value,
    *,
    classlabels_ints: Sequence[int] | None = None,
    classlabels_strings: Sequence[str] | None = None,
    kernel_type: str = "LINEAR",
    post_transform: str = "NONE",
    prob_a: Sequence[float] | None = None,
    vectors_per_class: Sequence[int] | None = None,
    outs: tuple[Value | None, ...],
) -> Cost:
    """ops = rows x (support vectors x (kernel + 2 x (classes - 1)) + 2 per pair of classes (shift, vote)
    + classes x the post transform); without them rows x classes x (linear kernel + 1 + the post transform)"""
    if prob_a:
        raise Undecided("how many rounds pairwise probabilities take to converge")
    rows, features = samples(x)
    _, classes = labels(classlabels_ints, classlabels_strings)
    kernel, vectors = _kernel_ops(kernel_type, features), sum(vectors_per_class or ())
    last = post_ops(post_transform)
    if not vectors:
        return Cost(0, rows * classes * (kernel + 1 + last))
    pairs = classes * (classes - 1) // 2
    return Cost(0, rows * (vectors * (kernel + 2 * (classes - 1)) + 2 * pairs + classes * last))
