"""The parts of a transformer: in total, and block by block."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.report import ModelReport
from effaudit.tables.table import COUNT, EXACT, NONE, SHARE, Cell, Column, Table, of_quantity
from effaudit.views.transformer import Block, Part, Transformer, runs

_PARTS = (
    Column("part", "part", width=12),
    Column("nodes", "nodes", COUNT, 6),
    Column("macs", "MACs", COUNT, 8),
    Column("macs_share", "share", SHARE, 7),
    Column("params", "params", COUNT, 8),
    Column("params_share", "share", SHARE, 7),
    Column("ops", "ops", COUNT, 8),
)
_BLOCKS = (
    Column("block", "block", width=6),
    Column("part", "part", width=9),
    Column("nodes", "nodes", COUNT, 6),
    Column("macs", "MACs", EXACT, 16),
    Column("share", "of block", SHARE, 8),
    Column("params", "params", COUNT, 8),
)
_SIZES = (
    Column("block", "block", width=6),
    Column("attention", "attention", width=9),
    Column("tokens", "tokens", COUNT, 6),
    Column("kv_tokens", "keys", COUNT, 6),
    Column("heads", "heads", COUNT, 6),
    Column("kv_heads", "kv", COUNT, 4),
    Column("head_size", "size", COUNT, 5),
    Column("width", "width", COUNT, 6),
    Column("ffn_width", "ffn", COUNT, 6),
    Column("operator", "operator", width=12),
)


def transformer(model: ModelReport) -> tuple[Table, ...]:
    """Totals of the parts, the sizes of each block, and the parts of each; blocks that follow alike are one."""
    found = model.transformer
    if found is None:
        return (
            Table(
                "transformer", "parts of the model", _PARTS, lambda: iter(()), "This model has no attention.", "parts"
            ),
        )
    return (
        Table(
            "transformer",
            "parts of the model",
            _PARTS,
            lambda: map(_part, found.parts),
            _note(found, model.part_formulas),
            "parts",
        ),
        Table(
            "transformer", "blocks", _SIZES, lambda: (_sizes(*run, name) for run, name in _named(found)), part="blocks"
        ),
        Table("transformer", "parts of a block", _BLOCKS, lambda: _blocks(found), part="block_parts"),
    )


def _named(found: Transformer) -> Iterator[tuple[tuple[int, Block], str]]:
    """Runs of blocks that are alike, with a name: "3", or "1-12"."""
    first = 1
    for count, block in runs(found.blocks):
        yield (count, block), str(first) if count == 1 else f"{first}-{first + count - 1}"
        first += count


def _part(part: Part) -> tuple[Cell, ...]:
    return (
        part.name,
        part.nodes,
        of_quantity(part.macs),
        part.macs_share,
        part.params,
        part.params_share,
        of_quantity(part.ops),
    )


def _sizes(count: int, block: Block, name: str) -> tuple[Cell, ...]:
    windows = f" x {block.windows}" if block.windows not in (1, None) else ""
    over = " over channels" if block.over == "channels" else ""
    return (
        name,
        f"{block.attention}{over}{f', windows{windows}' if windows else ''}",
        block.tokens,
        block.kv_tokens,
        block.heads,
        block.kv_heads,
        block.head_size,
        block.width,
        block.ffn_width if any(part.name == "ffn" and part.nodes for part in block.parts) else NONE,
        block.operator or "spelled out",
    )


def _blocks(found: Transformer) -> Iterator[tuple[Cell, ...]]:
    for (_, block), name in _named(found):
        total = sum(part.macs.low for part in block.parts)
        for part in block.parts:
            if part.nodes or part.macs.high != 0:
                share = part.macs.value / total if part.macs.value is not None and total else None
                yield name, part.name, part.nodes, of_quantity(part.macs), share, part.params


def _note(found: Transformer, formulas: dict[str, str] | None) -> str:
    patches = found.patches
    notes = [found.why] if found.why else []
    if patches is not None:
        (h, w), (ph, pw), (gh, gw) = patches.image, patches.stride, patches.grid
        extra = f" + {patches.extra}" if patches.extra else ""
        notes.append(f"{patches.tokens} tokens: {h}x{w} pixels in patches of {ph}x{pw} = {gh} x {gw}{extra}.")
    if formulas:
        notes.append("MACs: " + "; ".join(f"{part} = {text}" for part, text in formulas.items() if text != "0") + ".")
    return " ".join(notes)
