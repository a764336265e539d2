"""The conditions of one operator against one node: what is not met, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from effaudit.dims import Dim
from effaudit.support.call import Call
from effaudit.support.types import Conditions, Setting


def unmet(call: Call, one: Conditions) -> Iterator[str]:
    """What a node does not meet; nothing where it meets all. Raises what a broken node makes the readings raise."""
    yield from outside(call.graph.opsets.get(call.node.domain, 1), one.opset)
    yield from _first_input(call, one)
    yield from _inputs(call, one)
    yield from _attributes(call, one)
    yield from _kernel(call, one)
    yield from _steps(call, one)
    yield from _channels(call, one)
    yield from _sizes(call, one)


def outside(opset: int, allowed: tuple[int, int | None] | None) -> Iterator[str]:
    """Says so where a version is not among those allowed."""
    if allowed is not None and (opset < allowed[0] or (allowed[1] is not None and opset > allowed[1])):
        first, last = allowed
        yield f"opset {opset} is not supported; {first} {'and later are' if last is None else f'to {last} are'}"


def _first_input(call: Call, one: Conditions) -> Iterator[str]:
    shape, rank = call.shape(), call.rank
    if one.ranks and rank not in one.ranks:
        yield f"an input of {_rank(rank)} is not supported; rank {_listed(one.ranks)}"
    if one.max_rank is not None and (rank is None or rank > one.max_rank):
        yield f"an input of {_rank(rank)} is not supported; up to rank {one.max_rank} is"
    if one.spatial and (rank is None or rank - 2 not in one.spatial):
        axes = "unknown" if rank is None else f"{rank - 2}-D"
        yield f"{axes} data is not supported; {_listed([f'{n}-D' for n in one.spatial])}"
    if one.batch is not None and (not shape or shape[0] != one.batch):
        yield f"a batch of {shape[0] if shape else 'unknown size'} is not supported; {one.batch} is"
    if one.dtypes:
        dtype = call.first.encoding.dtype if call.first is not None else "unknown"
        if dtype not in one.dtypes:
            yield f"{dtype} is not supported; {_listed(one.dtypes)}"
    if one.max_elements is not None:
        count = call.first.numel if call.first is not None else None
        if not isinstance(count, int) or count > one.max_elements:
            yield f"an input of {_count(count)} elements is not supported; up to {one.max_elements:,} are"


def _inputs(call: Call, one: Conditions) -> Iterator[str]:
    for wanted in one.constant:
        name = call.named(wanted)
        if name and name in call.known.varying:
            yield f"input {wanted} must be constant; {name} is computed"
    for wanted, dtypes in one.input_dtypes.items():
        name = call.named(wanted)
        value = call.value(name)
        if name and (value is None or value.encoding.dtype not in dtypes):
            dtype = "unknown" if value is None else value.encoding.dtype
            yield f"input {wanted} of {dtype} is not supported; {_listed(dtypes)}"
    for wanted, ranks in one.input_ranks.items():
        name = call.named(wanted)
        value = call.value(name)
        rank = None if value is None or value.shape is None else len(value.shape)
        if name and rank not in ranks:
            yield f"input {wanted} of {_rank(rank)} is not supported; rank {_listed(ranks)}"
    if one.outputs is not None and sum(map(bool, call.node.outputs)) > one.outputs:
        yield f"{sum(map(bool, call.node.outputs))} outputs are not supported; {one.outputs} is the most"
    if not one.broadcast:
        values = [call.value(name) for name in call.node.inputs if name]
        if any(v is None or v.shape is None for v in values) or len({v.shape for v in values if v is not None}) > 1:
            yield "inputs of different shapes are not supported; they must be equal"


def _attributes(call: Call, one: Conditions) -> Iterator[str]:
    for name, allowed in one.attributes.items():
        given = call.node.attrs.get(name)
        if given in allowed:
            continue
        named = [_setting(value) for value in allowed if value is not None]
        what = f"{name} {_setting(given)}" if given is not None else f"{name} left out"
        yield f"{what} is not supported; {_listed(named) if named else 'it must be left out'}"


def _kernel(call: Call, one: Conditions) -> Iterator[str]:
    bounds = (one.min_kernel, one.max_kernel, one.max_kernel_product)
    if not one.kernel_sizes and bounds == (None, None, None):
        return
    kernel = call.kernel()
    if kernel is None or not all(isinstance(side, int) for side in kernel):
        yield "its kernel is not known"
        return
    sides = [int(str(side)) for side in kernel]
    shown = _times(sides)
    exact = [size if isinstance(size, tuple) else (size,) * len(sides) for size in one.kernel_sizes]
    if exact and tuple(sides) not in exact:
        yield f"a kernel of {shown} is not supported; {_listed([_times(size) for size in exact])}"
    if one.min_kernel is not None and sides and min(sides) < one.min_kernel:
        yield f"a kernel of {shown} is not supported; {one.min_kernel} is the least"
    if one.max_kernel is not None and sides and max(sides) > one.max_kernel:
        yield f"a kernel of {shown} is not supported; {one.max_kernel} is the most"
    product = 1
    for side in sides:
        product *= side
    if one.max_kernel_product is not None and product > one.max_kernel_product:
        yield f"a kernel of {shown} is not supported; {one.max_kernel_product:,} elements are the most"


def _steps(call: Call, one: Conditions) -> Iterator[str]:
    for name, allowed, most, equal in (
        ("strides", one.strides, one.max_stride, one.equal_strides),
        ("dilations", one.dilations, one.max_dilation, one.equal_dilations),
    ):
        if not allowed and most is None and not equal:
            continue
        steps = call.axes(name)
        if allowed and not set(steps) <= set(allowed):
            yield f"{name} {_times(steps)} are not supported; {_listed(allowed)}"
        if most is not None and steps and max(steps) > most:
            yield f"{name} {_times(steps)} are not supported; {most} is the most"
        if equal and len(set(steps)) > 1:
            yield f"{name} {_times(steps)} are not supported; they must be equal"
    if one.max_pad is not None:
        pads = call.pads()
        if pads is None or (pads and max(pads) > one.max_pad):
            what = "unknown size" if pads is None else f"{max(pads)}"
            yield f"padding of {what} is not supported; {one.max_pad} is the most"


def _channels(call: Call, one: Conditions) -> Iterator[str]:
    group = call.node.attrs.get("group", 1)
    shape = call.shape()
    channels = shape[1] if shape is not None and len(shape) > 1 else None
    if one.groups == "none" and group != 1:
        yield f"{group} groups are not supported; 1 is"
    if one.groups == "depthwise" and group not in (1, channels):
        yield f"{group} groups are not supported; 1 and one per channel are"
    if one.max_channels is None and one.max_size is None:
        return
    made = call.result.shape if call.result is not None else None
    for place, dims in (("input", shape), ("output", made)):
        if dims is None:
            yield f"the shape of its {place} is not known"
            continue
        yield from _beyond(dims[1:2], one.max_channels, f"{place} channels")
        yield from _beyond(dims[2:], one.max_size, f"rows or columns of its {place}")


def _sizes(call: Call, one: Conditions) -> Iterator[str]:
    shape = call.shape()
    if one.fixed_shape and (shape is None or not all(isinstance(dim, int) for dim in shape)):
        yield "an input of open shape is not supported; a fixed shape is"
    if not one.upscales:
        return
    made = call.result.shape if call.result is not None else None
    if shape is None or made is None or len(shape) != len(made) or len(shape) < 3:
        yield "its scales are not known"
        return
    scales = {_ratio(big, small) for big, small in zip(made[2:], shape[2:], strict=True)}
    if len(scales) > 1 or not scales <= set(one.upscales):
        text = "its scales are" if None in scales else f"scales of {_times(sorted(s for s in scales if s))} are"
        yield f"{text} not supported; {_listed(one.upscales)}, alike on every axis"


def _ratio(big: Dim, small: Dim) -> int | None:
    """How many times larger, where that is a whole number."""
    if not isinstance(big, int) or not isinstance(small, int) or small < 1 or big % small:
        return None
    return big // small


def _beyond(dims: Sequence[Dim], most: int | None, what: str) -> Iterator[str]:
    for dim in dims:
        if most is not None and (not isinstance(dim, int) or dim > most):
            yield f"{_count(dim)} {what} are not supported; {most:,} are the most"


def _rank(rank: int | None) -> str:
    return "unknown rank" if rank is None else f"rank {rank}"


def _count(count: Dim | None) -> str:
    return f"{count:,}" if isinstance(count, int) else "unknown"


def _times(sides: Iterable[int]) -> str:
    return "x".join(map(str, sides)) or "1"


def _setting(value: Setting | object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return _times(value) if isinstance(value, tuple) else str(value)


def _listed(items: Sequence[object]) -> str:
    return f"{', '.join(map(str, items))} {'is' if len(items) == 1 else 'are'}"
