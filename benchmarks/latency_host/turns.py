"""The section of `--vs`: a network against itself, and against a copy with a tenth more multiply-accumulates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks.latency_host.command import Failed, Machine, output
from benchmarks.latency_host.networks import Network, build, networks
from benchmarks.latency_host.weights import filled
from benchmarks.latency_host.wider import widened
from benchmarks.sketch import save

TRIALS: Final = 20
MORE: Final = 0.10
SAME: Final = (
    "lenet5",
    "mobilenet_v1_0.25_96",
    "mobilenet_v3_small",
    "squeezenet1_1",
    "resnet50",
    "bert_mini_64",
    "lstm_lm_650_35",
    "wavenet_2000",
    "mobilenet_v2_qdq",
    "gpt2_step_512",
)
WIDER: Final = (
    "mobilenet_v1_0.5_160",
    "mobilenet_v2_1.0_224",
    "resnet18",
    "resnet50",
    "yolov3_tiny_416",
    "unet_256",
    "nerf_4096",
)


@dataclass(frozen=True)
class Trial:
    """`macs`: of the second over those of the first. `wanted`: the verdict that is right."""

    name: str
    threads: int
    macs: float
    wanted: str
    verdict: str
    ratio: float
    low: float | None
    high: float | None
    rounds: int


def measure(machine: Machine, chosen: Sequence[Network]) -> tuple[list[Trial], list[tuple[str, str]]]:
    """`TRIALS` of networks against themselves, then the wider copies. Of `chosen` alone, where they are of these."""
    have = {network.name for network in chosen}
    trials: list[Trial] = []
    failed: list[tuple[str, str]] = []
    same = [(name, threads) for name in SAME if name in have for threads in machine.threads]
    for i in range(TRIALS if same else 0):
        name, threads = same[i % len(same)]
        model = build(networks()[name], machine.folder)
        _one(machine, name, threads, (model, model, 1.0), "no difference", trials, failed)
    for wider in (name for name in WIDER if name in have):
        model = build(networks()[wider], machine.folder)
        copy, ratio = _wider(machine, wider, model)
        for threads in machine.threads:
            _one(machine, wider, threads, (model, copy, ratio), "slower", trials, failed)
    return trials, failed


def _one(
    machine: Machine,
    name: str,
    threads: int,
    models: tuple[Path, Path, float],
    wanted: str,
    trials: list[Trial],
    failed: list[tuple[str, str]],
) -> None:
    first, second, macs = models
    try:
        make = partial(machine.time, first, threads, "--vs", second)
        found = machine.kept(f"vs-{len(trials) + len(failed)}-{name}-{threads}", make)["versus"][0]
    except Failed as why:
        failed.append((f"{name}, {threads}", str(why)))
        return
    told = {key: found[key] for key in ("verdict", "ratio", "low", "high", "rounds")}
    trials.append(Trial(name, threads, macs, wanted, **told))
    machine.say(f"{name}, {threads} threads: {trials[-1].verdict} ({trials[-1].ratio:.4f}), wanted {wanted}")


def _wider(machine: Machine, name: str, model: Path) -> tuple[Path, float]:
    """The copy, and how many times the MACs it has: both by the program's own count."""
    sketch = networks()[name].sketch
    assert sketch is not None
    g, report = sketch(), _report(machine, model)
    counted = {node["name"]: node["macs"] for node in report["nodes"]}
    path = machine.folder / f"{name}-wider.onnx"
    save(filled(widened(g, [counted[node.name] for node in g.nodes], MORE), name), path)
    return path, _report(machine, path)["totals"]["macs"] / report["totals"]["macs"]


def _report(machine: Machine, model: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(output((*machine.effaudit, "report", model, "--json")))["models"][0]
    return found


def section(trials: Sequence[Trial], failed: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Markdown."""
    yield "Verdicts at 99.9 % confidence and an effect of at least 2 %. Copies with more multiply-accumulates (MACs,"
    yield "by the program's own count) have more hidden channels between layers (`benchmarks/latency_host/wider.py`)."
    yield ""
    yield "| trials | right verdict | of | verdict |"
    yield "| --- | --: | --: | --- |"
    for right, words in (("no difference", "against itself"), ("slower", "against a copy with a tenth more MACs")):
        mine = [trial for trial in trials if trial.wanted == right]
        count = sum(trial.verdict == right for trial in mine)
        yield f"| {words} | {count} | {len(mine)} | {'met' if count == len(mine) else '**missed**'} |"
    yield ""
    yield "| network | threads | MACs | ratio of times | interval | rounds | verdict | right |"
    yield "| --- | --: | --: | --: | --- | --: | --- | --- |"
    for t in trials:
        interval = "not known" if t.low is None or t.high is None else f"{t.low:.3f} .. {t.high:.3f}"
        met = "yes" if t.verdict == t.wanted else "**no**"
        yield (
            f"| {t.name} | {t.threads} | {t.macs:.3f}x | {t.ratio:.3f} | {interval} | {t.rounds} | {t.verdict} |"
            f" {met} |"
        )
    yield ""
    yield from (f"- {name} threads: not measured: {why}" for name, why in failed)
