"""The section of predictions: a fresh calibration, then every network measured and predicted in one command."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.latency_host.command import Failed, Machine, calibrate
from benchmarks.latency_host.networks import Network, build
from benchmarks.latency_host.plot import scatter
from benchmarks.latency_host.score import (
    ATTRIBUTED_GOAL,
    CONSISTENT_GOAL,
    MEDIAN_GOAL,
    TENTH_GOAL,
    Score,
    quantile,
    read,
    residuals,
    summary,
)

WORST = 15  # operators that are listed
SITTINGS = 2  # of every network, minutes apart
DRIFT = 1.1
CALIBRATIONS = 4  # at most


@dataclass(frozen=True)
class Measured:
    """`calibration_s`: wall seconds; None where a profile was given. `failed`: network and why. `apart`: networks, with
    a number of threads, whose sittings differ by more than a tenth."""

    scores: tuple[Score, ...]
    failed: tuple[tuple[str, str], ...]
    calibration_s: float | None
    apart: int = 0


def measure(machine: Machine, networks: Sequence[Network], profile: Path | None) -> Measured:
    """Every network with every number of threads; calibrates first unless a profile is given."""
    calibration = None
    if profile is None:
        profile = (machine.documents or machine.folder) / "host.yaml"
        machine.say("calibrating ...")
        calibration = machine.kept("calibration", partial(_calibrated, machine, profile))["seconds"]
    failed: list[tuple[str, str]] = []
    sittings: dict[tuple[str, int], list[Score]] = {}
    for sitting in range(SITTINGS):
        for network in networks:
            model = build(network, machine.folder)
            for threads in machine.threads:
                try:
                    score = _score(machine, network, model, threads, profile, sitting)
                except Failed as why:
                    failed.append((f"{network.name}, {threads}", str(why)))
                    machine.say(f"{network.name}, {threads} threads: {why}")
                else:
                    sittings.setdefault((network.name, threads), []).append(score)
                    machine.say(f"{network.name}, {threads}: {_ms(score.measured_s)} ms, {_signed(score.error)}")
    scores = [min(found, key=lambda score: score.measured_s) for found in sittings.values()]
    apart = sum(
        max(s.measured_s for s in found) > DRIFT * min(s.measured_s for s in found) for found in sittings.values()
    )
    return Measured(tuple(scores), tuple(dict.fromkeys(failed)), calibration, apart)


def _calibrated(machine: Machine, profile: Path) -> dict[str, Any]:
    """Again where the profile itself says that the machine was disturbed."""
    for attempt in range(CALIBRATIONS):
        seconds = calibrate(machine, profile)
        if "calibrate again" not in profile.read_text(encoding="utf-8"):
            break
        machine.say(f"calibration {attempt + 1} was disturbed")
    return {"seconds": seconds}


def _score(machine: Machine, network: Network, model: Path, threads: int, profile: Path, sitting: int) -> Score:
    def make() -> dict[str, Any]:
        options = ("--runs", str(machine.runs(model)), "--predict", "--device", profile, "--no-plain")
        return machine.time(model, threads, *options)

    return read(network.name, network.family, machine.kept(f"{network.name}-{threads}-{sitting}", make))


def section(measured: Measured, images: Path | None, page: Path | None) -> Iterator[str]:
    """Markdown. Plots are written into `images`, and linked from `page`."""
    if measured.calibration_s is not None:
        yield f"The calibration took {measured.calibration_s:.0f} s; it saw none of these networks."
    else:
        yield "A profile that was there before was used."
    yield "The error is predicted / measured - 1, of the median run."
    yield (
        f"Every network is measured in {SITTINGS} sittings, minutes apart; the calmest counts, that with the smallest"
        f" median: what disturbs a machine only ever takes longer. {measured.apart} of {len(measured.scores)} differ by"
        f" more than {DRIFT - 1:.0%} between sittings."
    )
    yield ""
    counts = sorted({score.threads for score in measured.scores})
    yield from _summaries(measured.scores, counts)
    for threads in counts:
        mine = [score for score in measured.scores if score.threads == threads]
        if images is not None and any(score.predicted_s is not None for score in mine):
            yield from _drawn(mine, threads, images, page)
    yield from _families(measured.scores, counts)
    yield from _rows(measured.scores)
    for threads in counts:
        yield from _residuals([score for score in measured.scores if score.threads == threads], threads)
    if measured.failed:
        yield from ("### Not measured", "", *(f"- {name} threads: {why}" for name, why in measured.failed), "")


def _summaries(scores: Sequence[Score], counts: Sequence[int]) -> Iterator[str]:
    yield "| threads | networks | median error | goal | 90th percentile | goal | bias | inside | verdict |"
    yield "| --: | --: | --: | --: | --: | --: | --: | --: | --- |"
    for threads in counts:
        found = summary(score for score in scores if score.threads == threads)
        inside = "" if found.inside is None else f"{found.inside:.0%}"
        yield (
            f"| {threads} | {found.count} | {_error(found.median)} | ≤ {MEDIAN_GOAL:.0%} | {_error(found.tenth)} |"
            f" ≤ {TENTH_GOAL:.0%} | {_times(found.bias)} | {inside} | {'met' if found.met else '**missed**'} |"
        )
    yield ""
    yield "*Bias*: the median of predicted / measured. *Inside*: the measurement lies in the prediction's interval."
    yield ""
    for text, goal, values in (
        ("Kernel seconds attributed to nodes", ATTRIBUTED_GOAL, [s.attributed for s in scores]),
        ("Attributions consistent by output shape", CONSISTENT_GOAL, [s.consistent for s in scores]),
    ):
        told = [value for value in values if value is not None]
        if told:
            under = sum(value < goal for value in told)
            yield (
                f"{text}: least {min(told):.1%}, median {quantile(told, 0.5):.1%}; goal {goal:.0%}, not reached by"
                f" {under} of {len(told)} runs."
            )
    yield ""


def _drawn(scores: Sequence[Score], threads: int, images: Path, page: Path | None) -> Iterator[str]:
    images.mkdir(parents=True, exist_ok=True)
    words = f"{threads} thread{'s' if threads > 1 else ''}"
    file = images / f"prediction-{words.replace(' ', '-')}.svg"
    file.write_text(scatter(scores, f"Predicted against measured, {words}"), encoding="utf-8")
    place = file.relative_to(page.parent).as_posix() if page and file.is_relative_to(page.parent) else file.name
    yield from (f"![Predicted against measured seconds, {words}]({place})", "")


def _families(scores: Sequence[Score], counts: Sequence[int]) -> Iterator[str]:
    yield "### By family"
    yield ""
    yield "| family | networks |" + "".join(f" {t}: median | 90th | ratio |" for t in counts)
    yield "| --- | --: |" + " --: | --: | --: |" * len(counts)
    for family in dict.fromkeys(score.family for score in scores):
        mine = [score for score in scores if score.family == family]
        cells = [summary(score for score in mine if score.threads == threads) for threads in counts]
        names = len({score.name for score in mine})
        words = (f" {_error(c.median)} | {_error(c.tenth)} | {_times(c.bias)} |" for c in cells)
        yield f"| {family} | {names} |" + "".join(words)
    yield ""


def _rows(scores: Sequence[Score]) -> Iterator[str]:
    yield "### Every network"
    yield ""
    yield (
        "| network | family | threads | MACs | measured ms | ± | predicted ms | error | attributed | consistent |"
        " kernel that is furthest off |"
    )
    yield "| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --- |"
    for s in scores:
        macs = "" if s.macs is None else f"{s.macs / 1e6:,.1f} M"
        cells = (
            s.name,
            s.family,
            str(s.threads),
            macs,
            _ms(s.measured_s),
            f"{s.noise:.1%}",
            "" if s.predicted_s is None else _ms(s.predicted_s),
            _signed(s.error),
            _part(s.attributed),
            _part(s.consistent),
            s.worst.replace("|", "\\|"),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def _residuals(scores: Sequence[Score], threads: int) -> Iterator[str]:
    found = residuals(scores)
    rows, told = found[:WORST], {row.op for row in found}
    lost = Counter(kernel.op for score in scores for kernel in score.kernels if kernel.op not in told)
    if lost and any(score.predicted_s is not None for score in scores):
        words = ", ".join(f"{op} ({n} kernel{'s' if n > 1 else ''})" for op, n in sorted(lost.items()))
        yield from (f"Not predicted anywhere: {words}.", "")
    if not rows:
        return
    yield f"### By operator, {threads} thread{'s' if threads > 1 else ''}"
    yield ""
    yield "Medians over the networks that run it: its part of all kernel seconds, predicted over measured seconds, and"
    yield "what that makes of the whole."
    yield ""
    yield "| kernel | networks | kernels | part | predicted / measured | of the whole | not predicted |"
    yield "| --- | --: | --: | --: | --: | --: | --: |"
    for row in rows:
        yield (
            f"| {row.op} | {row.networks} | {row.kernels} | {row.share:.1%} | {row.ratio:.2f} | {row.off:+.1%} |"
            f" {row.unpredicted} |"
        )
    yield ""


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.4g}"


def _error(value: float) -> str:
    return "not known" if math.isnan(value) else f"{value:.1%}"


def _times(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _signed(error: float | None) -> str:
    return "not known" if error is None else f"{error:+.1%}"


def _part(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
