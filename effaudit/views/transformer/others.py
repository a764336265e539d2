"""The nodes beside the products: every one gets the part of what it works for.

A normalization is `norm`; a table looked up is `embedding` (or `scores`, where it only biases them). Any other node has
the part of the latest node it takes elements from; what takes none, or follows a norm or a residual sum, has the part
of its first reader.
"""

from __future__ import annotations

from collections.abc import Sequence

from effaudit.views.transformer.norms import norms
from effaudit.views.transformer.products import Assigned, Blocks, biases, levels
from effaudit.views.transformer.residual import Branch
from effaudit.views.transformer.signal import Signal
from effaudit.views.transformer.types import EMBEDDING, HEAD, NORM, OTHER, SCORES


def complete(s: Signal, made: Assigned, grouped: Blocks, found: Sequence[Branch], params: Sequence[int]) -> None:
    """Gives every node without a part its part and block."""
    normal = [group for group in norms(s) if not any(s.weighted[i] for i in group)]
    for group in normal:
        for i in group:
            made.part[i] = NORM
    for i, block in biases(s, made).items():
        made.put(i, SCORES, block)
    _ahead(s, made, found, params)
    _back(s, made)
    _place(s, made, normal, {b.source for b in found})
    level, feeds = levels(s, grouped)
    for i, part in enumerate(made.part):
        if not s.table.rows[i].live:
            made.part[i], made.block[i] = OTHER, None
        elif part is None:
            made.put(
                i, EMBEDDING if feeds[i] and level[i] < 0 else HEAD if level[i] >= 0 and not feeds[i] else OTHER, None
            )


def _ahead(s: Signal, made: Assigned, found: Sequence[Branch], params: Sequence[int]) -> None:
    """What works on a result belongs to what made it, up to the sum that ends a residual branch."""
    last = {b.join: max((i for i in b.nodes if s.weighted[i] and made.part[i]), default=None) for b in found}
    for i, node in enumerate(s.nodes):
        if made.part[i] is not None:
            continue
        if node.op in ("Gather", "GatherBlockQuantized", "EmbedLayerNormalization") and params[i]:
            made.put(i, EMBEDDING, None)
            continue
        end = last.get(i)
        before = [j for j in s.sources[i] if made.part[j] not in (None, NORM) and s.root[j] not in last]
        if end is not None:
            before = [end]
        if before:
            j = max(before)
            made.put(i, made.part[j] or OTHER, made.block[j])


def _back(s: Signal, made: Assigned) -> None:
    """What has no part yet works for its first reader, any tensor counted; for no block where it works for several.

    Ahead of a norm it works for what the norm works for.
    """
    reader: dict[str, int] = {}
    places: dict[str, int | None] = {}  # the block of all readers of a tensor so far
    works_for: list[str | None] = list(made.part)
    for i in range(len(s.nodes) - 1, -1, -1):
        node = s.nodes[i]
        names = [n for n in node.outputs if n in reader]
        if made.part[i] in (None, NORM) and names:
            works_for[i] = works_for[min(reader[n] for n in names)]
            blocks = {places[n] for n in names}
            if made.part[i] is None and works_for[i] not in (None, NORM):
                made.part[i], made.block[i] = works_for[i], blocks.pop() if len(blocks) == 1 else None
        block = made.block[i]
        for name in (*node.inputs, *(n for body in node.bodies.values() for n in body.captured)):
            places[name] = block if name not in reader or places[name] == block else None
            reader[name] = i


def _place(s: Signal, made: Assigned, normal: Sequence[Sequence[int]], streams: set[int]) -> None:
    """The block of every norm: of the products it feeds, or, where the stream itself goes through it, of those before.

    `streams` are the nodes that residual branches start from. The last norm of a stack that normalizes its stream feeds
    no block: it belongs to the one before it.
    """
    last: list[tuple[Sequence[int], int]] = []
    after: set[int] = set()  # blocks that normalize their stream
    for group in normal:
        behind = [b for i in group for j in s.sources[i] if j not in group and (b := made.block[s.root[j]]) is not None]
        ahead = [b for i in group for j in s.readers[i] if j not in group and (b := made.block[j]) is not None]
        block = None
        if not streams.isdisjoint(group):  # x of x + f(x) is normalized
            block = max(behind, default=None)
            after.update(behind)
        elif ahead:
            block = min(ahead)
        elif behind:
            last.append((group, max(behind)))
        for i in group:
            made.block[i] = block
    for group, b in last:
        if b in after:
            for i in group:
                made.block[i] = b
