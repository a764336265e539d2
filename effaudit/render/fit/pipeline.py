"""A pipeline: what runs how often, and the sums."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.fit.types import Pipeline
from effaudit.printable import printable
from effaudit.render.fit.screen import HEADS, aligned, memory, sign
from effaudit.render.fit.words import VERDICTS, estimate, label, limit, limit_name, limited, measured, piece
from effaudit.units import rounded
from effaudit.wrapping import wrapped


def parts(whole: Pipeline) -> str:
    """ "50 x unet.onnx + 1 x decoder.onnx"."""
    return " + ".join(f"{times:,} x {printable(name, 60)}" for name, times in whole.parts)


def pipeline(whole: Pipeline) -> Iterator[str]:
    """The lines of one pipeline."""
    yield from wrapped("", f"{parts(whole)} on {printable(whole.device, 60)}: {VERDICTS[whole.status]}")
    each = "" if not whole.latency_s.value else f", {rounded(1 / whole.latency_s.value, 4)} pipelines/s"
    yield from wrapped(label("time"), f"{measured(whole.latency_s, 's')}{each}")
    if whole.energy_j is not None:
        yield from wrapped(label("energy"), measured(whole.energy_j, "J"))
    cells = [(*memory(row), sign(whole.findings, row)) for row in whole.rows]
    yield from aligned(HEADS, cells) if cells else ()
    for result in limited(whole):
        most = ">=" if result.check == "throughput" else "<="
        words = f"{limit_name(result)} {estimate(result)} {most} {limit(result)}: {result.status}"
        yield from wrapped(label("limit"), words)
    for result in whole.findings:
        if result.check == "operators" and result.status in ("fail", "unknown"):
            yield from wrapped(label("nodes"), f"{result.status}: {printable(result.message, 300)}")
    if any(piece(row) for row in whole.rows):
        yield from wrapped(label(), "X of Y: the largest piece of a memory, which is what the margin is of")
