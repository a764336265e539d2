"""All named formulas, by topic."""

from __future__ import annotations

import importlib
from functools import cache
from types import MappingProxyType
from typing import Final

from effaudit.errors import UsageError
from effaudit.explain.formulas._model import Formula
from effaudit.nearest import nearest, suggested
from effaudit.printable import printable

TOPICS: Final = {
    "conv": "Convolution",
    "separable": "Separable and grouped convolution",
    "lowering": "Convolution as matrix products: im2col, Winograd",
    "receptive_field": "Receptive field",
    "pooling": "Pooling",
    "linear": "Linear layers and matrix products",
    "normalization": "Normalization",
    "activations": "Activations",
    "attention": "Attention",
    "transformer": "Transformers",
    "kvcache": "Key-value cache",
    "lora": "Low-rank adaptation",
    "sizes": "Sizes of weights and files",
    "quantization": "Quantization",
    "pruning": "Pruning and sparse formats",
    "memory": "Memory",
    "patches": "Patch-based inference",
    "roofline": "Roofline",
    "latency": "Latency and throughput",
    "energy": "Energy",
    "scaling": "Scaling of networks",
    "search": "Architecture search",
    "distillation": "Distillation",
    "arithmetic": "Sums and shares",
}


@cache
def topics() -> MappingProxyType[str, tuple[Formula, ...]]:
    """The formulas of every topic, by its title."""
    return MappingProxyType(
        {title: importlib.import_module(f"{__package__}.{module}").FORMULAS for module, title in TOPICS.items()}
    )


def formulas() -> tuple[Formula, ...]:
    """Every formula, in the order of the documentation."""
    return tuple(formula for group in topics().values() for formula in group)


def named(name: str) -> Formula | None:
    """A formula by name, any case, `_`, `-` and blanks alike; None where there is none."""
    wanted = _key(name)
    return next((formula for formula in formulas() if formula.name == wanted), None)


def find(name: str) -> Formula:
    """As `named`. Raises UsageError, with near misses, where there is none."""
    found = named(name)
    if found is None:
        raise UsageError(f"no formula {printable(name, 60)!r}{_hint(_key(name))}")
    return found


def _key(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(" ", "-")


def _hint(wanted: str) -> str:
    """The formulas whose name is much like it, and those that share most words with it."""
    known, words = [formula.name for formula in formulas()], set(wanted[:100].split("-"))
    shared = sorted(known, key=lambda name: -len(words & set(name.split("-"))))
    alike = nearest(wanted, known, alike=0.7)
    alike += [name for name in shared[:3] if words & set(name.split("-"))]
    return suggested(list(dict.fromkeys(alike))[:4]) or "; `effaudit explain --list formulas` names them all"
