"""The sizes of one attention block: tokens, windows, heads, widths; each from the shapes, or None."""

from __future__ import annotations

import msgspec

from effaudit.dataflow import Flow
from effaudit.graph import Graph
from effaudit.views.transformer.attention import Core, axis_of
from effaudit.views.transformer.fused import inside
from effaudit.views.transformer.residual import Branch
from effaudit.views.transformer.signal import CONVS, Signal
from effaudit.views.transformer.types import CHANNELS, CROSS, SELF, TOKENS, UNKNOWN

MAX_WALK = 64


class Sizes(msgspec.Struct, frozen=True):
    """As in `Block`."""

    over: str = TOKENS
    windows: int | None = None
    tokens: int | None = None
    kv_tokens: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    head_size: int | None = None


def batch_of(graph: Graph, known: Flow) -> int:
    """The first dim of the first input that is read; 1 where it is no number."""
    read = {name for names in known.reads for name in names}
    for name in graph.inputs:
        shape = graph.values[name].shape if name in graph.values else None
        if name in read and shape:
            return shape[0] if isinstance(shape[0], int) and shape[0] > 0 else 1
    return 1


def fused_sizes(s: Signal, i: int) -> Sizes:
    """The sizes inside a fused operator, whose attention is global."""
    f = inside(s, i)
    return Sizes(TOKENS, 1, f.queries, f.keys, f.heads, f.kv_heads, f.head)


def spelled_sizes(s: Signal, core: Core, projections: dict[str, list[int]], batch: int) -> Sizes:
    """The sizes of an attention whose products are nodes of their own."""
    product = core.scores[0]
    contracted = s.contracted(product)
    size_q, axis = s.size(core.q[0]), axis_of(s, core.softmax)
    shape, scores = s.shape(s.output(core.softmax)), s.out_size(product)
    if not contracted or not size_q or not shape or not scores or axis is None:
        return Sizes()
    keys = shape[axis]
    rows = _rows(s, core, keys)
    positions = _positions(s, projections.get("q", []))
    width = _width_of_q(s, projections)
    if positions and not size_q % positions and rows and not _pooled(s, core, projections):
        per = size_q // positions  # channels of the queries per position
        groups = _ratio(scores, per * keys)  # heads x channels x channels of each
        if per % contracted and not per % rows and groups and positions == groups * contracted:
            return Sizes(CHANNELS, _ratio(groups, batch), contracted, contracted, per // rows, per // rows, rows)
        if not per % contracted:
            return _over_tokens(s, core, (per // contracted, rows, keys, contracted), scores, batch)
    if width and not width % contracted:
        return _over_tokens(s, core, (width // contracted, rows, keys, contracted), scores, batch)
    heads = shape[-3] if len(shape) == 4 and axis == -1 else None
    return Sizes(TOKENS, None, rows, keys, heads, None, contracted)


def _pooled(s: Signal, core: Core, projections: dict[str, list[int]]) -> bool:
    """True where the queries of a packed projection were pooled: they are fewer than the keys beside them."""
    own, shared = projections.get("q", []), sum(projections.get("q") == found for found in projections.values())
    size_q, size_k = s.size(core.q[0]), s.size(core.k[0])
    if not own or shared < 2 or size_q is None or size_k is None:
        return False
    return size_q < size_k and size_k * shared == s.out_size(own[0])


def _over_tokens(s: Signal, core: Core, known: tuple[int, int | None, int, int], scores: int, batch: int) -> Sizes:
    heads, rows, keys, head = known
    pairs = _ratio(scores, heads * keys)  # queries of all windows and of the batch
    if rows and pairs and pairs % rows and not rows % (pairs or 1):
        rows = None
    if rows and pairs and rows > pairs:  # grouped queries stand in one matrix
        rows = _ratio(pairs, batch)
    windows = _ratio(_ratio(pairs, rows), batch)
    repeats = _repeats(s, core)
    kv_heads = _ratio(heads, repeats) if repeats else None
    return Sizes(TOKENS, windows, rows, keys, heads, kv_heads, head)


def _ratio(a: int | None, b: int | None) -> int | None:
    return a // b if a is not None and b and not a % b else None


def _rows(s: Signal, core: Core, keys: int) -> int | None:
    """The queries in one matrix of scores."""
    product = core.scores[0]
    node, out = s.nodes[product], s.shape(s.output(product))
    if out is None:
        return None
    if node.op == "Einsum":
        text = s.text(product)
        left, _, right = text.partition("->")
        terms = left.split(",")
        if "." in text or len(terms) != 2 or len(right) != len(out):
            return None
        mine, other = terms if core.q[0] == node.inputs[0] else terms[::-1]
        sizes = [dim for label, dim in zip(right, out, strict=True) if label in mine and label not in other]
        return sizes[0] if len(sizes) == 1 else None
    if len(out) < 2:
        return None
    return out[-2] if core.q[0] == node.inputs[0] else out[-1]


def _positions(s: Signal, projections: list[int]) -> int | None:
    """The positions a projection works on, over the batch and all windows."""
    for i in projections:
        shape = s.shape(s.output(i))
        if not shape:
            continue
        if s.nodes[i].op in CONVS:
            return (s.out_size(i) or 0) // shape[1] if len(shape) > 1 and shape[1] else None
        if s.nodes[i].op == "Einsum":
            size, k = s.size(s.input(i)), s.contracted(i)
            return _ratio(size, k)
        return _ratio(s.out_size(i), shape[-1])
    return None


def _width_of_q(s: Signal, projections: dict[str, list[int]]) -> int | None:
    """The channels of the queries, of a projection that makes them alone, or queries, keys and values alike."""
    own = projections.get("q", [])
    if not own:
        return None
    positions, size = _positions(s, own), s.out_size(own[0])
    shared = sum(own[0] in found for found in projections.values())
    return _ratio(_ratio(size, positions), shared)


def _repeats(s: Signal, core: Core) -> int | None:
    """How many query heads share a key head: what Expand, Tile or the product itself repeats."""
    i = s.maker.get(core.k[0])
    repeats = 1
    for _ in range(MAX_WALK):
        if i is None or s.weighted[i] or not s.sources[i]:
            break
        before = s.sources[i]
        if s.nodes[i].op in ("Expand", "Tile"):
            ratio = _ratio(s.out_size(i), s.size(s.input(i)))
            if ratio is None:
                return None
            repeats *= ratio
        i = before[0] if len(before) == 1 else max(before)
    scores, size, contracted = s.shape(s.output(core.scores[0])), s.shape(core.k[0]), s.contracted(core.scores[0])
    if scores and size and len(scores) == len(size) > 2 and contracted and s.nodes[core.scores[0]].op != "Einsum":
        for a, b in zip(scores[:-2], size[:-2], strict=True):
            if b and a != b and not a % b:
                repeats *= a // b
    return repeats


def relation(s: Signal, core: Core, projections: dict[str, list[int]], branch: Branch | None) -> str:
    """Whether keys and values come from where the queries come from."""
    q, k = projections.get("q", []), projections.get("k", []) or projections.get("v", [])
    if core.fused is not None and (not core.k or not core.k[0] or (len(core.q) and core.k[:1] == core.q[:1])):
        return SELF
    if not k:
        given = all(_given(s, name) for name in core.k)
        return CROSS if given and q else UNKNOWN
    if set(q) & set(k):
        return SELF
    if branch is not None:
        inner = set(branch.nodes)
        return SELF if any(i in inner for i in k) else CROSS
    return SELF if not _origins(s, q).isdisjoint(_origins(s, k)) else UNKNOWN


def _given(s: Signal, name: str) -> bool:
    """True where a tensor is a graph input, only reshaped or converted."""
    for _ in range(MAX_WALK):
        if name not in s.maker:
            return name in s.graph.inputs
        name = s.input(s.maker[name])
    return False


def _origins(s: Signal, products: list[int]) -> set[int | str]:
    """The nodes and inputs that products work on, as far back as the products before them."""
    seen: set[int | str] = set()
    pending = [j for i in products for j in s.sources[i]]
    seen.update(name for i in products for name in s.nodes[i].inputs[:1] if name in s.graph.inputs)
    while pending and len(seen) < MAX_WALK:
        i = pending.pop()
        if i not in seen and not s.weighted[i]:
            seen.add(i)
            pending.extend(s.sources[i])
    return seen


def width(s: Signal, projections: dict[str, list[int]], outputs: list[int]) -> int | None:
    """The width of what the queries (or else the keys, the values) are projected from; else of the output."""
    for role in "qkv":
        for i in projections.get(role, []):
            if s.nodes[i].op not in CONVS or _pointwise(s, i):
                return s.contracted(i)
    for i in outputs[:1]:
        shape = s.shape(s.output(i))
        return shape[1 if s.nodes[i].op in CONVS else -1] if shape else None
    return None


def _pointwise(s: Signal, i: int) -> bool:
    weights = s.kernel(i)
    return weights is not None and len(weights) > 2 and all(k == 1 for k in weights[2:])
