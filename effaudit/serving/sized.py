"""One model at any batch and length: the graph as the runtime executes it, its kernels, and its arena without the
cache. What was worked out once is kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.dataflow import Flow, flow
from effaudit.device.types import Device, DeviceRuntime
from effaudit.estimate.latency import latency, setting
from effaudit.estimate.types import Kernel, Latency
from effaudit.estimate.work import kernels
from effaudit.graph import Constant, Graph, Node
from effaudit.load import infer
from effaudit.lower.as_if import as_if
from effaudit.memory.asked import Asked
from effaudit.memory.planned import lower
from effaudit.plan.arena import Rules, need
from effaudit.plan.offsets import plan
from effaudit.plan.problem import Problem
from effaudit.plan.verify import verify
from effaudit.quantity import Quantity
from effaudit.runtimes import Runtime, find
from effaudit.serving.cache import cache_bytes, cache_names, cross_bytes
from effaudit.serving.ceilings import ceiling, macs_by_type, weights_read
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
    kernels: tuple[Kernel, ...]
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
        self._runs: dict[tuple[int, int, int], Run] = {}
        self._arenas: dict[tuple[int, int, int], Quantity] = {}
        self._latencies: dict[tuple[int, int, int], Latency] = {}
        self._constants: Constants | None = None

    # ---- the graph
    def run(self, batch: int, new: int, past: int) -> Run:
        """The run of these sizes. Raises UsageError where the file contradicts them."""
        key = (batch, new, past)
        if key not in self._runs:
            self._runs[key] = self._made(batch, new, past)
        return self._runs[key]

    def _made(self, batch: int, new: int, past: int) -> Run:
        numeric = infer(self.audited.raw, given_for(self.roles, self.asked.given, batch, new, past))
        lowered = lower(numeric, Asked(runtime=self.runtime.rules, quantize=self.asked.quantize))
        known = flow(lowered)
        left = tuple(sorted(n for n, info in numeric.dims.items() if info.value is None and info.origin == "model"))
        found = kernels(lowered, known, price(lowered, known))
        return Run(batch, new, past, lowered, known, found, is_valid(numeric), left)

    def constants(self, run: Run) -> Constants:
        """What the runtime holds; the same at every size."""
        if self._constants is None:
            found = classify(run.graph, run.flow)
            held = found.bytes_of(*_WEIGHTS)
            twice = copies((t.constant for t in found.of(*_WEIGHTS)), self.audited.graph)
            why = "whether it keeps a second copy of weights with their axes swapped is up to the runtime"
            weights = Quantity(held - twice, held, why if twice else "")
            source = self.audited.graph
            file = source if self.asked.quantize is None else as_if(source, self.asked.quantize)
            self._constants = Constants(weights, found.bytes_of(OTHER), classify(file).bytes_of(*_WEIGHTS))
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
        name = self.runtime.planner or self.rules.planner

        def arena(problem: Problem) -> int:
            made = plan(problem, name, self.asked.effort)
            verify(problem, made.offsets)
            return made.arena

        def workspace(graph: Graph, node: Node) -> Quantity:
            return self.rules.workspace(graph, node)

        rules = Rules(self.rules.sharing, align, self.rules.inputs)
        wanted = need(run.graph, run.flow, rules, arena, None if self.rules.scratch is None else workspace)
        held = {s.name for s in wanted.storages if not self.names.isdisjoint((s.name, *s.others))}
        least = _without(wanted.least, held)
        if wanted.exact:
            size = arena(least)
            return Quantity(size, size)
        if wanted.most is None:
            return Quantity(least.floor, None, wanted.why)
        return Quantity(least.floor, arena(_without(wanted.most, held)), wanted.why)

    def cache_of(self, batch: int, context: int) -> Quantity:
        """The cache of `batch` full sequences."""
        return cache_bytes(self.cache, self.bits, batch, context)

    def cross_of(self, batch: int) -> Quantity:
        """The cache of an encoder's keys and values."""
        return cross_bytes(self.cache, self.bits, batch)

    def kept(self, run: Run) -> Quantity:
        """What the runtime keeps beside the arena: its rules' structures and the state that the profile names."""
        own, stated = self.rules.kept(run.graph), self.runtime.state_bytes
        state = 0 if stated is None or stated.value is None else int(stated.value)
        if own is None:
            return Quantity(state, state)
        return Quantity(own.low + state, None if own.high is None else own.high + state, own.why)

    # ---- time
    def latency(self, run: Run, arena: int) -> Latency:
        """The estimate of a run; `arena` says in which memory its activations lie."""
        key = (run.batch, run.new, run.past)
        if key not in self._latencies:
            where = setting(self.device, self.runtime, self.constants(run).total, arena)
            self._latencies[key] = latency(run.kernels, where)
        return self._latencies[key]

    def reads(self, run: Run) -> tuple[dict[str, int], int, int]:
        """(MACs by type, bytes of weights, bytes of cache) of a run: what its ceiling is made of."""
        held = self.cache_of(run.batch, run.past + run.new).low + self.cross_of(run.batch).low
        return macs_by_type(run.kernels), weights_read(run.graph, run.kernels), held

    def ceiling(self, run: Run) -> Ceiling:
        """The least time of a run on the device."""
        macs, weights, cache = self.reads(run)
        return ceiling(self.device, self.runtime.engine, macs, weights, cache, (self.constants(run).total, cache))


def _without(problem: Problem, names: set[str]) -> Problem:
    return Problem(tuple(b for b in problem.buffers if b.name not in names), problem.align)


def copies(held: Iterable[Constant], file: Graph) -> int:
    """Bytes of constants that were made ahead out of others by swapping axes, while those are held too."""
    every = list(held)
    own = {(tuple(sorted(c.shape)), c.encoding) for c in every if c.name in file.constants and c.numel > 1}
    made = [c for c in every if c.name not in file.constants and len(c.shape) > 1]
    return sum(c.nbytes for c in made if (tuple(sorted(c.shape)), c.encoding) in own)
