"""What a served model needs at a batch and a context, and the largest of either that fits."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from effaudit.errors import LimitError, UsageError
from effaudit.quantity import Quantity, add, larger
from effaudit.serving.places import WHAT, Parts, Placed, Reserved, Side, place
from effaudit.serving.search import MOST, largest
from effaudit.serving.sized import Run, Sized
from effaudit.serving.table import uses
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
    code: Quantity
    valid: bool

    @property
    def activations(self) -> Quantity:
        return larger(self.decode or NOTHING, self.prefill or NOTHING)

    @property
    def total(self) -> Quantity:
        return add(self.wanted.values())

    @property
    def wanted(self) -> dict[str, Quantity]:
        """The parts that need a place, by name."""
        weights, cache = add((self.weights, Quantity(self.tables, self.tables))), add((self.cache, self.cross))
        return dict(zip(WHAT, (self.code, weights, cache, self.activations, self.runtime), strict=True))

    def parts(self, side: Side) -> Parts | None:
        """The parts at their lower or upper bounds; None where an upper bound is not known."""
        sizes = [size.high if side == "most" else size.low for size in self.wanted.values()]
        known = [size for size in sizes if size is not None]
        return Parts(*known) if len(known) == len(sizes) else None

    def open_why(self, kept: Reserved) -> str:
        """Why something that is needed, or reserved, is not known: first of what nothing bounds."""
        sizes = [*self.wanted.values(), *kept.values()]
        unbounded = [size.why for size in sizes if size.high is None]
        return next((why for why in (*unbounded, *(size.why for size in sizes)) if why), "")


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
        code=sized.code,
        valid=all(one.valid for one in (decode, prefill) if one is not None),
    )


def memory(sized: Sized, found: Needs, token: Quantity, apart: Quantity, kept: Reserved) -> ServingMemory:
    """The figures with where they lie, and whether they fit."""
    low, high = _placed(sized, found, kept, "least"), _placed(sized, found, kept, "most")
    assert low is not None
    fits = _verdict(low, high)
    why = found.open_why(kept)
    if fits is False:
        why = f"no memory of {sized.device.name} may hold the {low.homeless}" if low.homeless else ""
    elif low.unknown and fits is None:
        why = f"the size of {low.unknown} is not known"
    elif fits is None and not why:
        why = "the size of a memory is a range in the profile"
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
        code=found.code,
        total=found.total,
        apart=apart,
        uses=uses(sized.device, found.wanted, kept, low, high),
        short=max(-low.left, 0),
        short_at_most=None if high is None else max(-high.left, 0),
        fits=fits,
        why=why,
    )


def fits(sized: Sized, found: Needs, kept: Reserved) -> bool | None:
    """Whether it fits, None where the bounds do not tell."""
    low, high = _placed(sized, found, kept, "least"), _placed(sized, found, kept, "most")
    assert low is not None
    return _verdict(low, high)


def _verdict(low: Placed, high: Placed | None) -> bool | None:
    if low.left < 0:
        return False
    return True if high is not None and not high.unknown and high.left >= 0 else None


def _placed(sized: Sized, found: Needs, kept: Reserved, side: Side) -> Placed | None:
    parts = found.parts(side)
    return None if parts is None else place(sized.device, parts, kept, side)


def longest(sized: Sized, shape: Shape, kept: Reserved, batch: int, positions: int | None, *, fixed: bool) -> Longest:
    """The longest context at a batch: up to the positions that the graph states."""
    if fixed:
        return Longest(None, None, "file", "the file fixes the length")
    cap = MOST if positions is None else positions
    return _found(
        sized, kept, lambda n: needs(sized, shape, batch, n), cap, "none" if positions is None else "positions"
    )


def widest(sized: Sized, shape: Shape, kept: Reserved, context: int, *, fixed: bool) -> Longest:
    """The largest batch at a context."""
    if fixed:
        return Longest(None, None, "file", "the file fixes the batch")
    return _found(sized, kept, lambda n: needs(sized, shape, n, context), MOST, "none")


def _found(sized: Sized, kept: Reserved, needed: Callable[[int], Needs], cap: int, limit: Limit) -> Longest:
    """The largest size by the lower bounds and by the upper ones; `limit` is what `cap` stands for."""

    invalid: list[int] = []

    def left(n: int, side: Side) -> int:
        if sized.spent:
            raise _Unbounded(TOO_LARGE)
        found = needed(n)
        if not found.valid:
            invalid.append(n)
            return INVALID
        placed = _placed(sized, found, kept, side)
        if placed is None or placed.unknown:
            unknown = f"the size of {placed.unknown} is not known" if placed is not None else found.open_why(kept)
            raise _Unbounded(unknown)
        return placed.left

    ends = cap if limit == "positions" else None
    at_most: int | None = None
    try:
        at_most = largest(lambda n: left(n, "least"), cap)
        at_most = ends if at_most is None else at_most
        sure = largest(lambda n: left(n, "most"), cap)
    except (_Unbounded, UsageError, LimitError) as doubt:
        return Longest(0 if at_most == 0 and not invalid else None, at_most, "unknown", str(doubt))
    if sure is None:
        return Longest(ends, ends, limit, "" if ends else f"{cap:,} still fit")
    if not sure and 1 in invalid:
        return Longest(None, None, "unknown", "the graph is not valid at 1, where the search begins")
    if sure + 1 in invalid:
        return Longest(sure, at_most, "file", f"the graph is not valid at {sure + 1:,}")
    return Longest(sure, at_most, "memory")


class _Unbounded(Exception):
    """What is needed has no upper bound, or a memory no known size."""
