"""Pooling, norms, and other ways to run a convolution."""

from __future__ import annotations

from functools import partial

from onnx import ModelProto

from effaudit.report import ModelReport

from .example import (
    Audited,
    Example,
    each,
    elements,
    example,
    input_elements,
    macs,
    node_out,
    ops,
    params,
    per,
    ratio,
    side,
)
from .graphs import Net
from .layers import conv, im2col, linears, pool, temporal_shift, winograd
from .networks import alexnet

CHANNELS = 32


def batch_norm() -> ModelProto:
    net = Net()
    return net.model(net.batch_norm(net.input(1, 64, 56, 56)))


def layer_norms(count: int) -> ModelProto:
    net = Net()
    x = net.input(1, 512, 768)
    for _ in range(count):
        x = net.layer_norm(x)
    return net.model(x)


def global_pool() -> ModelProto:
    net = Net()
    return net.model(net.global_pool(net.input(1, 512, 7, 7)))


def flops_per_mac(model: ModelReport) -> float:
    """What `flops` has beside the other operations."""
    assert model.totals.flops is not None
    return (model.totals.flops - ops(model)) / macs(model)


def expansion(model: ModelReport) -> float:
    return elements(model) / input_elements(model)


def direct() -> ModelProto:
    """A 2 x 2 output of one filter."""
    return conv(CHANNELS, 4, 1, 3, p=0)


SHIFT = partial(temporal_shift, 8, 64, 14)

EXAMPLES = [
    example("s0-042", 69_984, "AlexNet's first pool", node_out("pool1"), alexnet),
    example("s0-043", 43_264, "AlexNet's second pool", node_out("pool2"), alexnet),
    example("s0-044", 27, "3 x 3 of stride 2 over 55", side, partial(pool, 96, 55, 3, 2)),
    example("s0-097", 28, "2 x 2 of stride 2 over 56", side, partial(pool, 256, 56, 2, 2)),
    example("s0-197", 512, "one value per channel", elements, global_pool),
    example("s0-110", 0, "MACs of a batch norm", macs, batch_norm),
    example("s0-202", 128, "parameters of a batch norm of 64 channels", params, batch_norm),
    example("s0-112", 1.96608, "operations of a layer norm, in millions", per(1e6, ops), partial(layer_norms, 1)),
    example("s0-113", 3.93216, "operations of two, in millions", per(1e6, ops), partial(layer_norms, 2)),
    example("s1-026", 2, "FLOPs of a MAC", flops_per_mac, partial(conv, 8, 8, 8, 3)),
    example("s4-001", 2, "FLOPs of a MAC in a matrix product", flops_per_mac, partial(linears, 8, 8)),
    example("s3-081", 56_448, "elements of the columns of 32 x 14 x 14", elements, partial(im2col, 32, 14)),
    example("s3-084", 9.0, "columns against the input", expansion, partial(im2col, 32, 14)),
    example("s4-006", 16, "MACs of a Winograd tile, per channel", per(CHANNELS, macs), partial(winograd, CHANNELS)),
    example("s4-007", 2.25, "the direct form against it", ratio(macs), direct, partial(winograd, CHANNELS)),
    example("s4-041", 0, "MACs and parameters of a temporal shift", lambda model: macs(model) + params(model), SHIFT),
]


@each(EXAMPLES)
def test_rearrangement(example: Example, audited: Audited) -> None:
    example.check(audited)


def test_a_batch_norm_has_two_buffers_per_channel(audited: Audited) -> None:
    assert audited(batch_norm).totals.buffers == 128


def test_a_temporal_shift_moves_bytes(audited: Audited) -> None:
    model = audited(SHIFT)
    assert elements(model) == input_elements(model)
    assert (model.totals.write_bytes or 0) > 4 * elements(model)
