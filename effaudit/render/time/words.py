"""What screens and pages of real runs say alike."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

from effaudit.fit.types import SecondsReport
from effaudit.printable import printable
from effaudit.render.screen import options
from effaudit.timing.types import Host, ModelTime, PeakMemory, Prediction, Runs, SweepTurn, Versus, Worst
from effaudit.units import human, human_bytes, human_measure, rounded

_FROM: Final = "from "  # a file; else inputs were drawn
_FINGERPRINT: Final = 12  # characters of it that are shown


def seconds(value: float | None, digits: int = 4) -> str:
    return "unknown" if value is None else human_measure(value, "s", digits)


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def host(found: Host) -> str:
    """The machine and the runtime on one line."""
    parts = [printable(found.processor or f"a processor of unknown name ({found.architecture})", 60)]
    if found.cores is not None:
        parts.append(f"{found.cores} core{'' if found.cores == 1 else 's'}")
    if found.memory_bytes is not None:
        parts.append(human_bytes(found.memory_bytes, 3))
    parts.append(f"governor {printable(found.governor, 20)}" if found.governor else "governor not readable")
    return f"{', '.join(parts)}; fingerprint {printable(found.fingerprint, None)[:_FINGERPRINT]}"


def ran(model: ModelTime | Versus, version: str) -> str:
    """By what it was run."""
    threads = f"{model.threads} thread{'' if model.threads == 1 else 's'}"
    optimized = "optimized" if model.optimize == "all" else "without optimizations"
    return f"ONNX Runtime {printable(version, 20)} on {model.provider}, {threads}, {optimized}"


def median(runs: Runs) -> str:
    """The median with the noise of it."""
    noise = "(too few runs to tell its noise)" if runs.noise_ratio is None else f"± {percent(runs.noise_ratio)}"
    return f"{seconds(runs.p50_s)} {noise}"


def turn(found: SweepTurn) -> str:
    """Where the character of a model changes over its batches."""
    held = " ".join(f"{name}={value}" for name, value in found.values.items())
    where = printable(f"{found.path} {held}".strip(), 100)
    text = f"{where}: {rounded(found.best_throughput_per_s, 4)} per second at best, at batch {found.best_batch:,}"
    if found.knee_batch is not None:
        text += f"; from batch {found.knee_batch:,} on doubling it gains less than 10 %"
    if found.compute_from is not None:
        text += f"; compute-bound from batch {found.compute_from:,} on"
    return text


def throughput(model: ModelTime) -> str:
    """Samples of the batch per second."""
    per = model.runs.throughput_per_s
    number = rounded(per, 4) if per < 1e6 else human(int(per))
    return f"{number} {'samples' if model.runs.batch > 1 else 'inferences'}/s"


def warmup(model: ModelTime) -> str:
    n = model.warmup.n
    state = "steady" if model.warmup.steady else "NOT steady"
    why = f": {printable(model.warmup.why, 200)}" if model.warmup.why else ""
    return f"{model.runs.n:,} run{'' if model.runs.n == 1 else 's'} after {n:,} of warm-up, {state}{why}"


def memory(found: PeakMemory) -> str:
    """Predicted and measured bytes beside the weights at the peak."""
    low, high = found.predicted_low, found.predicted_high
    if high is None:
        told = f"at least {human_bytes(low)}"
    else:
        told = human_bytes(low) if low == high else f"{human_bytes(low, 3)} .. {human_bytes(high, 3)}"
    if found.measured is None:
        return f"{told} predicted; not measured: {printable(found.why or 'no profile', 200)}"
    text = f"{human_bytes(found.measured)} at the peak beside the weights; predicted {told}"
    if low == high:
        return f"{text}: {'equal' if low == found.measured else off(low, found.measured)}"
    inside = low <= found.measured and (high is None or found.measured <= high)
    return f"{text}: {'inside' if inside else 'NOT inside'}"


def off(predicted: float, measured: float) -> str:
    """How far a prediction is off what was measured."""
    if not measured:
        return "nothing was measured"
    ratio = predicted / measured - 1
    return f"{percent(abs(ratio))} too {'much' if ratio > 0 else 'little'}"


def prediction(found: Prediction, measured: float) -> str:
    """The estimate with its interval, and its error."""
    text = f"{interval(found.total)} on {printable(found.device, 60)}"
    if found.total.value is None:
        return text
    return f"{text}: {off(found.total.value, measured)}"


def interval(total: SecondsReport) -> str:
    bounds = f"{seconds(total.low, 3)} .. {'unbounded' if total.high is None else seconds(total.high, 3)}"
    return f"unknown, {bounds}" if total.value is None else f"{seconds(total.value)} ({bounds})"


def worst(one: Worst) -> str:
    nodes = f" of {', '.join(printable(node, 40) for node in one.nodes[:2])}" if one.nodes else ""
    times = f"{seconds(one.seconds, 3)}, predicted {seconds(one.predicted_s, 3)} (x{one.ratio:.3g})"
    return f"{printable(one.kernel, 40)} ({printable(one.op, 30)}){nodes}: {times}: {printable(one.why, 200)}"


def plain(model: ModelTime) -> str:
    """The graph without optimizations beside the optimized one."""
    assert model.plain is not None
    text = f"{seconds(model.plain.p50_s)} without optimizations"
    if model.plain_ratio is not None:
        text += f", x{model.plain_ratio:.3g} of runs with them in turns"
    if model.slower_optimized:
        return f"{text}: the optimized graph is the SLOWER one; run it with --opt none"
    return text


def verdict(pair: Versus) -> str:
    """What the comparison says of the second model."""
    second, first = printable(pair.second, 100), printable(pair.first, 100)
    if pair.verdict == "no difference":
        return f"no difference beyond {percent(pair.effect, 0)} between {first} and {second}"
    return f"{second} is {pair.verdict.upper()} than {first}"


def between(pair: Versus) -> str:
    """The ratio with its interval."""
    if pair.low is None or pair.high is None:
        return f"{pair.ratio:.4f}, no interval at {percent(pair.confidence)} of so few rounds"
    return f"{pair.ratio:.4f} ({pair.low:.4f} .. {pair.high:.4f} at {percent(pair.confidence)})"


def command(model: ModelTime, *more: str) -> str:
    """A command that runs the model again as it was run, ready to paste."""
    words = ["effaudit time", shlex.quote(model.path), *options(model.given), *_how(model), *more]
    return printable(" ".join(words), None)


def _how(model: ModelTime) -> Iterator[str]:
    if model.threads != 1:
        yield f"--threads {model.threads}"
    if model.provider != "CPU":
        yield f"--provider {model.provider}"
    if model.optimize != "all":
        yield f"--opt {model.optimize}"
    if model.inputs_from.startswith(_FROM):
        yield f"--input {shlex.quote(model.inputs_from.removeprefix(_FROM))}"
