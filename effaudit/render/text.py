"""Text for a terminal: the first screen (at most 40 lines of 80 columns), and with `--nodes` every node."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator

from effaudit.printable import printable
from effaudit.report import ModelReport, NodeReport, Report, TensorType, Totals
from effaudit.units import human, human_bytes

WIDTH = 80
HEIGHT = 40
MAX_FORMULA = 220


def render(document: Report, nodes: bool) -> Iterator[str]:
    for i, model in enumerate(document.models):
        yield ("\n" if i else "") + "\n".join(_screen(model, document.counting, nodes)) + "\n"
        if nodes:
            yield from _nodes(model)


def _screen(model: ModelReport, counting: str, nodes: bool) -> list[str]:
    """The first screen; a model with much to say shows fewer hot spots."""
    for top in (5, 3, 2, 1, 0):
        lines = _lines(model, counting, nodes, top)
        if len(lines) <= HEIGHT:
            break
    return lines


def _lines(model: ModelReport, counting: str, nodes: bool, top: int) -> list[str]:
    return [
        *_head(model, counting),
        "",
        *_totals(model.totals),
        *_formulas(model),
        *_memory(model),
        *_hot(model, top),
        *_findings(model),
        *([] if nodes else _next(model)),
    ]


def _head(model: ModelReport, counting: str) -> list[str]:
    opsets = ", ".join(f"{printable(d, 20)} {v}" for d, v in list(model.opsets.items())[:2])
    path, rest = printable(model.path, None), f"opset {opsets}   {counting}"
    lines = [f"{path}   {rest}"] if len(path) + len(rest) + 3 <= WIDTH else [path, f"       {rest}"]
    for kind, tensors in (("in", model.inputs), ("out", model.outputs)):
        more = [f"+{len(tensors) - 3} more"] if len(tensors) > 3 else []
        lines.extend(_wrapped(f"{kind:<7}", ", ".join([*map(_tensor, tensors[:3]), *more])))
    named = [f"{printable(name, 40)}={d.value} ({d.origin})" for name, d in model.dims.items() if d.value is not None]
    if named:
        lines.extend(_wrapped("dims   ", ", ".join(named[:8])))
    for origin, what in (("data", "the values fed decide"), ("unknown", "cannot be told")):
        names = [printable(name, 40) for name, d in model.dims.items() if d.origin == origin]
        if names:
            lines.append(_cut(f"open   {len(names)} dim(s) {what}: {', '.join(names[:8])}"))
    t = model.totals
    state = "all priced" if not t.unpriced else f"{t.unpriced} NOT priced"
    never = t.nodes - t.priced - t.unpriced
    lines.append(f"nodes  {t.nodes:,}, {state}" + (f", {never} never run" if never else ""))
    return lines


def _tensor(tensor: TensorType) -> str:
    return f"{printable(tensor.name, 30)} {tensor.dtype} {_size(tensor.shape)}"


def _size(shape: tuple[int | str, ...] | None) -> str:
    """1x3x224x224, or [batch, 3, ...] where a dim is an expression."""
    if shape is None:
        return "?"
    if all(isinstance(dim, int) for dim in shape):
        return "x".join(map(str, shape)) or "scalar"
    return f"[{', '.join(printable(str(dim), 30) for dim in shape)}]"


def _number(value: int | None, bounds: list[int | None], show: Callable[[int], str] = human) -> str:
    if value is not None:
        short = show(value)
        return short if short.removesuffix(" B") == str(value) else f"{short} ({value:,})"
    low, high = bounds
    return f"{low or 0:,} .. {high:,}" if high is not None else f"unknown, at least {low or 0:,}"


def _totals(t: Totals) -> list[str]:
    params = f"params {_number(t.params, [])}"
    if t.params_stored != t.params:
        params += f", stored as {t.params_stored:,}"
    if t.buffers:
        params += f"   buffers {t.buffers:,}"
    lines = [
        f"{params}   weights {human_bytes(t.weight_bytes)}",
        f"MACs   {_number(t.macs, t.macs_bounds)}",
        f"ops    {_number(t.ops, t.ops_bounds)} other than MACs",
        f"FLOPs  {_number(t.flops, t.flops_bounds)} = 2 MACs + ops",
    ]
    if t.read_bytes is not None and t.write_bytes is not None:
        line = f"moved  {human_bytes(t.read_bytes)} read + {human_bytes(t.write_bytes)} written, unfused"
        if t.flops is not None and t.read_bytes + t.write_bytes:
            line += f"   intensity {t.flops / (t.read_bytes + t.write_bytes):.2f} FLOP/B"
        lines.append(line)
    else:
        read, written = _number(t.read_bytes, t.read_bounds), _number(t.write_bytes, t.write_bounds)
        lines.extend(_wrapped("moved  ", f"{read} B read, {written} B written"))
    if t.why:
        lines.extend(_wrapped("       because ", printable(t.why, 300)))
    return [_cut(line) for line in lines]


def _formulas(model: ModelReport) -> list[str]:
    lines = []
    for figure in ("macs", "live_bytes") if model.formulas else ():
        text = (model.formulas or {}).get(figure)
        if text is None:
            text = "unknown as a formula of the open dims"
        elif len(text) > MAX_FORMULA:
            text = "a long formula of the open dims: see `formulas` in the JSON document"
        lines.extend(_wrapped(f"{figure} = ", printable(text, None)))
    return lines


def _memory(model: ModelReport) -> list[str]:
    memory = model.memory
    lines = [f"live   {_number(memory.live_bytes, memory.live_bounds, human_bytes)}"]
    if memory.live_bytes is not None:
        if memory.peak_node is not None:
            lines[0] += f" at {printable(memory.peak_node, 40)}"
            alive = ", ".join(f"{printable(t.name, 24)} {human_bytes(t.bytes)}" for t in memory.live_set[:3])
            more = f" +{len(memory.live_set) - 3}" if len(memory.live_set) > 3 else ""
            lines.append(_cut(f"alive  {alive}{more}"))
    elif memory.why:
        lines.extend(_wrapped("       because ", printable(memory.why, 300)))
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
    lines = [""] if any(hot.nodes for hot in model.hot) else []
    for hot in model.hot:
        title = "MACs" if hot.figure == "macs" else hot.figure
        for i, node in enumerate(hot.nodes[:top]):
            label = title if not i else ""
            share = f"{label:<7}{100 * node.share:5.1f} %  {human(node.value):>9}"
            lines.append(_cut(f"{share}  {node.kind:<16} {printable(node.name, 36)}"))
    return lines


def _findings(model: ModelReport) -> list[str]:
    lines = [""] if model.findings else []
    for finding in model.findings:
        lines.extend(_wrapped("note   ", printable(finding.message, 400)))
        lines.extend(_wrapped("       -> ", printable(finding.remedy, 400)))
    return lines


def _next(model: ModelReport) -> list[str]:
    """The next sensible command, whole and ready to paste."""
    if model.path == "-":
        return []
    options = [f"--dim {shlex.quote(f'{name}={size}')}" for name, size in model.given["dims"].items()]
    for name, shape in model.given["shapes"].items():
        options.append(f"--shape {shlex.quote(f'{name}=' * bool(name) + 'x'.join(map(str, shape)))}")
    command = ["effaudit report", shlex.quote(model.path), *options, "--nodes"]
    return ["", f"next   {printable(' '.join(command), None)}"]


# (title, width); text to the left, numbers to the right. Fixed, so that a table of any length prints as it is made.
_COLUMNS = (("node", 40), ("op", 18), ("kind", 16), ("output", 20))
_NUMBERS = (("params", 11), ("MACs", 15), ("ops", 13), ("read B", 13), ("written B", 13))


def _nodes(model: ModelReport) -> Iterator[str]:
    """The table of every node."""
    titles = [f"{t:<{w}}" for t, w in _COLUMNS] + [f"{t:>{w}}" for t, w in _NUMBERS]
    yield "\n" + "  ".join(titles).rstrip() + "\n"
    yield "  ".join("-" * w for _, w in (*_COLUMNS, *_NUMBERS)) + "\n"
    for node in model.nodes:
        yield from _node_rows(node, "")


def _node_rows(node: NodeReport, indent: str) -> Iterator[str]:
    """The row of a node, and those of its bodies, for one run of each."""
    yield _node_row(node, indent)
    for inner in node.nodes:
        yield from _node_rows(inner, indent + "  ")


def _node_row(node: NodeReport, indent: str) -> str:
    size = _size(node.outputs[0].shape if node.outputs else None)
    name = indent + (node.name or (node.outputs[0].name if node.outputs else node.op))
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
