"""`effaudit report` on a Llama-2-7B decoder step: 3,863 nodes, 13.5 GB of weights in four places."""

from __future__ import annotations

from benchmarks.measure import Series, interleave, rss, wall
from benchmarks.section import MEASURES, Bench, Section, Target, process_row

LIMIT_S, LIMIT_BYTES = 0.400, 70e6
LIMIT_RATIO = 1.1
DIMS = ("--dim", "batch_size=1", "--dim", "sequence_length=1", "--dim", "past_sequence_length=2047")
STATIC = {
    "decoder7b-absent": "external weights, file missing",
    "decoder7b-external": "external weights, 13.5 GB file",
    "decoder7b-inline": "1.9 GB inline, the rest missing",
    "decoder7b-single": "one file of 13.5 GB",
}


def decoder7b(bench: Bench) -> Section:
    contenders = [bench.contender(label, "report", bench.model(name)) for name, label in STATIC.items()]
    dynamic = bench.model("decoder7b-dynamic")
    contenders += [
        bench.contender("dynamic dims, bound", "report", dynamic, *DIMS),
        bench.contender("dynamic dims, left open", "report", dynamic),
    ]
    series = interleave(contenders, bench.repeats)
    absent, _, *inline = series[:4]
    rows = [process_row(one, _limits(one)) for one in series]
    rows += [_against(one, absent) for one in inline]
    notes = (
        "`effaudit report`, float16, batch 1, one new token, 2,047 in the cache. Big files are sparse: their "
        "weights take no disk, and reading them by mistake would still cost the time and the memory.",
    )
    return Section("A 7B decoder", notes, ("weights", *MEASURES, "target", ""), tuple(rows))


def _limits(series: Series) -> Target | None:
    if series.failure:
        return None
    time, memory = series.of(wall).median < LIMIT_S, series.of(rss).median < LIMIT_BYTES
    return Target.joined(Target("wall < 400 ms", time), Target("< 70 MB", memory))


def _against(series: Series, absent: Series) -> tuple[str, ...]:
    """The same graph without its weights is the yardstick."""
    name = f"{series.name} / file missing"
    if series.failure or absent.failure:
        return (name, "not measured", *[""] * 4)
    ratios = [series.of(metric).over(absent.of(metric)).median for metric in (wall, rss)]
    target = Target(f"wall, memory ≤ {LIMIT_RATIO}x", max(ratios) <= LIMIT_RATIO)
    return (name, f"{ratios[0]:.2f}x", "", f"{ratios[1]:.2f}x", *target.cells())
