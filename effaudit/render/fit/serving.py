"""A model that is served, in a few lines: the roles of its dims, memory, prompts, tokens, and how far they reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, zip_longest
from typing import Final

from effaudit.estimate.types import Seconds
from effaudit.printable import printable
from effaudit.quantity import Quantity
from effaudit.render.fit.words import label, span
from effaudit.serving.types import BatchRow, ContextRow, Longest, Phase, Rate, Role, Serving, Use
from effaudit.units import human_bytes, human_measure, rounded
from effaudit.views.kv_cache import KVLayer
from effaudit.wrapping import wrapped

ROLES: Final = {
    "batch": "batch",
    "new": "new",
    "past": "past",
    "total": "past + new",
    "capacity": "capacity",
    "encoder": "encoder",
}
LIMITS: Final = {"memory": "memory", "positions": "positions of the graph", "file": "the file"}
KINDS: Final = 3
NOTES: Final = 3
BOUNDS: Final = {"compute": "compute-bound", "bandwidth": "memory-bound", "": "bound not known"}
SHORT: Final = {"compute": "compute", "bandwidth": "memory", "": "?"}


def lines(serving: Serving) -> Iterator[str]:
    """The lines, of 80 columns at the most; what they leave out stands in JSON."""
    yield from wrapped(label("roles"), "; ".join(map(_role, serving.roles)))
    yield from _cache(serving)
    yield from _memory(serving)
    yield from wrapped(label("reach"), _reach(serving))
    yield from _phase(label("prefill"), serving.prefill, serving.why_no_prefill)
    yield from _phase(label("decode"), serving.decode, serving.why_no_decode)
    yield from _sweeps(serving)
    said = [f"{finding.message} -> {finding.remedy}" for finding in serving.findings]
    said = [*said, *serving.notes]
    for text in said[:NOTES]:
        yield from wrapped(label("note"), text)
    if len(said) > NOTES:
        yield f"{label('note')}{len(said) - NOTES} more in -f json"


def _role(row: Role) -> str:
    names = [printable(name, 60) for name in row.dims]
    shown = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
    return f"{ROLES[row.role]} = {shown}" if row.size is None else f"{ROLES[row.role]} fixed at {row.size:,}"


def _cache(serving: Serving) -> list[str]:
    kinds, cache = _kinds(serving.layers, serving.kv_dtype), serving.memory.cache
    if not cache.high and not cache.low:
        return wrapped(label("cache"), f"none in the file: {kinds}")
    ratio = serving.mha_ratio
    gqa = "" if ratio is None or ratio <= 1 else f"; a key head per query head: {rounded(ratio, 2)} times as much"
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
    beside = (("of the encoder", m.cross), ("activations", m.activations), ("runtime", m.runtime), ("code", m.code))
    parts += [f"{what} {_bytes(size)}" for what, size in beside if size.high != 0]
    yield from wrapped(label("needs"), ", ".join(parts))
    for use in m.uses:
        yield from wrapped(label(), _use(use))
    if m.fits is None:
        yield from wrapped(label(), f"NOT KNOWN: {_short(m.short_at_most)}{m.why}")
    elif not m.fits:
        yield from wrapped(label(), f"DOES NOT FIT: {human_bytes(m.short)} short at least" + (m.why and f" ({m.why})"))


def _short(most: int | None) -> str:
    return f"{human_bytes(most)} short at the most; " if most else ""


def _use(use: Use) -> str:
    kept = f", {_bytes(use.reserved)} reserved" if use.reserved.high != 0 else ""
    of = "of a size that is not known" if use.size is None else f"of {_bytes(use.size)}"
    spare = None if use.size is None or use.need.high is None else use.size.low - use.need.high
    left = "" if spare is None or spare < 0 else f", {human_bytes(spare)} left"
    return f"{printable(use.memory, 40)}: {_bytes(use.need)} {of}{kept}{left}"


def _reach(serving: Serving) -> str:
    context = f"batch {serving.batch:,}: a context of {_longest(serving.longest_context)}"
    return f"{context}; {serving.context:,} tokens: a batch of {_longest(serving.largest_batch)}"


def _longest(found: Longest) -> str:
    why = f" ({found.why or LIMITS.get(found.limit, found.limit)})"
    if found.sure is None and found.at_most is None:
        return {"none": "any size", "file": "the file's"}.get(found.limit, "?") + why
    if found.sure == found.at_most:
        return f"{found.sure:,}" + why
    low = "?" if found.sure is None else f"{found.sure:,}"
    return f"{low} for sure, {'no bound' if found.at_most is None else f'{found.at_most:,}'} at the most" + why


def _phase(head: str, phase: Phase | None, why: str) -> list[str]:
    if phase is None:
        return wrapped(head, f"none: {why}" if why else "none")
    c = phase.ceiling
    what = f"{phase.new:,} new token{'s' if phase.new > 1 else ''} x {phase.batch:,}"
    top = "not known"
    if phase.ceiling_tokens_per_s is not None:
        times = f"compute {_time(c.compute_s)}, bytes {_time(c.memory_s)}"
        top = f"{_rate(phase.ceiling_tokens_per_s)} tokens/s ({times})"
    found = wrapped(head, f"{what}: {BOUNDS[c.bound]} at the peaks, ceiling {top}", len(label()))
    found += wrapped(label(), c.why) if c.why else []
    if phase.latency.value is not None:
        found += wrapped(label(), f"estimate {_tokens(phase.tokens_per_s)} in {_seconds(phase.latency)}")
    return found


def _sweeps(serving: Serving) -> Iterator[str]:
    """Contexts and batches side by side."""
    contexts = (("context", "memory", "fits", "tok/s"), *map(_context, serving.contexts))
    batches = (("batch", "step", "fits", "tok/s", "bound"), *map(_batch, serving.batches))
    shown = [table for table in (contexts, batches) if len(table) > 1]
    columns = [list(_table(table)) for table in shown]
    for i, row in enumerate(zip_longest(*columns)):
        widths = [len(column[0]) for column in columns]
        cells = (f"{cell or '':<{width}}" for cell, width in zip(row, widths, strict=True))
        yield f"{label('' if i else 'sweep')}{'  |  '.join(cells)}".rstrip(" |")
    if serving.compute_bound_batch is not None:
        yield f"{label()}compute-bound at the peaks from batch {serving.compute_bound_batch:,} on"
    elif serving.batches and serving.compute_bound_why:
        yield from wrapped(label(), f"compute-bound at no batch: {serving.compute_bound_why}")


def _context(row: ContextRow) -> tuple[str, ...]:
    return f"{row.context:,}", _most(row.total), _fits(row.fits), _best(row.tokens_per_s, row.ceiling_tokens_per_s)


def _batch(row: BatchRow) -> tuple[str, ...]:
    rate = _best(row.tokens_per_s, row.ceiling_tokens_per_s)
    return f"{row.batch:,}", _step(row.step), _fits(row.fits), rate, SHORT[row.bound]


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


def _seconds(time: Seconds) -> str:
    high = "unbounded" if time.high is None else human_measure(time.high, "s")
    return f"{human_measure(time.value or 0.0, 's')} ({human_measure(time.low, 's')} .. {high})"


def _step(time: Seconds) -> str:
    """The estimate alone: its bounds would not fit a row."""
    if time.value is None:
        return f">= {human_measure(time.low, 's')}" if time.low else "?"
    return human_measure(time.value, "s")


def _most(size: Quantity) -> str:
    """What is needed at the most."""
    if size.value is not None:
        return human_bytes(size.value)
    return f">= {human_bytes(size.low)}" if size.high is None else f"<= {human_bytes(size.high)}"


def _tokens(found: Rate) -> str:
    high = "unbounded" if found.high is None else _rate(found.high)
    low = "?" if found.low is None else _rate(found.low)
    return f"{_rate(found.value or 0.0)} tokens/s ({low} .. {high})"


def _best(found: Rate, ceiling: float | None) -> str:
    """The estimate, else the most there may be."""
    if found.value is not None:
        return _rate(found.value)
    return "?" if ceiling is None else f"<= {_rate(ceiling)}"


def _rate(value: float) -> str:
    return rounded(value, 3)
