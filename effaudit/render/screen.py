"""The first screen of one model: at most 40 lines of 80 columns."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from effaudit.printable import printable
from effaudit.report import DimReport, ModelReport, TensorType, Totals, size
from effaudit.units import human, human_bytes, rounded
from effaudit.views.hot import IN_BYTES, Hot
from effaudit.wrapping import WIDTH, wrapped

if TYPE_CHECKING:
    from effaudit.views.crossovers import Crossover
    from effaudit.views.transformer import Block

HEIGHT: Final = 40
NEXT: Final = 3  # lines of the next commands
# What stands side by side, and its heading.
_PAIRS: Final = (("macs", "params"), ("bytes", "activation_bytes"))
_HEADS: Final = {"macs": "MACs", "params": "params", "bytes": "moved", "activation_bytes": "activations"}


def screen(model: ModelReport, counting: str, more: bool, width: int = WIDTH) -> list[str]:
    """The lines of the first screen; a model with much to say shows fewer hot spots and notes. Where `more` follows,
    no next command does."""
    for level in _LEVELS:
        lines = _lines(model, counting, max(width, WIDTH), *level)
        if len(lines) <= HEIGHT - NEXT:
            break
    if len(lines) > HEIGHT - NEXT:
        lines = [*lines[: HEIGHT - NEXT - 1], "...    more in -f json"]
    return [*lines, *([] if more else _next(model))]


# (hot spots of each cost, notes in full, whether what lowers each cost is said), the most talkative first
_LEVELS: Final = ((5, 6, True), (4, 6, True), (3, 6, True), (3, 6, False), (2, 4, False), (1, 3, False), (0, 1, False))


def _lines(model: ModelReport, counting: str, width: int, top: int, notes: int, aims: bool) -> list[str]:
    return [
        *head(model, counting),
        "",
        *_totals(model),
        *_formulas(model),
        *_memory(model),
        *_blocks(model),
        *_device(model),
        *_hot(model, top, width),
        *(_aims(model) if aims else []),
        *_findings(model, notes),
    ]


def head(model: ModelReport, counting: str) -> list[str]:
    """What it is: path, opset, inputs, outputs, dims with their origin, nodes."""
    opsets = ", ".join(f"{printable(d, 20)} {v}" for d, v in list(model.opsets.items())[:2])
    path, rest = printable(model.path, None), f"opset {opsets}   {counting}"
    lines = [f"{path}   {rest}"] if len(path) + len(rest) + 3 <= WIDTH else [path, f"       {rest}"]
    lines.extend(interface(model.inputs, model.outputs, model.dims))
    for origin, what in (("data", "the values fed decide"), ("unknown", "cannot be told")):
        names = [printable(name, 40) for name, d in model.dims.items() if d.origin == origin]
        if names:
            rest = f", +{len(names) - 8} more" if len(names) > 8 else ""
            lines.extend(wrapped("open   ", f"{len(names)} dim(s) {what}: {', '.join(names[:8])}{rest}"))
    t = model.totals
    state = "all priced" if not t.unpriced else f"{t.unpriced} NOT priced"
    never = t.nodes - t.priced - t.unpriced
    lines.append(f"nodes  {t.nodes:,}, {state}" + (f", {never} never run" if never else ""))
    return lines


def interface(
    inputs: Sequence[TensorType], outputs: Sequence[TensorType], dims: Mapping[str, DimReport]
) -> Iterator[str]:
    """What goes in and comes out, and the dims with their origin."""
    yield from tensors("in", inputs)
    yield from tensors("out", outputs)
    yield from sizes(dims)


def tensors(label: str, found: Sequence[TensorType]) -> list[str]:
    """The first tensors with their types and shapes."""
    more = [f"+{len(found) - 3} more"] if len(found) > 3 else []
    return wrapped(f"{label:<7}", ", ".join([*map(_tensor, found[:3]), *more]))


def sizes(dims: Mapping[str, DimReport]) -> list[str]:
    """The dims with their origin; none where all are of the file."""
    named = [f"{printable(name, 40)}={d.value} ({d.origin})" for name, d in dims.items() if d.value is not None]
    return wrapped("dims   ", ", ".join(named[:8])) if named else []


def _tensor(tensor: TensorType) -> str:
    return f"{printable(tensor.name, 30)} {tensor.dtype} {printable(size(tensor.shape), 120)}"


def amount(value: int | None, bounds: list[int | None], show: Callable[[int], str] = human) -> str:
    """A number short and exact, or its bounds."""
    if value is not None:
        short = show(value)
        return short if short.removesuffix(" B") == str(value) else f"{short} ({value:,})"
    low, high = bounds
    return f"{low or 0:,} .. {high:,}" if high is not None else f"unknown, at least {low or 0:,}"


def _totals(model: ModelReport) -> list[str]:
    t = model.totals
    params = f"params {amount(t.params, [])}"
    if t.params_stored != t.params:
        params += f", stored as {t.params_stored:,}"
    if t.buffers:
        params += f"   buffers {t.buffers:,}"
    lines = [
        params,
        f"size   {human_bytes(t.weight_bytes, 3)}; {_widths(model.sizes)}",
        f"MACs   {amount(t.macs, t.macs_bounds)}",
        f"ops    {amount(t.ops, t.ops_bounds)} other than MACs",
        f"FLOPs  {amount(t.flops, t.flops_bounds)} = 2 MACs + ops",
        *_moved(model),
    ]
    if t.why:
        lines.extend(wrapped("       because ", printable(t.why, 300)))
    return [cut(line) for line in lines]


def _widths(sizes: dict[str, int]) -> str:
    """The size at each width, in the unit of the largest."""
    unit = human_bytes(max(sizes.values(), default=0)).split()[1]
    factor = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}[unit]
    cells = (f"{name} {rounded(size / factor, 3) if factor > 1 else size}" for name, size in sizes.items())
    return f"{', '.join(cells)} {unit}"


def _moved(model: ModelReport) -> list[str]:
    t = model.totals
    if t.read_bytes is None or t.write_bytes is None:
        read, written = amount(t.read_bytes, t.read_bounds), amount(t.write_bytes, t.write_bounds)
        return [*wrapped("moved  ", f"{read} B read, {written} B written"), _intensity(t)]
    pure = t.movement_bytes
    only = f"; {human_bytes(pure, 3)} by nodes that only move" if pure else ""
    moved = f"{human_bytes(t.read_bytes)} read + {human_bytes(t.write_bytes)} written{only}"
    return [f"moved  {moved}", _intensity(t)]


def _intensity(t: Totals) -> str:
    """Both conventions; a range where operations or bytes are one."""
    moved = _ratio(t.intensity, t.intensity_bounds)
    if moved is None:
        return "FLOP/B none: nothing moves"
    weights = _ratio(t.weight_intensity, t.weight_intensity_bounds)
    return f"FLOP/B {moved} per byte moved" + ("" if weights is None else f", {weights} per byte of weights")


def _ratio(value: float | None, bounds: list[float | None]) -> str | None:
    """A ratio or its range; None where there is nothing to divide by."""
    low, high = bounds
    if value is not None or low is None:
        return None if value is None else f"{value:,.2f}"
    if high is not None:
        return f"{low:,.2f} .. {high:,.2f}"
    return f"at least {low:,.2f}" if low else "unknown"


def _formulas(model: ModelReport) -> list[str]:
    lines = []
    for figure, text in (model.formulas or {}).items():
        if text is not None and figure in ("macs", "live_bytes") and len(text) <= MAX_FORMULA:
            lines.extend(wrapped(f"{figure} = ", printable(text, None)))
    crosses = [c for c in model.crossovers if c.at is not None]
    for dim in dict.fromkeys(c.dim for c in crosses):
        own = [c for c in crosses if c.dim == dim]
        best = next((c for c in own if c.less == "ffn"), own[0])
        where = f"{printable(dim, 30)} = {_size(best, model.dims)}"
        lines.extend(wrapped("above  ", f"{where} {printable(f'{best.greater} outweigh {best.less}', None)}"))
    return [cut(line) for line in lines]


MAX_FORMULA: Final = 220


def _size(cross: Crossover, dims: Mapping[str, DimReport]) -> str:
    """The size from which on, with the other dims it depends on."""
    number = f"{cross.at:,.0f}" if cross.at is not None and cross.at >= 100 else f"{cross.at:,.4g}"
    others = [f"{name}={d.value}" for name, d in dims.items() if re.search(rf"\b{re.escape(name)}\b", cross.formula)]
    return f"{number} (with {printable(', '.join(others), None)})" if others else number


def _memory(model: ModelReport) -> list[str]:
    memory = model.memory
    lines = [f"live   {amount(memory.live_bytes, memory.live_bounds, human_bytes)}"]
    if memory.live_bytes is not None:
        if memory.peak_node is not None:
            place = f" (step {(memory.peak_step or 0) + 1:,} of {model.totals.priced + model.totals.unpriced:,})"
            lines[0] += f" at {printable(memory.peak_node, WIDTH - len(lines[0]) - len(place) - 4)}{place}"
            alive = ", ".join(f"{printable(t.name, 26)} {human_bytes(t.bytes, 3)}" for t in memory.live_set[:3])
            more = f" +{len(memory.live_set) - 3}" if len(memory.live_set) > 3 else ""
            lines.append(cut(f"alive  {alive}{more}"))
    elif memory.why:
        lines.extend(wrapped("       because ", printable(memory.why, 300)))
    others = [
        f"{label} {'unknown' if value is None else human_bytes(value)}"
        for label, value in (
            ("in place", memory.inplace_bytes),
            ("max in+out", memory.max_in_out_bytes),
            ("sum", memory.sum_bytes),
        )
    ]
    lines.append("       " + "   ".join(others))
    return [cut(line) for line in lines]


def _device(model: ModelReport) -> list[str]:
    """What it takes on the device that was asked for."""
    if "device" not in model.__struct_fields__:
        return []
    from effaudit.render.device import lines  # few reports have one

    return ["", *lines(model)]


def _blocks(model: ModelReport) -> list[str]:
    """The blocks of a transformer in two or three lines: shares of all MACs, then sizes."""
    found = model.transformer
    if found is None or not found.blocks:
        return []
    from effaudit.views.transformer import runs

    shares = [f"{p.name} {100 * p.macs_share:.1f}" for p in found.parts if p.macs_share]
    lines = wrapped("parts  ", f"{', '.join(shares)} % of MACs") if shares else []
    kinds = [_block(count, block) for count, block in runs(found.blocks)[:2]]
    more = len(found.blocks) - sum(count for count, _ in runs(found.blocks)[:2])
    if found.patches is not None:
        kinds.append(f"{found.patches.tokens} tokens from {'x'.join(map(str, found.patches.image))} pixels")
    return [*lines, *wrapped("       ", "; ".join([*kinds, *([f"+{more} more"] if more else [])]))]


def _block(count: int, block: Block) -> str:
    heads = f"{_or(block.heads)} heads"
    if block.kv_heads != block.heads:
        heads += f" ({_or(block.kv_heads)} kv)"
    keys = "" if block.kv_tokens == block.tokens else f" x {_or(block.kv_tokens)} keys"
    windows = f" in {block.windows:,} windows" if block.windows not in (1, None) else ""
    kind = "" if block.attention == "self" else f" {block.attention}"
    sizes = f"{heads} of {_or(block.head_size)}, width {_or(block.width)}"
    if block.ffn_width is not None:
        sizes += f", ffn {block.ffn_width:,}"
    blocks = "1 block" if count == 1 else f"{count} blocks"
    return f"{blocks} of{kind} {_or(block.tokens)} tokens{keys}{windows}, {sizes}"


def _or(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _hot(model: ModelReport, top: int, width: int) -> list[str]:
    """Two costs side by side: value, share, share so far, node. Below, what lowers each."""
    found = {hot.figure: hot for hot in model.hot}
    if not top or not any(found[figure].nodes for pair in _PAIRS for figure in pair):
        return []
    lines = [""]
    for left, right in _PAIRS:
        half = width // 2
        columns = [_column(found[figure], top, half) for figure in (left, right)]
        lines.extend(f"{a:<{half}}{b}".rstrip() for a, b in zip_longest(*columns, fillvalue=""))
    return lines


def _aims(model: ModelReport) -> list[str]:
    """What lowers each cost."""
    aims = [f"{_HEADS[hot.figure]}: {hot.aim}" for hot in model.hot if hot.aim and hot.nodes and hot.figure in _HEADS]
    return [line for i, aim in enumerate(aims) for line in wrapped("       " if i else "aim    ", aim)]


def _column(hot: Hot, top: int, width: int) -> list[str]:
    """Value, share, share so far, node; of a range, with its lower end."""
    if not hot.nodes:
        return []
    show = human_bytes if hot.figure in IN_BYTES else human
    head = f"{_HEADS[hot.figure]}{' >=' if hot.least else ''}"
    lines = [f"{head:<11} %  cum  node"] if len(head) < 12 else [f"{head} %"]
    for node in hot.nodes[:top]:
        share = f"{show(node.value, 3):>8} {100 * node.share:4.1f} {100 * node.cumulative:4.0f}"
        lines.append(f"{share}  {short(node.name, width - len(share) - 3)}")
    return lines


def _findings(model: ModelReport, most: int) -> list[str]:
    lines = [""] if model.findings else []
    for finding in model.findings[:most]:
        lines.extend(wrapped("note   ", printable(f"{finding.message} -> {finding.remedy}", 600)))
    if len(model.findings) > most:
        lines.append(
            f"       and {len(model.findings) - most} more: {', '.join(f.rule for f in model.findings[most:])}"
        )
    return [cut(line) for line in lines]


def _next(model: ModelReport) -> list[str]:
    """The next sensible commands, whole and ready to paste."""
    if model.path == "-":
        return []
    what = printable(" ".join([shlex.quote(model.path), *options(model.given)]), None)
    return ["", f"next   effaudit report {what} --nodes", f"       effaudit memory {what}"]


def options(given: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The sizes that were given, as options."""
    made = [f"--dim {shlex.quote(f'{name}={number}')}" for name, number in given["dims"].items()]
    for name, shape in given["shapes"].items():
        made.append(f"--shape {shlex.quote(f'{name}=' * bool(name) + 'x'.join(map(str, shape)))}")
    return made


def cut(line: str, width: int = WIDTH) -> str:
    return line if len(line) <= width else f"{line[: width - 3]}..."


def short(name: str, limit: int) -> str:
    """A name within `limit` characters: without the operator an exporter appends, where that is enough, else without
    its middle."""
    name = printable(name, None)
    if len(name) <= limit:
        return name
    scope, slash, last = name.rpartition("/")
    if slash and last[:1].isupper() and 0 < len(scope) <= limit:
        return scope
    tail = (limit - 3) * 2 // 3
    return f"{name[: limit - 3 - tail]}...{name[-tail:]}"
