"""The same profile, and nothing run: what `report --device` says from the file alone, beside what `time --predict` says
of the graph that ONNX Runtime saved."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.latency_host.command import Failed, Machine, output
from benchmarks.latency_host.networks import build, networks
from benchmarks.latency_host.score import Score, quantile, summary

NAMED = 0.02  # a network whose two estimates differ by more is named


@dataclass(frozen=True)
class Alone:
    """A network at one number of threads: its score, and the estimate from the file alone (None: there is none)."""

    score: Score
    alone_s: float | None

    @property
    def off(self) -> float | None:
        """Of the estimate of the saved graph: 0.1 is 10 % longer."""
        saved = self.score.predicted_s
        return None if self.alone_s is None or not saved else self.alone_s / saved - 1


def measure(machine: Machine, scores: Sequence[Score], profile: Path) -> tuple[Alone, ...]:
    """The estimates of the networks that were scored."""
    known = networks()
    found = []
    for score in scores:
        model = build(known[score.name], machine.folder)
        options = ("--device", profile, "--runtime", f"onnxruntime-{score.threads}", "--json")
        try:
            document = json.loads(output((*machine.effaudit, "report", model, *options)))
        except Failed as why:
            machine.say(f"{score.name}, {score.threads} threads: {why}")
            continue
        found.append(Alone(score, document["models"][0]["device"]["latency_s"]["value"]))
    return tuple(found)


def section(found: Sequence[Alone]) -> Iterator[str]:
    """Markdown."""
    yield "### From the file alone"
    yield ""
    yield "`effaudit report --device`, by the same profile: nothing runs, and the graph is as the optimizer is known to"
    yield "make it. *Beside*: how far that is from the prediction of the graph that ONNX Runtime saved."
    yield ""
    yield "| threads | networks | median error | 90th percentile | bias | beside: median | beside: most |"
    yield "| --: | --: | --: | --: | --: | --: | --: |"
    for threads in sorted({one.score.threads for one in found}):
        mine = [one for one in found if one.score.threads == threads]
        here = summary(replace(one.score, predicted_s=one.alone_s) for one in mine)
        beside = [abs(one.off) for one in mine if one.off is not None]
        yield (
            f"| {threads} | {here.count} | {here.median:.1%} | {here.tenth:.1%} | {here.bias:.3f} |"
            f" {quantile(beside, 0.5):.2%} | {max(beside, default=0.0):.1%} |"
        )
    yield ""
    apart = [one for one in found if one.off is None or abs(one.off) > NAMED]
    for one in apart:
        words = "no estimate" if one.off is None else f"{one.off:+.1%}"
        yield f"- {one.score.name}, {one.score.threads} threads: {words}"
    if apart:
        yield ""
