"""What the weights of a model should make its owner do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from effaudit.findings import Finding, examples
from effaudit.views.weights.figures import is_float
from effaudit.views.weights.quantization import BadQuantization
from effaudit.views.weights.totals import lossless_16
from effaudit.views.weights.types import Duplicate, FloatLeft, TensorWeights, Values
from effaudit.weights import BUFFER, PARAM

SPREAD: Final = 16.0  # 4 of the 8 bits of per-tensor int8 are lost to the median channel
SPARSE: Final = 0.5  # below it, an index costs about what it saves
WORTH: Final = 0.01  # of the bytes of all parameters: less is not worth a rewrite


class Material(msgspec.Struct, frozen=True):
    """What the findings are made of."""

    tensors: tuple[TensorWeights, ...]
    duplicates: tuple[Duplicate, ...]
    float_left: FloatLeft | None
    quantization: tuple[BadQuantization, ...]
    unreadable: tuple[TensorWeights, ...]

    @property
    def params(self) -> list[TensorWeights]:
        return [t for t in self.tensors if t.role == PARAM]


def findings(material: Material) -> tuple[Finding, ...]:
    """All findings, in a fixed order."""
    return tuple(found for make in _MAKERS.values() if (found := make(material)) is not None)


def _made(rule: str, tensors: Sequence[TensorWeights], message: str, remedy: str) -> Finding | None:
    """A finding about tensors; None where there are none."""
    return Finding(rule, len(tensors), message, remedy, examples(t.name for t in tensors)) if tensors else None


def _worth(saved: int, material: Material) -> bool:
    return saved > WORTH * sum(t.bytes for t in material.params)


def _where(tensors: Iterable[TensorWeights], holds: Callable[[Values], object]) -> list[TensorWeights]:
    return [t for t in tensors if t.values is not None and holds(t.values)]


def _unreadable(material: Material) -> Finding | None:
    """Tensors whose values are in reach but damaged: bytes are missing, or do not fit the shape."""
    found = material.unreadable
    return _made(
        "unreadable-weights",
        found,
        f"the values of {len(found)} tensor(s) cannot be read ({found[0].missing if found else ''})",
        "export or download the file again",
    )


def _not_finite(material: Material) -> Finding | None:
    """A parameter or buffer holds NaN or infinity. One is enough to spoil the output."""
    found = _where(material.tensors, lambda v: v.nan or v.infinite)
    found = [t for t in found if t.role in (PARAM, BUFFER)]
    count = sum(t.values.nan + t.values.infinite for t in found if t.values is not None)
    return _made(
        "weights-not-finite",
        found,
        f"{len(found)} tensor(s) hold {count:,} NaN or infinite element(s); what they touch is NaN or infinite too",
        "take the weights from a checkpoint before training diverged",
    )


def _bad_quantization(material: Material) -> Finding | None:
    """Scales that are 0, negative or not finite, or zero points outside their type: no quantizer makes them."""
    found = material.quantization
    if not found:
        return None
    return Finding(
        "bad-quantization",
        len(found),
        f"{len(found)} tensor(s) of scales or zero points cannot be meant ({found[0].what})",
        "calibrate and quantize again",
        examples(b.name for b in found),
    )


def _float_left(material: Material) -> Finding | None:
    """Weights of products that a quantized model still stores as floats."""
    left = material.float_left
    if left is None or not left.tensors:
        return None
    at_load = sum(t.quantized_at_load for t in left.tensors)
    message = f"the model is quantized, but {len(left.tensors)} weight(s) of {left.bytes:,} bytes are stored as floats"
    if at_load:
        message += f" ({at_load} of them quantized when the model is loaded)"
    return Finding(
        "float-left",
        len(left.tensors),
        message,
        "quantize these layers too, or store the codes, unless accuracy needs the floats",
        examples(t.name for t in left.tensors),
    )


def _duplicates(material: Material) -> Finding | None:
    """Equal tensors (or transposes) stored more than once, where that wastes over 1 % of the parameters."""
    found = [d for d in material.duplicates if d.wasted_bytes]
    wasted = sum(d.wasted_bytes for d in found)
    if not _worth(wasted, material):
        return None
    turned = sum(d.kind == "transposed" for d in found)
    extra = f", {turned} of them transposed" if turned else ""
    return Finding(
        "duplicate-weights",
        len(found),
        f"{len(found)} group(s) of equal tensors are stored more than once{extra}: {wasted:,} bytes too many",
        "let the nodes share one tensor",
        examples(" = ".join(d.names[:2]) for d in sorted(found, key=lambda d: -d.wasted_bytes)),
    )


def _dead(material: Material) -> Finding | None:
    """Channels whose weights are all zero: work and memory for a constant output, or for an input nobody needs."""
    found = [t for t in material.params if t.channels and (t.channels.dead_outputs or t.channels.dead_inputs)]
    outputs = sum(t.channels.dead_outputs or 0 for t in found if t.channels)
    inputs = sum(t.channels.dead_inputs or 0 for t in found if t.channels)
    return _made(
        "dead-channels",
        found,
        f"{outputs:,} output and {inputs:,} input channel(s) of {len(found)} weight(s) hold nothing but zeros",
        "remove the channels: their outputs are constant, and their inputs are not needed here",
    )


def _over_float16(material: Material) -> Finding | None:
    """Elements beyond 65504, which become infinite in float16."""
    found = _where(material.params, lambda v: v.over_float16)
    return _made(
        "float16-overflow",
        found,
        f"{len(found)} weight(s) hold elements beyond 65504, the largest float16",
        "keep these tensors in float32 or bfloat16 if the model is converted",
    )


def _lossless(material: Material) -> Finding | None:
    """Weights whose every element a 16-bit float holds exactly, where that saves over 1 % of the parameters."""
    found = [t for t in material.params if lossless_16(t)]
    saved = sum(map(lossless_16, found))
    if not _worth(saved, material):
        return None
    return _made(
        "wider-than-needed",
        found,
        f"every element of {len(found)} weight(s) is a 16-bit float already; stored so, they take {saved:,} bytes less",
        "store them as float16 or bfloat16: no number changes",
    )


def _clustered(material: Material) -> Finding | None:
    """Float weights of at most 256 different values: already quantized or clustered, and stored as floats."""
    found = [t for t in material.params if _table_saves(t) > 0]
    saved = sum(map(_table_saves, found))
    if not _worth(saved, material):
        return None
    return _made(
        "clustered-weights",
        found,
        f"{len(found)} float weight(s) hold at most 256 different values; 8-bit codes and a table of the values save "
        f"{saved:,} bytes",
        "store the codes: no number changes",
    )


def _table_saves(tensor: TensorWeights) -> int:
    """Bytes that a byte per element and a table save, of a float tensor of 2 to 256 different values."""
    values = tensor.values
    if values is None or not is_float(tensor.dtype) or values.distinct is None or values.distinct < 2:
        return 0
    width = tensor.bytes // max(tensor.elements, 1)
    return tensor.bytes - tensor.elements - values.distinct * width


def _sparse(material: Material) -> Finding | None:
    """Weights of which half or more is zero, stored dense."""
    found = _where(material.params, lambda v: v.zero_share is not None and v.zero_share >= SPARSE)
    spent = sum(int(t.bytes * (t.values.zero_share or 0)) for t in found if t.values is not None)
    if not _worth(spent, material):
        return None
    return _made(
        "sparse-weights-stored-dense",
        found,
        f"half or more of {len(found)} weight(s) is zeros, and the file spends {spent:,} bytes on them",
        "compress the file, or use a runtime with sparse kernels: dense ones multiply by every zero",
    )


def _two_four(material: Material) -> Finding | None:
    """Weights in the 2:4 pattern that sparse tensor cores take, over 1 % of the parameters."""
    found = [t for t in material.params if t.channels and t.channels.two_four and t.values and _some(t.values)]
    size = sum(t.bytes for t in found)
    if not _worth(size, material):
        return None
    return _made(
        "two-four-sparse",
        found,
        f"{len(found)} weight(s) of {size:,} bytes are 2:4 sparse along the axis they are summed over",
        "run them on hardware with 2:4 sparse products",
    )


def _some(values: Values) -> bool:
    """True where not every element is zero."""
    return bool(values.min or values.max)


def _spread(material: Material) -> Finding | None:
    """Weights whose channels differ in range by more than 16 times: one scale for all loses 4 of 8 bits in most."""
    found = [t for t in material.params if t.channels and (t.channels.spread or 0) > SPREAD]
    return _made(
        "uneven-channels",
        found,
        f"in {len(found)} weight(s) the largest output channel reaches over {SPREAD:g} times as far as the median one",
        "quantize them per channel: with one scale per tensor most channels keep few levels",
    )


_MAKERS: Final[Mapping[str, Callable[[Material], Finding | None]]] = {
    "unreadable-weights": _unreadable,
    "weights-not-finite": _not_finite,
    "bad-quantization": _bad_quantization,
    "float-left": _float_left,
    "duplicate-weights": _duplicates,
    "dead-channels": _dead,
    "float16-overflow": _over_float16,
    "wider-than-needed": _lossless,
    "clustered-weights": _clustered,
    "sparse-weights-stored-dense": _sparse,
    "two-four-sparse": _two_four,
    "uneven-channels": _spread,
}
# rule -> what it means
RULES: Final[Mapping[str, str]] = {rule: make.__doc__ or "" for rule, make in _MAKERS.items()}
