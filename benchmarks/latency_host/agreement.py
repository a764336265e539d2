"""The section of medians: the program's against those of a script that does not know it, in turns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from msgspec import convert

from benchmarks.latency_host.command import Failed, Machine
from benchmarks.latency_host.networks import Network, build
from benchmarks.latency_host.score import quantile

GOAL: Final = 0.03
AGAIN: Final = 3  # more rounds for a network whose own two medians lie further apart than the goal


@dataclass(frozen=True)
class Pair:
    """Program, script, program, script: medians in seconds, one after another. `rounds`: how often, until the machine
    held still."""

    name: str
    threads: int
    program_s: tuple[float, float]
    script_s: tuple[float, float]
    rounds: int = 1

    @property
    def difference(self) -> float:
        """The program's medians over the script's, less 1: geometric means."""
        return math.sqrt(math.prod(self.program_s) / math.prod(self.script_s)) - 1

    @property
    def drift(self) -> float:
        """The larger of what the program's second median is over its first, and the script's, less 1. It tells
        nothing of the difference between the two."""
        return max((second / first - 1 for first, second in (self.program_s, self.script_s)), key=abs)


def measure(machine: Machine, networks: Sequence[Network]) -> tuple[list[Pair], list[tuple[str, str]]]:
    """First rounds of all, with their repetitions behind each; and what failed."""
    pairs: list[Pair] = []
    failed: list[tuple[str, str]] = []
    for network in networks:
        model = build(network, machine.folder)
        for threads in machine.threads:
            try:
                make = partial(_steady, machine, network.name, model, threads)
                pair = convert(machine.kept(f"p50-{network.name}-{threads}", make), Pair)
            except Failed as why:
                failed.append((f"{network.name}, {threads}", str(why)))
                continue
            pairs.append(pair)
            machine.say(f"{pair.name}, {threads} threads: {pair.difference:+.1%}, drift {pair.drift:+.1%}")
    return pairs, failed


def _steady(machine: Machine, name: str, model: Path, threads: int) -> dict[str, Any]:
    runs = machine.runs(model)
    for rounds in range(1, AGAIN + 2):
        times = []
        for _ in range(2):
            times.append(_median(machine, model, threads, runs))
            times.append(machine.independent(model, threads, runs))
        pair = Pair(name, threads, (times[0], times[2]), (times[1], times[3]), rounds)
        if abs(pair.drift) <= GOAL:
            break
    return asdict(pair)


def _median(machine: Machine, model: Path, threads: int, runs: int) -> float:
    document = machine.time(model, threads, "--runs", str(runs), "--no-profile", "--no-plain")
    return float(document["models"][0]["runs"]["p50_s"])


def section(pairs: Sequence[Pair], failed: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Markdown."""
    yield "The program, a plain script with the same session options (`benchmarks/latency_host/independent.py`), the"
    yield "program and the script again, one after another, each a process of its own with as many runs. The difference"
    yield "is that of the geometric means. Where the two medians of the program, or those of the script, differ by more"
    yield f"than {GOAL:.0%} among themselves, the machine drifted: all four are measured again, up to {AGAIN} times."
    yield ""
    yield "| threads | networks | median difference | 90th percentile | most | within 3 % | and no drift | verdict |"
    yield "| --: | --: | --: | --: | --: | --: | --: | --- |"
    for threads in sorted({pair.threads for pair in pairs}):
        yield _line(threads, [pair for pair in pairs if pair.threads == threads])
    yield ""
    yield "*And no drift*: of the networks on which each agrees with itself within 3 %, those on which they agree."
    yield ""
    yield "| network | threads | program ms | script ms | program ms | script ms | difference | drift | rounds |"
    yield "| --- | --: | --: | --: | --: | --: | --: | --: | --: |"
    for p in sorted(pairs, key=lambda pair: -abs(pair.difference)):
        times = " | ".join(
            f"{1e3 * seconds:.4g}" for pair in zip(p.program_s, p.script_s, strict=True) for seconds in pair
        )
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
