"""Operators by the name a person types: any case, with or without the domain, near misses suggested."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

import msgspec

from effaudit.errors import UsageError
from effaudit.ops._registry import Rules, find, load_families, registered
from effaudit.printable import printable

DEFAULT_DOMAIN: Final = "ai.onnx"
ALIASES: Final = {
    "linear": "Gemm",
    "dense": "Gemm",
    "fc": "Gemm",
    "embedding": "Gather",
    "conv1d": "Conv",
    "conv2d": "Conv",
    "conv3d": "Conv",
    "layernorm": "LayerNormalization",
    "batchnorm": "BatchNormalization",
    "groupnorm": "GroupNormalization",
    "instancenorm": "InstanceNormalization",
    "rmsnorm": "RMSNormalization",
    "maxpool2d": "MaxPool",
    "avgpool": "AveragePool",
    "mha": "MultiHeadAttention",
    "gqa": "GroupQueryAttention",
    "silu": "Swish",
}


class Operator(msgspec.Struct, frozen=True):
    """A registered operator."""

    domain: str
    op: str
    rules: Rules

    @property
    def full_name(self) -> str:
        return f"{self.domain}::{self.op}" if self.domain else self.op


def operator(name: str) -> Operator:
    """The operator of a name such as "Conv", "conv" or "com.microsoft::Attention" (domain ai.onnx first).

    Raises UsageError, with the nearest names, where there is none.
    """
    stated, colons, op = name.strip().rpartition("::")
    domain = "" if stated == DEFAULT_DOMAIN else stated
    rules = find(domain, op) if not colons or domain == "" else None
    if rules is not None:
        return Operator(domain, op, rules)
    load_families()
    wanted = op.lower()
    # in the order of the domains: ai.onnx before the others
    keys = sorted(key for key in registered() if not colons or key[0].lower() == domain.lower())
    for target in (wanted, ALIASES.get(wanted, "").lower()):
        for key in keys:
            if target and key[1].lower() == target:
                return Operator(*key, registered()[key])
    raise UsageError(f"no operator is named {printable(name, 60)!r}{_nearest(wanted, keys)}")


def is_operator(name: str) -> bool:
    """Whether `operator` would find it."""
    try:
        operator(name)
    except UsageError:
        return False
    return True


def _nearest(wanted: str, keys: Iterable[tuple[str, str]]) -> str:
    by_name: dict[str, str] = {}
    for domain, op in keys:
        by_name.setdefault(op.lower(), f"{domain}::{op}" if domain else op)
    for alias in ALIASES:
        by_name.setdefault(alias, alias)
    near = difflib.get_close_matches(wanted[:100], by_name, 3, 0.6)
    return f"; did you mean {' or '.join(by_name[n] for n in near)}?" if near else ""
