"""A model, a device and a runtime -> what serving takes: memory, prompts, tokens, the longest context."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from effaudit.audited import Audited
from effaudit.device.types import Device, DeviceRuntime
from effaudit.errors import UsageError
from effaudit.lower.as_if import as_if
from effaudit.quantity import Quantity
from effaudit.serving.asking import Sizes, asked_sizes, with_origins
from effaudit.serving.cache import cache_names
from effaudit.serving.needs import Shape, fits, longest, memory, needs, widest
from effaudit.serving.observed import observed
from effaudit.serving.places import Reserved, reserved
from effaudit.serving.positions import positions
from effaudit.serving.rates import at_ceiling, bounded, memory_share, rate
from effaudit.serving.roles import encoder_missing, roles
from effaudit.serving.sized import Run, Sized
from effaudit.serving.types import BatchRow, ContextRow, Longest, Phase, Roles, Serving, ServingAsked
from effaudit.units import human_bytes
from effaudit.views.kv_cache import KVCache, KVLayer, kv_cache
from effaudit.views.kv_cache.view import bits_of

BATCHES: Final = (1, 4, 16, 64, 256)
HALVINGS: Final = 3  # of the context, in the sweep
NOTHING: Final = Quantity(0, 0)


def served(audited: Audited, asked: ServingAsked, device: Device, runtime: DeviceRuntime) -> Serving:
    """What it takes to serve a model, audited under `asked.given`, on a device under one of its runtimes.

    Raises UsageError where the model holds no attention, a dim has no clear role, or a size that is asked for
    contradicts the file.
    """
    cache = kv_cache(audited)
    if cache is None:
        message = f"{audited.name}: it holds no attention: there is no context to serve; leave out --context"
        raise UsageError(f"{message} and --prompt")
    found = roles(audited, cache, asked.given)
    encoder_missing(found, audited.name)
    table = positions(audited)
    sizes = asked_sizes(audited.name, found, cache, asked, None if table is None else table.rows)
    bits, dtype = _element(audited, cache, asked)
    sized = Sized(audited, found, cache, asked, device, runtime, bits)
    kept = reserved(device, asked.reserve)
    shape, batch, context = sizes.shape, sizes.batch, sizes.context
    decode, prefill = shape.decode(sized, batch, context), shape.prefill(sized, batch, context)
    need = needs(sized, shape, batch, context)
    long = longest(sized, shape, kept, batch, sizes.positions, fixed=sizes.fixed_context)
    wide = widest(sized, shape, kept, context, fixed=sizes.fixed_batch)
    past = context - (shape.step or 0)
    apart = NOTHING if found.get("capacity") or not found.cached else sized.cache_of(batch, past)
    compute_from, why = _compute_bound(sized, shape, context, fixed=sizes.fixed_batch)
    return Serving(
        path=audited.name,
        device=device.name,
        runtime=runtime.name,
        rules=runtime.rules,
        batch=batch,
        context=context,
        prompt=None if prefill is None else prefill.new,
        kv_dtype=dtype,
        roles=with_origins(found, asked, steps=decode is not None),
        layers=_counted(cache),
        mha_ratio=cache.mha_ratio,
        positions=None if table is None else table.rows,
        memory=memory(sized, need, sized.token, apart, kept),
        prefill=None if prefill is None else _phase(sized, prefill),
        decode=None if decode is None else _phase(sized, decode),
        why_no_prefill=sizes.why_no_prefill,
        why_no_decode=sizes.why_no_decode,
        longest_context=long,
        largest_batch=wide,
        contexts=tuple(_contexts(sized, sizes, kept)),
        batches=tuple(_batches(sized, sizes, wide)),
        compute_bound_batch=compute_from,
        compute_bound_why=why,
        notes=tuple(_notes(sized, sizes, asked, found, apart, (decode, prefill))),
        findings=observed(audited, cache, found, asked, context, table, (decode, prefill)),
    )


def _element(audited: Audited, cache: KVCache, asked: ServingAsked) -> tuple[int | None, str]:
    """(bits of an element of the cache where they are not the file's, the types as text)."""
    own = list(dict.fromkeys(t.dtype for layer in _counted(cache) for t in layer.tensors))
    if asked.kv_dtype is not None:
        return bits_of(asked.kv_dtype), asked.kv_dtype
    if asked.quantize is None:
        return None, ", ".join(own)
    stored = as_if(audited.graph, asked.quantize)
    encodings = {stored.values[name].encoding for name in cache_names(cache) if name in stored.values}
    if len(encodings) != 1:
        return None, ", ".join(own)
    (encoding,) = encodings
    return encoding.bits, encoding.dtype


def _counted(cache: KVCache) -> tuple[KVLayer, ...]:
    return tuple(layer for layer in cache.layers if layer.cached) or cache.layers


def _phase(sized: Sized, run: Run) -> Phase:
    found = sized.latency(run)
    ceiling, tokens = sized.ceiling(run), run.batch * run.new
    time = bounded(found.total, sized.least(run))
    macs = [kernel.macs for kernel in sized.kernels(run)]
    high = None if any(m.high is None for m in macs) else sum(m.high or 0 for m in macs)
    return Phase(
        batch=run.batch,
        new=run.new,
        past=run.past,
        macs=Quantity(sum(m.low for m in macs), high, next((m.why for m in macs if m.why), "")),
        ceiling=ceiling,
        latency=time,
        tokens_per_s=rate(tokens, time),
        sequence_tokens_per_s=rate(run.new, time),
        ceiling_tokens_per_s=at_ceiling(tokens, ceiling),
        memory_share=memory_share(found),
    )


def _contexts(sized: Sized, sizes: Sizes, kept: Reserved) -> Iterator[ContextRow]:
    """The context asked for, halves of it, and twice it as far as the graph has positions."""
    if sizes.fixed_context:
        return
    asked = sizes.context
    wanted = {asked >> i for i in range(HALVINGS + 1)} | {2 * asked}
    for context in sorted(wanted - {0}):
        if sized.spent and context != asked:
            continue
        if context != asked and sizes.positions is not None and context > sizes.positions:
            continue
        need = needs(sized, sizes.shape, sizes.batch, context)
        run = sizes.shape.decode(sized, sizes.batch, context) or sizes.shape.prefill(sized, sizes.batch, context)
        if run is None:
            continue
        step = _phase(sized, run)
        yield ContextRow(
            context, need.total, fits(sized, need, kept), step.tokens_per_s, step.ceiling_tokens_per_s, step.bound
        )


def _batches(sized: Sized, sizes: Sizes, wide: Longest) -> Iterator[BatchRow]:
    """Some batches and the one asked for."""
    if sizes.fixed_batch:
        return
    for batch in sorted({*BATCHES, sizes.batch}):
        if sized.spent and batch != sizes.batch:
            continue
        run = sizes.shape.decode(sized, batch, sizes.context) or sizes.shape.prefill(sized, batch, sizes.context)
        if run is None:
            continue
        step = _phase(sized, run)
        yield BatchRow(
            batch,
            _within(batch, wide),
            step.latency,
            step.tokens_per_s,
            step.ceiling_tokens_per_s,
            step.bound,
            step.memory_share,
        )


def _within(batch: int, wide: Longest) -> bool | None:
    """Whether a batch fits, by the largest that does."""
    if wide.limit == "none" or (wide.sure is not None and batch <= wide.sure):
        return True
    return False if wide.at_most is not None and batch > wide.at_most else None


def _compute_bound(sized: Sized, shape: Shape, context: int, *, fixed: bool) -> tuple[int | None, str]:
    """The batch from which a decode step is bound by compute at the peaks, or why there is none."""
    if fixed or shape.step is None:
        return None, "the file fixes the batch" if fixed else "the model has no decode step"
    one = shape.decode(sized, 1, context)
    assert one is not None
    found = sized.compute_bound(one)
    if found is not None:
        return found, ""
    why = sized.ceiling(one).why
    return None, why or "a sequence adds more to read than to compute"


def _notes(
    sized: Sized, sizes: Sizes, asked: ServingAsked, found: Roles, apart: Quantity, runs: tuple[Run | None, ...]
) -> Iterator[str]:
    """What the figures take for granted."""
    if sizes.shape.prompt is not None and sizes.shape.cached:
        fed = "one sequence at a time" if sizes.shape.prompts == 1 else "all sequences at once"
        assumed = " (default; --prompt)" if sizes.prompt_assumed else ""
        yield f"prompts of {sizes.shape.prompt:,} tokens{assumed}, {fed}"
    if found.cached and not found.get("capacity"):
        more = "" if not apart.high else f"; past and present apart: {human_bytes(apart.high)} more"
        yield f"the cache is updated in place{more}"
    yield f"ceiling: weights, cache read once; estimate: the graph as {sized.runtime.rules} runs it"
    if asked.kv_dtype is not None:
        yield "the estimate moves a cache in the type of the file"
    if asked.quantize is not None and asked.kv_dtype is None and found.cached:
        yield f"the cache too is stored as if in {asked.quantize}; --kv-dtype gives another type"
    doubts = [
        f"dims {', '.join(run.open[:4])} are open: what depends on them is a range"
        for run in runs
        if run is not None and run.open
    ]
    yield from dict.fromkeys(doubts)
