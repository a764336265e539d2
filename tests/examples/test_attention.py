"""Attention and feed-forward layers of transformers: parameters, MACs, how they split."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from onnx import ModelProto

from effaudit.report import ModelReport

from .blocks import attention, block, feed_forwards, products
from .example import (
    Audited,
    Example,
    each,
    example,
    flops,
    macs,
    node,
    node_macs,
    node_params,
    params,
    per,
    percent,
    positions,
    ratio,
    sums,
)
from .graphs import FLOAT16
from .layers import conv

BASE = partial(attention, 768, 12, 512)
BLOCK = partial(block, 768, 12, 512)
LARGE = partial(block, 1024, 16, 512)
FFN = partial(feed_forwards, 1, 768, 512, bias=False)
LONG = partial(products, 4096, 32, 4096, FLOAT16)
PATCHES = partial(conv, 3, 224, 768, 16, 16, 0)

QKV = sums(*(node_macs(part) for part in "qkv"))
QKV_PARAMS = sums(*(node_params(part) for part in "qkv"))
PRODUCTS = sums(node_macs("scores"), node_macs("values"))
FEEDING = sums(node_macs("up"), node_macs("down"))
FEEDING_PARAMS = sums(node_params("up"), node_params("down"))


def head(model: ModelReport) -> int:
    """The dims of one head: what the product of attention and values leaves in each."""
    shape = node(model, "values").outputs[0].shape
    assert shape is not None
    return int(shape[-1])


def scores(model: ModelReport) -> int:
    """Bytes of the scores."""
    written = node(model, "scores").write_bytes
    assert written is not None
    return written


def of_tokens(tokens: int) -> Callable[[], ModelProto]:
    return partial(products, 64, 1, tokens)


EXAMPLES = [
    # ---- attention
    example("s0-115", 1_769_472, "parameters of Q, K and V", QKV_PARAMS, BASE),
    example("s0-118", 589_824, "parameters of the output projection", node_params("o"), BASE),
    example("s0-119", 301_989_888, "MACs of one projection", node_macs("q"), BASE),
    example("s0-120", 1_207_959_552, "MACs of all four", sums(QKV, node_macs("o")), BASE),
    example("s0-121", 1_610_612_736, "MACs with the two products", macs, BASE),
    example("s0-122", 1.610612736, "the same in billions", per(1e9, macs), BASE),
    example("s0-125", 64, "dims of one of 12 heads of 768", head, BASE),
    example("s0-148", 22.5, "Q, K and V in a layer", percent(QKV, macs), BLOCK),
    example("s0-150", 7.5, "the output projection in a layer", percent(node_macs("o"), macs), BLOCK),
    example("s0-152", 905.969664, "MACs of Q, K and V, in millions", per(1e6, QKV), BLOCK),
    example("s0-172", 1.769472, "parameters of Q, K and V, in millions", per(1e6, QKV_PARAMS), BLOCK),
    example("s0-182", 536_870_912, "the two products at a width of 1024", PRODUCTS, LARGE),
    example("s0-183", 6_979_321_856, "a whole layer of 1024", macs, LARGE),
    example("s0-184", 6.979321856, "the same in billions", per(1e9, macs), LARGE),
    example("s1-031", 1.073741824, "scores of 32 heads over 4096, fp16, in GB", per(1e9, scores), LONG),
    example("s2-031", 196, "patches of 16 pixels in an image of 224", positions, PATCHES),
    example(
        "s3-090", 8.589934592, "FLOPs of the products, in billions", per(1e9, flops), partial(products, 512, 8, 2048)
    ),
    example("s3-091", 4.0, "twice the tokens", ratio(flops), of_tokens(2048), of_tokens(1024)),
    example("s4-022", 196, "224 x 224 over 16 x 16", positions, PATCHES),
    example(
        "s4-023", 4.0, "scores grow with the square of the tokens", ratio(scores), of_tokens(2048), of_tokens(1024)
    ),
    # ---- feed-forward
    example("s0-123", 4_718_592, "parameters", params, FFN),
    example("s0-151", 60.0, "its share of a layer's MACs", percent(FEEDING, macs), BLOCK),
    example("s0-155", 2415.919104, "MACs in millions", per(1e6, FEEDING), BLOCK),
    example("s0-161", 66.66666666666666, "its share of a layer's parameters", percent(FEEDING_PARAMS, params), BLOCK),
    example("s0-173", 4.718592, "parameters in millions", per(1e6, params), FFN),
    example("s1-017", 56_669_184, "twelve with biases", params, partial(feed_forwards, 12, 768, 8, bias=True)),
]


@each(EXAMPLES)
def test_attention(example: Example, audited: Audited) -> None:
    example.check(audited)
