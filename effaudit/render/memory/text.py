"""Text for a terminal: one screen per model, or a row each for several, and the lists that are asked for."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

from effaudit.memory.types import MemoryDocument, MemoryFigures, ModelMemory
from effaudit.printable import printable
from effaudit.render.memory.plot import plot
from effaudit.render.memory.sequences import sequences
from effaudit.render.plain import table
from effaudit.render.screen import amount, cut, interface, options
from effaudit.runtimes import DEFAULT
from effaudit.tables.memory import LISTS, summary
from effaudit.tables.table import Shown, arranged
from effaudit.units import human_bytes
from effaudit.wrapping import WIDTH, wrapped

ALIVE: Final = 4  # tensors of the peak that are named
NOTES: Final = 3
WIDEST: Final = 30  # characters of a number that what stands beside it leaves room for
SMALL: Final = 4 * 2**20  # bytes: more than any microcontroller's memory


def render(document: MemoryDocument, shown: Shown) -> Iterator[str]:
    """Several models, or one under several runtimes: a row each."""
    one = len(document.models) == 1 and "totals" not in shown.tables
    if not one:
        made = summary(document)
        yield f"effaudit memory   {len(document.models)} plans"
        yield from table(arranged(made, Shown()), shown.width)
    lists = [name for name in shown.tables if name != "totals"]
    for model in document.models:
        if one:
            yield "\n".join([*map(cut, _screen(model)), *([] if lists else _next(model))]) + "\n"
        elif lists:
            yield f"\n{printable(model.path, None)}   {model.memory.runtime}\n"
        for name in lists:
            made = arranged(LISTS[name](model), Shown(top=shown.top))
            yield from table(made, shown.width)
            if made.note:
                yield "\n".join(wrapped("", made.note)) + "\n"


def _screen(model: ModelMemory) -> list[str]:
    chart = plot(model.memory.timeline, WIDTH)
    return [
        *_head(model),
        "",
        *_arena(model.memory),
        *_peak(model.memory),
        *_beside(model.memory),
        *_patches(model),
        *sequences(model),
        *(["", *chart] if chart else []),
        *_remedies(model),
        *_findings(model),
    ]


def _head(model: ModelMemory) -> list[str]:
    lines = wrapped("", f"{printable(model.path, None)}   {model.how}")
    lines += interface(model.inputs, model.outputs, model.dims)
    done = "; ".join(model.rewrites)
    lines += wrapped("nodes  ", f"{model.nodes:,} run" + (f"; {done}" if done else ""))
    return lines


def _arena(m: MemoryFigures) -> list[str]:
    if m.arena_bytes is None:
        lines = [f"arena  {_span(m.arena_bounds)} ({amount(None, m.arena_bounds)})"]
        return [*lines, *wrapped("       because ", printable(m.why or "", 300))]
    lines = [f"arena  {amount(m.arena_bytes, m.arena_bounds, human_bytes)}"]
    words = f"planner {m.planner}"
    if m.align > 1:
        words += f", {m.align}-byte aligned"
    if m.inputs_pinned:
        words += ", inputs pinned"
    if m.proven_optimal:
        words += "; no plan is smaller (proven)"
    elif m.floor_bytes:
        words += f"; {100 * (m.gap or 0):.1f} % above the floor of {human_bytes(m.floor_bytes)}, not proven optimal"
    return [*lines, *wrapped("       ", words)]


def _peak(m: MemoryFigures) -> list[str]:
    lines = [f"live   {amount(m.live_bytes, m.live_bounds, human_bytes)}"]
    if m.peak_node is None:
        return lines
    place = f" (step {(m.peak_step or 0) + 1:,} of {len(m.timeline):,})"
    lines[0] += f" at {printable(m.peak_node, max(WIDTH - len(lines[0]) - len(place) - 4, 12))}{place}"
    width = max((len(human_bytes(t.bytes)) for t in m.live_set[:ALIVE]), default=0)
    lines += [f"       {human_bytes(t.bytes):>{width}}  {printable(t.name, 56)}" for t in m.live_set[:ALIVE]]
    if len(m.live_set) > ALIVE:
        rest = sum(t.bytes for t in m.live_set[ALIVE:])
        lines.append(f"       {human_bytes(rest):>{width}}  in {len(m.live_set) - ALIVE} more")
    return lines


def _beside(m: MemoryFigures) -> list[str]:
    """The other figures by name, and what comes on top of the arena."""
    # a runtime that keeps storage longer than its tensors can share and still need more
    shares = "in place" if (m.inplace_bytes or 0) <= (m.live_bounds[1] or 0) else "as it shares"
    figures = [("sum", m.sum_bytes), ("max in+out", m.max_in_out_bytes), (shares, m.inplace_bytes)]
    if m.body_live_bytes != 0:
        figures.append(("bodies", m.body_live_bytes))
    if m.best_order is not None:
        figures.append(("best order" if m.best_order.proven else "best order found", m.best_order_bytes))
    words = [f"{label} {'unknown' if size is None else human_bytes(size)}" for label, size in figures]
    if m.inplace_bytes is None and m.inplace_bounds[1] is not None:
        words[2] = f"{shares} {_span(m.inplace_bounds)}"
    lines = wrapped("also   ", "   ".join(words).replace(" ", "\u00a0").replace("\u00a0\u00a0\u00a0", "   "))
    lines = [line.replace("\u00a0", " ") for line in lines]
    top = []
    if m.scratch_bounds is not None:
        whole = m.arena_with_scratch_bounds
        whole_text = "" if whole is None or m.scratch_bounds == [0, 0] else f" (with the arena {_span(whole)})"
        top.append(f"kernel workspace {_span(m.scratch_bounds)}{whole_text}")
    if m.persistent_bounds is not None:
        top.append(f"persistent {_span(m.persistent_bounds)}")
    return [*lines, *(wrapped("on top ", ", ".join(top)) if top else []), *_extra(m)]


def _patches(model: ModelMemory) -> list[str]:
    """The patches that were asked for; those that were only looked for stand among the remedies."""
    p = model.memory.patched
    if p is None or any(r.option.startswith("--patch ") for r in model.remedies):
        return []
    nodes = "node" if len(p.nodes) == 1 else f"{len(p.nodes):,} nodes"
    words = f"{amount(p.patched_bytes, [], human_bytes)} alive with the first {nodes} in "
    words += f"{'x'.join(map(str, p.grid))} patches of {printable(p.stage, 60)}: a patch {human_bytes(p.stage_bytes)}, "
    words += f"the rest {human_bytes(p.rest_bytes)}"
    if p.extra_share is not None:
        words += f"; {100 * p.extra_share:.1f} % more MACs"
    if p.patched_streamed_bytes != p.patched_bytes:
        words += f"; {human_bytes(p.patched_streamed_bytes)} with the input fed patch by patch"
    live = model.memory.live_bytes
    if live is not None and p.patched_bytes >= live:
        words += f"; no gain: without patches {human_bytes(live)}"
    return wrapped("patch  ", words)


def _extra(m: MemoryFigures) -> list[str]:
    """What only some ask for."""
    lines = []
    t = m.training
    if t is not None:
        kept = "unknown" if t.kept_bytes is None else human_bytes(t.kept_bytes)
        total = "unknown" if t.training_bytes is None else human_bytes(t.training_bytes)
        words = f"about {total}, an estimate: {kept} of activations kept, {human_bytes(t.weight_bytes)} of weights, "
        words += f"{human_bytes(t.gradient_bytes)} of gradients ({t.fraction} of the weights updated); no optimizer"
        lines += wrapped("train  ", words)
    if m.seconds is not None:
        lines.append(f"       planned in {m.seconds:.3f} s")
    return lines


def _span(bounds: list[int | None]) -> str:
    low, high = bounds
    if low == high:
        return human_bytes(low or 0, 3)
    return f"{human_bytes(low or 0, 3)} .. {'unbounded' if high is None else human_bytes(high, 3)}"


def _remedies(model: ModelMemory) -> list[str]:
    if not model.remedies:
        return []
    lines = ["", "what would lower it"]
    width = max(len(human_bytes(r.arena_bytes)) for r in model.remedies)
    for r in model.remedies:
        cost = f", at the cost of {r.cost}" if r.cost else ""
        words = f"{r.what}{cost}" + (f"   {r.option}" if r.option else "")
        label = f"  {human_bytes(r.arena_bytes):>{width}} {-100 * r.saves:5.1f} %  "
        lines += wrapped(label, words) if width < WIDEST else wrapped("  ", f"{label.strip()} {words}")
    return lines


def _findings(model: ModelMemory) -> list[str]:
    lines = [""] if model.findings or model.notes else []
    for finding in model.findings[:NOTES]:
        lines += wrapped("note   ", printable(f"{finding.message} -> {finding.remedy}", 600))
    for note in model.notes:
        lines += wrapped("note   ", note)
    return lines


def _next(model: ModelMemory) -> list[str]:
    """The next sensible command, whole and ready to paste."""
    if model.path == "-":
        return []
    command = ["effaudit memory", shlex.quote(model.path), *options(model.given)]
    if model.memory.runtime != DEFAULT:
        command += [f"--runtime {model.memory.runtime}", "--buffers"]
    else:
        command += ["--runtime tflm" if (model.memory.arena_bounds[0] or 0) < SMALL else "--runtime ort"]
    return ["", f"next   {printable(' '.join(command), None)}"]
