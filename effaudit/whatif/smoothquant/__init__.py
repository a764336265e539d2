"""SmoothQuant: what is hard to quantize in a few channels of activations is moved into the weights that read them.

Xiao et al., https://arxiv.org/abs/2211.10438: activations are divided and weights multiplied, channel by channel, by
s = max|X|^alpha / max|W|^(1 - alpha). The network computes the same; 8 bits then lose less of it.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.whatif.prune.arguments import percent
from effaudit.whatif.spec import only as only_known
from effaudit.whatif.spec import share, whole, words_of
from effaudit.whatif.types import Change

OPTION: Final = "--smoothquant"
EXPECTED: Final = "expected alpha=0.5,calibrate=DIR or calibrate=random"
_KEYS: Final = ("alpha", "calibrate", "seed", "only", "skip")


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`alpha` is how much of the difficulty moves, `calibrate` a folder of .npz inputs or "random" (`seed` draws them).

    `insert` takes products behind no norm as well: a Mul is put before them. `only` and `skip` are patterns of the
    products or of their weights (`*` and `?`, several with `|`).
    """

    calibrate: str = ""
    alpha: Fraction = Fraction(1, 2)
    insert: bool = False
    seed: int = 0
    only: str = ""
    skip: str = ""

    def __post_init__(self) -> None:
        if not self.calibrate:
            raise UsageError(f"{OPTION}: the largest activations take inputs; {EXPECTED}")
        if not 0 <= self.alpha <= 1:
            raise UsageError(f"{OPTION}: alpha={percent(self.alpha)}: expected a share from 0 to 1")
        if self.seed < 0:
            raise UsageError(f"{OPTION}: seed={self.seed}: expected a whole number from 0")


def parse(text: str) -> Arguments:
    """`alpha=0.5,calibrate=random`, with `insert`, `seed=`, `only=` or `skip=` -> arguments. Raises UsageError."""
    words, pairs = words_of(text, OPTION)
    only_known(pairs, _KEYS, OPTION)
    if words not in ([], ["insert"]):
        raise UsageError(f"{OPTION} {text!r}: {EXPECTED}, and insert for products behind no norm")
    return Arguments(
        pairs.get("calibrate", ""),
        share(pairs.get("alpha", "0.5"), f"{OPTION} alpha"),
        bool(words),
        whole(pairs.get("seed", "0"), f"{OPTION} seed", 0),
        pairs.get("only", ""),
        pairs.get("skip", ""),
    )


def text(arguments: Arguments) -> str:
    """The shortest text that parses to the arguments."""
    found = ["insert"] if arguments.insert else []
    if arguments.alpha != Fraction(1, 2):
        found.append(f"alpha={percent(arguments.alpha)}")
    found += [f"{key}={value}" for key in _KEYS[1:] if (value := getattr(arguments, key))]
    return ",".join(found)


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The smoothed model. Raises UsageError where nothing can be smoothed or it holds no weights, RunError where it
    does not run."""
    from effaudit.whatif.smoothquant.smoothed import rewrite as smooth

    return smooth(audited, arguments)
