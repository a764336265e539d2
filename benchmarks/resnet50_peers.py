"""`effaudit report` on a ResNet-50 of 102 MB, against onnx-tool and onnxsim doing the same job."""

from __future__ import annotations

from pathlib import Path

from benchmarks.envs import ONNX_TOOL, ONNXSIM, NotInstalled, Peer, python_of, versions
from benchmarks.measure import Contender, interleave
from benchmarks.section import MEASURES, Bench, Section, process_row, ratio_row

# At least this many times less wall time (no target), CPU time and memory.
AT_LEAST: dict[Peer, tuple[float | None, float, float]] = {ONNX_TOOL: (None, 5, 4), ONNXSIM: (None, 20, 20)}


def resnet50(bench: Bench) -> Section:
    model = bench.model("resnet50")
    peers = [_contender(peer, bench.envs, model) for peer in AT_LEAST]
    ours, *theirs = interleave([bench.contender("effaudit report", "report", model), *peers], bench.repeats)
    rows = [process_row(series) for series in (ours, *theirs)]
    rows += [
        ratio_row(f"{peer.name} / effaudit", series, ours, AT_LEAST[peer])
        for peer, series in zip(AT_LEAST, theirs, strict=True)
    ]
    used = [f"{c.name} with {versions(Path(c.command[0]))}" for c in peers if not c.missing]
    commands = (
        "Each tool loads the file, infers every shape and prices every node: `effaudit report M`, "
        "`python -m onnx_tool -i M`, `python -m onnxsim.shape_cost M`."
        + (f" Installed: {'; '.join(used)}." if used else "")
    )
    return Section("ResNet-50, 102 MB", (commands,), ("", *MEASURES, "target", ""), tuple(rows))


def _contender(peer: Peer, envs: Path, model: Path) -> Contender:
    try:
        python = python_of(peer, envs)
    except NotInstalled as error:
        return Contender(peer.label, (), model.parent, missing=str(error))
    return Contender(peer.label, (str(python), *peer.arguments, str(model)), model.parent)
