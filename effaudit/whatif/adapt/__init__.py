"""Adapters: small trained products beside frozen weights, and the memory that training them takes.

LoRA, Hu et al., https://arxiv.org/abs/2106.09685: x W becomes x W + (alpha / rank) x A B, A in x rank and B rank x out.
QLoRA, Dettmers et al., https://arxiv.org/abs/2305.14314: the frozen weights in nf4, in blocks of 64.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.nearest import did_you_mean
from effaudit.printable import printable
from effaudit.whatif.spec import only as only_known
from effaudit.whatif.spec import whole, words_of
from effaudit.whatif.types import Change

OPTION: Final = "--adapt"
EXPECTED: Final = "expected lora,rank=16, with base=nf4, optimizer=adam, targets=PATTERN or double"
_CHOICES: Final = {"base": ("nf4", "int8", "fp16"), "optimizer": ("adam", "sgd")}
_KEYS: Final = ("rank", "alpha", "base", "optimizer", "targets", "skip")


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`rank` of the adapters, scaled by `alpha` / rank (0: alpha is the rank). `base` is how the weights beside them
    are stored, "" as they are; `double` quantizes the constants of nf4 too. `optimizer` states are float32. `targets`
    and `skip` are patterns of products or of their weights (`*` and `?`, several with `|`). Raises UsageError."""

    rank: int
    alpha: int = 0
    base: Literal["", "nf4", "int8", "fp16"] = ""
    double: bool = False
    optimizer: Literal["adam", "sgd"] = "adam"
    targets: str = ""
    skip: str = ""

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha < 0:
            raise UsageError(f"{OPTION}: rank and alpha: expected whole numbers from 1")
        if self.double and self.base != "nf4":
            raise UsageError(f"{OPTION}: double quantizes the constants of nf4; add base=nf4")


def parse(text: str) -> Arguments:
    """`lora,rank=16,base=nf4` and its kin -> arguments. Raises UsageError."""
    words, pairs = words_of(text.replace("lora rank=", "lora,rank=", 1), OPTION)
    only_known(pairs, _KEYS, OPTION)
    for word in words:
        if word not in ("lora", "double") or words.count(word) > 1:
            hint = did_you_mean(word, ("lora", "double", *_KEYS))
            raise UsageError(f"{OPTION} {printable(repr(text), 60)}: {EXPECTED}{hint}")
    if "lora" not in words or "rank" not in pairs:
        raise UsageError(f"{OPTION} {printable(repr(text), 60)}: {EXPECTED}")
    for key, choices in _CHOICES.items():
        if pairs.get(key, choices[0]) not in choices:
            raise UsageError(f"{OPTION} {key}={printable(pairs[key], 40)}: expected one of {', '.join(choices)}")
    numbers = {key: whole(pairs[key], f"{OPTION} {key}") for key in ("rank", "alpha") if key in pairs}
    words_of_them = {key: pairs[key] for key in _KEYS[2:] if key in pairs}
    return Arguments(**numbers, **words_of_them, double="double" in words)  # type: ignore[arg-type]


def text(arguments: Arguments) -> str:
    """The shortest text that parses to the arguments."""
    defaults = {"alpha": 0, "base": "", "optimizer": "adam", "targets": "", "skip": ""}
    pairs = ((key, getattr(arguments, key)) for key in _KEYS)
    found = [f"{key}={value}" for key, value in pairs if value != defaults.get(key)]
    return ",".join(["lora", *found, *(["double"] if arguments.double else [])])


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model with adapters. Raises UsageError where no product can have one."""
    from effaudit.whatif.adapt.adapted import rewrite as adapt

    return adapt(audited, arguments)
