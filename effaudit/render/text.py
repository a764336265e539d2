"""Text for a terminal: the first screen (at most 40 lines of 80 columns), and with `--nodes` every node."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from effaudit.printable import printable
from effaudit.report import ModelReport, NodeReport, Report, TensorType, Totals
from effaudit.units import human, human_bytes

WIDTH = 80
HEIGHT = 40


def render(document: Report, nodes: bool) -> Iterator[str]:
    for i, model in enumerate(document.models):
        yield ("\n" if i else "") + "\n".join(_screen(model, document.counting)) + "\n"
        if nodes:
            yield from _nodes(model)


def _screen(model: ModelReport, counting: str) -> list[str]:
    """The first screen; a model with much to say shows fewer hot spots."""
    full = _lines(model, counting, 5)
    return full if len(full) <= HEIGHT else _lines(model, counting, 2)


def _lines(model: ModelReport, counting: str, top: int) -> list[str]:
    return [
        *_head(model, counting),
        "",
        *_totals(model.totals),
        *_formulas(model),
        *_memory(model),
        "",
        *_hot(model, top),
        *_findings(model),
        *_next(model),
    ]


def _head(model: ModelReport, counting: str) -> list[str]:
    opsets = ", ".join(f"{printable(d)} {v}" for d, v in list(model.opsets.items())[:3])
    lines = [f"{printable(model.path)}   opset {opsets}   {counting}"]
    for kind, tensors in (("in", model.inputs), ("out", model.outputs)):
        shown = [_tensor(t) for t in tensors[:3]]
        more = f" +{len(tensors) - 3} more" if len(tensors) > 3 else ""
        lines.append(_cut(f"{kind:<7}{', '.join(shown)}{more}"))
    named = [f"{printable(name, 40)}={d.value} ({d.origin})" for name, d in model.dims.items() if d.value is not None]
    if named:
        lines.append(_cut(f"dims   {', '.join(named)}"))
    open_dims = [name for name, d in model.dims.items() if d.value is None]
    if open_dims:
        shown_dims = ", ".join(printable(n, 40) for n in open_dims[:8])
        lines.append(_cut(f"open   {len(open_dims)} dim(s) that only the values fed decide: {shown_dims}"))
    t = model.totals
    state = "all priced" if not t.unpriced else f"{t.unpriced} NOT priced"
    never = t.nodes - t.priced - t.unpriced
    lines.append(f"nodes  {t.nodes:,}, {state}" + (f", {never} never run" if never else ""))
    return lines


def _tensor(tensor: TensorType) -> str:
    shape = "?" if tensor.shape is None else "x".join(printable(str(d), 30) for d in tensor.shape) or "scalar"
    return f"{printable(tensor.name, 30)} {tensor.dtype} {shape}"


def _number(value: int | None, bounds: list[int | None], show: Callable[[int], str] = human) -> str:
    if value is not None:
        return show(value)
    low, high = bounds
    low_text = show(low or 0)
    return f"{low_text} .. {show(high)}" if high is not None else f"unknown, at least {low_text}"


def _totals(t: Totals) -> list[str]:
    params = f"params {human(t.params)} ({t.params:,})"
    if t.params_stored != t.params:
        params += f", stored as {t.params_stored:,}"
    if t.buffers:
        params += f"   buffers {t.buffers:,}"
    lines = [
        f"{params}   weights {human_bytes(t.weight_bytes)}",
        f"MACs   {_number(t.macs, t.macs_bounds)}" + (f" ({t.macs:,})" if t.macs is not None else ""),
        f"ops    {_number(t.ops, t.ops_bounds)} other   FLOPs = 2 MACs + ops = {_number(t.flops, t.flops_bounds)}",
    ]
    if t.read_bytes is not None and t.write_bytes is not None:
        moved = t.read_bytes + t.write_bytes
        line = f"moved  {human_bytes(t.read_bytes)} read + {human_bytes(t.write_bytes)} written, unfused"
        if t.flops is not None and moved:
            line += f"   intensity {t.flops / moved:.2f} FLOP/B"
        lines.append(line)
    else:
        lines.append("moved  unknown")
    if t.why:
        lines.extend(_wrapped("why    ", printable(t.why, 300)))
    return lines


def _formulas(model: ModelReport) -> list[str]:
    if not model.formulas:
        return []
    lines = []
    for figure in ("macs", "live_bytes"):
        text = model.formulas.get(figure)
        if text is None:
            lines.append(f"{figure} = unknown as a formula of the open dims")
        else:
            lines.extend(_wrapped(f"{figure} = ", printable(text, 180)))
    return lines


def _memory(model: ModelReport) -> list[str]:
    memory = model.memory
    lines = [f"live   {_number(memory.live_bytes, memory.live_bounds, human_bytes)}"]
    if memory.live_bytes is not None:
        lines[0] += f" ({memory.live_bytes:,} B)"
        if memory.peak_node is not None:
            lines[0] += f" at {printable(memory.peak_node, 40)}"
            alive = ", ".join(f"{printable(t.name, 24)} {human_bytes(t.bytes)}" for t in memory.live_set[:3])
            more = f" +{len(memory.live_set) - 3}" if len(memory.live_set) > 3 else ""
            lines.append(_cut(f"alive  {alive}{more}"))
    elif memory.why:
        lines.extend(_wrapped("why    ", printable(memory.why, 300)))
    others = [
        f"{label} {human_bytes(value)}"
        for label, value in (
            ("in place", memory.inplace_bytes),
            ("max in+out", memory.max_in_out_bytes),
            ("sum", memory.sum_bytes),
        )
        if value is not None
    ]
    if others:
        lines.append("       " + "   ".join(others))
    return [_cut(line) for line in lines]


def _hot(model: ModelReport, top: int) -> list[str]:
    lines = []
    for hot in model.hot:
        title = "MACs" if hot.figure == "macs" else hot.figure
        for i, node in enumerate(hot.nodes[:top]):
            label = title if not i else ""
            share = f"{label:<7}{100 * node.share:5.1f} %  {human(node.value):>9}"
            lines.append(_cut(f"{share}  {node.kind:<16} {printable(node.name, 48)}"))
    return lines


def _findings(model: ModelReport) -> list[str]:
    lines = [""] if model.findings else []
    for finding in model.findings:
        lines.extend(_wrapped("note   ", printable(finding.message, 400)))
        lines.extend(_wrapped("       -> ", printable(finding.remedy, 400)))
    return lines


def _next(model: ModelReport) -> list[str]:
    return ["", _cut(f"next   effaudit report {printable(model.path)} --nodes")]


# (title, width); text to the left, numbers to the right. Fixed, so that a table of any length prints as it is made.
_COLUMNS = (("node", 40), ("op", 20), ("kind", 16), ("output", 24))
_NUMBERS = (("params", 13), ("MACs", 17), ("ops", 15), ("read B", 15), ("written B", 15))


def _nodes(model: ModelReport) -> Iterator[str]:
    """The table of every node."""
    titles = [f"{t:<{w}}" for t, w in _COLUMNS] + [f"{t:>{w}}" for t, w in _NUMBERS]
    yield "\n" + "  ".join(titles).rstrip() + "\n"
    yield "  ".join("-" * w for _, w in (*_COLUMNS, *_NUMBERS)) + "\n"
    for node in model.nodes:
        yield _node_row(node)


def _node_row(node: NodeReport) -> str:
    shape = node.outputs[0].shape if node.outputs else None
    size = "?" if shape is None else "x".join(str(d) for d in shape) or "scalar"
    name = node.name or (node.outputs[0].name if node.outputs else node.op)
    words = (name, node.op, node.kind if node.live else "never runs", size)
    cells = [f"{printable(text, width):<{width}}" for text, (_, width) in zip(words, _COLUMNS, strict=True)]
    values = (node.params or "", node.macs, node.ops, node.read_bytes, node.write_bytes)
    for value, (_, width) in zip(values, _NUMBERS, strict=True):
        text = "unknown" if value is None else f"{value:,}" if isinstance(value, int) else value
        cells.append(f"{text:>{width}}")
    return "  ".join(cells).rstrip() + "\n"


def _wrapped(label: str, text: str) -> list[str]:
    """`text` behind a label, whole, on as many lines as it takes."""
    from textwrap import wrap

    rest = " " * len(label)
    pieces = wrap(text, WIDTH - len(label), break_on_hyphens=False) or [""]
    return [(rest if i else label) + piece for i, piece in enumerate(pieces)]


def _cut(line: str, width: int = WIDTH) -> str:
    return line if len(line) <= width else f"{line[: width - 3]}..."
