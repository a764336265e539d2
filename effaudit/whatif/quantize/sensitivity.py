"""What each node's quantization alone does to the outputs of the model: really run, on calibration or random inputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from effaudit.audited import Audited, examined
from effaudit.errors import Undecided, UsageError
from effaudit.graph import Constant, Graph
from effaudit.whatif.quantize import activations, weights
from effaudit.whatif.quantize.coding import Span
from effaudit.whatif.quantize.grid import decibels
from effaudit.whatif.quantize.marks import FOLLOWERS, OPERATORS, QUANTIZABLE, Floats, marks
from effaudit.whatif.quantize.spans import UNCALIBRATED, calibrated, feeds
from effaudit.whatif.quantize.stored import encoding_of
from effaudit.whatif.quantize.tables import rules_of
from effaudit.whatif.quantize.types import AS_IT_IS, Arguments, Rule
from effaudit.whatif.types import Detail

if TYPE_CHECKING:
    import numpy as np

    from effaudit.run import Limits

TABLE: Final = "sensitivity"
SECONDS: Final = 3600.0  # of one process, which runs many variants
Rules = tuple[Rule, ...]


class Harm(msgspec.Struct, frozen=True):
    """What a scheme does when one node alone has it (and the Relu, Reshape, ... that only pass its result on).

    `noise` is the squared error of the outputs over their squares, the mean over the outputs of the model; infinite
    where one is no longer finite. `saved_bytes` is what the constants of the model lose in size (below 0: they grow),
    `activation_bytes` what the results of the node do.
    """

    node: int
    label: str
    op: str
    scheme: str
    noise: float
    saved_bytes: int
    activation_bytes: int = 0

    @property
    def sqnr_db(self) -> float | None:
        """Signal to noise of the outputs; None where there is no noise, or no end of it."""
        return decibels(self.noise)

    @property
    def relative_error(self) -> float | None:
        """L2 norm of the error over that of the outputs; None where it has no end."""
        return math.sqrt(self.noise) if math.isfinite(self.noise) else None


class Bench(msgspec.Struct, frozen=True):
    """A model, the inputs it is run on and the ranges they give: what every variant of one question shares."""

    audited: Audited
    inputs: Iterable[Mapping[str, np.ndarray]]
    source: str
    spans: Mapping[str, Span]


def sensitivity(audited: Audited, arguments: Arguments, limits: Limits | None = None) -> tuple[Harm, ...]:
    """The harm that the scheme of the arguments does at each node that it changes, the worst first.

    Raises UsageError without calibration inputs, for a model without weights and where no node would change; RunError
    where the model does not run.
    """
    return asked(audited, arguments, limits)[0]


def asked(audited: Audited, arguments: Arguments, limits: Limits | None = None) -> tuple[tuple[Harm, ...], str]:
    """The same, and what the model was run on."""
    rules = rules_of(audited.raw.nodes, arguments)
    single = [(i, arguments.scheme, rule) for i, rule in enumerate(rules) if rule.weights]
    ready = bench(audited, arguments, [rule for _, _, rule in single])
    found = harms(ready, single, limits)
    return tuple(sorted(found, key=lambda harm: (-harm.noise, harm.node))), ready.source


def bench(audited: Audited, arguments: Arguments, rules: Iterable[Rule]) -> Bench:
    """The model with its inputs, and the ranges of every tensor that a node stored by one of the rules may need; each
    clipped by the first of them. Raises UsageError, RunError."""
    if not arguments.calibrate:
        raise UsageError(f"{audited.name}: --quantize: what quantization does to the outputs is run: {UNCALIBRATED}")
    static = next((rule for rule in rules if rule.static), None)
    if static is None:
        return Bench(audited, *feeds(audited, arguments.calibrate, arguments.seed), {})
    floats = Floats(audited.raw, audited.graph.values)
    tensors = {
        name: static
        for node in audited.raw.nodes
        for name in (*node.inputs, *node.outputs)
        if node.op in OPERATORS and name and floats.constant(name) is None and floats.floating(name)
    }
    known = calibrated(audited, arguments, tensors)
    return Bench(audited, known.inputs, known.source, known.spans)


def harms(ready: Bench, single: Sequence[tuple[int, str, Rule]], limits: Limits | None = None) -> list[Harm]:
    """The harm of schemes, each at one node: (its index, the scheme's name, its rule). Left out is what changes
    nothing. Raises UsageError where nothing does."""
    nodes = ready.audited.raw.nodes
    size = constant_bytes(ready.audited.raw)
    made: list[tuple[int, str, Rule, Graph]] = []
    for i, scheme, rule in single:
        if nodes[i].op in FOLLOWERS:
            continue
        graph = variant(ready, {i: rule})
        if graph is not None:
            made.append((i, scheme, rule, graph))
    if not made:
        raise UsageError(f"{ready.audited.name}: --quantize: no node that the scheme would change")
    noises = measured(ready, [graph for *_, graph in made], limits)
    return [
        Harm(
            node=i,
            label=nodes[i].label,
            op=nodes[i].op,
            scheme=scheme,
            noise=noise,
            saved_bytes=size - constant_bytes(graph),
            activation_bytes=_results(ready.audited, i, rule),
        )
        for (i, scheme, rule, graph), noise in zip(made, noises, strict=True)
    ]


def _results(audited: Audited, i: int, rule: Rule) -> int:
    """Bytes that the floating results of a node lose; 0 where their size is not known."""
    saved = 0
    for name in audited.raw.nodes[i].outputs if rule.static else ():
        value = audited.graph.values.get(name)
        if value is None or value.encoding.dtype not in QUANTIZABLE:
            continue
        try:
            before, after = value.nbytes, encoding_of(rule.activations).nbytes(value.numel)
        except (TypeError, Undecided):
            continue
        if isinstance(before, int) and isinstance(after, int):
            saved += before - after
    return saved


def measured(ready: Bench, graphs: Iterable[Graph], limits: Limits | None = None) -> list[float]:
    """The noise of the outputs of variants of the model. Raises RunError, UsageError."""
    from effaudit.run import Limits, deviations

    found = deviations(ready.audited.raw, graphs, ready.inputs, limits=limits or Limits(seconds=SECONDS))
    return [one.relative for one in found]


def followed(audited: Audited, chosen: Mapping[int, Rule]) -> Rules:
    """The rule of each node: the chosen ones, and for nodes that only pass elements on or clip them that of the node
    whose result they read."""
    found: list[Rule] = []
    maker = {name: i for i, node in enumerate(audited.raw.nodes) for name in node.outputs if name}
    for i, node in enumerate(audited.raw.nodes):
        rule = chosen.get(i, AS_IT_IS)
        if not rule.weights and node.op in FOLLOWERS and node.inputs:
            source = maker.get(node.inputs[0])
            rule = found[source] if source is not None and found[source].static else AS_IT_IS
        found.append(rule)
    return tuple(found)


def variant(ready: Bench, chosen: Mapping[int, Rule]) -> Graph | None:
    """The model with nodes under rules, by their indices; None where they change nothing. Raises UsageError."""
    audited = ready.audited
    rules = followed(audited, chosen)
    others = tuple(AS_IT_IS if rule.static else rule for rule in rules)
    static = tuple(rule if rule.static else AS_IT_IS for rule in rules)
    try:
        before = weights.rewrite(audited, others).graph if any(rule.weights for rule in others) else None
    except UsageError:  # no weight of these nodes can be stored so
        before = None
    if not any(rule.static for rule in static):
        return before
    if before is not None:
        by_outputs = {node.outputs: rule for node, rule in zip(audited.raw.nodes, static, strict=True)}
        audited = examined(before, audited.given)
        static = tuple(by_outputs.get(node.outputs, AS_IT_IS) for node in before.nodes)
    if not marks(audited.raw, audited.graph.values, static).tensors:
        return before
    made, _ = activations.written(audited, static, ready.spans)
    return made.graph if made.activations or made.weights else before


def constant_bytes(graph: Graph) -> int:
    """Bytes of every constant of the main graph."""
    held = (value for node in graph.nodes for value in node.attrs.values() if isinstance(value, Constant))
    return sum(one.nbytes for one in graph.constants.values()) + sum(one.nbytes for one in held)


def rows(found: Iterable[Harm], source: str) -> tuple[Detail, ...]:
    """What a reader is told, in the order of the harms; `source` says what the model was run on."""
    return tuple(
        Detail(
            TABLE,
            harm.label,
            {
                "op": harm.op,
                "scheme": harm.scheme,
                "relative_error": harm.relative_error,
                "sqnr_db": harm.sqnr_db,
                "saved_bytes": harm.saved_bytes,
                "saved_activation_bytes": harm.activation_bytes,
                "source": source,
            },
        )
        for harm in found
    )
