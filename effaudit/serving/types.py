"""What is asked of a model that is served, and what is said of it. Bytes are bytes, times seconds, MACs 2 FLOP each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from effaudit.estimate.types import Seconds
from effaudit.findings import Finding
from effaudit.load import NOTHING_GIVEN, Given
from effaudit.quantity import Quantity
from effaudit.views.kv_cache import KVLayer

RoleName: TypeAlias = Literal["batch", "new", "past", "total", "capacity", "encoder"]
# A phase is bound by this at the peaks of the device; "" where these do not tell.
Bound: TypeAlias = Literal["compute", "bandwidth", ""]
Origin: TypeAlias = Literal["asked", "default", ""]
Limit: TypeAlias = Literal["memory", "positions", "file", "none", "unknown"]
NO_RESERVE: Final[Mapping[str, int]] = {}


class ServingAsked(msgspec.Struct, frozen=True):
    """How a model shall be served: `batch` sequences (None: what the file states, else 1) of `context` tokens (None:
    what the file states), prompts of `prompt` tokens (None: assumed), which are fed one sequence at a time, the cache
    in `kv_dtype` (None: that of the file).

    `reserve`: memory (its name in the profile) -> bytes that the model shall not have. `quantize`
    as in `effaudit.lower.as_if`, `planner` in place of the runtime's. `given` are sizes of dims that have no role here,
    or that override one.
    """

    batch: int | None = None
    context: int | None = None
    prompt: int | None = None
    kv_dtype: str | None = None
    reserve: Mapping[str, int] = NO_RESERVE
    quantize: str | None = None
    planner: str | None = None
    given: Given = NOTHING_GIVEN
    effort: str = "normal"


class Role(msgspec.Struct, frozen=True):
    """What dims of the file are: "batch", "new" (tokens fed), "past" (tokens in the cache), "total" (past and new),
    "capacity" (of a cache that is written in place), "encoder" (the length cross attention looks at).

    `size` is set where the file or the user fixes it; else `origin` is "asked" where an option of serving says how
    large it is, "default" where nobody does. `told` says how the role was told.
    """

    role: RoleName
    dims: tuple[str, ...]
    size: int | None
    told: str
    origin: Origin = ""


class Roles(msgspec.Struct, frozen=True):
    """The roles that a model has. `cached`: it takes a cache of keys and values in, or a state."""

    rows: tuple[Role, ...]
    cached: bool

    def get(self, role: RoleName) -> Role | None:
        """The role of a name; None where the model has none."""
        return next((row for row in self.rows if row.role == role), None)

    def size(self, role: RoleName) -> int | None:
        """The size that is fixed; None where it is open, or there is no such role."""
        row = self.get(role)
        return None if row is None else row.size

    def open(self, role: RoleName) -> bool:
        """True where there is such a role, whose size may be chosen."""
        row = self.get(role)
        return row is not None and row.size is None


class Rate(msgspec.Struct, frozen=True):
    """Something per second: the estimate and its bounds; None is not known, `basis` says where they come from."""

    value: float | None
    low: float | None
    high: float | None
    basis: str


class Ceiling(msgspec.Struct, frozen=True):
    """The least time of one run, at the dense peaks and the full bandwidth of the device, nothing lost to launches.

    `flops` are those of multiply-accumulates. `weight_bytes` are read once (of an embedding, the rows looked up),
    `cache_bytes` are the keys and values (and states) read, or written by a prompt; activations count nothing, as if
    they never left the chip. `compute_s` and `memory_s` are None where the profile states no peak or no bandwidth
    (`why`); `seconds` is the larger of those known. `held` names a cache of the processor in which all that is read may
    stay from run to run: `memory_s` is then no bound.
    """

    flops: int
    weight_bytes: int
    cache_bytes: int
    compute_s: float | None
    memory_s: float | None
    seconds: float | None
    bound: Bound
    why: str = ""
    held: str = ""


class Phase(msgspec.Struct, frozen=True):
    """One run of the graph: `new` tokens for each of `batch` sequences that have `past` tokens in the cache.

    `latency` is the estimate of the graph as the runtime executes it, every copy that it spells out included.
    `tokens_per_s` counts the tokens of all sequences, `sequence_tokens_per_s` those of one; `ceiling_tokens_per_s` is
    that of all sequences at the ceiling. `memory_share` is the part of the estimate's kernel time that bandwidth
    bounds, None where a kernel has no estimate.
    """

    batch: int
    new: int
    past: int
    macs: Quantity
    ceiling: Ceiling
    latency: Seconds
    tokens_per_s: Rate
    sequence_tokens_per_s: Rate
    ceiling_tokens_per_s: float | None
    memory_share: float | None

    @property
    def bound(self) -> Bound:
        """What bounds it at the peaks."""
        return self.ceiling.bound


class Use(msgspec.Struct, frozen=True):
    """A memory of the device: its size, what is kept from the model, and what of the model lies there. `need` is all of
    it together: its bounds lie closer than those of the parts, where one takes the place of another. `size` is None
    where the profile does not state it."""

    memory: str
    size: Quantity | None
    reserved: Quantity
    code: Quantity
    weights: Quantity
    cache: Quantity
    activations: Quantity
    runtime: Quantity
    need: Quantity


class ServingMemory(msgspec.Struct, frozen=True):
    """What the model needs while it is served.

    `weights`: parameters, buffers, scales, as the runtime holds them (`stored`: as the file does); `tables`: its other
    constants. `cache`: keys, values and states of all sequences at the full context, `cross` those of an encoder.
    `decode_activations` and `prefill_activations` are the arenas of one run without the tensors that hold the cache;
    `activations` is the larger. `runtime`: what the runtime keeps beside, `code`: its code and that of its kernels,
    where a memory of the device holds such. `token_bytes`: of one token of one sequence.
    `apart`: what more is needed by a runtime that hands back a new cache every step and keeps the old one meanwhile.
    `fits` is True where all has a place at the most that is needed, False where it has none at the least, None where
    the bounds do not tell (`why`). `short`: bytes that have no place, at the least; `short_at_most` at the most, None
    where nothing bounds it.
    """

    weights: Quantity
    stored: int
    tables: int
    token_bytes: Quantity
    cache: Quantity
    cross: Quantity
    decode_activations: Quantity | None
    prefill_activations: Quantity | None
    activations: Quantity
    runtime: Quantity
    code: Quantity
    total: Quantity
    apart: Quantity
    uses: tuple[Use, ...]
    short: int
    short_at_most: int | None
    fits: bool | None
    why: str = ""


class Longest(msgspec.Struct, frozen=True):
    """The largest size that fits, all else as asked: `sure` by the upper bounds, `at_most` by the lower; 0 where
    nothing does. None: nothing bounds it, or it cannot be told (`why`). `limit` is what stops it."""

    sure: int | None
    at_most: int | None
    limit: Limit
    why: str = ""


class ContextRow(msgspec.Struct, frozen=True):
    """The sweep over contexts: memory in all, and a decode step of the batch asked for."""

    context: int
    total: Quantity
    fits: bool | None
    tokens_per_s: Rate
    ceiling_tokens_per_s: float | None
    bound: Bound


class BatchRow(msgspec.Struct, frozen=True):
    """The sweep over batches: one decode step at the context asked for. `fits` is None where it cannot be told."""

    batch: int
    fits: bool | None
    step: Seconds
    tokens_per_s: Rate
    ceiling_tokens_per_s: float | None
    bound: Bound
    memory_share: float | None


class Serving(msgspec.Struct, frozen=True):
    """One model served on one device under one runtime.

    `layers` are those whose cache counts; with a key head for every query head it were `mha_ratio` times as large.
    `prefill` and `decode` are None where the model cannot be run that way: `why_no_prefill` and `why_no_decode` say
    why. `positions` is the longest context the graph states, None where it states none. `compute_bound_batch` is the
    least batch at which a decode step is bound by compute at the peaks; None where there is none (`compute_bound_why`).
    """

    path: str
    device: str
    runtime: str
    rules: str
    batch: int
    context: int
    prompt: int | None
    kv_dtype: str
    roles: tuple[Role, ...]
    layers: tuple[KVLayer, ...]
    mha_ratio: float | None
    positions: int | None
    memory: ServingMemory
    prefill: Phase | None
    decode: Phase | None
    why_no_prefill: str
    why_no_decode: str
    longest_context: Longest
    largest_batch: Longest
    contexts: tuple[ContextRow, ...]
    batches: tuple[BatchRow, ...]
    compute_bound_batch: int | None
    compute_bound_why: str
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def tokens_per_s(self) -> Rate | None:
        """Of a decode step; of a model without one, of its prompt."""
        phase = self.decode or self.prefill
        return None if phase is None else phase.tokens_per_s

    @property
    def longest(self) -> int | None:
        """The longest context that is sure to fit at this batch; that of the file where it fixes one."""
        if self.longest_context.limit == "file" and self.longest_context.sure is None:
            return self.context if self.memory.fits else None
        return self.longest_context.sure
