"""A model that is served, in a few lines: the roles of its dims, memory, prompts, tokens, and how far they reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, zip_longest
from typing import Final, TypeVar

from effaudit.printable import printable
from effaudit.quantity import Quantity, add
from effaudit.render.fit.words import label, span
from effaudit.serving.types import Longest, Phase, Rate, Role, Serving, ServingMemory, Use
from effaudit.units import human_bytes, human_measure, rounded
from effaudit.views.kv_cache import KVLayer
from effaudit.wrapping import WIDTH, wrapped

ROLES: Final = {
    "batch": "batch",
    "new": "new",
    "past": "past",
    "total": "past + new",
    "capacity": "capacity",
    "encoder": "encoder",
}
LIMITS: Final = {"memory": "memory", "positions": "positions of the graph"}
KINDS: Final = 3
BOUNDS: Final = {"compute": "compute-bound", "bandwidth": "memory-bound", "": "bound not known"}
BETWEEN: Final = " | "
Row = TypeVar("Row")


def lines(serving: Serving, notes: int = 3, rows: int = 5) -> Iterator[str]:
    """The lines, of 80 columns at the most, with so many notes and rows of each sweep at the most; what they leave out
    stands in JSON."""
    yield from wrapped(label("roles"), "; ".join(map(_role, serving.roles)))
    yield from _cache(serving)
    yield from _memory(serving)
    yield from wrapped(label("reach"), _reach(serving))
    before = "" if serving.prefill is None else serving.prefill.ceiling.why
    yield from _phase(label("prefill"), serving.prefill, serving.why_no_prefill)
    yield from _phase(label("decode"), serving.decode, serving.why_no_decode, before)
    yield from _sweeps(serving, rows)
    said = [f"{finding.message} -> {finding.remedy}" for finding in serving.findings]
    said = [*said, *serving.notes]
    shown = max(notes, len(serving.findings))
    for text in said[:shown]:
        yield from wrapped(label("note"), text)
    if notes and len(said) > shown:
        yield f"{label('note')}{len(said) - shown} {'more ' if shown else ''}in -f json"


def _role(row: Role) -> str:
    names = [printable(name, 60) for name in row.dims]
    shown = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
    return f"{ROLES[row.role]} = {shown}" if row.size is None else f"{ROLES[row.role]} fixed at {row.size:,}"


def _cache(serving: Serving) -> list[str]:
    kinds, cache = _kinds(serving.layers, serving.kv_dtype), serving.memory.cache
    if not cache.high and not cache.low:
        return wrapped(label("cache"), f"none in the file: {kinds}")
    ratio = serving.mha_ratio
    gqa = "" if ratio is None or ratio <= 1 else f"; {rounded(ratio, 2)} x as MHA"
    return wrapped(label("cache"), f"{kinds}: {_bytes(serving.memory.token_bytes)} a token{gqa}")


def _kinds(layers: Sequence[KVLayer], dtype: str) -> str:
    """Equal layers together: 32 layers of GQA, 8 key heads of 128, float16."""
    groups = [(len(list(group)), kind) for kind, group in groupby(map(_kind, layers))]
    texts = [f"{count} layer{'s' if count > 1 else ''} of {kind}" for count, kind in groups[:KINDS]]
    more = [f"{len(groups) - KINDS} more kinds"] if len(groups) > KINDS else []
    return f"{'; '.join([*texts, *more])}, {dtype}" if texts else "no layer is told"


def _kind(layer: KVLayer) -> str:
    heads = "?" if layer.kv_heads is None else f"{layer.kv_heads:,}"
    size = "?" if layer.key_size is None else f"{layer.key_size:,}"
    window = "" if layer.window is None else f", window {layer.window:,}"
    return f"{layer.kind or 'attention'}, {heads} key heads of {size}{window}"


def _memory(serving: Serving) -> Iterator[str]:
    m = serving.memory
    parts = [f"weights {_bytes(m.weights)}"]
    parts += [f"cache {_bytes(m.cache)} ({serving.batch:,} x {serving.context:,} tokens)"]
    reserved = add(use.reserved for use in m.uses)
    beside = (("of the encoder", m.cross), ("activations", m.activations), ("runtime", m.runtime), ("code", m.code))
    parts += [f"{what} {_bytes(size)}" for what, size in (*beside, ("reserved", reserved)) if size.high != 0]
    yield from wrapped(label("needs"), ", ".join(parts))
    short = _short(m)
    for i, use in enumerate(m.uses):
        yield from wrapped(label(), _use(use) + (f", {short}" if short and i == len(m.uses) - 1 else ""))
    if m.why and m.fits is not True and (m.fits is False or m.short_at_most is None or not short):
        yield from wrapped(label(), m.why if m.fits is False else f"not known: {m.why}")


def _short(m: ServingMemory) -> str:
    if m.fits is False:
        return f"{human_bytes(m.short)} short{'' if m.short == m.short_at_most else ' at least'}"
    return f"up to {human_bytes(m.short_at_most)} short" if m.short_at_most else ""


def _use(use: Use) -> str:
    of = "of a size that is not known" if use.size is None else f"of {_bytes(use.size)}"
    spare = None if use.size is None or use.need.high is None else use.size.low - use.need.high
    left = "" if spare is None or spare < 0 else f", {human_bytes(spare)} left"
    return f"{printable(use.memory, 40)}: {_bytes(use.need)} {of}{left}"


def _reach(serving: Serving) -> str:
    context, batch = serving.longest_context, serving.largest_batch
    whys = [_because(found) for found in (context, batch)]
    whys[0] = "" if whys[0] == whys[1] else whys[0]
    longest = f"context {_longest(context)} at batch {serving.batch:,}{whys[0]}"
    return f"{longest}; batch {_longest(batch)} at {serving.context:,}{whys[1]}"


def _longest(found: Longest) -> str:
    """The largest that is sure to fit, and the largest that may."""
    if found.sure is None and found.at_most is None:
        return {"none": "of any size", "file": "as in the file"}.get(found.limit, "not known")
    if found.sure == found.at_most:
        return f"{found.sure:,}"
    low = "?" if found.sure is None else f"{found.sure:,}"
    return f"{low} .. {'?' if found.at_most is None else f'{found.at_most:,}'}"


def _because(found: Longest) -> str:
    fixed = found.limit == "file" and found.sure is None
    why = "" if fixed else found.why or LIMITS.get(found.limit, "")
    return f" ({why})" if why else ""


def _phase(head: str, phase: Phase | None, why: str, before: str = "") -> list[str]:
    """The lines of a phase; what its ceiling does not know is said once, not where it stands `before`."""
    if phase is None:
        return wrapped(head, f"none: {why}" if why else "none")
    c = phase.ceiling
    said = f"{phase.new:,} token{'s' if phase.new > 1 else ''} x {phase.batch:,}: {BOUNDS[c.bound]}"
    near = f" if not in {printable(c.held, 40)}" if c.held else ""
    top = "ceiling not known"
    if phase.ceiling_tokens_per_s is not None:
        top = f"{'ceiling' if c.held else 'at most'} {_rate(phase.ceiling_tokens_per_s)} tokens/s"
    doubt = wrapped(label(), c.why) if c.why not in ("", before) and not c.held else []
    rate, time = phase.tokens_per_s, phase.latency.value
    if rate.value is None or time is None:
        return [*wrapped(head, f"{said}, {top} ({_time(c.seconds)}{near})"), *doubt]
    bounds = f"{'?' if rate.low is None else _rate(rate.low)} .. {'?' if rate.high is None else _rate(rate.high)}"
    return [
        *wrapped(head, f"{said}: compute {_time(c.compute_s)}, bytes {_time(c.memory_s)}{near}"),
        *wrapped(label(), f"{top}; estimate {_rate(rate.value)} ({bounds}), {_time(time)}"),
        *doubt,
    ]


def _sweeps(serving: Serving, rows: int) -> Iterator[str]:
    """Contexts and batches side by side, one below the other where they are too wide."""
    contexts, batches = _contexts(serving, rows), _batches(serving, rows)
    tables = [list(_table(table)) for table in (contexts, batches) if len(table) > 1]
    width = max(len(table[0]) for table in tables) if tables else 0
    if sum(len(table[0]) for table in tables) + len(BETWEEN) * (len(tables) - 1) + len(label()) > WIDTH:
        found = [row for table in tables for row in table]
    else:
        found = [BETWEEN.join(row) for row in _beside(tables)]
    for i, row in enumerate(found):
        yield f"{label('' if i else 'sweep')}{row}".rstrip(" |")
    if serving.compute_bound_batch is not None:
        yield f"{label()}compute-bound at the peaks from batch {serving.compute_bound_batch:,} on"
    elif width and serving.decode is not None and serving.compute_bound_why:
        held, known = serving.decode.ceiling.held, serving.decode.ceiling.why != serving.compute_bound_why
        why = f"all it reads may stay in {printable(held, 40)}" if held else serving.compute_bound_why
        why = why if known or held else "its ceiling is not known"
        yield from wrapped(label(), f"compute-bound at no batch: {why}")


def _beside(tables: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    widths = [len(table[0]) for table in tables]
    for row in zip_longest(*tables, fillvalue=""):
        yield [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]


def _contexts(serving: Serving, rows: int) -> list[tuple[str, ...]]:
    """The header and the rows nearest to the context asked for."""
    shown = _nearest(serving.contexts, [row.context for row in serving.contexts], serving.context, rows)
    tokens = _column([(row.tokens_per_s, row.ceiling_tokens_per_s) for row in shown])
    head = ("context", "memory at most", "fits", tokens[0])
    return [
        head,
        *((f"{r.context:,}", _most(r.total), _fits(r.fits), t) for r, t in zip(shown, tokens[1:], strict=True)),
    ]


def _batches(serving: Serving, rows: int) -> list[tuple[str, ...]]:
    """The header and the rows nearest to the batch asked for."""
    shown = _nearest(serving.batches, [row.batch for row in serving.batches], serving.batch, rows)
    tokens = _column([(row.tokens_per_s, row.ceiling_tokens_per_s) for row in shown])
    known = all(row.step.value is not None for row in shown)
    steps = [_time(row.step.low if row.step.value is None or not known else row.step.value) for row in shown]
    head = ("batch", "step" if known else "step >=", "fits", tokens[0])
    return [head, *((f"{r.batch:,}", s, _fits(r.fits), t) for r, s, t in zip(shown, steps, tokens[1:], strict=True))]


def _nearest(found: Sequence[Row], sizes: Sequence[int], asked: int, most: int) -> Sequence[Row]:
    """So many rows around the one asked for, in their order."""
    at = sizes.index(asked) if asked in sizes else 0
    start = max(min(at - most // 2, len(found) - most), 0)
    return found[start : start + most]


def _column(rates: Sequence[tuple[Rate, float | None]]) -> list[str]:
    """Tokens per second with a header: estimates where all are known, else the most there may be."""
    known = all(rate.value is not None for rate, _ in rates)
    values = [rate.value if known else ceiling for rate, ceiling in rates]
    return ["tok/s" if known else "tok/s <=", *("?" if value is None else _rate(value) for value in values)]


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))


def _fits(known: bool | None) -> str:
    return "?" if known is None else "yes" if known else "no"


def _bytes(size: Quantity) -> str:
    return span((size.low, size.high))


def _time(seconds: float | None) -> str:
    return "not known" if seconds is None else human_measure(seconds, "s")


def _most(size: Quantity) -> str:
    """What is needed at the most."""
    if size.value is not None:
        return human_bytes(size.value)
    return f">= {human_bytes(size.low)}" if size.high is None else human_bytes(size.high)


def _rate(value: float) -> str:
    return rounded(value, 3) if value >= 0.01 else f"{value:.3g}"
