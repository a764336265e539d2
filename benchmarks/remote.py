"""`effaudit report http://...`: what it takes of a model on a server, on loopback."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measure import Series, interleave
from benchmarks.section import MEASURES, Bench, Section, Target, process_row
from tests.load.server import Site

LIMIT_BYTES = 3e6
MODELS = {"resnet50": "ResNet-50, 102 MB", "decoder7b-single": "7B decoder, one file of 13.5 GB"}


def remote(bench: Bench) -> Section:
    files = {f"/{name}.onnx": bench.model(name) for name in MODELS}
    with Site(files) as site:
        rows = [_row(bench, site, name, label, files[f"/{name}.onnx"]) for name, label in MODELS.items()]
    notes = (
        "Loopback, one connection, range requests one after the other: a real server adds its round trip to each. The "
        "reports are those of the files on disk.",
    )
    return Section("A model on a server", notes, ("model", *MEASURES, "target", ""), tuple(rows))


def _row(bench: Bench, site: Site, name: str, label: str, path: Path) -> tuple[str, ...]:
    sent, asked = site.sent, len(site.requests)
    contender = bench.contender(label, "report", site.url(f"/{name}.onnx"))
    (series,) = interleave([contender], bench.repeats)
    runs = bench.repeats + 1  # one to warm up
    read, requests = (site.sent - sent) / runs, (len(site.requests) - asked) / runs
    named = Series(f"{label}: {read / 1e6:.2f} MB in {requests:.0f} requests", series.samples, series.failure)
    return process_row(named, None if series.failure else Target("< 3 MB read", read < LIMIT_BYTES))
