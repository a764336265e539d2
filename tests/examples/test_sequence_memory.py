"""Memory of sequence models on graphs: key-value caches, attention scores, the peak with and without them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from math import prod
from pathlib import Path

import pytest
from onnx import ModelProto

from effaudit.audited import Audited, examine
from effaudit.load import Given
from effaudit.views.kv_cache import KVCache, kv_cache
from effaudit.views.score_memory import ScoreMemory, score_memory

from .blocks import attention_products, block, feed_forwards, products
from .example import KIB
from .graphs import FLOAT16, Net

Opened = Callable[[Callable[[], ModelProto]], Audited]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    def open_(build: Callable[[], ModelProto]) -> Audited:
        path = tmp_path / "example.onnx"
        path.write_bytes(build().SerializeToString(deterministic=True))
        return examine(path)

    return open_


def decoder(layers: int, heads: int, kv_heads: int, size: int, past: int) -> ModelProto:
    """The attention of a decoder step over a cache of `past` tokens, in fp16."""
    net = Net(FLOAT16)
    d, times = heads * size, heads // kv_heads
    x = net.input(1, 1, d)
    presents = []
    for _ in range(layers):
        parts = []
        for count in (heads, kv_heads, kv_heads):
            y = net.reshape(net.linear(x, count * size), 1, 1, count, size)
            parts.append(net.transpose(y, 0, 2, 1, 3))
        grown = [net.concat([net.input(1, kv_heads, past, size), part], 2) for part in parts[1:]]
        presents.extend(grown)
        if times > 1:
            shape = (1, kv_heads, times, past + 1, size)
            spread = [net.reshape(k, 1, kv_heads, 1, past + 1, size) for k in grown]
            spread = [net.node("Expand", [k, net.constant(shape)], shape) for k in spread]
            grown = [net.reshape(k, 1, heads, past + 1, size) for k in spread]
        y = net.transpose(attention_products(net, parts[0], *grown), 0, 2, 1, 3)
        x = net.add(x, net.linear(net.reshape(y, 1, 1, d), d))
    return net.model(x, *presents)


def cache_of(audited: Audited, context: int, batch: int = 1, dtype: str | None = None) -> KVCache:
    found = kv_cache(audited, context=context, batch=batch, dtype=dtype)
    assert found is not None
    return found


def cached(audited: Audited, context: int, batch: int = 1, dtype: str | None = None) -> int:
    total = cache_of(audited, context, batch, dtype).bytes.value
    assert total is not None
    return total


@cache
def llama() -> Audited:
    return examine("sample:decoder-7b")


def scores_of(audited: Audited) -> ScoreMemory:
    found = score_memory(audited)
    assert found is not None
    return found


# ---- the cache
def test_ext_03_and_s3_092() -> None:
    """32 layers x 32 heads x 128 x 512 tokens in fp16, keys and values: 268.4 MB."""
    assert cached(llama(), 512) == 268_435_456
    assert cache_of(llama(), 512).token_bytes.value == 2 * 32 * 32 * 128 * 2 == 524_288


def test_s3_093() -> None:
    """A batch of 32 at 8 times the length: 256 times the cache."""
    assert cached(llama(), 8 * 512, batch=32) / cached(llama(), 512) == 256


def test_s3_095(opened: Opened) -> None:
    """64 query heads on 8 key heads: an eighth of the cache."""
    grouped = opened(partial(decoder, 2, 64, 8, 128, 3))
    whole = opened(partial(decoder, 2, 64, 64, 128, 3))
    assert cached(whole, 1000) / cached(grouped, 1000) == 8
    assert cache_of(grouped, 1000).mha_ratio == 8


def test_s4_009(opened: Opened) -> None:
    """One key head for 64 query heads."""
    assert cache_of(opened(partial(decoder, 1, 64, 1, 128, 3)), 1).mha_ratio == 64


def test_s3_118(opened: Opened) -> None:
    """13 billion weights of 4 bits and the cache of 40 layers x 40 heads x 128, 2048 tokens, batch 4: 13.21 GB."""
    total = 13_000_000_000 // 2 + cached(opened(partial(decoder, 40, 40, 40, 128, 3)), 2048, batch=4)
    assert total == 13_210_886_400


def test_s3_124(opened: Opened) -> None:
    """Not all efficient language models group their queries: the shape of Llama-2 7B has a key head for each."""
    kinds = [cache_of(audited, 1).layers[0].kind for audited in (llama(), examine("sample:decoder-gqa"))]
    kinds.append(cache_of(opened(partial(decoder, 1, 8, 1, 256, 3)), 1).layers[0].kind)  # as Gemma 2B
    assert kinds == ["MHA", "GQA", "MQA"]


def test_half_the_bits_half_the_cache() -> None:
    assert cached(llama(), 512, dtype="int8") == 134_217_728
    assert cached(llama(), 512, dtype="int4") == 67_108_864


# ---- the scores
def test_s1_031(opened: Opened) -> None:
    """Scores of 32 heads over 4096 tokens in fp16: 1.074 GB."""
    (row,) = scores_of(opened(partial(products, 4096, 32, 4096, FLOAT16))).layers
    assert row.scores_bytes.value == 1_073_741_824


def test_s2_033_and_s2_058(opened: Opened) -> None:
    """Scores of one head over 4096 tokens are 32 MiB: 128 tiles of 256 KiB, the only part a fused kernel holds."""
    (row,) = scores_of(opened(partial(products, 4096, 32, 4096, FLOAT16))).layers
    assert row.scores_bytes.value is not None and row.heads == 32
    assert row.scores_bytes.value // row.heads / (256 * KIB) == 128


def test_s4_029(opened: Opened) -> None:
    """Inside a layer of 512 x 768 more is alive than its input and output: the scores, and the feed-forward part."""
    audited = opened(partial(block, 768, 12, 512))
    (row,) = scores_of(audited).layers
    assert row.scores_bytes.value == 4 * 3_145_728
    wide = opened(partial(feed_forwards, 1, 768, 512, bias=False))
    assert wide.memory.max_in_out_bytes.low >= 4 * 1_966_080 > 4 * 786_432
    live = audited.memory.live_bytes.value
    assert live is not None and live > 4 * 786_432


def test_ext_06() -> None:
    """A BERT-base layer over 512 tokens peaks at its scores, 7,077,888 elements beside the mask; a fused kernel takes
    them off the peak at the same MACs."""
    audited = examine("sample:bert-base", Given({"batch": 1, "sequence": 512}))
    found = scores_of(audited)
    assert audited.memory.peak is not None
    alive = dict(audited.memory.peak.alive)
    mask = alive.pop("Mul_output_0")
    assert sum(alive.values()) == 4 * 7_077_888 and mask == 4 * 512
    assert all(row.scores_bytes.value == 4 * prod((12, 512, 512)) for row in found.layers)
    assert found.flash_live_bytes.value == 20_449_280 < 28_313_600 == found.live_bytes.value
    assert found.macs == found.flash_macs
