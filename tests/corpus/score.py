"""The score over a corpus of real graphs with measured truth (see docs/validation.md): pure functions of its folder."""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from effaudit import dims
from effaudit.graph import Graph, Value
from effaudit.load import Given, infer, read
from effaudit.plan.liveness import analyse
from effaudit.table import price
from effaudit.weights import classify

ROOT = Path(__file__).resolve().parents[2]
DATA_ORIGINS = ("data", "unknown")


def folder() -> Path | None:
    """The corpus, where it is present: EFFAUDIT_CORPUS, or beside the checkout."""
    path = Path(os.environ.get("EFFAUDIT_CORPUS", ROOT.parent / "shared" / "corpus"))
    return path if (path / "manifest.csv").is_file() else None


@dataclass(frozen=True, slots=True)
class Shapes:
    """Measured tensors: shape right, not told (bounded or unknown, and the bounds hold), wrong."""

    right: int = 0
    untold: int = 0
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """One file against its truth. `macs` is "exact", "holds" (a range around the truth) or "wrong"."""

    file: str
    group: str
    macs: str
    macs_why: str
    elements: bool
    live: bool
    data_dependent: bool
    bound: Shapes
    symbolic: Shapes | None
    params_truth: int | None
    params: int
    unpriced: tuple[str, ...]


def rows(corpus: Path) -> list[dict[str, str]]:
    """The manifest."""
    with open(corpus / "manifest.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def score(corpus: Path) -> list[Result]:
    """Every file of the corpus, in the manifest's order."""
    return [result(corpus, row) for row in rows(corpus)]


def result(corpus: Path, row: dict[str, str]) -> Result:
    """One file: audited with the shapes it was fed, and (if it has open dims) once more with none given."""
    raw = read(corpus / "models" / row["file"])
    fed: dict[str, list[int]] = json.loads(row["fed_shapes"])
    graph = infer(raw, Given(shapes={name: tuple(shape) for name, shape in fed.items()}))
    measured = json.loads(gzip.decompress((corpus / "shapes" / f"{row['file']}.json.gz").read_bytes()))["tensors"]
    table, weights, memory = price(graph), classify(graph), analyse(graph)
    macs, truth = table.total("macs"), int(row["macs_truth"])
    elements = int(row["params_onnx_elems"]) + int(row["params_onnx_const_elems"])
    return Result(
        file=row["file"],
        group=row["group"],
        macs="exact"
        if macs.value == truth
        else "holds"
        if macs.high is not None and macs.low <= truth <= macs.high
        else "wrong",
        macs_why=macs.why,
        elements=weights.constant_elements == elements,
        live=memory.live_bytes.value == int(row["peak_bytes_noconst"]),
        data_dependent=any(info.origin in DATA_ORIGINS for info in graph.dims.values()),
        bound=_shapes(graph, measured, {}),
        symbolic=_symbolic(raw, fed, measured),
        params_truth=int(row["params_truth"]) if row["params_truth"] else None,
        params=weights.params,
        unpriced=tuple(f"{r.node.op} {r.node.label}: {r.why}" for r in table.unpriced),
    )


def _symbolic(raw: Graph, fed: dict[str, list[int]], measured: dict[str, Any]) -> Shapes | None:
    at = {
        symbol.name: size
        for name in raw.inputs
        for dim, size in zip(raw.declared[name].shape or (), fed.get(name, ()), strict=False)
        for symbol in dims.symbols(dim)
    }
    return _shapes(infer(raw), measured, at) if at else None


def _shapes(graph: Graph, measured: dict[str, Any], at: dict[str, int]) -> Shapes:
    right, untold, wrong = 0, 0, []
    for name, truth in measured.items():
        value = graph.values.get(name)
        if value is None:
            continue
        verdict = _verdict(value, tuple(truth["shape"]), at)
        if verdict == "wrong":
            wrong.append(f"{name}: {value.shape} where {truth['shape']} was measured")
        right, untold = right + (verdict == "right"), untold + (verdict == "untold")
    return Shapes(right, untold, tuple(wrong))


def _verdict(value: Value, truth: tuple[int, ...], at: dict[str, int]) -> str:
    if value.shape is None:
        return "untold"
    if len(value.shape) != len(truth):
        return "wrong"
    verdicts = list(_dims(value, truth, at))
    return "wrong" if "wrong" in verdicts else "untold" if "untold" in verdicts else "right"


def _dims(value: Value, truth: tuple[int, ...], at: dict[str, int]) -> Iterator[str]:
    for dim, size in zip(value.shape or (), truth, strict=True):
        number = dims.evaluate(dim, at)
        if number is not None:
            yield "right" if number == size else "wrong"
        else:
            low, high = dims.bounds(dim)
            yield "untold" if (low is None or low <= size) and (high is None or size <= high) else "wrong"
