"""How tensors are to be stored: the arguments of `--quantize`, and the rule that follows from them for one node.

The text is a scheme and options by commas: `int8,per-tensor,clip=mse`, `w4,group=128,affine`, `dynamic`, `fp16`.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from effaudit.errors import UsageError
from effaudit.nearest import did_you_mean
from effaudit.whatif.spec import only, whole, words_of

OPTION: Final = "--quantize"
FLOAT_AS_IT_IS: Final = "float"  # a scheme of tables: these nodes stay as they are
DYNAMIC: Final = "dynamic"
WEIGHTS_ONLY: Final = "weights-only"
PER_TENSOR: Final = "per-tensor"
PER_CHANNEL: Final = "per-channel"
BLOCK: Final = "block"
SENSITIVITY: Final = "sensitivity"
SYMMETRIC: Final = "symmetric"
AFFINE: Final = "affine"

Granularity = Literal["per-tensor", "per-channel", "block"]
Mode = Literal["symmetric", "affine"]
Form = Literal["qdq", "qoperator", "nbits"]
GRANULARITIES: Final = (PER_TENSOR, PER_CHANNEL, BLOCK)
MODES: Final = (SYMMETRIC, AFFINE)
FORMATS: Final = ("qdq", "qoperator", "nbits")
CLIPS: Final = ("minmax", "percentile", "mse")
WIDTHS: Final = range(2, 17)
RANDOM: Final = "random"
GROUP: Final = {4: 32}  # elements of a block where none are given, by bits; nf4 has that of its paper
NF4_GROUP: Final = 64  # QLoRA, https://arxiv.org/abs/2305.14314, section 4

# What is written -> the type of the elements (ONNX's name where it has one).
FLOATS: Final = {
    "fp16": "float16",
    "float16": "float16",
    "bf16": "bfloat16",
    "bfloat16": "bfloat16",
    "fp8": "float8e4m3fn",
    "fp8e4m3": "float8e4m3fn",
    "fp8e5m2": "float8e5m2",
    "fp4": "float4e2m1",
    "nf4": "nf4",
}
HALVES: Final = ("float16", "bfloat16")
_KEYS: Final = (
    "group",
    "clip",
    "activations",
    "nodes",
    "skip",
    "table",
    "format",
    "calibrate",
    "seed",
    "budget",
    "among",
)
_SCHEMES: Final = ("int8", "uint8", "w8a16", "int4", "w4a16", "nf4", "fp8", "fp16", "bf16", DYNAMIC)


class Rule(msgspec.Struct, frozen=True):
    """How one node is stored. `weights` and `activations` are types of elements ("int8", "int3", "float8e4m3fn", "nf4",
    "float16"), "" where they stay as they are; `activations` may be "dynamic": 8 bits, found at run time.

    `group` is the number of elements that share a scale where `granularity` is "block". Activations of a static type
    are affine, as onnxruntime has them, unless `symmetric_activations`. `percentile` is the share of the elements,
    in percent, inside the range where `clip` is "percentile". `form` is "" where the choice is free. `symmetric` speaks
    of weights. `named` is True where a pattern chose the node.
    """

    weights: str
    activations: str = ""
    granularity: str = PER_CHANNEL
    group: int = 0
    symmetric: bool = True
    clip: str = "minmax"
    percentile: float = 99.9
    form: str = ""
    symmetric_activations: bool = False
    named: bool = False

    @property
    def static(self) -> bool:
        """True where activations are stored in a type whose scale must be known before the model runs."""
        return self.activations not in ("", DYNAMIC, *HALVES)


AS_IT_IS: Final = Rule("")


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What `--quantize` was asked for; None and "" stand for what the scheme has by itself.

    `nodes` and `skip` are patterns of node names (`*` and `?`, several with `|`); `table` a YAML file of pattern:
    scheme, the first that matches a node wins. `calibrate` is a folder of .npz files, or "random". `sensitivity`
    asks what the scheme does at each node alone; `budget`, in dB of signal to noise at the outputs, for the least model
    within it, each node in the scheme or one `among` others (several with `|`). Raises ValueError for what `rule_of`
    refuses.
    """

    scheme: str
    granularity: Granularity | None = None
    group: int | None = None
    mode: Mode | None = None
    clip: str = "minmax"
    activations: str = ""
    weights_only: bool = False
    nodes: str = ""
    skip: str = ""
    table: str = ""
    format: Form | None = None
    calibrate: str = ""
    seed: int = 0
    sensitivity: bool = False
    budget: float | None = None
    among: str = ""

    def __post_init__(self) -> None:
        try:
            rule_of(self)
            _budgeted(self)
        except UsageError as error:
            raise ValueError(str(error)) from None


def parse(text: str) -> Arguments:
    """`w4,group=128,affine` -> the arguments. Raises UsageError."""
    words, pairs = words_of(text, OPTION)
    only(pairs, _KEYS, OPTION)
    found: dict[str, object] = dict(pairs)
    for key, least in (("group", 1), ("seed", 0)):
        if key in pairs:
            found[key] = whole(pairs[key], f"{OPTION} {key}", least)
    if "budget" in pairs:
        found["budget"] = _decibels(pairs["budget"])
    if "format" in pairs and pairs["format"] not in FORMATS:
        raise UsageError(f"{OPTION} format {pairs['format']!r}: expected one of {', '.join(FORMATS)}")
    for word in words:
        key, value = _meaning(word, text)
        if key in found:
            raise UsageError(f"{OPTION} {text!r}: {word!r} stands beside {found[key]!r}; give one of them")
        found[key] = value
    if "scheme" not in found:
        if "table" not in found:
            raise UsageError(f"{OPTION} {text!r}: no scheme; expected one of {', '.join(_SCHEMES)}")
        found["scheme"] = FLOAT_AS_IT_IS  # what the table does not name stays
    try:
        return msgspec.convert(found, Arguments)
    except msgspec.ValidationError as error:
        raise UsageError(str(error)) from None


def text(arguments: Arguments) -> str:
    """The shortest text that parses to the arguments."""
    given = msgspec.to_builtins(arguments)
    words = [given.pop("scheme"), given.pop("granularity", ""), given.pop("mode", "")]
    words.append(WEIGHTS_ONLY if given.pop("weights_only", False) else "")
    words.append(SENSITIVITY if given.pop("sensitivity", False) else "")
    if arguments.budget is not None:
        given["budget"] = f"{arguments.budget:g}dB"
    if arguments.table and words[0] == FLOAT_AS_IT_IS:
        words[0] = ""
    return ",".join([*filter(None, words), *(f"{key}={value}" for key, value in given.items())])


def _meaning(word: str, text: str) -> tuple[str, object]:
    """What a word without `=` sets."""
    if word in GRANULARITIES:
        return "granularity", word
    if word in MODES:
        return "mode", word
    if word == WEIGHTS_ONLY:
        return "weights_only", True
    if word == SENSITIVITY:
        return "sensitivity", True
    stored(word, text)
    return "scheme", word.lower()


def rule_of(arguments: Arguments) -> Rule:
    """The rule that the arguments state for a node that no table names. Raises UsageError where they contradict each
    other or a scheme is not known."""
    weights, activations = stored(arguments.scheme, arguments.scheme)
    if arguments.activations:
        activations = element_type(arguments.activations, f"{OPTION} activations")
    if arguments.weights_only:
        if arguments.activations:
            raise UsageError(f"{OPTION}: weights-only leaves activations as they are; drop activations=")
        activations = ""
    if not weights:
        return AS_IT_IS
    clip, percentile = _clip(arguments.clip)
    granularity, group = _blocks(arguments, weights, activations)
    found = Rule(
        weights=weights,
        activations=activations,
        granularity=granularity,
        group=group,
        symmetric=_symmetric(arguments, weights),
        symmetric_activations=arguments.mode == SYMMETRIC,
        clip=clip,
        percentile=percentile,
        form=arguments.format or "",
    )
    _agree(found, arguments.scheme)
    if found.form == "nbits" and (found.static or activations == DYNAMIC):
        raise UsageError(f"{OPTION} {arguments.scheme}: format=nbits stores weights only; add weights-only")
    if found.form == "qoperator" and not found.static:
        raise UsageError(f"{OPTION} {arguments.scheme}: format=qoperator needs activations of 8 or 16 bits, as of int8")
    if weights in HALVES and (arguments.group or arguments.granularity or arguments.mode):
        raise UsageError(f"{OPTION} {arguments.scheme}: floats of 16 bits have no scale, so no granularity and no mode")
    return found


def _decibels(written: str) -> float:
    """`30dB` -> 30. Raises UsageError."""
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?(dB)?", written):
        raise UsageError(f"{OPTION} budget {written!r}: expected signal to noise in dB, such as 30dB")
    return float(written.removesuffix("dB"))


def _budgeted(arguments: Arguments) -> None:
    """Raises UsageError for what a budget does not go with, and for schemes that are not known."""
    if arguments.budget is None:
        if arguments.among:
            raise UsageError(f"{OPTION}: among= names schemes to choose from; add budget=30dB")
        return
    if not 0 <= arguments.budget < 1000:
        raise UsageError(f"{OPTION} budget {arguments.budget}: expected signal to noise in dB, such as 30dB")
    if arguments.table:
        raise UsageError(f"{OPTION}: budget= finds a table; drop table=")
    for scheme in filter(None, arguments.among.split("|")):
        stored(scheme, scheme)


def _agree(rule: Rule, scheme: str) -> None:
    """Raises UsageError for types of weights and activations that nothing multiplies."""
    if rule.activations == DYNAMIC and (rule.weights not in ("int8", "uint8") or rule.granularity == BLOCK):
        raise UsageError(
            f"{OPTION} {scheme}: activations quantized at run time go with weights of 8 bits, per tensor or per channel"
        )
    if (rule.weights in HALVES or rule.activations in HALVES) and rule.activations not in ("", rule.weights):
        half = rule.weights if rule.weights in HALVES else rule.activations
        raise UsageError(
            f"{OPTION} {scheme}: {half} is a step of its own: {OPTION} with the weights first, then {OPTION} {half}"
        )


def stored(scheme: str, text: str) -> tuple[str, str]:
    """(type of weights, type of activations) of a scheme such as `int8`, `w4a16`, `nf4`. Raises UsageError.

    Integers of 8 bits and more store activations too, narrower ones and floats of 8 and 4 bits weights only; fp16 and
    bf16 store both.
    """
    wanted = scheme.lower()
    if wanted in (FLOAT_AS_IT_IS, "none"):
        return "", ""
    if wanted == DYNAMIC:
        return "int8", DYNAMIC
    if wanted in FLOATS:
        return FLOATS[wanted], FLOATS[wanted] if FLOATS[wanted] in HALVES else ""
    if match := re.fullmatch(r"(u?)int([0-9]{1,3})", wanted):
        own = integer(match[1] + "int", match[2], text)
        return own, own if int(match[2]) >= 8 else ""
    if match := re.fullmatch(r"w([0-9]{1,3})(?:a([0-9]{1,3}))?", wanted):
        both = integer("int", match[1], text), match[2] and integer("int", match[2], text)
        return both[0], both[1] or ""
    hint = did_you_mean(wanted, (*_SCHEMES, *GRANULARITIES, *MODES, WEIGHTS_ONLY))
    raise UsageError(f"{OPTION} {text!r}: {scheme!r} is no scheme; expected one such as {', '.join(_SCHEMES)}{hint}")


def integer(kind: str, bits: str, text: str) -> str:
    """("int", "4") -> "int4". Raises UsageError outside 2 to 16 bits."""
    if int(bits) not in WIDTHS:
        raise UsageError(f"{OPTION} {text!r}: integers of {int(bits)} bits; expected 2 to 16")
    return f"{kind}{int(bits)}"


def element_type(word: str, what: str) -> str:
    """`uint8`, `fp16`, `dynamic` -> the type of elements. Raises UsageError."""
    wanted = word.lower()
    if wanted == DYNAMIC:
        return DYNAMIC
    if wanted in FLOATS and FLOATS[wanted] not in ("nf4", "float4e2m1"):
        return FLOATS[wanted]
    if match := re.fullmatch(r"(u?int)([0-9]{1,3})", wanted):
        return integer(match[1], match[2], word)
    raise UsageError(f"{what} {word!r}: expected int8, uint8, int16, uint16, fp8, fp16, bf16 or dynamic")


def bits_of(dtype: str) -> int:
    """Bits of an element of a type that a rule names: `int3` -> 3."""
    named = {"nf4": 4, "float4e2m1": 4, "float16": 16, "bfloat16": 16, "float8e4m3fn": 8, "float8e5m2": 8}
    return named[dtype] if dtype in named else int(dtype.removeprefix("u").removeprefix("int"))


def _clip(written: str) -> tuple[str, float]:
    """`percentile=99.9` -> ("percentile", 99.9). Raises UsageError."""
    name, _, share = written.partition("=")
    if name not in CLIPS or (share and name != "percentile"):
        raise UsageError(f"{OPTION} clip {written!r}: expected minmax, percentile, percentile=99.9 or mse")
    if not share:
        return name, 99.9
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,9})?", share) or not 0 < float(share) <= 100:
        raise UsageError(f"{OPTION} clip {written!r}: expected a percentage above 0, at most 100")
    return name, float(share)


def _blocks(arguments: Arguments, weights: str, activations: str) -> tuple[str, int]:
    """The granularity and the size of a block. Weights alone of 4 bits and below, and nf4, come in blocks; weights
    beside activations found at run time per tensor, as onnxruntime writes them; unsigned ones per tensor, since its
    kernels take no zero point per channel; all others per channel."""
    default = NF4_GROUP if weights == "nf4" else GROUP[4]
    if arguments.group is not None:
        if arguments.granularity not in (None, BLOCK):
            raise UsageError(f"{OPTION}: group= is the size of a block; it does not go with {arguments.granularity}")
        if arguments.group < 1:
            raise UsageError(f"{OPTION} group {arguments.group}: expected a whole number from 1")
        return BLOCK, arguments.group
    if arguments.granularity is not None:
        return arguments.granularity, default if arguments.granularity == BLOCK else 0
    if bits_of(weights) <= 4 and not activations:
        return BLOCK, default
    alone = activations == DYNAMIC or weights.startswith("uint")
    return (PER_TENSOR if alone else PER_CHANNEL), 0


def _symmetric(arguments: Arguments, weights: str) -> bool:
    """Unsigned integers are affine unless asked otherwise, all others symmetric; floats are always."""
    if arguments.mode == AFFINE and "int" not in weights:
        raise UsageError(f"{OPTION} {arguments.scheme}: floats have no zero point, so they cannot be affine")
    return arguments.mode == SYMMETRIC or (arguments.mode is None and not weights.startswith("uint"))
