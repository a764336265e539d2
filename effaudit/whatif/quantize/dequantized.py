"""Weights stored in integers or narrow floats with a DequantizeLinear (or a Cast) between them and their readers."""

from __future__ import annotations

from math import prod
from typing import Final

from msgspec.structs import replace

from effaudit.graph import FLOAT16, Constant, Encoding, Node
from effaudit.ops._registry import MICROSOFT
from effaudit.whatif.constants import CODES, literal
from effaudit.whatif.draft import Draft
from effaudit.whatif.quantize.opsets import bring_forward
from effaudit.whatif.quantize.rows import Layout, layout
from effaudit.whatif.quantize.sites import Site
from effaudit.whatif.quantize.stored import Stored, store, unsaved
from effaudit.whatif.quantize.types import BLOCK, HALVES, PER_CHANNEL, Rule

SINCE: Final = {  # the opset from which DequantizeLinear takes a type
    "int8": 10,
    "uint8": 10,
    "float8e4m3fn": 19,
    "float8e5m2": 19,
    "int4": 21,
    "uint4": 21,
    "int16": 21,
    "uint16": 21,
    "float4e2m1": 23,
    "int2": 25,
    "uint2": 25,
}
PER_AXIS: Final = 13
FLOAT16_SCALES: Final = 19
BLOCKED: Final = 21
CAST: Final = {"float16": 6, "bfloat16": 13}
CONTRIB: Final = frozenset("int8 uint8 int16 uint16 int4 uint4".split())  # what onnxruntime's own operator takes


def write(draft: Draft, site: Site, rule: Rule) -> tuple[Stored, Rule] | str:
    """Stores the weight of a site by a rule, for all its readers. Returns what was stored, and by which rule in the
    end; or why it was left alone."""
    constant, shape = site.constant, site.constant.shape
    channels, inner = site.channels, site.inner
    flat: tuple[int, ...] | None = None
    if rule.granularity == BLOCK and (inner is None or len(shape) > 2) and channels is not None:
        rule, flat, channels, inner = _filters(rule, shape, channels)
    where = layout(flat or shape, rule, channels=channels, inner=inner)
    domain = _domain(draft, constant, rule, where)
    if domain is None:
        why = bring_forward(draft, _needed(constant, rule, where))
        return f"{why}; per-channel needs no newer one" if rule.weights in CONTRIB else why
    made = store(constant, rule, where)
    if rule.weights in HALVES:
        _cast(draft, site, made)
    else:
        _dequantize(draft, site, made, domain, back=shape if flat else None)
    return made, rule


def _filters(
    rule: Rule, shape: tuple[int, ...], channels: int
) -> tuple[Rule, tuple[int, ...] | None, int | None, int | None]:
    """Blocks of a filter bank run along each whole filter: (rule, shape as a matrix, its axes). A filter that a block
    holds whole has one scale."""
    size = prod(shape) // shape[channels]
    if channels != 0:
        return replace(rule, granularity=PER_CHANNEL, group=0), None, channels, None
    if size <= rule.group:
        return replace(rule, granularity=PER_CHANNEL, group=0), None, 0, None
    return rule, (shape[0], size), 0, 1


def _needed(constant: Constant, rule: Rule, where: Layout) -> int:
    """The opset from which the standard operators can read the weight."""
    if rule.weights in HALVES:
        return CAST[rule.weights]
    return since(rule.weights, constant.encoding, where.axis, where.group)


def since(dtype: str, real: Encoding, axis: int | None, group: int) -> int:
    """The opset from which the standard operators take a type with scales of type `real`, one for all of the tensor,
    along an axis or for groups of it."""
    needed = SINCE[dtype]
    if axis is not None:
        needed = max(needed, BLOCKED if group else PER_AXIS)
    return max(needed, FLOAT16_SCALES) if real == FLOAT16 else needed


def _domain(draft: Draft, constant: Constant, rule: Rule, where: Layout) -> str | None:
    """The domain of the operator that reads the weight, the opset raised where it must be; None where it cannot.

    com.microsoft's own takes narrow integers at any opset. A type that cannot be saved needs no opset either.
    """
    if unsaved(rule.weights):
        return ""
    needed = _needed(constant, rule, where)
    if draft.opsets.get("", 1) >= needed:
        return ""
    if rule.weights in CONTRIB and not where.group:
        draft.opsets.setdefault(MICROSOFT, 1)
        return MICROSOFT
    return None if bring_forward(draft, needed) else ""


def _dequantize(draft: Draft, site: Site, made: Stored, domain: str, back: tuple[int, ...] | None) -> None:
    source = site.constant.name
    assert made.scale is not None
    inputs = [draft.add(made.codes.name, made.codes), draft.add(made.scale.name, made.scale)]
    if made.zero is not None:
        inputs.append(draft.add(made.zero.name, made.zero))
    attrs: dict[str, int] = {}
    if made.where.axis is not None:
        attrs = {"axis": made.where.axis, **({"block_size": made.where.group} if made.where.group else {})}
    name = f"{source}_DequantizeLinear"
    output = draft.fresh(f"{name}_Output")
    node = Node(name, domain, "DequantizeLinear", tuple(inputs), (output,), attrs)
    following = [] if back is None else [_reshape(draft, source, output, back)]
    _put(draft, source, node, *following)


def _reshape(draft: Draft, source: str, matrix: str, shape: tuple[int, ...]) -> Node:
    """A bank of filters from the matrix that its blocks lie in."""
    import numpy as np

    wanted = draft.add(f"{source}_shape", literal("", np.array(shape, np.int64)))
    return Node(f"{source}_Reshape", "", "Reshape", (matrix, wanted), (draft.fresh(f"{source}_Reshape_Output"),), {})


def _cast(draft: Draft, site: Site, made: Stored) -> None:
    source = site.constant.name
    stored = draft.add(made.codes.name, made.codes)
    to = {"to": CODES[site.constant.encoding.dtype]}
    node = Node(f"{source}_Cast", "", "Cast", (stored,), (draft.fresh(f"{source}_Cast_Output"),), to)
    _put(draft, source, node)


def _put(draft: Draft, source: str, *nodes: Node) -> None:
    """Puts nodes before the first reader of a constant; all readers then read the last of them."""
    first = next(i for i, node in enumerate(draft.raw.nodes) if source in node.inputs)
    draft.put(first, *nodes, *draft.at(first))
    draft.rename(source, nodes[-1].outputs[0])
