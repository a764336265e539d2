"""A model that is served, in a few lines: the roles of its dims, memory, prompts, tokens, and how far they reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from effaudit.estimate.types import Seconds
from effaudit.printable import printable
from effaudit.quantity import Quantity
from effaudit.serving.types import Longest, Phase, Rate, Role, Serving, Use
from effaudit.units import human_bytes, human_measure, rounded
from effaudit.views.kv_cache import KVLayer
from effaudit.wrapping import wrapped

ROLES: Final = {
    "batch": "batch",
    "new": "new tokens",
    "past": "past",
    "total": "past and new",
    "capacity": "capacity",
    "encoder": "encoder",
}
LIMITS: Final = {"memory": "memory", "positions": "positions of the graph", "file": "the file"}
KINDS: Final = 3
BOUNDS: Final = {"compute": "compute-bound", "bandwidth": "memory-bound", "": "bound not known"}


def lines(serving: Serving) -> Iterator[str]:
    """The lines, of 80 columns at the most."""
    yield from _head(serving)
    yield from _memory(serving)
    yield from _reach(serving)
    yield from _phase("prefill", serving.prefill, serving.why_no_prefill)
    yield from _phase("decode ", serving.decode, serving.why_no_decode)
    yield from _contexts(serving)
    yield from _batches(serving)
    for finding in serving.findings:
        yield from wrapped("note   ", f"{finding.message} -> {finding.remedy}")
    for i, note in enumerate(serving.notes):
        yield from wrapped("       " if i else "counts ", note)


def _head(serving: Serving) -> Iterator[str]:
    yield from wrapped("dims   ", "; ".join(map(_role, serving.roles)))
    token = _bytes(serving.memory.token_bytes)
    kinds = _kinds(serving.layers, serving.kv_dtype)
    if not serving.memory.cache.high and not serving.memory.cache.low:
        yield from wrapped("cache  ", f"none in the file: {kinds}")
        return
    gqa = ""
    if serving.mha_ratio is not None and serving.mha_ratio > 1:
        gqa = f"; with a key head per query head {rounded(serving.mha_ratio, 2)} times as much"
    yield from wrapped("cache  ", f"{kinds}: {token} a token{gqa}")


def _role(row: Role) -> str:
    names = [printable(name, 60) for name in row.dims]
    shown = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
    what = shown if row.size is None else f"fixed at {row.size:,}"
    return f"{ROLES[row.role]} = {what} ({printable(row.told, 100)})"


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
    arenas = [
        f"{_bytes(size)} {what}"
        for what, size in (("a prompt", m.prefill_activations), ("a step", m.decode_activations))
        if size is not None
    ]
    parts = [f"weights {_bytes(m.weights)}"]
    if m.tables:
        parts.append(f"other constants {human_bytes(m.tables)}")
    parts.append(f"cache {_bytes(m.cache)} ({serving.batch:,} x {serving.context:,} tokens)")
    if m.cross.high != 0:
        parts.append(f"of the encoder {_bytes(m.cross)}")
    parts.append(f"activations {_bytes(m.activations)} ({', '.join(arenas)})")
    if m.runtime.high != 0:
        parts.append(f"runtime {_bytes(m.runtime)}")
    yield from wrapped("needs  ", " | ".join(parts))
    for use in m.uses:
        yield from wrapped("       ", _use(use))
    verdict = "FITS" if m.fits else f"DOES NOT FIT: {human_bytes(m.short)} short at least"
    verdict += f" ({m.why})" if m.fits is False and m.why else ""
    if m.fits is None:
        verdict = f"cannot be told: {m.why}"
    yield from wrapped("       ", verdict)
    if m.apart.high:
        yield from wrapped("       ", f"with past and present apart, {_bytes(m.apart)} more")


def _use(use: Use) -> str:
    kept = f", {human_bytes(use.reserved)} reserved" if use.reserved else ""
    of = "of a size that is not known" if use.size is None else f"of {human_bytes(use.size)}"
    left = "" if use.size is None or use.need > use.size else f", {human_bytes(use.size - use.need)} left"
    return f"{printable(use.memory, 40)}: {human_bytes(use.need)} {of}{kept}{left}"


def _reach(serving: Serving) -> Iterator[str]:
    context = f"longest context at batch {serving.batch:,}: {_longest(serving.longest_context)}"
    batch = f"largest batch at {serving.context:,} tokens: {_longest(serving.largest_batch)}"
    yield from wrapped("reach  ", context)
    yield from wrapped("       ", batch)


def _longest(found: Longest) -> str:
    why = f" ({found.why or LIMITS.get(found.limit, found.limit)})"
    if found.sure is None and found.at_most is None:
        return {"none": "unbounded", "file": "fixed"}.get(found.limit, "not known") + why
    if found.sure == found.at_most:
        return f"{found.sure:,}" + why
    low = "not known" if found.sure is None else f"{found.sure:,}"
    return f"{low} for sure, {'no bound' if found.at_most is None else f'{found.at_most:,}'} at the most" + why


def _phase(label: str, phase: Phase | None, why: str) -> Iterator[str]:
    if phase is None:
        yield from wrapped(f"{label}", f" none: {why}" if why else " none")
        return
    c = phase.ceiling
    what = f"{phase.new:,} new token{'s' if phase.new > 1 else ''} x {phase.batch:,}"
    if phase.past:
        what += f", {phase.past:,} in the cache"
    yield from wrapped(label, f" {what}: {BOUNDS[c.bound]} at the peaks", 8)
    top = "not known" if phase.ceiling_tokens_per_s is None else f"{_rate(phase.ceiling_tokens_per_s)} tokens/s"
    times = [f"compute {_time(c.compute_s)}", f"bytes {_time(c.memory_s)}"]
    read = f"weights {human_bytes(c.weight_bytes)}"
    read += f" + cache {human_bytes(c.cache_bytes)} once" if c.cache_bytes else " once"
    flops = human_measure(float(c.flops), "FLOP")
    yield from wrapped("        ", f"ceiling {top}: {', '.join(times)} ({flops}; {read})")
    if c.why:
        yield from wrapped("        ", c.why)
    yield from wrapped("        ", f"estimate {_seconds(phase.latency)}, {_tokens(phase.tokens_per_s)}")
    share = "" if phase.memory_share is None else f"{phase.memory_share:.0%} of it memory-bound; "
    yield from wrapped("        ", f"{share}{phase.latency.basis}")


def _contexts(serving: Serving) -> Iterator[str]:
    if not serving.contexts:
        return
    rows = [
        (
            f"{row.context:,}",
            _most(row.total),
            _fits(row.fits),
            _number(row.ceiling_tokens_per_s),
            _span(row.tokens_per_s),
            row.bound or "?",
        )
        for row in serving.contexts
    ]
    yield ""
    yield from _table(("context", "memory", "fits", "ceiling tok/s", "estimate tok/s", "bound by"), rows)


def _batches(serving: Serving) -> Iterator[str]:
    if not serving.batches:
        return
    rows = [
        (
            f"{row.batch:,}",
            _step(row.step),
            _fits(row.fits),
            _number(row.ceiling_tokens_per_s),
            _span(row.tokens_per_s),
            row.bound or "?",
        )
        for row in serving.batches
    ]
    yield ""
    yield from _table(("batch", "step", "fits", "ceiling tok/s", "estimate tok/s", "bound by"), rows)
    if serving.compute_bound_batch is not None:
        yield f"compute-bound at the peaks from batch {serving.compute_bound_batch:,} on"
    elif serving.compute_bound_why:
        yield from wrapped("", f"compute-bound at no batch: {serving.compute_bound_why}")


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    for row in (heads, *rows):
        yield "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _fits(known: bool | None) -> str:
    return "?" if known is None else "yes" if known else "no"


def _bytes(size: Quantity) -> str:
    if size.value is not None:
        return human_bytes(size.value)
    return f"{human_bytes(size.low)} .. {'unbounded' if size.high is None else human_bytes(size.high)}"


def _time(seconds: float | None) -> str:
    return "not known" if seconds is None else human_measure(seconds, "s")


def _seconds(time: Seconds) -> str:
    if time.value is None:
        return f">= {human_measure(time.low, 's')}" if time.low else "not known"
    high = "unbounded" if time.high is None else human_measure(time.high, "s")
    return f"{human_measure(time.value, 's')} ({human_measure(time.low, 's')} .. {high})"


def _step(time: Seconds) -> str:
    """The estimate alone: its bounds would not fit a row."""
    return _seconds(time) if time.value is None else human_measure(time.value, "s")


def _most(size: Quantity) -> str:
    """What is needed at the most."""
    if size.value is not None:
        return human_bytes(size.value)
    return f">= {human_bytes(size.low)}" if size.high is None else f"<= {human_bytes(size.high)}"


def _tokens(found: Rate) -> str:
    if found.value is None:
        return "tokens/s not known" if found.high is None else f"at most {_rate(found.high)} tokens/s"
    high = "unbounded" if found.high is None else _rate(found.high)
    low = "?" if found.low is None else _rate(found.low)
    return f"{_rate(found.value)} tokens/s ({low} .. {high})"


def _span(found: Rate) -> str:
    if found.value is not None:
        return _rate(found.value)
    return "?" if found.high is None else f"<= {_rate(found.high)}"


def _number(value: float | None) -> str:
    return "?" if value is None else _rate(value)


def _rate(value: float) -> str:
    return rounded(value, 3)
