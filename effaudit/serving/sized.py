"""One model at any batch and length: the graph as the runtime executes it, its kernels, and its arena without the
cache. What was worked out once is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.dataflow import Flow, flow
from effaudit.device.dtypes import BITS
from effaudit.device.types import Device, DeviceRuntime, Fact
from effaudit.estimate.demand import of_fact
from effaudit.estimate.executed import executed
from effaudit.estimate.latency import latency, setting
from effaudit.estimate.memories import placed
from effaudit.estimate.reading import unique_reads
from effaudit.estimate.types import Kernel, Latency
from effaudit.estimate.work import kernels
from effaudit.graph import Constant, Graph, Node
from effaudit.load import infer
from effaudit.lower.as_if import as_if
from effaudit.memory.asked import Asked
from effaudit.memory.planned import lower
from effaudit.plan.arena import Rules, need
from effaudit.plan.lifetimes import Lifetime, high, low, reason
from effaudit.plan.offsets import plan
from effaudit.plan.problem import Buffer, Problem, aligned
from effaudit.plan.verify import verify
from effaudit.quantity import Quantity, add
from effaudit.runtimes import Runtime, find
from effaudit.serving.cache import cache_bytes, cache_names, cross_bytes, token_bytes
from effaudit.serving.ceilings import (
    cache_shares,
    ceiling,
    compute_bound_from,
    computing,
    least_seconds,
    processor_cache,
)
from effaudit.serving.roles import given_for, is_valid
from effaudit.serving.types import Ceiling, Roles, ServingAsked
from effaudit.table import price
from effaudit.views.kv_cache import KVCache
from effaudit.weights import BUFFER, OTHER, PARAM, QUANTIZATION, classify


class Run(msgspec.Struct, frozen=True):
    """The graph of one run: `new` tokens of `batch` sequences with `past` in the cache. `valid`: no operator breaks
    its contract at these sizes."""

    batch: int
    new: int
    past: int
    graph: Graph
    flow: Flow
    valid: bool
    open: tuple[str, ...]


class Constants(msgspec.Struct, frozen=True):
    """Bytes of the constants that the runtime holds: those that count as weights, and the others. `stored` are the
    weights as the file has them (or as if quantized)."""

    weights: Quantity
    tables: int
    stored: int

    @property
    def total(self) -> int:
        """At the most."""
        return (self.weights.high or self.weights.low) + self.tables


MAX_WORK: Final = 150_000  # nodes of all runs together; past it nothing is searched and swept any more
NOTHING: Final = Quantity(0, 0)
_WEIGHTS: Final = (PARAM, BUFFER, QUANTIZATION)


class Sized:
    """A model whose batch and lengths may be chosen; the runs and arenas met so far are kept."""

    def __init__(
        self,
        audited: Audited,
        found: Roles,
        cache: KVCache | None,
        asked: ServingAsked,
        device: Device,
        runtime: DeviceRuntime,
        bits: int | None,
    ) -> None:
        self.audited, self.roles, self.cache, self.asked = audited, found, cache, asked
        self.device, self.runtime, self.bits = device, runtime, bits
        self.rules: Runtime = find(runtime.rules)
        self.names = cache_names(cache)
        self._where = setting(device, runtime, 0, 0)
        self._runs: dict[tuple[int, int, int], Run] = {}
        self._kernels: dict[tuple[int, int, int], tuple[Kernel, ...]] = {}
        self._arenas: dict[tuple[int, int, int], Quantity] = {}
        self._latencies: dict[tuple[int, int, int], Latency] = {}
        self._reads: dict[tuple[int, int, int], int] = {}
        self._constants: Constants | None = None
        self._nodes = 0

    # ---- the graph
    def run(self, batch: int, new: int, past: int) -> Run:
        """The run of these sizes. Raises UsageError where the file contradicts them."""
        key = (batch, new, past)
        if key not in self._runs:
            self._runs[key] = self._made(batch, new, past)
        return self._runs[key]

    @property
    def spent(self) -> bool:
        """True where no more sizes shall be tried: the graph is large."""
        return self._nodes > MAX_WORK

    def _made(self, batch: int, new: int, past: int) -> Run:
        numeric = infer(self.audited.raw, given_for(self.roles, self.asked.given, batch, new, past))
        lowered = lower(numeric, Asked(runtime=self.runtime.rules, quantize=self.asked.quantize))
        self._nodes += len(lowered.nodes)
        left = tuple(sorted(n for n, info in numeric.dims.items() if info.value is None and info.origin == "model"))
        return Run(batch, new, past, lowered, flow(lowered), is_valid(numeric), left)

    def kernels(self, run: Run) -> tuple[Kernel, ...]:
        """What the run executes, in the element types that the engine computes in."""
        key = (run.batch, run.new, run.past)
        if key not in self._kernels:
            table = price(run.graph, run.flow)
            found = kernels(run.graph, run.flow, table)
            self._kernels[key] = tuple(self._where.computed(kernel) for kernel in found)
            self._reads[key] = unique_reads(run.graph, run.flow, table, self.runtime.computes)
        return self._kernels[key]

    def weights_read(self, run: Run) -> int:
        """Bytes of constants that a run reads at least."""
        self.kernels(run)
        return self._reads[run.batch, run.new, run.past]

    def constants(self, run: Run) -> Constants:
        """What the runtime holds; the same at every size."""
        if self._constants is None:
            found = classify(run.graph, run.flow)
            source = self.audited.graph
            file = source if self.asked.quantize is None else as_if(source, self.asked.quantize)
            stored = classify(file)
            # Lowering folds scales into the types of tensors; a runtime stores them all the same.
            folded = max(stored.bytes_of(QUANTIZATION) - found.bytes_of(QUANTIZATION), 0)
            held = found.bytes_of(*_WEIGHTS) + folded
            twice = copies((t.constant for t in found.of(*_WEIGHTS)), self.audited.graph)
            why = "whether it keeps a second copy of weights with their axes swapped is up to the runtime"
            weights = Quantity(held - twice, held, why if twice else "")
            self._constants = Constants(weights, found.bytes_of(OTHER), stored.bytes_of(*_WEIGHTS))
        return self._constants

    # ---- memory
    def activations(self, run: Run) -> Quantity:
        """The arena of a run without the tensors that hold the cache, workspaces of kernels included where the rules
        of the runtime know them."""
        key = (run.batch, run.new, run.past)
        if key not in self._arenas:
            self._arenas[key] = self._arena(run)
        return self._arenas[key]

    def _arena(self, run: Run) -> Quantity:
        given = self.runtime.alignment_bytes
        align = int(given.value) if given is not None and given.value else self.rules.align
        name = self.asked.planner or self.runtime.planner or self.rules.planner

        def arena(problem: Problem) -> int:
            made = plan(problem, name, self.asked.effort)
            verify(problem, made.offsets)
            return made.arena

        def workspace(graph: Graph, node: Node) -> Quantity:
            return self.rules.workspace(graph, node)

        rules = Rules(self.rules.sharing, align, self.rules.inputs)
        wanted = need(run.graph, run.flow, rules, arena, None if self.rules.scratch is None else workspace)
        rest = [one for one in wanted.storages if self.names.isdisjoint((one.name, *one.others))]
        least = _problem(rest, align, low)
        if all(type(one.size) is int for one in rest):
            size = arena(least)
            return Quantity(size, size)
        if any(high(one) is None for one in rest):
            return Quantity(least.floor, None, reason(rest))
        return Quantity(least.floor, arena(_problem(rest, align, lambda one: high(one) or 0)), reason(rest))

    def cache_of(self, batch: int, context: int) -> Quantity:
        """The cache of `batch` full sequences."""
        return cache_bytes(self.cache, self.bits, batch, context)

    @property
    def token(self) -> Quantity:
        """The cache of one token of one sequence."""
        return token_bytes(self.cache, self.bits)

    def cross_of(self, batch: int) -> Quantity:
        """The cache of an encoder's keys and values."""
        return cross_bytes(self.cache, self.bits, batch)

    def kept(self, run: Run) -> Quantity:
        """What the runtime keeps beside the arena: its rules' structures and the state that the profile names. Where
        the profile names none, and the rules count none or no workspaces, nothing bounds it."""
        own, stated = self.rules.kept(run.graph), self.runtime.state_bytes
        state, name = NOTHING, self.runtime.name
        if stated is not None:
            state = _of(stated, f"state of {name}")
        elif own is None or self.rules.scratch is None:
            state = Quantity(0, None, f"state of {name}: the profile states no state_bytes, and its rules count none")
        return state if own is None else add((own, state))

    @property
    def code(self) -> Quantity:
        """The code of the runtime, where a memory of the device holds such."""
        if not any("code" in memory.holds for memory in self.device.memories):
            return NOTHING
        if self.runtime.code_bytes is None:
            return Quantity(0, None, f"code of {self.runtime.name}: the profile states no code_bytes")
        return _of(self.runtime.code_bytes, f"code of {self.runtime.name}")

    # ---- time
    def moving(self, run: Run) -> tuple[Kernel, ...]:
        """The kernels with the cache they read among the bytes that cross a memory's interface in full, as weights do:
        it is too large, and read too seldom, to stay near the engine between kernels like other activations."""
        homes = {share.memory.name for share in placed(self.device, "weights", self.constants(run).total)}
        homes |= {share.memory.name for share in cache_shares(self.device, self.cache_of(run.batch, run.past).low)}
        past = self.names.intersection(run.graph.inputs)
        if len(homes) != 1 or not past:
            return self.kernels(run)
        return tuple(self._in_full(run, kernel, past) for kernel in self.kernels(run))

    def _in_full(self, run: Run, kernel: Kernel, past: frozenset[str]) -> Kernel:
        sizes = [run.graph.values[n].nbytes for n in dict.fromkeys(run.graph.nodes[kernel.index].inputs) if n in past]
        size = sum(n for n in sizes if isinstance(n, int))
        read = kernel.read_bytes
        if not size or read.high is None:
            return kernel
        size = min(size, read.low)
        rest, held = Quantity(read.low - size, read.high - size, read.why), kernel.weight_bytes
        grown = Quantity(held.low + size, None if held.high is None else held.high + size, held.why)
        return msgspec.structs.replace(kernel, read_bytes=rest, weight_bytes=grown)

    def latency(self, run: Run) -> Latency:
        """The estimate of a run; its arena says in which memory its activations lie."""
        key = (run.batch, run.new, run.past)
        if key not in self._latencies:
            arena, read = self.activations(run), self.weights_read(run)
            size = arena.low if arena.high is None else arena.high
            where = setting(self.device, self.runtime, self.constants(run).total, size, unique_bytes=read)
            ran = executed(run.graph, run.graph, self.device, self.runtime)
            if ran is None:
                self._latencies[key] = latency(self.moving(run), where)
            else:
                where = msgspec.structs.replace(where, renaming=ran.renaming)
                self._latencies[key] = latency(ran.kernels, where)
        return self._latencies[key]

    def cache_read(self, batch: int, context: int) -> int:
        """Bytes of keys, values and states that one run goes through at least, as wide as they are computed in."""
        size = self.cache_of(batch, context).low + self.cross_of(batch).low
        return size if self.bits is not None else size * self._narrow.numerator // self._narrow.denominator

    @property
    def _narrow(self) -> Fraction:
        """By how much narrower the elements of the cache are computed in than stored in the file."""
        found = () if self.cache is None else (*self.cache.layers, *self.cache.cross)
        types = {tensor.dtype for layer in found for tensor in layer.tensors}
        pairs = [(BITS.get(self.runtime.computes.get(dtype, dtype), 0), BITS.get(dtype, 0)) for dtype in types]
        return min((Fraction(after, before) for after, before in pairs if 0 < after < before), default=Fraction(1))

    def ceiling(self, run: Run) -> Ceiling:
        """The least time of a run on the device."""
        weights = self.weights_read(run)
        cache = self.cache_read(run.batch, run.past + run.new)
        held = self.constants(run).total, cache
        computed = computing(self.device, self.runtime.engine, self.kernels(run))
        found = ceiling(self.device, computed, weights, cache, held)
        near = processor_cache(self.device, weights + cache)
        if near:
            why = f"what it reads fits in {near} and may stay there: memory bandwidth need not bound it"
            bound = found.bound if found.bound == "compute" else ""
            found = msgspec.structs.replace(
                found, bound=bound, held=near, why="; ".join(filter(None, (found.why, why)))
            )
        open_ended = next((kernel for kernel in self.kernels(run) if kernel.macs.value is None), None)
        if open_ended is None:
            return found
        why = f"MACs at least: {open_ended.node}: {open_ended.macs.why or open_ended.why}"
        bound = found.bound if found.bound == "compute" else ""
        return msgspec.structs.replace(found, bound=bound, why="; ".join(filter(None, (found.why, why))))

    def least(self, run: Run) -> float | None:
        """Seconds that no runtime goes below; None where the profile does not tell."""
        computed = computing(self.device, self.runtime.engine, self.kernels(run))
        cache = self.cache_read(run.batch, run.past + run.new)
        held = self.constants(run).total, cache
        return least_seconds(self.device, computed, self.weights_read(run), cache, held)

    def compute_bound(self, run: Run) -> int | None:
        """The least batch at which a run is bound by compute at the peaks, from that of one sequence; None where there
        is none, or the peaks do not tell."""
        computed = computing(self.device, self.runtime.engine, self.kernels(run))

        def cache(batch: int) -> int:
            return self.cache_read(batch, run.past + run.new)

        return compute_bound_from(self.device, computed, self.weights_read(run), self.constants(run).total, cache)


def _of(fact: Fact, what: str) -> Quantity:
    """A fact of the profile in bytes, with a reason that says what it is."""
    size = of_fact(fact)
    if size.value is not None:
        return size
    return Quantity(size.low, size.high, f"{what}: {'a range in the profile' if size.high is not None else size.why}")


def _problem(storages: Iterable[Lifetime], align: int, size: Callable[[Lifetime], int]) -> Problem:
    return Problem(tuple(Buffer(s.name, s.start, s.end, aligned(size(s), align)) for s in storages), align)


def copies(held: Iterable[Constant], file: Graph) -> int:
    """Bytes of constants that were made ahead out of others by swapping axes, while those are held too."""
    every = list(held)
    own = {(tuple(sorted(c.shape)), c.encoding) for c in every if c.name in file.constants and c.numel > 1}
    made = [c for c in every if c.name not in file.constants and len(c.shape) > 1]
    return sum(c.nbytes for c in made if (tuple(sorted(c.shape)), c.encoding) in own)
