"""The transformer view of a model: its blocks, and what every part of them costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.dataflow import Flow, flow
from effaudit.graph import Graph
from effaudit.table import CostTable, Row
from effaudit.views.attends import attends, holds, is_fused
from effaudit.views.transformer import pieces
from effaudit.views.transformer.attention import cores
from effaudit.views.transformer.fused import inside
from effaudit.views.transformer.others import complete
from effaudit.views.transformer.patches import patches
from effaudit.views.transformer.pieces import Params, Piece
from effaudit.views.transformer.products import Assigned, Blocks, assign, blocks
from effaudit.views.transformer.residual import branches
from effaudit.views.transformer.signal import Signal, signal
from effaudit.views.transformer.sizes import Sizes, batch_of, fused_sizes, relation, spelled_sizes, width
from effaudit.views.transformer.types import (
    EMBEDDING,
    HEAD,
    OTHER,
    OUTPUT,
    PARTS,
    QKV,
    SCORES,
    UNKNOWN,
    Block,
    Transformer,
)

MAX_DEPTH: Final = 8  # of bodies inside bodies that are split
MAX_BLOCKS: Final = 20_000  # inside bodies: a few short functions can call each other very often
_RUNS_IN_ROW: Final = frozenset(("Loop", "Scan"))


def transformer(audited: Audited) -> Transformer | None:
    """The blocks of a model and the costs of their parts; None where the model holds no attention."""
    graph = audited.graph
    if not attends(audited):
        return None
    whole = Whole(Params(audited.weights.by_reader()), batch_of(graph, audited.flow))
    found = _Analysis(graph, audited.flow, audited.table, whole)
    if not found.blocks and not found.why:
        return None
    total = audited.table.total("macs").value
    every = audited.weights.params
    held: dict[str, list[Piece]] = {part: [] for part in PARTS}
    for own in found.pieces:
        for piece in own:
            held[piece.part].append(piece)
    parts = tuple(pieces.total(part, held[part], found.count[part], total, every) for part in PARTS)
    made = tuple(_block(b, total, every) for b in found.blocks)
    cut = patches(found.signal, made[0]) if made else None
    return Transformer(made, parts, cut, "; ".join(dict.fromkeys(found.why)), dict(enumerate(found.part)))


class Gathered(msgspec.Struct):
    """A block while its costs are gathered: everything of `Block` but the sums."""

    where: str
    relation: str
    operator: str
    sizes: Sizes
    width: int | None
    ffn_width: int | None
    pieces: list[Piece]
    nodes: Counter[str]


class Body(msgspec.Struct, frozen=True):
    """What one run of a body costs by part, and the blocks in it. `projects`: their projections are in it too."""

    pieces: tuple[Piece, ...]
    blocks: tuple[Gathered, ...]
    projects: bool
    why: tuple[str, ...]

    def again(self) -> Body:
        """The same for another node that runs it: its parameters are there once."""
        return Body(_without_params(self.pieces), tuple(map(_copy, self.blocks)), self.projects, self.why)


class Whole(msgspec.Struct):
    """What the analyses of a model and its bodies share while they run."""

    params: Params
    batch: int
    bodies: dict[tuple[int, frozenset[str]], Body] = {}
    attending: dict[int, bool] = {}
    blocks: int = 0


class _Analysis:
    """One graph or body: the part and the pieces of every node, and the blocks."""

    def __init__(self, graph: Graph, known: Flow, table: CostTable, whole: Whole, depth: int = 0) -> None:
        self.whole, self.depth = whole, depth
        self.signal = s = signal(graph, known, table)
        self.why: list[str] = []
        self.unsplit: set[int] = set()
        self.bodies = self._bodies()
        own, self.odd = cores(s, sorted(self.bodies))
        found, given_up = branches(s)
        grouped = blocks(s, own, found)
        opaque = frozenset(i for i, body in self.bodies.items() if body.projects)
        made = assign(s, grouped, found, opaque, frozenset(self.unsplit))
        complete(s, made, grouped, found, [whole.params.peek(node) for node in graph.nodes])
        self.part = [part or OTHER for part in made.part]
        self.count = Counter(part for part, row in zip(self.part, table.rows, strict=True) if row.live)
        if self.odd:
            self.why.append(
                f"softmaxes over scores that are no product of two activations: {self.odd}, "
                "each counted with what surrounds it"
            )
        if given_up:
            self.why.append("the search for residual branches was given up: the graph has too many long ones")
        self.blocks: list[Gathered] = []
        self.pieces: list[list[Piece]] = []
        self._gather(grouped, made)

    def _bodies(self) -> dict[int, Body]:
        """The nodes whose one body holds attention and runs a number of times, with what is in it."""
        found: dict[int, Body] = {}
        for i, row in enumerate(self.signal.table.rows):
            if not row.bodies or not row.live:
                continue
            attending = [name for name in row.bodies if holds(row.node.bodies[name], self.whole.attending)]
            if not attending:
                continue
            single = "function" in row.bodies or (row.node.op in _RUNS_IN_ROW and not row.node.domain)
            known = single and len(row.bodies) == 1 and _runs_known(row)
            inner = self._body(row, attending[0]) if known and self.depth < MAX_DEPTH else None
            if inner is None or self.whole.blocks + len(inner.blocks) > MAX_BLOCKS:
                self.unsplit.add(i)
                self.why.append(f"what may attend inside {row.node.op} {row.node.label} is not split")
            elif inner.blocks:
                found[i] = inner
                self.whole.blocks += len(inner.blocks)
                self.why.extend(inner.why)
        return found

    def _body(self, row: Row, name: str) -> Body:
        body, varying = row.node.bodies[name], self.signal.varying
        changing = {n for n in body.captured if n in varying}
        if name == "function":
            changing |= {n for n, given in zip(body.inputs, row.node.inputs, strict=False) if given in varying}
        else:
            changing |= set(body.inputs)
        key = (id(body), frozenset(changing))
        known = self.whole.bodies.get(key)
        if known is not None:
            return known.again()
        inner = _Analysis(body, flow(body, changing), row.bodies[name], self.whole, self.depth + 1)
        summed = pieces.summed(
            msgspec.structs.replace(p, part=OTHER) if p.part in (EMBEDDING, HEAD) else p
            for own in inner.pieces
            for p in own
        )
        for block in inner.blocks:
            block.pieces = list(pieces.summed(block.pieces))
        projects = any(part in (QKV, OUTPUT) for part in inner.part)
        made = Body(summed, tuple(inner.blocks), projects, tuple(inner.why))
        self.whole.bodies[key] = msgspec.structs.replace(made, blocks=tuple(map(_copy, made.blocks)))
        return made

    def _gather(self, grouped: Blocks, made: Assigned) -> None:
        s = self.signal
        at: list[int] = []  # block of the grouping -> its place among all blocks
        for b, group in enumerate(grouped.cores):
            inner = self.bodies.get(group[0].end)
            if inner is not None:
                self.blocks.extend(inner.blocks)
            else:
                self.blocks.append(self._describe(grouped, made, b))
            at.append(len(self.blocks) - 1)
            if made.ffn[b] and self.blocks[-1].ffn_width is None:
                self.blocks[-1].ffn_width = _ffn_width(s, made.ffn[b])
        for i, row in enumerate(s.table.rows):
            self.pieces.append(self._price(i, row) if row.live else [])
            place = made.block[i]
            if place is not None and row.live:
                block = self.blocks[at[place]]
                block.nodes[self.part[i]] += 1
                if i not in self.bodies:
                    block.pieces.extend(self.pieces[i])

    def _price(self, i: int, row: Row) -> list[Piece]:
        if i in self.bodies:
            return self._run(i, row)
        params = self.whole.params.take(row.node, row.bodies)
        if self.part[i] == SCORES and is_fused(row.node.op, row.node.domain) and not row.bodies:
            found, why = pieces.operator(self.signal, i, params)
            if why:
                self.why.append(why)
            return found
        return pieces.whole(row, self.part[i], params)

    def _run(self, i: int, row: Row) -> list[Piece]:
        """The pieces of a body that holds attention; its blocks cost as often as it runs."""
        inner = self.bodies[i]
        fewest, most = _times(row)
        for block in inner.blocks:
            block.pieces = pieces.times(block.pieces, fewest, most, row.doubt)
        if (fewest, most) != (1, 1):
            often = f"{fewest} times" if fewest == most else f"{fewest} to {most or 'any number of'} times"
            self.why.append(f"the blocks inside {row.node.op} {row.node.label} run {often}, and cost as often")
        found = pieces.times(inner.pieces, fewest, most, row.doubt)
        left = self.whole.params.take(row.node, row.bodies)
        return [*found, Piece(OTHER, pieces.ZERO, pieces.ZERO, left)] if left else found

    def _describe(self, grouped: Blocks, made: Assigned, b: int) -> Gathered:
        s, group = self.signal, grouped.cores[b]
        core, projections = group[0], made.qkv[b]
        operator = "" if core.fused is None else s.nodes[core.fused].op
        sizes = (
            fused_sizes(s, core.fused)
            if core.fused is not None
            else spelled_sizes(s, core, projections, self.whole.batch)
        )
        if len(group) > 1:
            sizes = _several(sizes, len(group))
        node = s.nodes[core.end if core.fused is not None else core.softmax]
        wide = width(s, {} if len(group) > 1 else projections, made.output[b])
        if operator and wide is None and core.fused is not None:
            wide = inside(s, core.fused).width
        kind = relation(s, core, projections, grouped.branch[b])
        ffn = _ffn_width(s, made.ffn[b])
        return Gathered(node.label, kind, operator, sizes, wide, ffn, [], Counter())


def _several(sizes: Sizes, count: int) -> Sizes:
    """The sizes of a block whose heads are attentions of their own."""
    heads = None if sizes.heads is None else sizes.heads * count
    kv_heads = None if sizes.kv_heads is None else sizes.kv_heads * count
    return msgspec.structs.replace(sizes, heads=heads, kv_heads=kv_heads)


def _ffn_width(s: Signal, ffn: Sequence[int]) -> int | None:
    """The length the last product of a feed-forward part sums over."""
    if not ffn:
        return None
    last = max(ffn)
    node = s.nodes[last]
    if node.op in ("MoE", "QMoE"):
        weights = s.shape(s.input(last, 2))
        return weights[1] if weights and len(weights) == 3 else None
    return s.contracted(last)


def _times(row: Row) -> tuple[int, int | None]:
    """How often the one body of a node runs; only of a node for which that is known."""
    ((fewest, most),) = (body.times for body in row.node.bodies.values())
    return fewest if isinstance(fewest, int) else 0, most if isinstance(most, int) else None


def _runs_known(row: Row) -> bool:
    """True where numbers bound how often the one body of a node runs, and its own price is known."""
    ((fewest, most),) = (body.times for body in row.node.bodies.values())
    return isinstance(fewest, int) and (most is None or isinstance(most, int)) and not row.why


def _without_params(found: Iterable[Piece]) -> tuple[Piece, ...]:
    return tuple(msgspec.structs.replace(piece, params=0) for piece in found)


def _copy(block: Gathered) -> Gathered:
    return msgspec.structs.replace(block, pieces=list(_without_params(block.pieces)), nodes=Counter(block.nodes))


def _block(b: Gathered, macs: int | None, params: int) -> Block:
    parts = tuple(
        pieces.total(part, own, b.nodes[part], macs, params)
        for part in PARTS
        if (own := [p for p in b.pieces if p.part == part]) or b.nodes[part]
    )
    z = b.sizes
    return Block(
        b.where,
        b.relation,
        z.over,
        b.operator,
        z.windows,
        z.tokens,
        z.kv_tokens,
        z.heads,
        z.kv_heads,
        z.head_size,
        b.width,
        b.ffn_width,
        parts,
        _missing(b),
    )


def _missing(b: Gathered) -> str:
    """Why a size is not known."""
    z = b.sizes
    names = {"windows": z.windows, "tokens": z.tokens, "keys": z.kv_tokens, "heads": z.heads, "key heads": z.kv_heads}
    open_ = [name for name, value in {**names, "head size": z.head_size, "width": b.width}.items() if value is None]
    found = [f"{', '.join(open_)}: not told by the shapes"] if open_ else []
    if b.relation == UNKNOWN:
        found.append("self or cross: the flow of data does not tell where the keys come from")
    return "; ".join(found)


def runs(found: Sequence[Block]) -> list[tuple[int, Block]]:
    """Consecutive blocks that differ in no size and no cost, as (how many, the first of them)."""
    grouped: list[tuple[int, Block]] = []
    key: object = None
    for block in found:
        same = _key(block)
        if grouped and same == key:
            grouped[-1] = (grouped[-1][0] + 1, grouped[-1][1])
        else:
            grouped.append((1, block))
        key = same
    return grouped


def _key(block: Block) -> object:
    """A block without its place, and without the nodes that only the first of a run has for all."""
    parts = tuple(msgspec.structs.replace(part, nodes=0) for part in block.parts)
    bare = msgspec.structs.replace(block, where="", parts=())
    return bare, tuple(p for p in parts if p.params or p.macs.high != 0 or p.ops.high != 0)
