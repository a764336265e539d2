"""What `--prune` takes: the arguments of a pruning step, their text, and what is wrong with others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final, Literal, TypeAlias

import msgspec

from effaudit.errors import UsageError
from effaudit.nearest import did_you_mean
from effaudit.printable import printable
from effaudit.whatif.spec import only as only_known
from effaudit.whatif.spec import share, whole, words_of

OPTION: Final = "--prune"
EXPECTED: Final = "expected channels=30%, sparsity=50%, 2:4, block=4x1,sparsity=50%, indices=GROUP:0+3 or dead"
MAX_GROUP: Final = 1024  # elements of an N:M group, and rows or columns of a block

Criterion: TypeAlias = Literal["l1", "l2", "bn", "first", "wanda", "second-order"]
Scope: TypeAlias = Literal["group", "layer", "global"]
Storage: TypeAlias = Literal["dense", "bitmap", "csr", "bsr", "compressed", "smallest"]
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "criterion": ("l1", "l2", "bn", "first", "wanda", "second-order"),
    "scope": ("group", "layer", "global"),
    "storage": ("dense", "bitmap", "csr", "bsr", "compressed", "smallest"),
}
CALIBRATED: Final = ("wanda", "second-order")  # criteria that weigh single weights by what they are multiplied with
# The ways to prune, and what may stand beside each.
_BESIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "channels": ("criterion", "scope", "round", "only", "skip"),
    "indices": ("round", "only", "skip"),
    "sparsity": ("criterion", "calibrate", "seed", "scope", "storage", "only", "skip"),
    "block": ("sparsity", "scope", "storage", "only", "skip"),
    "pattern": ("criterion", "calibrate", "seed", "storage", "only", "skip"),
    "dead": (),
}
_KEYS: Final = (
    *("channels", "indices", "block", "sparsity", "criterion", "calibrate", "seed", "scope", "round", "only", "skip"),
    "storage",
)


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One way to prune: `channels` (a share, or the `indices` that go, by group), `sparsity` (a share of the weights,
    or of the blocks of rows x columns `block`), a `pattern` N:M, or `dead` channels.

    `scope` is `group` or `global` for channels, `layer` or `global` for weights and blocks; "" is `group`, `global`
    (with the criterion second-order `layer`). The criteria wanda and second-order weigh single weights by the inputs of
    `calibrate`, a folder or "random", which `seed` draws.
    `only` and `skip` are patterns of names (`*` and `?`, several with `|`). Raises UsageError for what does not go
    together.
    """

    channels: Fraction | None = None
    indices: dict[str, tuple[int, ...]] = {}
    pattern: str = ""
    block: str = ""
    sparsity: Fraction | None = None
    dead: bool = False
    criterion: Criterion = "l1"
    scope: Scope | Literal[""] = ""
    round: int = 1
    only: str = ""
    skip: str = ""
    storage: Storage | Literal[""] = ""
    calibrate: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        way = self.way
        for key in ("sparsity", "criterion", "calibrate", "seed", "scope", "round", "only", "skip", "storage"):
            if key != way and key not in _BESIDE[way] and getattr(self, key) != _default(key):
                beside = ", ".join(_BESIDE[way]) or "nothing"
                raise UsageError(f"{OPTION}: {key} does not go with {way}; what may stand beside it: {beside}")
        _check(self, way)

    @property
    def way(self) -> str:
        """The field that says how it prunes. Raises UsageError where none does, or several do."""
        found = [way for way in _BESIDE if getattr(self, way) != (False if way == "dead" else _default(way))]
        if sorted(found) == ["block", "sparsity"]:
            return "block"
        if len(found) != 1 or found == ["block"]:
            said = f"not both {' and '.join(found)}; " if len(found) > 1 else ""
            raise UsageError(f"{OPTION}: {said}{EXPECTED}")
        return found[0]

    @property
    def kept(self) -> tuple[int, int]:
        """(N, M) of the pattern: N of every M stay."""
        return _pair(self.pattern, ":", "2:4")

    @property
    def tile(self) -> tuple[int, int]:
        """(rows, columns) of a block."""
        return _pair(self.block, "x", "4x1")


def parse(text: str) -> Arguments:
    """`channels=30%,criterion=l2` and its kin -> arguments. Raises UsageError."""
    words, pairs = words_of(text, OPTION)
    only_known(pairs, _KEYS, OPTION)
    held: dict[str, Any] = {key: _read(key, value) for key, value in pairs.items()}
    for word in words:
        key, value = ("dead", True) if word == "dead" else ("pattern", word)
        if key == "pattern" and not re.fullmatch(r"[0-9]+:[0-9]+", word):
            hint = f"; {word} takes a value" if word in _KEYS else did_you_mean(word, ("dead", *_KEYS))
            raise UsageError(f"{OPTION} {printable(repr(text), 60)}: {EXPECTED}{hint}")
        if key in held:
            raise UsageError(f"{OPTION} {printable(repr(text), 60)}: {word!r} is one too many")
        held[key] = value
    return Arguments(**held)


def text(arguments: Arguments) -> str:
    """The shortest text that parses to the arguments."""
    found = [arguments.pattern] if arguments.pattern else []
    found += ["dead"] if arguments.dead else []
    for key in _KEYS:
        value = getattr(arguments, key)
        if value != _default(key):
            found.append(f"{key}={_written(value)}")
    return ",".join(found)


def percent(part: Fraction) -> str:
    """3/10 -> "30%". A share that no finite decimal writes (1/3) is cut to 18 digits."""
    whole_part, rest = divmod(part * 100 * 10**18, 10**18)
    digits = f"{int(rest):018d}".rstrip("0")
    return f"{whole_part}.{digits}%" if digits else f"{whole_part}%"


def _read(key: str, value: str) -> object:
    """The value of a key. Raises UsageError."""
    if key in ("channels", "sparsity"):
        return share(value, f"{OPTION} {key}")
    if key in ("round", "seed"):
        return whole(value, f"{OPTION} {key}", 1 if key == "round" else 0)
    if key == "indices":
        return _indices(value)
    if key in _CHOICES and value not in _CHOICES[key]:
        hint = did_you_mean(value, _CHOICES[key])
        raise UsageError(f"{OPTION} {key}={printable(value, 40)}: expected one of {', '.join(_CHOICES[key])}{hint}")
    return value


def _written(value: object) -> str:
    if isinstance(value, Fraction):
        return percent(value)
    if isinstance(value, Mapping):
        return "|".join(f"{name}:{'+'.join(map(str, where))}" for name, where in value.items())
    return str(value)


def _indices(given: str) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for part in given.split("|"):
        name, _, where = part.rpartition(":")
        if not name or name in found or not re.fullmatch(r"[0-9]{1,9}(\+[0-9]{1,9})*", where):
            raise UsageError(f"{OPTION} indices {printable(part, 40)!r}: expected GROUP:0+3, each group once, by |")
        found[name] = tuple(map(int, where.split("+")))
    return found


def _default(key: str) -> object:
    return {"criterion": "l1", "round": 1, "seed": 0, "indices": {}, "channels": None, "sparsity": None}.get(key, "")


def _check(arguments: Arguments, way: str) -> None:
    """Raises UsageError for values that do not go with the way, or that nothing has."""
    if arguments.scope == ("layer" if way == "channels" else "group"):
        other = "group" if way == "channels" else "layer"
        raise UsageError(f"{OPTION}: scope={arguments.scope} does not go with {way}; expected {other} or global")
    if arguments.round < 1:
        raise UsageError(f"{OPTION}: round={arguments.round}: expected a whole number from 1")
    for key in ("channels", "sparsity"):
        part = getattr(arguments, key)
        if part is not None and not 0 <= part <= 1:
            raise UsageError(f"{OPTION}: {key}={percent(part)}: expected a share from 0 to 1")
    if way == "pattern" and arguments.kept[0] >= arguments.kept[1]:
        raise UsageError(f"{OPTION} {arguments.pattern}: expected fewer kept than there are, such as 2:4 or 1:4")
    if way == "block":
        _ = arguments.tile
    _check_criterion(arguments, way)
    if arguments.storage == "compressed" and way != "pattern":
        raise UsageError(f"{OPTION}: storage=compressed holds N of every M weights; prune with a pattern such as 2:4")
    if arguments.storage == "bsr" and way != "block":
        raise UsageError(f"{OPTION}: storage=bsr holds whole blocks; prune with block=4x1,sparsity=50%")


def _check_criterion(arguments: Arguments, way: str) -> None:
    """Raises UsageError for a criterion that does not go with the way, and for one without what it takes."""
    criterion, single = arguments.criterion, way in ("sparsity", "pattern")
    if criterion in CALIBRATED and not single:
        raise UsageError(f"{OPTION}: criterion={criterion} weighs single weights; prune with sparsity=50% or 2:4")
    if single and criterion not in ("l1", *CALIBRATED):
        both = " or ".join(CALIBRATED)
        raise UsageError(f"{OPTION}: criterion does not go with {way}: {criterion} ranks channels; expected {both}")
    if criterion in CALIBRATED and not arguments.calibrate:
        raise UsageError(
            f"{OPTION}: criterion={criterion} weighs each weight by what it is multiplied with: add calibrate=DIR, a "
            "folder of .npz inputs, or calibrate=random"
        )
    if arguments.calibrate and criterion not in CALIBRATED:
        raise UsageError(f"{OPTION}: calibrate= is for criterion={' or '.join(CALIBRATED)}")
    if arguments.seed < 0 or (arguments.seed and not arguments.calibrate):
        raise UsageError(f"{OPTION}: seed={arguments.seed}: expected a whole number, beside calibrate=random")
    if criterion == "wanda" and arguments.scope:
        raise UsageError(f"{OPTION}: criterion=wanda compares the weights of one output: scope does not go with it")


def _pair(text: str, sign: str, such: str) -> tuple[int, int]:
    match = re.fullmatch(rf"([0-9]{{1,6}}){sign}([0-9]{{1,6}})", text)
    pair = (int(match[1]), int(match[2])) if match else (0, 0)
    if min(pair) < 1 or max(pair) > MAX_GROUP:
        what = printable(repr(text), 40)
        raise UsageError(f"{OPTION} {what}: expected two whole numbers from 1 to {MAX_GROUP}, such as {such}")
    return pair
