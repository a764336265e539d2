"""Tables of real runs: a row per node, per kernel, per model and size, per comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from effaudit.printable import printable
from effaudit.report import size
from effaudit.tables.table import (
    BYTE_RATE,
    BYTES,
    COUNT,
    EXACT,
    MAC_RATE,
    NONE,
    RATIO,
    SECONDS,
    SHARE,
    TEXT,
    Cell,
    Column,
    Table,
)
from effaudit.timing.types import KernelTime, ModelTime, NodeTime, SweepPoint, TimeDocument, Versus

NODES: Final = (
    Column("node", "node", width=22),
    Column("op", "op", width=8, spare=True),
    Column("kind", "kind", width=8, spare=True),
    Column("shape", "output", width=10, spare=True),
    Column("params", "params", COUNT, 7, spare=True),
    Column("seconds", "time", SECONDS),
    Column("share", "share", SHARE),
    Column("macs", "MACs", COUNT, spare=True),
    Column("ops", "ops", COUNT, spare=True),
    Column("bytes", "moved", BYTES, spare=True),
    Column("mac_per_s", "MAC/s", MAC_RATE),
    Column("byte_per_s", "byte/s", BYTE_RATE),
    Column("efficiency", "of roof", SHARE),
    Column("predicted_s", "predicted", SECONDS),
    Column("slow", "", TEXT, 4),
    Column("kernels", "kernels", width=8, spare=True),
    Column("why", "why", width=16, spare=True),
)
# what fits a terminal, those of a profile only where there is one
BRIEF: Final = ("node", "seconds", "share", "macs", "mac_per_s", "byte_per_s", "efficiency", "predicted_s", "slow")
KERNELS: Final = (
    Column("kernel", "kernel", width=16),
    Column("op", "op", width=8, spare=True),
    Column("seconds", "time", SECONDS),
    Column("share", "share", SHARE),
    Column("calls", "calls", RATIO, spare=True),
    Column("predicted_s", "predicted", SECONDS),
    Column("limiter", "limiter", width=8, spare=True),
    Column("consistent", "shapes", width=6, spare=True),
    Column("nodes", "computes", width=18),
    Column("why", "why", width=16, spare=True),
)
MODELS: Final = (
    Column("model", "model", width=16),
    Column("sizes", "sizes", width=10),
    Column("threads", "threads", EXACT, spare=True),
    Column("provider", "provider", width=4, spare=True),
    Column("optimize", "optimized", width=4, spare=True),
    Column("batch", "batch", EXACT),
    Column("p50_s", "median", SECONDS),
    Column("noise_ratio", "±", SHARE),
    Column("throughput_per_s", "per second", RATIO),
    Column("min_s", "min", SECONDS, spare=True),
    Column("p90_s", "p90", SECONDS, spare=True),
    Column("p99_s", "p99", SECONDS, spare=True),
    Column("mean_s", "mean", SECONDS, spare=True),
    Column("max_s", "max", SECONDS, spare=True),
    Column("mad_s", "MAD", SECONDS, spare=True),
    Column("iqr_ratio", "IQR", SHARE, spare=True),
    Column("n", "runs", EXACT, spare=True),
    Column("warmup", "warm-up", EXACT, spare=True),
    Column("steady", "steady", width=3, spare=True),
    Column("session_s", "session", SECONDS, spare=True),
    Column("first_s", "first", SECONDS, spare=True),
    Column("macs", "MACs", COUNT, spare=True),
    Column("mac_per_s", "MAC/s", MAC_RATE),
    Column("intensity", "FLOP/B", RATIO, spare=True),
    Column("regime", "roof", width=7),
    Column("peak_bytes", "peak", BYTES, spare=True),
    Column("peak_low", "peak >=", BYTES, spare=True),
    Column("peak_high", "peak <=", BYTES, spare=True),
    Column("plain_s", "plain", SECONDS, spare=True),
    Column("attributed_ratio", "attributed", SHARE, spare=True),
    Column("unattributed_s", "unattributed", SECONDS, spare=True),
    Column("predicted_s", "predicted", SECONDS),
    Column("error_ratio", "off by", SHARE),
)
SWEEP: Final = (
    Column("batch", "batch", EXACT),
    Column("p50_s", "median", SECONDS),
    Column("noise_ratio", "±", SHARE),
    Column("throughput_per_s", "per second", RATIO),
    Column("growth_ratio", "growth", SHARE),
    Column("mac_per_s", "MAC/s", MAC_RATE),
    Column("macs", "MACs", COUNT, spare=True),
    Column("intensity", "FLOP/B", RATIO),
    Column("weight_intensity", "FLOP/wB", RATIO, spare=True),
    Column("regime", "roof", width=7),
)
# columns that say nothing where no row has a value
OPTIONAL: Final = frozenset(
    ("efficiency", "predicted_s", "slow", "error_ratio", "regime", "limiter", "sizes", "growth_ratio")
)
VERSUS: Final = (
    Column("first", "first", width=12),
    Column("second", "second", width=12),
    Column("first_s", "median", SECONDS),
    Column("second_s", "median", SECONDS),
    Column("ratio", "ratio", RATIO),
    Column("low", "least", RATIO),
    Column("high", "most", RATIO),
    Column("confidence", "confidence", SHARE, spare=True),
    Column("effect", "effect", SHARE, spare=True),
    Column("rounds", "rounds", EXACT, spare=True),
    Column("verdict", "the second is", width=13),
)


def nodes(model: ModelTime, *, slowest: bool = False) -> Table:
    """A row per node in the order of the file, or the one that takes longest first."""
    found = sorted(model.nodes, key=lambda node: -(node.seconds or 0.0)) if slowest else model.nodes
    note = "'-': no kernel of its own. of roof: the time that the host's peaks allow, over the time it took."
    title = f"nodes of {model.path}"
    return Table("nodes", title, NODES, lambda: map(_node, found), note, brief=_brief(BRIEF, NODES, found, _node))


def _node(node: NodeTime) -> tuple[Cell, ...]:
    apart = node.seconds is None
    return (
        node.name or node.op,
        node.op,
        node.kind or NONE,
        NONE if node.shape is None else size(node.shape),
        node.params,
        NONE if apart else node.seconds,
        NONE if apart else node.share,
        node.macs,
        node.ops,
        node.bytes,
        NONE if apart or not node.macs else node.mac_per_s,
        NONE if apart else node.byte_per_s,
        NONE if node.efficiency is None else node.efficiency,
        NONE if node.predicted_s is None else node.predicted_s,
        "slow" if node.slow else "",
        " ".join(node.kernels) or NONE,
        node.why or NONE,
    )


def kernels(model: ModelTime, *, brief: bool = False) -> Table:
    """A row per kernel that ran, the one that takes longest first. `brief`: of the nodes it computes the one that takes
    most of its time is named, the others are counted."""
    found = sorted(model.kernels, key=lambda kernel: -kernel.seconds)
    times = {node.name: node.seconds or 0.0 for node in model.nodes}
    keys = tuple(column.key for column in KERNELS)

    def row(kernel: KernelTime) -> tuple[Cell, ...]:
        return _kernel(kernel, _named(kernel.nodes, times) if brief else " ".join(kernel.nodes))

    made = _brief(keys, KERNELS, found, row)
    return Table("kernels", f"kernels of {model.path}", KERNELS, lambda: map(row, found), brief=made)


def _named(nodes: Sequence[str], times: Mapping[str, float]) -> str:
    if not nodes:
        return ""
    main = max(nodes, key=lambda name: times.get(name, 0.0))
    return main if len(nodes) == 1 else f"{main} +{len(nodes) - 1}"


def _kernel(kernel: KernelTime, nodes: str) -> tuple[Cell, ...]:
    return (
        kernel.name,
        kernel.op,
        kernel.seconds,
        kernel.share,
        kernel.calls,
        NONE if kernel.predicted_s is None else kernel.predicted_s,
        kernel.limiter or NONE,
        {True: "same", False: "differ", None: NONE}[kernel.consistent],
        nodes or NONE,
        kernel.why or NONE,
    )


def models(document: TimeDocument) -> Table:
    """A row per model, size and number of threads."""
    found = document.models
    shown: tuple[str, ...] = (
        "model",
        "sizes",
        "threads",
        "p50_s",
        "noise_ratio",
        "throughput_per_s",
        "mac_per_s",
        "regime",
    )
    wanted: tuple[str, ...] = (*shown, "peak_bytes", "predicted_s", "error_ratio")
    if len({one.threads for one in found}) < 2:
        wanted = tuple(key for key in wanted if key != "threads")
    if len({one.path for one in found}) < 2 and len(found) > 1:
        wanted = tuple(key for key in wanted if key != "model")
    return Table("models", "", MODELS, lambda: map(_model, found), brief=_brief(wanted, MODELS, found, _model))


def _model(model: ModelTime) -> tuple[Cell, ...]:
    runs, memory, prediction = model.runs, model.memory, model.prediction
    told = None if memory is None else (memory.predicted_low, memory.predicted_high)
    return (
        model.path,
        sizes(model) or NONE,
        model.threads,
        model.provider,
        model.optimize,
        runs.batch,
        runs.p50_s,
        NONE if runs.noise_ratio is None else runs.noise_ratio,
        runs.throughput_per_s,
        runs.min_s,
        runs.p90_s,
        NONE if runs.p99_s is None else runs.p99_s,
        runs.mean_s,
        runs.max_s,
        runs.mad_s,
        runs.iqr_ratio,
        runs.n,
        model.warmup.n,
        "yes" if model.warmup.steady else "no",
        model.session_s,
        model.first_s,
        model.macs,
        model.macs / runs.p50_s if model.macs and runs.p50_s else NONE,
        model.intensity,
        model.regime or NONE,
        None if memory is None else memory.measured,
        None if told is None else told[0],
        None if told is None else told[1],
        NONE if model.plain is None else model.plain.p50_s,
        NONE if model.attribution is None else model.attribution.attributed_ratio,
        NONE if model.unattributed_s is None else model.unattributed_s,
        NONE if model.predicted_s is None else model.predicted_s,
        NONE if prediction is None or prediction.error_ratio is None else prediction.error_ratio,
    )


def sizes(model: ModelTime) -> str:
    """The sizes of named dims and the shapes that were given."""
    named = [f"{name}={dim.value}" for name, dim in model.dims.items() if dim.value is not None]
    given = model.given.get("shapes", {})
    shapes = [f"{name}={'x'.join(map(str, shape)) or 'scalar'}".removeprefix("=") for name, shape in given.items()]
    return " ".join((*named, *shapes))


def versus(document: TimeDocument) -> Table:
    """A row per pair that ran in turns."""
    return Table("versus", "", VERSUS, lambda: map(_versus, document.versus))


def _versus(pair: Versus) -> tuple[Cell, ...]:
    times = pair.first_runs.p50_s, pair.second_runs.p50_s
    held = (NONE if edge is None else edge for edge in (pair.low, pair.high))
    said = pair.confidence, pair.effect, pair.rounds, pair.verdict
    return (pair.first, pair.second, *times, pair.ratio, *held, *said)


def sweep(document: TimeDocument) -> Table:
    """A row per size of a measured sweep: what varies, the times, and what becomes of intensity and throughput."""
    points = document.sweep
    every = dict.fromkeys(name for point in points for name in point.values)
    # an axis that is the batch has a column already
    names = [name for name in every if any(point.values.get(name) != str(point.batch) for point in points)]
    columns = (
        Column("model", "model", width=12),
        *(Column(name, printable(name.removeprefix("dim "), 20), width=5) for name in names),
        *SWEEP,
    )
    keys = ("model", *names, *(column.key for column in SWEEP))
    if len({point.path for point in points}) == 1:
        keys = keys[1:]

    def row(point: SweepPoint) -> tuple[Cell, ...]:
        return (point.path, *(point.values.get(name, NONE) for name in names), *_point(point))

    return Table("sweep", "", columns, lambda: map(row, points), brief=_brief(keys, columns, points, row))


def _point(point: SweepPoint) -> tuple[Cell, ...]:
    return (
        point.batch,
        point.p50_s,
        NONE if point.noise_ratio is None else point.noise_ratio,
        point.throughput_per_s,
        NONE if point.growth_ratio is None else point.growth_ratio,
        NONE if point.mac_per_s is None else point.mac_per_s,
        point.macs,
        point.intensity,
        NONE if point.weight_intensity is None else point.weight_intensity,
        point.regime or NONE,
    )


def _brief(
    keys: tuple[str, ...],
    columns: tuple[Column, ...],
    found: Sequence[Any],
    row: Callable[[Any], tuple[Cell, ...]],
) -> tuple[str, ...]:
    """The keys without the optional ones that no row has a value of."""
    empty = {column.key for column in columns if column.key in OPTIONAL}
    places = {key: [column.key for column in columns].index(key) for key in empty}
    for one in found:
        if not empty:
            break
        cells = row(one)
        empty -= {key for key in empty if cells[places[key]] not in (NONE, None, "")}
    return tuple(key for key in keys if key not in empty)


# name of a list -> its table
LISTS: Final[dict[str, Callable[[ModelTime], Table]]] = {"nodes": nodes, "kernels": kernels}
# the same for a terminal
BRIEF_LISTS: Final[dict[str, Callable[[ModelTime], Table]]] = {
    "nodes": nodes,
    "kernels": lambda model: kernels(model, brief=True),
}
