"""`effaudit memory --runtime tflm` against TensorFlow Lite Micro itself, on the same networks as .tflite files."""

from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.envs import TFLITE_MICRO, NotInstalled, python_of
from benchmarks.measure import environment, last_line
from benchmarks.section import ROOT, Bench, Section, Target
from benchmarks.tflite.exchange import Case, Measured, Request
from benchmarks.tflite.network import Network

RUNTIME = ("--runtime", "tflm")
STEPS = 4  # of the output's int8, at most, between two runtimes that round on their own
HEADER = (
    "network",
    "head predicted",
    "head measured",
    "tail predicted",
    "tail measured",
    "smallest arena",
    "target",
    "",
)
NOTES = (
    "Bytes. The sample models, and random networks, as .tflite files that TensorFlow Lite Micro {version} runs on "
    "this host. Head: activations and workspaces; tail: what stays as long as the model is loaded. The smallest arena "
    "in which the interpreter comes up and runs was found by bisection; it is more than head + tail where preparing "
    "the operators takes more than the head.",
    "The files hold the same networks: on the same input their outputs are at most {steps:.1f} steps of an int8 from "
    "those of ONNX Runtime.",
    "Offline plan: the offsets of `effaudit memory M --runtime tflm --planner best --emit-plan tflm`, embedded as the "
    "metadata entry OfflineMemoryAllocation.",
)


@dataclass(frozen=True)
class Predicted:
    """Bytes, None where nothing is said; `failure` is why."""

    head: int | None = None
    tail: tuple[int, int] | None = None
    failure: str = ""


def tflm(bench: Bench) -> Section:
    title = "Arena of TensorFlow Lite Micro"
    try:
        python = python_of(TFLITE_MICRO, bench.envs)
    except NotInstalled as error:
        return Section(title, (str(error),), HEADER, ())
    folder = bench.models / "tflm"
    _run([sys.executable, "-m", "benchmarks.tflite.cases", folder])
    cases: list[Case] = pickle.loads((folder / "cases").read_bytes())
    measured = _measured(python, folder, [case.request for case in cases])
    predicted = [_predicted(bench, case) for case in cases]
    found = list(zip(cases, predicted, measured, strict=True))
    samples = [row for row in found if not row[0].name.startswith("random")]
    rows = [_row(case.name, p, m) for case, p, m in samples]
    rows.append(_random(found[len(samples) :]))
    rows += _offline(bench, python, folder, [case for case, _, _ in samples if case.expected])
    steps = max((_steps(case, m) for case, _, m in samples if case.expected and not m.failure), default=0.0)
    notes = [note.format(version=TFLITE_MICRO.version, steps=steps) for note in NOTES]
    return Section(title, tuple(notes), HEADER, tuple(rows))


def _measured(python: Path, folder: Path, requests: Sequence[Request]) -> list[Measured]:
    asked, answered = folder / "requests", folder / "results"
    asked.write_bytes(pickle.dumps(list(requests)))
    _run([python, "-m", "benchmarks.tflite.worker", asked, answered])
    results: list[Measured] = pickle.loads(answered.read_bytes())
    return results


def _predicted(bench: Bench, case: Case) -> Predicted:
    document, failure = _asked(bench, case, "--json")
    if failure:
        return Predicted(failure=failure)
    memory = document["models"][0]["memory"]
    tail = memory["persistent_bounds"]
    known = tail is not None and None not in tail
    return Predicted(memory["arena_bytes"], (tail[0], tail[1]) if known else None)


def _asked(bench: Bench, case: Case, *options: str) -> tuple[Any, str]:
    """The JSON that `effaudit memory` prints, or why there is none."""
    command = [*bench.effaudit, "memory", *case.arguments, *RUNTIME, *options]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    if done.returncode:
        return None, f"exit code {done.returncode}: {last_line(done.stderr)}"
    return json.loads(done.stdout), ""


def _row(name: str, predicted: Predicted, measured: Measured) -> tuple[str, ...]:
    if measured.failure:
        return (name, predicted.failure or _number(predicted.head), measured.failure, *[""] * 5)
    theirs = (_number(measured.tail), _number(measured.least or None))
    if predicted.failure:
        return (name, predicted.failure, _number(measured.head), "", *theirs, "", "")
    tail = "" if predicted.tail is None else " to ".join(map(_number, dict.fromkeys(predicted.tail)))
    targets = [Target("head = predicted", predicted.head == measured.head)]
    if predicted.tail is not None:
        low, high = predicted.tail
        targets.append(Target("tail within", low <= measured.tail <= high))
    heads = (_number(predicted.head), _number(measured.head))
    return (name, *heads, tail, *theirs, *Target.joined(*targets).cells())


def _number(figure: int | None) -> str:
    return "" if figure is None else f"{figure:,}"


def _random(found: list[tuple[Case, Predicted, Measured]]) -> tuple[str, ...]:
    """All random networks in one row, and what was wrong with the first that differs."""
    equal = [p.head == m.head for _, p, m in found if not p.failure and not m.failure]
    name = f"{len(found)} random networks"
    wrong = next((row for row in found if row[1].failure or row[2].failure or row[1].head != row[2].head), None)
    said = f"{sum(equal)} of {len(found)} equal"
    if wrong is not None:
        case, p, m = wrong
        said += f"; {case.name}: {p.failure or m.failure or f'{_number(p.head)} against {_number(m.head)}'}"
    return (name, said, *[""] * 4, *Target("head = predicted", wrong is None).cells())


def _offline(bench: Bench, python: Path, folder: Path, cases: list[Case]) -> list[tuple[str, ...]]:
    """The same files with the best plan embedded."""
    rows, planned = [], []
    for case in cases:
        name = f"{case.name}, offline plan"
        plan, failure = _asked(bench, case, "--planner", "best", "--emit-plan", "tflm")
        if failure:
            rows.append((name, failure, *[""] * 6))
            continue
        network = case.request.network
        content = {plan["metadata"]: _content(network, plan["offsets"])}
        planned.append((case, name, plan["arena_bytes"], replace(network, metadata=content)))
    requests = [Request(network, case.request.feed, least=True) for case, _, _, network in planned]
    for (case, name, arena, _), m in zip(planned, _measured(python, folder, requests), strict=True):
        *cells, text, met = _row(name, Predicted(arena), m)
        same = bool(m.output) and _steps(case, m) <= STEPS
        kept = Target("same output", same).cells()
        rows.append((*cells, f"{text}, {kept[0]}", met if same else kept[1]))
    return rows


def _content(network: Network, offsets: dict[str, int]) -> bytes:
    """Version, number of subgraphs, number of tensors, and an offset for each in the order of the file.

    Raises KeyError for an activation without an offset.
    """
    places = [-1 if t.data is not None else offsets[t.name] for t in network.tensors]
    return struct.pack(f"<{3 + len(places)}i", 1, 1, len(places), *places)


def _steps(case: Case, measured: Measured) -> float:
    """The largest distance from the output of ONNX Runtime, in steps of the output's quantization."""
    tensor = case.request.network.tensor(case.request.network.outputs[0])
    codes = [b - 256 if b > 127 else b for b in measured.output]
    scale = tensor.scales[0]
    return max(
        abs((code - tensor.zero) - value / scale) for code, value in zip(codes, case.expected, strict=True)
    )  # fmt: skip


def _run(command: list[str | Path]) -> None:
    subprocess.run(command, cwd=ROOT, env=environment({"PYTHONPATH": str(ROOT)}), check=True)
