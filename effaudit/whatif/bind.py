"""Other sizes of a model's inputs: batch, sequence, cache length, resolution; also where the file states numbers.

Dims are bound by name (`batch=4,seq=128`, a dim without a name as `x[2]=160`), or an input gets a whole shape
(`x=1x3x160x160`). `batch` also stands for the leading dim of every input where no dim has that name.

Where a number of the file becomes another, the targets of Reshape nodes that repeat the old one are recomputed where
there is one way to do so. Whatever else contradicts the new size (a table of positions, anchors, a pooling over what is
no longer there) makes a node invalid, and the model cannot take that size.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import prod
from typing import Final

import msgspec
from msgspec.structs import replace

from effaudit import dims
from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.graph import Graph, Node, Shape, Value
from effaudit.load import NOTHING_GIVEN, Given, infer
from effaudit.load.binding import MAX_DIM, bind
from effaudit.nearest import did_you_mean
from effaudit.whatif.given import still_open
from effaudit.whatif.resized import Resized, resized
from effaudit.whatif.spec import whole, words_of
from effaudit.whatif.types import Change

OPTION: Final = "--bind"
BATCH: Final = "batch"
_CHANNELS: Final = (1, 3, 4)  # as images have
_LENGTH: Final = r"(?i)seq|len|past|cache|token|time|frame"


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes of dims by name, and whole shapes by input."""

    dims: Mapping[str, int] = {}
    shapes: Mapping[str, tuple[int, ...]] = {}


def parse(text: str) -> Arguments:
    """`batch=4,x=1x3x160x160` -> Arguments. Raises UsageError."""
    words, pairs = words_of(text, OPTION)
    if words:
        raise UsageError(f"{OPTION} {text!r}: {words[0]!r} has no size; expected batch=4, seq=128 or x=1x3x160x160")
    sizes = {name: tuple(_size(name, part) for part in value.split("x")) for name, value in pairs.items()}
    return Arguments(
        {name: shape[0] for name, shape in sizes.items() if len(shape) == 1},
        {name: shape for name, shape in sizes.items() if len(shape) > 1},
    )


def _size(name: str, text: str) -> int:
    return whole(text.strip(), f"{OPTION} {name}")


def text(arguments: Arguments) -> str:
    """The sizes as they are written behind the option."""
    parts = [f"{name}={size}" for name, size in arguments.dims.items()]
    parts += [f"{name}={'x'.join(map(str, shape))}" for name, shape in arguments.shapes.items()]
    return ",".join(parts)


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model at other sizes. Raises UsageError for dims or inputs it does not have, and for sizes it cannot take."""
    if not arguments.dims and not arguments.shapes:
        raise UsageError(f"{OPTION}: no size is given; expected batch=4, seq=128 or x=1x3x160x160")
    for name, size in (*arguments.dims.items(), *((n, d) for n, shape in arguments.shapes.items() for d in shape)):
        if not 1 <= size <= MAX_DIM:
            raise UsageError(f"{OPTION}: {name!r} is given as {size}; a size is a whole number from 1")
    raw = audited.raw
    named, shapes = _asked(raw, arguments)
    opened = replace(raw, declared={**raw.declared, **_bound(raw, named)})
    before = replace(audited, raw=opened, given=still_open(audited.given, opened))
    declared = {name: Value(opened.declared[name].encoding, shape) for name, shape in shapes.items()}
    made = resized(before, declared, OPTION)
    graph = _with_outputs(audited, made.graph, f"bind {text(arguments)}")
    old = {name: audited.graph.values[name].shape for name in raw.inputs}
    now = {name: made.inputs.get(name) for name in raw.inputs}
    loss = _pixels_lost(raw, old, now)
    notes = _notes(old, now, made, loss)
    return Change(graph, tuple(notes), made.blocked, loss=loss)


def _asked(raw: Graph, arguments: Arguments) -> tuple[dict[str, int], dict[str, Shape]]:
    """Named dims with their sizes, and the shapes of inputs where the file states other numbers."""
    symbols = {s.name for name in raw.inputs for dim in raw.declared[name].shape or () for s in dims.symbols(dim)}
    named: dict[str, int] = {}
    shapes: dict[str, Shape] = {}
    for name, size in arguments.dims.items():
        if name in symbols:
            named[name] = size
        elif name in raw.inputs and len(raw.declared[name].shape or ()) == 1:
            _give(raw, name, (size,), named, shapes)
        else:
            for label, axis in _places(raw, name, symbols):
                stated = shapes.get(label) or raw.declared[label].shape or ()
                _give(raw, label, (*stated[:axis], size, *stated[axis + 1 :]), named, shapes)
    for name, shape in arguments.shapes.items():
        if name not in raw.inputs:
            hint = did_you_mean(name, raw.inputs)
            raise UsageError(f"{OPTION}: no input is named {name!r}; it has: {_listed(raw.inputs)}{hint}")
        _give(raw, name, shape, named, shapes)
    return named, shapes


def _places(raw: Graph, name: str, symbols: set[str]) -> list[tuple[str, int]]:
    """The dims (input, axis) that a name without a symbol stands for: `x[2]`, or `batch`. Raises UsageError."""
    match = re.fullmatch(r"(.+)\[([0-9]{1,3})\]", name)
    if match is not None and match[1] in raw.inputs:
        shape, axis = raw.declared[match[1]].shape, int(match[2])
        if shape is None or axis >= len(shape):
            raise UsageError(f"{OPTION}: input {match[1]!r} has no dim {axis}: it has {len(shape or ())}")
        return [(match[1], axis)]
    if name == BATCH:
        leading = {label: shape[0] for label in raw.inputs if (shape := raw.declared[label].shape)}
        if len({*leading.values()}) == 1:
            return [(label, 0) for label in leading]
        raise UsageError(f"{OPTION} {BATCH}: the leading dims of the inputs differ; name an input: x[0]=4")
    known = (*sorted(symbols), *raw.inputs)
    raise UsageError(
        f"{OPTION}: no dim or input is named {name!r}; it has: {_listed(known)}{did_you_mean(name, known)}"
    )


def _give(raw: Graph, name: str, shape: Shape, named: dict[str, int], shapes: dict[str, Shape]) -> None:
    """A whole shape: symbols in it are bound wherever they occur, numbers are taken for the input."""
    stated = raw.declared[name].shape
    if stated is None:
        raise UsageError(f"{OPTION}: the file states no rank for input {name!r}")
    if len(stated) != len(shape):
        raise UsageError(f"{OPTION}: input {name!r} has {len(stated)} dims, {len(shape)} are given")
    for dim, size in zip(stated, shape, strict=True):
        for symbol in dims.symbols(dim):
            if type(size) is int and named.setdefault(symbol.name, size) != size:
                raise UsageError(f"{OPTION}: {symbol.name!r} is {named[symbol.name]} and {size}; give one size")
    if any(type(dim) is int and dim != size for dim, size in zip(stated, shape, strict=True)):
        shapes[name] = shape


def _bound(raw: Graph, named: Mapping[str, int]) -> dict[str, Value]:
    """The inputs with named dims bound, and with them those that follow from them."""
    return bind(raw, Given(named))[0] if named else {}


def _with_outputs(audited: Audited, graph: Graph, step: str) -> Graph:
    """The graph with the outputs' shapes as they are now, and the step in its history."""
    inferred = infer(graph, NOTHING_GIVEN)
    values = inferred.values
    declared = dict(graph.declared)
    for name in graph.outputs:
        if name in graph.inputs:
            continue
        value, stated = values[name], graph.declared[name]
        shape = value.shape
        if shape is not None:
            old = stated.shape if stated.shape is not None and len(stated.shape) == len(shape) else (None,) * len(shape)
            pairs = enumerate(zip(shape, old, strict=True))
            shape = tuple(_stated(dim, was, f"{name}[{i}]", audited) for i, (dim, was) in pairs)
        declared[name] = Value(stated.encoding, shape, why="" if shape is not None else value.why)
    nodes = tuple(map(_restated, graph.nodes, inferred.nodes))
    return replace(graph, nodes=nodes, declared=declared, history=(*audited.raw.history, step))


def _restated(node: Node, inferred: Node) -> Node:
    """The node, with the sizes that its bodies state for their inputs and outputs as they are now."""
    bodies = {}
    for key, body in node.bodies.items():
        inner = inferred.bodies.get(key)
        if inner is None or key == "function":
            continue
        declared = {name: _sized(value, inner.values.get(name)) for name, value in body.declared.items()}
        nodes = tuple(map(_restated, body.nodes, inner.nodes))
        if nodes != body.nodes or declared != body.declared:
            bodies[key] = replace(body, nodes=nodes, declared=declared)
    return replace(node, bodies={**node.bodies, **bodies}) if bodies else node


def _sized(value: Value, now: Value | None) -> Value:
    """What is stated of a tensor, other numbers where it states numbers that are wrong now."""
    if value.shape is None or now is None or now.shape is None or len(now.shape) != len(value.shape):
        return value
    pairs = zip(value.shape, now.shape, strict=True)
    shape = tuple(size if type(was) is int and type(size) is int else was for was, size in pairs)
    return value if shape == value.shape else Value(value.encoding, shape)


def _stated(dim: dims.Dim, was: dims.Dim | None, name: str, audited: Audited) -> dims.Dim:
    """A dim of an output as a file can state it: a number, or a name."""
    if type(dim) is int:
        return dim
    known = {one for one, info in audited.symbolic.dims.items() if info.origin in ("data", "unknown")}
    if was is None or type(was) is int or any(symbol.name in known for symbol in dims.symbols(was)):
        return dims.symbol(name)
    return was


def _pixels_lost(raw: Graph, old: Mapping[str, Shape | None], now: Mapping[str, Shape | None]) -> float:
    """The share of the pixels of images that is left out: 1 - new / old, 0 where there are more."""
    before = after = 0
    for name in raw.inputs:
        axes = _sides(raw.declared[name].shape, old[name])
        a, b = old[name], now[name]
        if axes and a is not None and b is not None:
            sides = [(a[axis], b[axis]) for axis in axes]
            if all(type(x) is int and type(y) is int for x, y in sides):
                before += prod(x for x, _ in sides if type(x) is int)
                after += prod(y for _, y in sides if type(y) is int)
    return max(0.0, 1 - after / before) if before else 0.0


def _sides(stated: Shape | None, shape: Shape | None) -> tuple[int, ...]:
    """The spatial axes of N x C x H x W or N x H x W x C."""
    if stated is None or shape is None or len(shape) != 4:
        return ()
    axes = (1, 2) if shape[3] in _CHANNELS and shape[1] not in _CHANNELS else (2, 3)
    names = (symbol.name for axis in axes for symbol in dims.symbols(stated[axis]))
    return () if any(re.search(_LENGTH, name) for name in names) else axes


def _notes(
    old: Mapping[str, Shape | None], now: Mapping[str, Shape | None], made: Resized, loss: float
) -> Iterable[str]:
    for name, shape in now.items():
        was = old[name]
        if shape is not None and was is not None and shape != was:
            yield f"{name}: {_written(was)} becomes {_written(shape)}"
    if made.targets:
        yield f"{made.targets} targets of Reshape nodes recomputed"
    if made.repeated:
        yield f"{made.repeated} constants of one sample repeated for every sample of the batch"
    if loss:
        yield f"{100 * loss:.3g} % of the pixels are left out: check the accuracy at this resolution"


def _written(shape: Shape) -> str:
    return "x".join(dims.text(dim) if not isinstance(dim, int) else str(dim) for dim in shape) or "a scalar"


def _listed(names: Iterable[str]) -> str:
    shown = [repr(name) for name in names]
    return ", ".join(shown[:12]) + (" ..." if len(shown) > 12 else "") if shown else "none"
