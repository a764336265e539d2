"""One product that makes queries, keys and values, and the Split behind it, as a product for each: what they compute is
the same, and heads of one can then change without the others'."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.graph import Constant, Graph, Node
from effaudit.lower._rewrite import Wiring
from effaudit.whatif.constants import derived, literal
from effaudit.whatif.draft import Draft
from effaudit.whatif.reshaped import blocks

if TYPE_CHECKING:
    import numpy as np

MAX_NODES: Final = 8  # from the Split back to the product
FLOATS: Final = ("float32", "float16", "float64", "bfloat16")


class _Chain(msgspec.Struct, frozen=True):
    """The nodes from a product to a Split, with the axis of each output that is split and its elements per part."""

    nodes: tuple[tuple[int, int, int], ...]  # (node, axis, unit), the product first
    sizes: tuple[int, ...]


def unfused(audited: Audited, splits: Iterable[int]) -> tuple[Graph, int]:
    """The graph with a product for each output of these Split nodes, and of how many that was possible."""
    draft, wiring, count = Draft(audited), Wiring(audited.graph), 0
    for i in sorted(set(splits)):
        chain = _chain(audited, draft, wiring, i)
        if chain is not None:
            _cut(audited, draft, i, chain)
            count += 1
    return draft.graph(), count


def _shape(audited: Audited, name: str) -> tuple[int, ...]:
    """The shape of a tensor; () where it is not known."""
    shape = audited.graph.values[name].shape if name in audited.graph.values else None
    return tuple(d for d in shape if type(d) is int) if shape and all(type(d) is int for d in shape) else ()


def _chain(audited: Audited, draft: Draft, wiring: Wiring, split: int) -> _Chain | None:
    """What lies before a Split; None where it is not followed back to one product with weights."""
    node = audited.raw.nodes[split]
    shapes = [_shape(audited, name) for name in (node.inputs[0], *node.outputs)]
    if not all(shapes):
        return None
    axis, unit = node.attrs.get("axis", 0) % len(shapes[0]), 1
    sizes = tuple(shape[axis] for shape in shapes[1:])
    found: list[tuple[int, int, int]] = []
    name, reader = node.inputs[0], split
    for _ in range(MAX_NODES):
        i = wiring.maker.get(name)
        if i is None or wiring.only_reader(name) != reader or audited.raw.nodes[i].domain:
            return None
        found.insert(0, (i, axis, unit))
        one, reader = audited.raw.nodes[i], i
        if one.op in ("MatMul", "Gemm"):
            return _Chain(tuple(found), sizes) if _has_weights(audited, draft, one, axis, sum(sizes) * unit) else None
        if one.op == "Transpose":
            axis = (one.attrs.get("perm") or tuple(range(len(_shape(audited, name))))[::-1])[axis]
            name = one.inputs[0]
        elif one.op == "Add":
            slot = _bias(draft, one, sum(sizes) * unit)
            if slot is None or axis != len(_shape(audited, name)) - 1:
                return None
            name = one.inputs[1 - slot]
        elif one.op == "Reshape":
            place = _before(_shape(audited, one.inputs[0]), _shape(audited, name), axis)
            if place is None or _target(audited, draft, one, axis) is None:
                return None
            axis, unit, name = place[0], unit * place[1], one.inputs[0]
        else:
            return None
    return None


def _before(before: tuple[int, ...], after: tuple[int, ...], axis: int) -> tuple[int, int] | None:
    """(axis, elements of each) in what a Reshape reads, where one axis there holds the parts behind each other."""
    if not before or 0 in before:
        return None
    reads, makes = next((a, b) for a, b in blocks(before, after) if b.start <= axis < b.stop)
    if prod(after[makes.start : axis]) != 1 or prod(before[reads]) != before[reads.stop - 1]:
        return None
    return reads.stop - 1, prod(after[axis + 1 : makes.stop])


def _target(audited: Audited, draft: Draft, node: Node, axis: int) -> tuple[int, ...] | None:
    """The target of a Reshape in numbers, the entry of the split axis open to another; None where it is not known."""
    value = audited.symbolic.values.get(node.inputs[1]) if len(node.inputs) > 1 else None
    data = None if value is None else value.data
    if data is None and len(node.inputs) > 1 and (constant := draft.constant(node.inputs[1])) is not None:
        from effaudit.elements import value_of

        data = value_of(constant).data
    before = audited.symbolic.values[node.inputs[0]].shape
    if data is None or before is None:
        return None
    found = []
    for place, entry in enumerate(data):
        if type(entry) is int:
            found.append(entry)
        elif place < len(before) and before[place] == entry and not node.attrs.get("allowzero", 0):
            found.append(0)
        else:
            found.append(-1)
    return tuple(found) if found.count(-1) <= 1 and found[axis] != 0 else None


def _bias(draft: Draft, node: Node, total: int) -> int | None:
    """The input of an Add that is a stored vector."""
    for slot, name in enumerate(node.inputs):
        constant = draft.constant(name)
        if constant is not None and constant.shape == (total,) and constant.encoding.dtype in FLOATS:
            return slot
    return None


def _has_weights(audited: Audited, draft: Draft, node: Node, axis: int, total: int) -> bool:
    """True where a product has a stored matrix whose columns are what is split."""
    weight = draft.constant(node.inputs[1])
    rank = len(_shape(audited, node.outputs[0]))
    if weight is None or len(weight.shape) != 2 or axis != rank - 1 or weight.encoding.dtype not in FLOATS:
        return False
    if weight.shape[0 if node.attrs.get("transB", 0) else 1] != total:
        return False
    if len(node.inputs) > 2 and node.inputs[2]:
        bias = draft.constant(node.inputs[2])
        return bias is not None and bias.shape == (total,) and bias.encoding.dtype in FLOATS
    return True


# ---- the new nodes
def _cut(audited: Audited, draft: Draft, split: int, chain: _Chain) -> None:
    """Puts a copy of the chain for each output in place of the Split."""
    node, made, start = audited.raw.nodes[split], list[Node](), 0
    for part, (output, size) in enumerate(zip(node.outputs, chain.sizes, strict=True)):
        name = ""
        for i, axis, unit in chain.nodes:
            one = audited.raw.nodes[i]
            last = i == chain.nodes[-1][0]
            out = output if last else draft.fresh(f"{one.outputs[0]}.{part}")
            read = _read(audited, draft, one, axis, (start * unit, (start + size) * unit), size * unit, name)
            label = f"{one.name}/{part}" if one.name else ""
            made.append(replace(one, name=label, inputs=read, outputs=(out,)))
            name = out
        start += size
    for i, _, _ in chain.nodes:
        draft.put(i)
    draft.put(split, *made)


def _read(
    audited: Audited, draft: Draft, node: Node, axis: int, part: tuple[int, int], size: int, name: str
) -> tuple[str, ...]:
    """What a copy of a node reads: `name`, what the copy before it makes ("": nothing), and its part of constants."""
    if node.op in ("MatMul", "Gemm"):
        column = 0 if node.attrs.get("transB", 0) else 1
        more = [_sliced(draft, one, 0, part) for one in node.inputs[2:] if one]
        return (node.inputs[0], _sliced(draft, node.inputs[1], column, part), *more)
    if node.op == "Add":
        slot = next(s for s, one in enumerate(node.inputs) if draft.constant(one) is not None)
        bias = _sliced(draft, node.inputs[slot], 0, part)
        return tuple(bias if s == slot else name for s in range(2))
    if node.op == "Reshape":
        import numpy as np

        target = _target(audited, draft, node, axis)
        assert target is not None
        numbers = [size if place == axis and entry != -1 else entry for place, entry in enumerate(target)]
        return (name, draft.add(f"{node.inputs[1]}.part", literal("", np.array(numbers, np.int64))))
    return (name,)


def _sliced(draft: Draft, name: str, axis: int, part: tuple[int, int]) -> str:
    """A new constant that is a part of one."""
    source = draft.constant(name)
    assert source is not None
    return draft.add(f"{name}.part", _part(source, axis, part))


def _part(source: Constant, axis: int, part: tuple[int, int]) -> Constant:
    first, last = part
    shape: Sequence[int] = [last - first if place == axis else dim for place, dim in enumerate(source.shape)]

    def compute(array: np.ndarray) -> np.ndarray:
        return array[first:last] if axis == 0 else array[:, first:last]

    return derived(source, compute, shape=tuple(shape))
