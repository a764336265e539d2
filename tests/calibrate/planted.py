"""Networks whose times are made up: kernels as the program finds them, seconds by costs that a test has planted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from zlib import crc32

from effaudit.calibrate.fit import Key, key_of, terms_of
from effaudit.calibrate.measure import NetSample, Sample, executed
from effaudit.calibrate.net import Net
from effaudit.calibrate.nets import fitted
from effaudit.estimate.terms import Caches, amounts
from effaudit.estimate.types import Kernel
from effaudit.load import infer

CACHES = Caches(200e3, 2e6)
PER_KERNEL_S = 1.2e-6
PER_INFERENCE_S = 6e-6
# Seconds of one of each term, for any kind.
PLANTED: Mapping[str, float] = {
    "launch_s": 0.7e-6,
    "mac_s": 2e-11,
    "load_s": 3e-10,
    "op_s": 6e-11,
    "fed_s": 4e-11,
    "output_s": 8e-11,
    "run_s": 5e-10,
    "scratch_s": 9e-11,
    "batch_s": 3e-7,
    "step_s": 4e-7,
    "weight_byte_s": 1e-11,
    "near_weight_byte_s": 2e-11,
    "far_weight_byte_s": 5e-11,
    "near_byte_s": 1.5e-11,
    "far_byte_s": 3e-11,
}


def weight_bytes(net: Net) -> int:
    return sum(constant.nbytes for constant in net.graph().constants.values())


@cache
def small(most: int) -> tuple[Net, ...]:
    """The networks of a calibration with at most so many bytes of weights."""
    return tuple(net for net in fitted() if weight_bytes(net) <= most)


@cache
def _kernels(net: Net) -> tuple[Kernel, ...]:
    return tuple(kernel for kernel in executed(infer(net.graph())) if kernel.pattern is not None)


def factor(key: Key) -> float:
    """What tells the costs of one kind from those of another: 1/2 to 2."""
    return 0.5 + 1.5 * (crc32(" ".join(key).encode()) % 1000) / 1000


def seconds_of(kernel: Kernel, caches: Caches = CACHES) -> float:
    """By the planted costs; bytes cost all kinds alike."""
    key, found = key_of(kernel), amounts(kernel, caches)
    own = {term: PLANTED[term] * (1.0 if "byte" in term else factor(key)) for term in terms_of(key[1], kernel.op_class)}
    return PER_KERNEL_S + sum(found[term] * cost for term, cost in own.items())


def sampled(
    nets: Sequence[Net], caches: Caches = CACHES, noise: Sequence[float] = (1.0,), renaming: int = 2
) -> tuple[NetSample, ...]:
    """The networks as if they had run; what each kernel took is multiplied by the numbers of `noise` in turn."""
    made, turn = [], 0
    for net in nets:
        samples = []
        for kernel in _kernels(net):
            samples.append(Sample(kernel, seconds_of(kernel, caches) * noise[turn % len(noise)]))
            turn += 1
        total = PER_INFERENCE_S + renaming * PER_KERNEL_S + sum(sample.seconds for sample in samples)
        made.append(NetSample(net.name, total, tuple(samples), renaming))
    return tuple(made)
