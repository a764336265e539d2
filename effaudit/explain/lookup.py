"""Operators by the name a person types: any case, with or without the domain, near misses suggested."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec

from effaudit.errors import UsageError
from effaudit.nearest import nearest, suggested
from effaudit.ops._registry import Rules, find, load_families, registered
from effaudit.printable import printable

_AXES: Final = re.compile(r"([a-z]+)([123])d")  # conv1d, maxpool3d: as frameworks name layers
DEFAULT_DOMAIN: Final = "ai.onnx"
ALIASES: Final = {
    "linear": "Gemm",
    "dense": "Gemm",
    "fc": "Gemm",
    "embedding": "Gather",
    "layernorm": "LayerNormalization",
    "batchnorm": "BatchNormalization",
    "groupnorm": "GroupNormalization",
    "instancenorm": "InstanceNormalization",
    "rmsnorm": "RMSNormalization",
    "avgpool": "AveragePool",
    "mha": "MultiHeadAttention",
    "gqa": "GroupQueryAttention",
    "silu": "Swish",
}


class Operator(msgspec.Struct, frozen=True):
    """An operator with its rules, and the name it was asked by; `axes` where that tells them (conv1d), else 0."""

    domain: str
    op: str
    rules: Rules
    asked: str = ""
    axes: int = 0

    @property
    def full_name(self) -> str:
        return f"{self.domain}::{self.op}" if self.domain else self.op


Registry: TypeAlias = Mapping[tuple[str, str], Rules]
NONE: Final[Registry] = {}


def operator(name: str, own: Registry = NONE) -> Operator:
    """The operator of a name such as "Conv", "conv", "conv1d" or "com.microsoft::Attention". Without a domain, ai.onnx
    comes first, then the definitions `own`, which go before built-in rules of the same operator.

    Raises UsageError, with the nearest names, where there is none.
    """
    domain, op = _split(name)
    rules = own.get((domain, op)) or find(domain, op)
    if rules is not None:
        return Operator(domain, op, rules)
    found = known(name, own)
    if found is None:
        raise UsageError(f"no operator is named {printable(name, 60)!r}{suggested(near(name, own))}")
    return found


def known(name: str, own: Registry = NONE, *, exactly: bool = False) -> Operator | None:
    """As `operator`, but None where there is none, and without looking for installed packages; `exactly`: in this
    spelling only."""
    load_families()
    domain, op = _split(name)
    rules = {**registered(), **own}
    stated = "::" in name
    keys = [key for key in _ordered(rules, own) if not stated or key[0].lower() == domain.lower()]
    for key in keys:
        if key[1] == op and (not stated or key[0] == domain):
            return Operator(*key, rules[key])
    if exactly:
        return None
    wanted = op.lower()
    stem = _AXES.fullmatch(wanted)
    for target in (wanted, ALIASES.get(wanted, ""), *((stem[1], ALIASES.get(stem[1], "")) if stem else ())):
        for key in keys:
            if target and key[1].lower() == target.lower():
                axes = int(stem[2]) if stem and wanted != key[1].lower() else 0
                return Operator(*key, rules[key], op, axes)
    return None


def every(own: Registry = NONE) -> list[Operator]:
    """All operators, built in or defined by `own`: ai.onnx, then definitions, then the other domains."""
    load_families()
    rules = {**registered(), **own}
    return [Operator(*key, rules[key]) for key in _ordered(rules, own)]


def packaged(name: str) -> Operator | None:
    """The operator that an installed package has rules of. Raises UsageError where such a package cannot be used."""
    domain, op = _split(name)
    rules = find(domain, op)
    return None if rules is None else Operator(domain, op, rules)


def near(name: str, own: Registry = NONE) -> list[str]:
    """Names of operators much like `name`."""
    load_families()
    domain, op = _split(name)
    by_name: dict[str, str] = {}
    for of, other in _ordered({**registered(), **own}, own):
        if "::" not in name or of.lower() == domain.lower():
            by_name.setdefault(other.lower(), f"{of}::{other}" if of else other)
    for alias in ALIASES:
        by_name.setdefault(alias, alias)
    return [by_name[close] for close in nearest(op.lower(), by_name)]


def _split(name: str) -> tuple[str, str]:
    domain, _, op = name.strip().rpartition("::")
    return ("" if domain == DEFAULT_DOMAIN else domain), op


def _ordered(rules: Registry, own: Registry) -> list[tuple[str, str]]:
    """ai.onnx, then definitions, then the other domains."""
    return sorted(rules, key=lambda key: (key[0] != "", key not in own, key))
