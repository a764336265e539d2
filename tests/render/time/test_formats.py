"""Real runs in every format, from documents made by hand: names are untrusted, much may be unknown."""

from __future__ import annotations

import csv
import io
import json

import msgspec
import pytest
from msgspec.structs import replace

from effaudit.render.time import render
from effaudit.tables.table import Shown
from effaudit.timing.types import PeakMemory, TimeDocument
from tests.hostile.harmless import RULES

from . import documents

NASTY = "<script>alert(1)</script>|`=1+2`\x1b[31m\u202e&lt;\n\x9b0m"
NAMES = [NASTY, "a/very/long/name/" * 40, "=cmd|' /C calc'!A0", "--", "'", ""]
FORMATS = ("text", "json", "csv", "markdown")


def printed(form: str, document: TimeDocument, *tables: str, top: int | None = None) -> str:
    return "".join(render(form, document, Shown(tables, top)))


def every(name: str) -> list[TimeDocument]:
    """Documents of all kinds with a name in every place where a model has a say."""
    usual, odd = documents.model(name, name), documents.bare(name)
    return [
        documents.document(usual),
        documents.document(odd, host=documents.UNKNOWN_HOST),
        documents.document(documents.predicted(name, name)),
        documents.document(usual, odd, usual),
        documents.swept(name),
        documents.document(pairs=(documents.versus(name, name), documents.versus(name, "b", told=False))),
    ]


@pytest.mark.parametrize("tables", [(), ("nodes",), ("kernels",)])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", FORMATS)
def test_no_format_breaks(form: str, name: str, tables: tuple[str, ...]) -> None:
    for document in every(name):
        text = printed(form, document, *tables)
        RULES[form](text)
        assert text or (tables and form == "csv")


# ---- text
@pytest.mark.parametrize(
    "document",
    [
        documents.document(documents.model()),
        documents.document(documents.model(count=300)),
        documents.document(documents.bare()),
        documents.document(documents.predicted()),
        documents.document(documents.predicted(part="an/exporter/wrote/this/name/" * 3)),
    ],
)
def test_the_first_screen_fits(document: TimeDocument) -> None:
    lines = printed("text", document).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80


def test_the_first_screen_says_what_ran_and_how_long() -> None:
    text = printed("text", documents.document(documents.model()))
    for said in (
        "some/model.onnx   ONNX Runtime 1.31.1 on CPU, 1 thread, optimized",
        "dims   batch=1 (assumed)",
        "fed    drawn by chance",
        "Brand Model 9, 2 cores, 32.0 GiB, governor performance; fingerprint 0123456789ab",
        "median 1.200 ms ± 0.8 %     833.3 inferences/s",
        "min 1.00 ms p90 1.40 ms p99 only from 100 runs on mean 1.25 ms",
        "MAD 20.0 µs middle half 3.0 % wide",
        "50 runs after 7 of warm-up, steady",
        "session created in 50.0 ms, first run 4.00 ms",
        "2.400 ms without optimizations, x2 of runs with them in turns",
        "192.0 KiB at the peak beside the weights; predicted 192.0 KiB: equal",
        "97.0 % of the time of 13 kernels attributed",
        "unattributed 10.0 µs",
        "next   effaudit time some/model.onnx --nodes",
        "       effaudit time some/model.onnx --predict",
    ):
        assert said in text or said in " ".join(text.split())


def test_nodes_stand_by_their_time() -> None:
    lines = printed("text", documents.document(documents.model())).splitlines()
    rows = [line.split()[0] for line in lines if line.startswith("layer")]
    assert rows[:3] == ["layer0", "layer1", "layer2"]
    assert sum(name == "layer" for name in rows) == 0, "a node without a kernel takes no time"
    top = printed("text", documents.document(documents.model()), top=2).splitlines()
    assert [line.split()[0] for line in top if line.startswith("layer")] == ["layer0", "layer1"]


def test_all_nodes_stand_in_the_order_of_the_file() -> None:
    text = printed("text", documents.document(documents.model()), "nodes")
    rows = [line for line in text.splitlines() if line.startswith("layer")]
    assert len(rows) == 13
    assert rows[12].split()[:4] == ["layer", "fused", "-", "-"]
    assert "next" not in text


def test_kernels_name_the_nodes_they_compute() -> None:
    text = printed("text", documents.document(documents.model()), "kernels")
    (row,) = [line for line in text.splitlines() if line.startswith("kernel layer11")]
    assert "layer11" in row.split(" ", 2)[2]


def test_what_is_slow_for_what_it_computes_is_marked() -> None:
    lines = printed("text", documents.document(documents.predicted())).splitlines()
    (row,) = [line for line in lines if line.startswith("layer0")]
    assert row.endswith("slow") and " 5.0 % " in row
    (other,) = [line for line in lines if line.startswith("layer1 ")]
    assert "slow" not in other and " 50.0 % " in other
    assert any("expect 1.300 ms (1.10 ms .. 1.50 ms) on host.yaml: 8.3 % too much" in line for line in lines)
    assert any(
        line.lstrip().startswith("kernel layer0 (Conv) of layer0: 100 µs, predicted 300 µs (x3)") for line in lines
    )
    plain = printed("text", documents.document(documents.model()))
    assert "of roof" not in plain and "predicted" not in plain.split("next")[0].replace("; predicted", "")


def test_an_optimized_graph_that_is_slower_is_said_aloud() -> None:
    slower = replace(documents.model(), slower_optimized=True)
    assert "the optimized graph is the SLOWER one; run it with --opt none" in " ".join(
        printed("text", documents.document(slower)).split()
    )
    assert "slower" in printed("text", documents.document(slower, documents.model()))
    assert "SLOWER" in printed("markdown", documents.document(slower))


@pytest.mark.parametrize(
    ("memory", "said"),
    [
        (PeakMemory(1024, 1024, 1024, None), "1.000 KiB at the peak beside the weights; predicted 1.000 KiB: equal"),
        (PeakMemory(1024, 1024, 2048, None), "predicted 1.000 KiB: 50.0 % too little"),
        (PeakMemory(2048, 2048, 1024, None), "predicted 2.000 KiB: 100.0 % too much"),
        (PeakMemory(1024, 4096, 2048, None), "predicted 1.00 KiB .. 4.00 KiB: inside"),
        (PeakMemory(1024, 4096, 512, None), "predicted 1.00 KiB .. 4.00 KiB: NOT inside"),
        (PeakMemory(1024, None, 2048, None), "predicted at least 1.000 KiB: inside"),
        (PeakMemory(1024, 1024, None, "too old"), "1.000 KiB predicted; not measured: too old"),
        (PeakMemory(0, 0, 0, None), "equal"),
    ],
)
def test_memory(memory: PeakMemory, said: str) -> None:
    text = printed("text", documents.document(replace(documents.model(), memory=memory)))
    assert said in " ".join(text.split())


def test_several_models_are_a_row_each() -> None:
    text = printed("text", documents.document(documents.model("a.onnx"), documents.bare("b.onnx")))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line.startswith(("a.onnx", "b.onnx"))] == ["a.onnx", "b.onnx"]
    assert text.count("a note of b.onnx") == 1, "a note that several have is said once"
    assert "warn   b.onnx: b.onnx is noisy" in text


def test_a_sweep_shows_what_varies_and_where_it_turns() -> None:
    text = printed("text", documents.swept())
    assert "effaudit time   2 runs of m.onnx" in text
    assert "doubling it gains less than 10 %; compute-bound from batch 4 on" in " ".join(text.split())
    rows = list(csv.DictReader(io.StringIO(printed("csv", documents.swept()))))
    assert [(row["batch"], row["regime"], row["growth_ratio"]) for row in rows] == [
        ("1", "memory", ""),
        ("4", "compute", "0.5"),
    ]


def test_a_comparison_says_its_verdict() -> None:
    text = printed("text", documents.document(pairs=(documents.versus(),)))
    assert "b.onnx is SLOWER than a.onnx" in text
    assert "ratio  1.0830 (1.0700 .. 1.1000 at 99.9 %), over 50 rounds in turns" in text
    text = printed("text", documents.document(pairs=(documents.versus(told=False),)))
    assert "no difference beyond 2 % between a.onnx and b.onnx" in text
    assert "no interval at 99.9 % of so few rounds" in text
    assert max(map(len, text.splitlines())) <= 80


# ---- for programs
@pytest.mark.parametrize("document", [one for name in NAMES[:2] for one in every(name)])
def test_json_is_the_whole_document(document: TimeDocument) -> None:
    found = json.loads(printed("json", document))
    assert found == json.loads(msgspec.json.encode(document))


def test_csv_of_nodes_and_kernels_is_exact() -> None:
    document = documents.document(documents.model("a.onnx"), documents.predicted())
    rows = list(csv.DictReader(io.StringIO(printed("csv", document, "nodes"))))
    assert len(rows) == 26
    assert float(rows[1]["seconds"]) == 0.00005
    assert (rows[0]["model"], rows[0]["sizes"], rows[0]["threads"]) == ("a.onnx", "batch=1", "1")
    assert (rows[12]["seconds"], rows[12]["macs"], rows[12]["why"]) == ("", "0", "fused into another")
    assert (rows[13]["slow"], rows[14]["slow"]) == ("slow", "")
    rows = list(csv.DictReader(io.StringIO(printed("csv", document, "kernels", top=2))))
    assert [row["kernel"] for row in rows] == ["kernel layer0", "kernel layer1"] * 2
    rows = list(csv.DictReader(io.StringIO(printed("csv", document))))
    assert [(row["p50_s"], row["p99_s"], row["peak_bytes"]) for row in rows] == [("0.0012", "", "196608")] * 2
    (row,) = csv.DictReader(io.StringIO(printed("csv", documents.document(pairs=(documents.versus(told=False),)))))
    assert (row["low"], row["high"], row["verdict"]) == ("", "", "no difference")


def test_markdown_has_the_tables_that_are_asked_for() -> None:
    document = documents.document(documents.model("a.onnx"))
    assert "| layer0 |" not in printed("markdown", document)
    assert "| layer0 |" in printed("markdown", document, "nodes")
    assert "| kernel layer0 |" in printed("markdown", document, "kernels")
    assert "| a.onnx | b.onnx | 1.20 ms | 1.30 ms | 1.083 |" in printed(
        "markdown", documents.document(pairs=(documents.versus(),))
    )
