"""Which products with weights belong to which part, told by the flow of data alone.

In order: the first products met going back from the operands of the scores and from the values are `qkv`; so is every
other product ahead of them in the residual branch of the attention. The first products met going ahead from the values
are `output`, with what follows in that branch; products beside the attention in it (parallel layers) are `ffn`. A later
residual branch without attention is `ffn` where it is made of pointwise products, two or more, or of experts; with
a depthwise convolution between them only directly behind the attention (elsewhere it is a convolution block). Of the
rest, what comes before every attention and leads to one is `embedding`, what follows an attention and leads to none is
`head`, what only feeds the scores is `scores`, and anything between two blocks is `other`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from effaudit.views.transformer.attention import Core
from effaudit.views.transformer.fused import projects
from effaudit.views.transformer.residual import Branch
from effaudit.views.transformer.signal import CONVS, Signal
from effaudit.views.transformer.types import EMBEDDING, FFN, HEAD, OTHER, OUTPUT, QKV, SCORES, VALUES

_MIXED: Final = frozenset(("Add", "Mul", "Sub", "Div", "Sum", "QLinearAdd", "QLinearMul", "Where", "PRelu"))
_WHOLE_FFN: Final = frozenset(("MoE", "QMoE", "MatMulNBitsMlp", "DynamicQuantizeMatMulMlp"))
MAX_WALK: Final = 256
MAX_SHARED: Final = 16  # cores of one block: heads or groups that run one after the other


class Blocks(msgspec.Struct, frozen=True):
    """The cores by block, in order, each with the residual branch around it."""

    cores: tuple[tuple[Core, ...], ...]
    branch: tuple[Branch | None, ...]

    def of(self, branch: Branch) -> list[int]:
        """The blocks whose attention lies in a branch."""
        return [b for b, own in enumerate(self.branch) if own is branch]


class Assigned(msgspec.Struct):
    """While assigning: part and block by node, None where not yet known."""

    part: list[str | None]
    block: list[int | None]
    qkv: list[dict[str, list[int]]]  # per block, the products behind its q, k and v
    output: list[list[int]]
    ffn: list[list[int]]

    def put(self, i: int, part: str, block: int | None) -> None:
        if self.part[i] is None:
            self.part[i], self.block[i] = part, block


def blocks(s: Signal, cores: Sequence[Core], found: Sequence[Branch]) -> Blocks:
    """Groups the cores: those in one innermost residual branch are one block."""
    place = {i: c for c, core in enumerate(cores) for i in core.nodes}
    owner: list[Branch | None] = [None] * len(cores)
    plain: list[Branch] = []
    for branch in found:
        inside = {place[i] for i in branch.nodes if i in place}
        free = [c for c in sorted(inside) if owner[c] is None]
        if not inside:
            plain.append(branch)
        elif len(free) == len(inside) and len(free) <= MAX_SHARED and (len(free) == 1 or not _nests(s, branch, plain)):
            for c in free:
                owner[c] = branch
    groups: dict[int, list[int]] = {}
    for c, own in enumerate(owner):
        groups.setdefault(-1 - c if own is None else own.join, []).append(c)
    ordered = sorted(groups.values())
    return Blocks(tuple(tuple(cores[c] for c in g) for g in ordered), tuple(owner[g[0]] for g in ordered))


def _nests(s: Signal, outer: Branch, plain: Sequence[Branch]) -> bool:
    """True where a branch holds a residual branch with products: it spans more than one layer."""
    for branch in reversed(plain):
        if branch.join < outer.nodes[0]:
            return False
        if branch.source >= outer.nodes[0] and sum(s.weighted[i] for i in branch.nodes) > 1:
            return True
    return False


def assign(
    s: Signal, grouped: Blocks, found: Sequence[Branch], opaque: frozenset[int], unsplit: frozenset[int]
) -> Assigned:
    """The part and block of every product, and of the nodes inside attention.

    `opaque` cores hold their own parts; what is `unsplit` is known to be none of them.
    """
    n, count = len(s.nodes), len(grouped.cores)
    made = Assigned(
        [None] * n, [None] * n, [{} for _ in range(count)], [[] for _ in range(count)], [[] for _ in range(count)]
    )
    for i in unsplit:
        made.put(i, OTHER, None)
    stops = {b.join for b in found if any(s.weighted[i] or i in opaque for i in b.nodes)}
    stops.update(b.join for b in grouped.branch if b is not None)
    for b, group in enumerate(grouped.cores):
        for core in group:
            _put_core(made, core, b)
    for b, group in enumerate(grouped.cores):
        for core in group:
            if core.fused is None or not (core.fused in opaque or projects(s.nodes[core.fused])):
                for role, names in (("q", core.q), ("k", core.k), ("v", core.v)):
                    _project(s, made, b, role, names, stops)
    for b, group in enumerate(grouped.cores):
        for core in group:
            if core.end not in opaque:
                _leave(s, made, b, core, stops)
    for b, branch in enumerate(grouped.branch):
        if branch is not None:
            _inside(s, made, b, branch, grouped.cores[b])
    _feed(s, made, grouped, found)
    _rest(s, made, grouped)
    return made


def _put_core(made: Assigned, core: Core, b: int) -> None:
    if core.fused is not None:
        made.put(core.fused, SCORES, b)
    for i in core.scores:
        made.put(i, SCORES, b)
    for i in core.values:
        made.put(i, VALUES, b)
    for i in sorted(core.inner):
        made.put(i, SCORES, b)


def _project(s: Signal, made: Assigned, b: int, role: str, names: Iterable[str], stops: set[int]) -> None:
    """Back from an operand to the first products with weights, and everything passed."""
    pending = [s.maker[name] for name in names if name in s.maker and name in s.varying]
    seen: set[int] = set()
    while pending and len(seen) < MAX_WALK:
        i = pending.pop()
        if i in seen or i in stops or made.part[i] in (SCORES, VALUES, OTHER):
            continue
        seen.add(i)
        if s.weighted[i]:
            made.put(i, QKV, b)
            made.qkv[b].setdefault(role, []).append(i)
        else:
            pending.extend(_full(s, i))
    if role in made.qkv[b]:  # without a product, what was passed is not known to be a projection
        for i in seen:
            if not s.weighted[i] and _leads_back(s, i, seen):
                made.put(i, QKV, b)


def _leads_back(s: Signal, i: int, seen: set[int]) -> bool:
    """True where a node takes its elements from what was met: from a product, or from another node that does."""
    return any(j in seen for j in s.sources[i])


def _full(s: Signal, i: int) -> tuple[int, ...]:
    """The sources of a node; of one that mixes tensors, those as large as its output."""
    if s.nodes[i].op not in _MIXED:
        return s.sources[i]
    size = s.out_size(i)
    large = tuple(j for j in s.sources[i] if any(s.size(n) == size for n in s.nodes[j].outputs if n))
    return large or s.sources[i]


def _leave(s: Signal, made: Assigned, b: int, core: Core, stops: set[int]) -> None:
    """Ahead from the values to the first products with weights, and everything passed."""
    pending = [j for i in (core.values or (core.end,)) for j in s.readers[i]]
    seen: set[int] = set()
    while pending and len(seen) < MAX_WALK:
        i = pending.pop()
        if i in seen or i in stops or made.part[i] is not None:
            continue
        seen.add(i)
        if s.weighted[i]:
            made.put(i, OUTPUT, b)
            made.output[b].append(i)
        else:
            pending.extend(s.readers[i])
    own = core.nodes
    if any(s.weighted[i] for i in seen):
        for i in sorted(seen):
            if not s.weighted[i] and any((j in seen and made.part[j] is not None) or j in own for j in s.sources[i]):
                made.put(i, VALUES, b)


def _inside(s: Signal, made: Assigned, b: int, branch: Branch, group: Sequence[Core]) -> None:
    """The other products in the branch of an attention."""
    inner = set(branch.nodes)
    own = frozenset(i for core in group for i in core.nodes)
    ahead: set[int] = set()  # leads to a core
    for i in reversed(branch.nodes):
        if any(j in ahead or j in own for j in s.readers[i] if j in inner):
            ahead.add(i)
    behind = set(own)
    for i in branch.nodes:
        if any(j in behind for j in s.sources[i]):
            behind.add(i)
    last = max(made.output[b], default=branch.join)
    for i in branch.nodes:
        if not s.weighted[i] or made.part[i] is not None:
            continue
        if i in ahead:
            made.put(i, QKV, b)
        elif i in behind:
            made.put(i, OUTPUT, b)
            made.output[b].append(i)
        elif last == branch.join or not _reaches(s, i, last, inner):
            made.put(i, FFN, b)
            made.ffn[b].append(i)
        else:
            made.put(i, OTHER, b)


def _reaches(s: Signal, start: int, end: int, inner: set[int]) -> bool:
    seen: set[int] = set()
    pending = [start]
    while pending and len(seen) < MAX_WALK:
        i = pending.pop()
        if i == end:
            return True
        if i not in seen and i in inner and i < end:
            seen.add(i)
            pending.extend(s.readers[i])
    return False


def levels(s: Signal, grouped: Blocks) -> tuple[list[int], list[bool]]:
    """Per node: the latest block it depends on (-1: none), and whether a block depends on it."""
    core = {i: b for b, group in enumerate(grouped.cores) for c in group for i in c.nodes}
    level = [-1] * len(s.nodes)
    for i, before in enumerate(s.sources):
        latest = core.get(i, -1)
        for j in before:
            latest = max(latest, level[j])
        level[i] = latest
    feeds = [False] * len(s.nodes)
    for i in range(len(s.nodes) - 1, -1, -1):
        for j in s.readers[i]:
            if feeds[j] or j in core:
                feeds[i] = True
                break
    return level, feeds


def _feed(s: Signal, made: Assigned, grouped: Blocks, found: Sequence[Branch]) -> None:
    """The residual branches without attention."""
    level, _ = levels(s, grouped)
    for branch in found:
        free = [i for i in branch.nodes if s.weighted[i]]
        if not free or any(made.part[i] is not None for i in free) or level[branch.join] < 0:
            continue
        b = level[branch.join]
        if level[branch.source] < b if branch.source >= 0 else True:
            continue
        kinds = {_spread(s, i) for i in free}
        ends = {_spread(s, free[0]), _spread(s, free[-1])}
        whole = any(s.nodes[i].op in _WHOLE_FFN for i in free)
        if "wide" in kinds or ends != {"point"} or not (whole or len(free) > 1):
            continue
        if "depth" in kinds and made.ffn[b]:
            continue
        for i in branch.nodes:
            if s.weighted[i]:
                made.ffn[b].append(i)
            made.put(i, FFN, b)


def _spread(s: Signal, i: int) -> str:
    """How far a product reaches: "point" (one position), "depth" (positions of one channel), "wide" (both)."""
    node = s.nodes[i]
    if node.op not in CONVS:
        return "point"
    weights = s.kernel(i)
    if weights is None or len(weights) < 3:
        return "wide"
    if all(k == 1 for k in weights[2:]):
        return "point"
    return "depth" if weights[1] == 1 else "wide"


def _rest(s: Signal, made: Assigned, grouped: Blocks) -> None:
    """Every product that is none of the above."""
    level, feeds = levels(s, grouped)
    only = biases(s, made)
    for i, weighted in enumerate(s.weighted):
        if made.part[i] is not None:
            continue
        if i in only:
            made.put(i, SCORES, only[i])
        elif weighted or s.macs(i):
            if level[i] < 0:
                made.put(i, EMBEDDING if feeds[i] else OTHER, None)
            else:
                made.put(i, OTHER if feeds[i] else HEAD, None)


def biases(s: Signal, made: Assigned) -> dict[int, int | None]:
    """The nodes whose elements only end in scores (masks, relative positions): with the block, where it is one."""
    found: dict[int, int | None] = {}
    for i in range(len(s.nodes) - 1, -1, -1):
        if made.part[i] is not None or not s.readers[i]:
            continue
        ends = {}
        for j in s.readers[i]:
            if j in found:
                ends[j] = found[j]
            elif made.part[j] == SCORES and s.table.rows[j].low.macs == 0:
                ends[j] = made.block[j]
            else:
                break
        else:
            places = set(ends.values())
            found[i] = places.pop() if len(places) == 1 else None
    return found
