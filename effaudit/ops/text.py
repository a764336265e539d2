"""Strings. What their work costs depends on the text fed, so only the n-gram counter has a price."""

from __future__ import annotations

from collections.abc import Sequence

from effaudit import dims
from effaudit.dims import Dim
from effaudit.graph import BOOL, FLOAT, INT64, STRING, Value
from effaudit.ops._inputs import ranked
from effaudit.ops._registry import Context, Cost, cost, shape, unpriced
from effaudit.ops._shapes import broadcast

unpriced(
    "StringNormalizer",
    "StringConcat",
    "StringSplit",
    "RegexFullMatch",
    kind="text",
    reason="its work is on characters, and depends on the text fed",
)


@shape("StringNormalizer")
def string_normalizer(x: Value, *, stopwords: Sequence[str] | None = None, ctx: Context) -> Value:
    """https://onnx.ai/onnx/operators/onnx__StringNormalizer.html"""
    whole = ranked(x, "X", 1, 2)
    kept: Dim = dims.maximum(whole[-1], 1)  # one empty string where nothing is left
    if stopwords:
        kept = 1 if kept == 1 else ctx.data_dim("the stop words found decide it", 1, kept)
    return Value(STRING, (*whole[:-1], kept))


@shape("StringConcat")
def string_concat(x: Value, y: Value) -> Value:
    """https://onnx.ai/onnx/operators/onnx__StringConcat.html"""
    assert x.shape is not None and y.shape is not None
    return Value(STRING, broadcast(x.shape, y.shape))


@shape("StringSplit")
def string_split(x: Value, *, maxsplit: int | None = None, ctx: Context) -> tuple[Value, Value]:
    """https://onnx.ai/onnx/operators/onnx__StringSplit.html"""
    assert x.shape is not None
    most = None if maxsplit is None else maxsplit + 1
    parts = ctx.data_dim("the largest number of parts of any string fed", 0, most)
    return Value(STRING, (*x.shape, parts)), Value(INT64, x.shape)


@shape("RegexFullMatch")
def regex_full_match(x: Value) -> Value:
    """https://onnx.ai/onnx/operators/onnx__RegexFullMatch.html"""
    return Value(BOOL, x.shape)


@shape("TfIdfVectorizer")
def tf_idf_vectorizer(x: Value, *, ngram_indexes: Sequence[int] = ()) -> Value:
    """https://onnx.ai/onnx/operators/onnx__TfIdfVectorizer.html"""
    whole = ranked(x, "X", 1, 2)
    return Value(FLOAT, (*whole[:-1], max(ngram_indexes) + 1))


@cost("TfIdfVectorizer", kind="text")
def tf_idf_vectorizer_cost(
    x: Value, *, max_gram_length: int = 1, max_skip_count: int = 0, min_gram_length: int = 1, out: Value
) -> Cost:
    """ops = numel(x) x (max_gram_length - min_gram_length + 1) x (max_skip_count + 1) look-ups + numel(out) to weigh"""
    lengths = max(max_gram_length - min_gram_length + 1, 0)
    return Cost(0, x.numel * (lengths * (max_skip_count + 1)) + out.numel)
