"""What a served model needs at a batch and a context, and the largest of either that fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from effaudit.errors import LimitError, UsageError
from effaudit.quantity import Quantity, add, larger
from effaudit.serving.places import Parts, Placed, place
from effaudit.serving.search import MOST, largest
from effaudit.serving.sized import Run, Sized
from effaudit.serving.types import Limit, Longest, ServingMemory

NOTHING = Quantity(0, 0)
TOO_LARGE = "the graph is too large to be tried at many sizes"
INVALID = -1  # bytes left where the graph is not valid: it does not fit, and by how much says nothing


class Shape(msgspec.Struct, frozen=True):
    """How a model is run: the new tokens of a decode step and of a prompt, None where it has no such run. `fixed_past`
    is set where the file fixes the tokens in the cache; `prompts`, how many sequences are fed their prompts at once,
    None: all of them."""

    step: int | None
    prompt: int | None
    cached: bool
    fixed_past: int | None = None
    prompts: int | None = None

    def decode(self, sized: Sized, batch: int, context: int) -> Run | None:
        """The run that makes the last token of the context."""
        if self.step is None:
            return None
        past = context - self.step if self.fixed_past is None else self.fixed_past
        return sized.run(batch, self.step, max(past, 0))

    def prefill(self, sized: Sized, batch: int, context: int) -> Run | None:
        """The run of a prompt: of a model without a cache, the whole context."""
        if self.prompt is None:
            return None
        return sized.run(self.prompts or batch, min(self.prompt, context) if self.cached else context, 0)


class Needs(msgspec.Struct, frozen=True):
    """All figures at one batch and context."""

    weights: Quantity
    stored: int
    tables: int
    cache: Quantity
    cross: Quantity
    decode: Quantity | None
    prefill: Quantity | None
    runtime: Quantity
    valid: bool

    @property
    def activations(self) -> Quantity:
        return larger(self.decode or NOTHING, self.prefill or NOTHING)

    @property
    def total(self) -> Quantity:
        tables = Quantity(self.tables, self.tables)
        return add((self.weights, tables, self.cache, self.cross, self.activations, self.runtime))

    def parts(self, *, most: bool) -> Parts | None:
        """The parts at their lower or upper bounds; None where an upper bound is not known."""
        rows = (self.weights, add((self.cache, self.cross)), self.activations, self.runtime)
        sizes = [row.high if most else row.low for row in rows]
        known = [size for size in sizes if size is not None]
        if len(known) < len(sizes):
            return None
        return Parts(known[0] + self.tables, *known[1:])


def needs(sized: Sized, shape: Shape, batch: int, context: int) -> Needs:
    """What `batch` sequences of `context` tokens need. Raises UsageError where the file contradicts the sizes."""
    decode, prefill = shape.decode(sized, batch, context), shape.prefill(sized, batch, context)
    run = decode or prefill
    assert run is not None
    constants = sized.constants(run)
    return Needs(
        weights=constants.weights,
        stored=constants.stored,
        tables=constants.tables,
        cache=sized.cache_of(batch, context),
        cross=sized.cross_of(batch),
        decode=None if decode is None else sized.activations(decode),
        prefill=None if prefill is None else sized.activations(prefill),
        runtime=sized.kept(run),
        valid=all(one.valid for one in (decode, prefill) if one is not None),
    )


def memory(sized: Sized, found: Needs, token: Quantity, apart: Quantity, kept: Mapping[str, int]) -> ServingMemory:
    """The figures with where they lie, and whether they fit."""
    low, high = (_placed(sized, found, kept, most=most) for most in (False, True))
    assert low is not None
    fits: bool | None = None
    why = found.total.why
    if low.left < 0:
        fits = False
        why = f"no memory of {sized.device.name} may hold the {low.homeless}" if low.homeless else why
    elif low.unknown:
        why = f"the size of {low.unknown} is not known"
    elif high is not None and high.left >= 0:
        fits = True
    shown = high or low
    return ServingMemory(
        weights=found.weights,
        stored=found.stored,
        tables=found.tables,
        token_bytes=token,
        cache=found.cache,
        cross=found.cross,
        decode_activations=found.decode,
        prefill_activations=found.prefill,
        activations=found.activations,
        runtime=found.runtime,
        total=found.total,
        apart=apart,
        uses=shown.uses,
        short=max(-low.left, 0),
        fits=fits,
        why=why,
    )


def fits(sized: Sized, found: Needs, kept: Mapping[str, int]) -> bool | None:
    """Whether it fits, None where the bounds do not tell."""
    low, high = (_placed(sized, found, kept, most=most) for most in (False, True))
    if low is None or low.left < 0:
        return False
    return True if not low.unknown and high is not None and high.left >= 0 else None


def _placed(sized: Sized, found: Needs, kept: Mapping[str, int], *, most: bool) -> Placed | None:
    parts = found.parts(most=most)
    return None if parts is None else place(sized.device, parts, kept)


def longest(
    sized: Sized, shape: Shape, kept: Mapping[str, int], batch: int, positions: int | None, *, fixed: bool
) -> Longest:
    """The longest context at a batch: up to the positions that the graph states."""
    if fixed:
        return Longest(None, None, "file", "the file fixes the length")
    cap = MOST if positions is None else positions
    return _found(
        sized, kept, lambda n: needs(sized, shape, batch, n), cap, "none" if positions is None else "positions"
    )


def widest(sized: Sized, shape: Shape, kept: Mapping[str, int], context: int, *, fixed: bool) -> Longest:
    """The largest batch at a context."""
    if fixed:
        return Longest(None, None, "file", "the file fixes the batch")
    return _found(sized, kept, lambda n: needs(sized, shape, n, context), MOST, "none")


def _found(sized: Sized, kept: Mapping[str, int], needed: Callable[[int], Needs], cap: int, limit: Limit) -> Longest:
    """The largest size by the lower bounds and by the upper ones; `limit` is what `cap` stands for."""

    invalid: list[int] = []

    def left(n: int, *, most: bool) -> int:
        if sized.spent:
            raise _Unbounded(TOO_LARGE)
        found = needed(n)
        if not found.valid:
            invalid.append(n)
            return INVALID
        placed = _placed(sized, found, kept, most=most)
        if placed is None or placed.unknown:
            unknown = f"the size of {placed.unknown} is not known" if placed is not None else found.total.why
            raise _Unbounded(unknown)
        return placed.left

    at_most: int | None = None
    try:
        at_most = largest(lambda n: left(n, most=False), cap)
        sure = largest(lambda n: left(n, most=True), cap)
    except (_Unbounded, UsageError, LimitError) as doubt:
        return Longest(None, at_most, "unknown", str(doubt))
    if sure is None:
        ends = cap if limit == "positions" else None
        return Longest(ends, ends, limit, "" if ends else f"{cap:,} still fit")
    if not sure and 1 in invalid:
        return Longest(None, None, "unknown", "the graph is not valid at 1, where the search begins")
    if sure + 1 in invalid:
        return Longest(sure, at_most, "file", f"the graph is not valid at {sure + 1:,}")
    return Longest(sure, cap if at_most is None and limit == "positions" else at_most, "memory")


class _Unbounded(Exception):
    """What is needed has no upper bound, or a memory no known size."""
