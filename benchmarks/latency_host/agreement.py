"""The section of medians: the program's against those of a script that does not know it, in turns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.latency_host.command import Failed, Machine
from benchmarks.latency_host.networks import Network, build
from benchmarks.latency_host.score import quantile

GOAL: Final = 0.03
AGAIN: Final = 2  # more rounds for a network whose own two medians lie further apart than the goal


@dataclass(frozen=True)
class Pair:
    """Program, script, program: seconds, one after another. `rounds`: how often, until the machine held still."""

    name: str
    threads: int
    before_s: float
    script_s: float
    after_s: float
    rounds: int = 1

    @property
    def difference(self) -> float:
        """The program's median over the script's, less 1."""
        return math.sqrt(self.before_s * self.after_s) / self.script_s - 1

    @property
    def drift(self) -> float:
        """Of the program's own two medians."""
        return self.after_s / self.before_s - 1


def measure(machine: Machine, networks: Sequence[Network]) -> tuple[list[Pair], list[tuple[str, str]]]:
    """First rounds of all, with their repetitions behind each; and what failed."""
    pairs: list[Pair] = []
    failed: list[tuple[str, str]] = []
    for network in networks:
        model = build(network, machine.folder)
        for threads in machine.threads:
            try:
                pair = _steady(machine, network.name, model, threads)
            except Failed as why:
                failed.append((f"{network.name}, {threads}", str(why)))
                continue
            pairs.append(pair)
            machine.say(f"{pair.name}, {threads} threads: {pair.difference:+.1%}, drift {pair.drift:+.1%}")
    return pairs, failed


def _steady(machine: Machine, name: str, model: Path, threads: int) -> Pair:
    runs = machine.runs(model)
    for rounds in range(1, AGAIN + 2):
        before, script, after = (
            _median(machine, model, threads, runs),
            machine.independent(model, threads, runs),
            _median(machine, model, threads, runs),
        )
        pair = Pair(name, threads, before, script, after, rounds)
        if abs(pair.drift) <= GOAL:
            break
    return pair


def _median(machine: Machine, model: Path, threads: int, runs: int) -> float:
    document = machine.time(model, threads, "--runs", str(runs), "--no-profile", "--no-plain")
    return float(document["models"][0]["runs"]["p50_s"])


def section(pairs: Sequence[Pair], failed: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Markdown."""
    yield "The program, a plain script with the same session options (`benchmarks/latency_host/independent.py`), and"
    yield "the program again, one after another, each a process of its own with as many runs. The difference is the"
    yield "geometric mean of the program's two medians over the script's; where these two differ by more than"
    yield f"{GOAL:.0%} themselves, the machine drifted, and all three are measured again, up to {AGAIN} times."
    yield ""
    yield "| threads | networks | median difference | 90th percentile | most | within 3 % | and no drift | verdict |"
    yield "| --: | --: | --: | --: | --: | --: | --: | --- |"
    for threads in sorted({pair.threads for pair in pairs}):
        yield _line(threads, [pair for pair in pairs if pair.threads == threads])
    yield ""
    yield "*And no drift*: of the networks whose own two medians agree within 3 %, those that agree with the script."
    yield ""
    yield "| network | threads | program ms | script ms | program ms | difference | drift | rounds |"
    yield "| --- | --: | --: | --: | --: | --: | --: | --: |"
    for p in sorted(pairs, key=lambda pair: -abs(pair.difference)):
        times = " | ".join(f"{1e3 * seconds:.4g}" for seconds in (p.before_s, p.script_s, p.after_s))
        yield f"| {p.name} | {p.threads} | {times} | {p.difference:+.1%} | {p.drift:+.1%} | {p.rounds} |"
    yield ""
    yield from (f"- {name} threads: not measured: {why}" for name, why in failed)


def _line(threads: int, pairs: Sequence[Pair]) -> str:
    sizes = [abs(pair.difference) for pair in pairs]
    still = [pair for pair in pairs if abs(pair.drift) <= GOAL]
    agreed = sum(abs(pair.difference) <= GOAL for pair in still)
    verdict = "met" if agreed == len(still) else "**missed**"
    return (
        f"| {threads} | {len(pairs)} | {quantile(sizes, 0.5):.1%} | {quantile(sizes, 0.9):.1%} | {max(sizes):.1%} |"
        f" {sum(size <= GOAL for size in sizes)} | {agreed} of {len(still)} | {verdict} |"
    )
