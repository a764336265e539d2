"""String operators against runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from effaudit.ops._registry import registered

from . import oracle
from .oracle import ALWAYS, check

WORDS = np.array(["monday", "tuesday", "monday", "x"], object)


@pytest.mark.parametrize("words", [WORDS, WORDS.reshape(1, 4)])
@pytest.mark.parametrize(
    ("attrs", "unknown"),
    [
        ({}, oracle.NEVER),
        ({"stopwords": ["monday"]}, ALWAYS),
        ({"stopwords": ["monday", "tuesday", "x"]}, ALWAYS),
    ],
)
def test_string_normalizer(words: Any, attrs: dict[str, Any], unknown: str) -> None:
    attrs = attrs | {"case_change_action": "UPPER", "is_case_sensitive": 1}
    check("StringNormalizer", [words], attrs, opset=10, unknown=unknown)


def test_string_concat() -> None:
    check("StringConcat", [WORDS, WORDS], opset=20)
    check("StringConcat", [WORDS.reshape(4, 1), WORDS.reshape(1, 4)], opset=20)


@pytest.mark.parametrize("attrs", [{}, {"delimiter": "d"}, {"delimiter": "a", "maxsplit": 1}])
def test_string_split(attrs: dict[str, Any]) -> None:
    check("StringSplit", [WORDS.reshape(2, 2)], attrs, opset=20, outputs=2, unknown=ALWAYS)


def test_regex_full_match() -> None:
    check("RegexFullMatch", [WORDS], {"pattern": "[a-z]*day"}, opset=20)


@pytest.mark.parametrize("shape", [(12,), (3, 4)])
def test_tf_idf_vectorizer(shape: tuple[int, ...]) -> None:
    attrs = {
        "mode": "TF",
        "min_gram_length": 1,
        "max_gram_length": 2,
        "max_skip_count": 1,
        "ngram_counts": [0, 4],
        "ngram_indexes": [0, 1, 2, 3, 4, 5, 6],
        "pool_int64s": [2, 3, 5, 4, 5, 6, 7, 8, 6, 7],
    }
    x = np.arange(12, dtype=np.int64).reshape(shape)
    graph = check("TfIdfVectorizer", [x], attrs, opset=9)
    assert oracle.cost(graph).ops == 12 * 2 * 2 + 7 * (3 if len(shape) == 2 else 1)


@pytest.mark.parametrize("op", ["StringNormalizer", "StringConcat", "StringSplit", "RegexFullMatch"])
def test_text_has_no_price_and_says_why(op: str) -> None:
    entry = registered()["", op]
    assert entry.cost is None and "text fed" in entry.unpriced
