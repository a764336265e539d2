"""What programs read: CSV, JSON, SVG and Markdown hold what the document holds."""

from __future__ import annotations

import csv
import io
import json
import re
from xml.etree import ElementTree

import msgspec
import pytest

from effaudit.errors import UsageError
from effaudit.fit.model import document
from effaudit.fit.types import BatchRow, SecondsReport
from effaudit.render.fit import render
from effaudit.tables.fit import LISTS, of_margin
from effaudit.tables.table import Shown
from effaudit.units import human_bytes

from .goldens import made, printed

SVG = "{http://www.w3.org/2000/svg}"


def table(name: str, *lists: str) -> list[dict[str, str]]:
    text = "".join(render("csv", made(name), Shown(lists)))
    found = list(csv.reader(io.StringIO(text), strict=True))
    assert {len(row) for row in found} == {len(found[0])}
    return [dict(zip(found[0], row, strict=True)) for row in found[1:]]


def test_csv_has_a_row_per_verdict() -> None:
    found = made("several").verdicts
    rows = table("several")
    assert [(row["model"], row["device"], row["status"]) for row in rows] == [
        (one.model, one.device, one.status) for one in found
    ]
    assert len(rows) == 4
    for row, one in zip(rows, found, strict=True):
        assert one.latency_s.value is not None
        assert float(row["latency_s"]) == one.latency_s.value
        assert int(row["exit_code"]) == one.exit_code


@pytest.mark.parametrize("name", LISTS)
def test_csv_of_a_list_begins_with_model_and_device(name: str) -> None:
    rows = table("several", name)
    assert list(rows[0])[:2] == ["model", "device"] if rows else name == "left"
    if name in ("nodes", "roofline"):
        assert len(rows) == sum(len(one.rows) for one in made("several").verdicts)


def test_csv_holds_one_table() -> None:
    with pytest.raises(UsageError, match="csv holds one table; ask for one of nodes, left"):
        list(render("csv", made("fits"), Shown(("nodes", "left"))))


def test_unknown_is_empty_in_csv_and_null_in_json() -> None:
    assert table("silent")[0]["latency_s"] == ""
    found = json.loads("".join(render("json", made("silent"), Shown())))
    assert found["verdicts"][0]["latency_s"]["value"] is None
    assert found["verdicts"][0]["memory"]["rows"][0]["have_bytes"] is None
    assert found["exit_code"] == 4


def test_json_of_a_report_adds_the_device() -> None:
    found = json.loads(printed("report", "json"))["models"][0]
    assert found["device"]["device"] == "acme-board"
    assert "status" not in found["device"]
    assert len(found["device"]["kernels"]) == 15
    nodes = {node["name"] for node in found["nodes"]}
    assert {row["node"] for row in found["device"]["kernels"]} <= nodes


@pytest.mark.parametrize("name", ["fits", "limited"])
def test_svg_has_a_point_per_kernel(name: str) -> None:
    report = made(name).verdicts[0]
    root = ElementTree.fromstring("".join(render("svg", made(name), Shown())))
    titles = [c.findtext(f"{SVG}title") or "" for c in root.iter(f"{SVG}circle") if c.find(f"{SVG}title") is not None]
    assert sorted(title.split(";")[0] for title in titles) == sorted(row.node for row in report.rows if row.intensity)
    for title in titles:
        assert "FLOP/B" in title
        assert "attainable" in title
    assert len(root.findall(f"{SVG}polyline")) == len(report.roofline.ridges) == 2  # a roof for each memory
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert "flash, 100 MB/s" in texts and "sram, 400 MB/s" in texts
    assert not list(root.iter(f"{SVG}script"))


def test_svg_points_lie_on_the_plot_and_below_the_roof() -> None:
    root = ElementTree.fromstring(printed("fits", "svg"))
    roof = [tuple(map(float, pair.split(","))) for pair in root.findall(f"{SVG}polyline")[0].attrib["points"].split()]
    dots = [c for c in root.iter(f"{SVG}circle") if c.find(f"{SVG}title") is not None]
    assert dots
    for dot in dots:
        x, y = float(dot.attrib["cx"]), float(dot.attrib["cy"])
        assert 100 <= x <= 930 and 96 <= y <= 576
        assert y >= _height(roof, x) - 0.02  # down is less


def _height(roof: list[tuple[float, ...]], x: float) -> float:
    (x0, y0), (x1, y1), (_, y2) = roof
    return y2 if x >= x1 else y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def test_svg_draws_one_roofline() -> None:
    with pytest.raises(UsageError, match="svg draws one roofline, not 4"):
        list(render("svg", made("several"), Shown()))
    with pytest.raises(UsageError, match="no roofline of acme-silent to draw: no bandwidth of dram is stated"):
        list(render("svg", made("silent"), Shown()))


@pytest.mark.parametrize("name", ["fits-lists", "too-large", "limited", "silent", "types", "several", "pipeline"])
def test_markdown_tables_are_well_formed(name: str) -> None:
    text = printed(name, "markdown")
    found = [block for block in re.split(r"\n\n+", text) if block.lstrip().startswith("|")]
    assert found
    for block in found:
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in block.strip().splitlines()}
        assert len(cells) == 1, block
    assert text.startswith("### effaudit fit: ")


def test_markdown_says_the_status_first() -> None:
    assert printed("too-large", "markdown").splitlines()[0] == "### effaudit fit: DOES NOT FIT"
    assert printed("several", "markdown").splitlines()[0] == "### effaudit fit: 2 of 4 fit"


def test_one_model_in_several_types_side_by_side() -> None:
    head, *rows = (line for line in printed("types", "text").splitlines() if line)
    assert head == "effaudit fit   2 verdicts, all of sample:vww on acme-board"
    titles = rows[0].split()
    assert titles[:5] == ["as", "weights", "verdict", "decides", "margin"] and "time" in titles
    assert [row.split()[0] for row in rows[2:]] == ["fp16", "int8"]


def test_names_of_devices_are_whole_at_any_width() -> None:
    names = [f"a-board-with-a-long-name-{'x' * n}-rev-{n}" for n in range(4)]
    reports = [msgspec.structs.replace(made("types").verdicts[0], device=name) for name in names]
    for width in (60, 80, 120):
        text = "".join(render("text", document(reports), Shown(width=width)))
        assert all(f"{name}\n" in text or f"{name} " in text for name in names)
        assert max(map(len, text.splitlines())) <= max(width, 80)


def test_the_margin_is_of_the_memory_that_decides() -> None:
    for one in (*made("several").verdicts, *made("types").verdicts, *made("too-large").verdicts):
        margin, memory = of_margin(one)
        assert one.bottleneck.where == memory
        assert margin == next(row.margin_bytes for row in one.memory.rows if row.memory == memory)


def test_the_margin_names_its_memory_where_none_decides() -> None:
    (report,) = made("limited").verdicts
    assert report.bottleneck.check == "energy" and report.bottleneck.status == "fail"
    margin, memory = of_margin(report)
    assert margin == min(row.margin_bytes or 0 for row in report.memory.rows)
    text = "".join(render("text", document([report, *made("fits").verdicts]), Shown()))
    assert " of " in text.splitlines()[2] and f" {memory} " in text


def test_a_margin_without_room_for_its_memory_is_left_out() -> None:
    other = msgspec.structs.replace(made("fits").verdicts[0], device="x" * 28)
    report = msgspec.structs.replace(made("limited").verdicts[0], device="y" * 28, model=other.model)
    wide = "".join(render("text", document([report, other]), Shown(width=120)))
    small = "".join(render("text", document([report, other]), Shown(width=80)))
    assert " of " in wide.splitlines()[2] and " of " not in small.splitlines()[2]
    row = next(line for line in small.splitlines() if line.startswith("y"))
    assert row.split()[-3:] == ["-", "125", "ms"]
    left, memory = of_margin(other)
    assert left is not None and memory == other.bottleneck.where
    assert human_bytes(left) in next(line for line in small.splitlines() if line.startswith("x"))


def test_weights_are_a_column_where_types_are_compared() -> None:
    half, small = (float(row["weight_bytes"]) for row in table("types"))
    assert 1.5 * small < half <= 2 * small
    assert "weights" in printed("types", "text") and "weights" not in printed("several", "text").splitlines()[2]


def test_the_parts_of_a_pipeline_are_not_judged() -> None:
    text = printed("pipeline", "text")
    head = next(line for line in text.splitlines() if "runs" in line and "margin" in line)
    assert "verdict" not in head and "decides" not in head
    assert text.index("3 x sample:vww-int8 + 50 x sample:kws-int8 on acme-board") == 0
    runs = {one.model: one.times for one in made("pipeline").verdicts}
    assert runs == {"sample:vww-int8": 3, "sample:kws-int8": 50}


def test_batches_of_several_devices_follow_the_matrix() -> None:
    rows = (BatchRow(4, 2.5, SecondsReport(0.01, 0.005, 0.02, ""), 400.0, 0.5, "memory", "overhead"),)
    reports = [msgspec.structs.replace(one, batches=rows) for one in made("several").verdicts]
    for form in ("text", "markdown"):
        text = "".join(render(form, document(reports), Shown()))
        assert text.count("launches") == len(reports) == 4
        assert "at the peaks bytes take longer than operations at every batch up to 65,536" in text


def test_what_decides_is_one_of_the_findings() -> None:
    for name in ("fits", "too-large", "limited", "silent", "several", "types"):
        for one in made(name).verdicts:
            named = one.bottleneck
            found = [
                r for r in one.findings if (r.check, r.where, r.status) == (named.check, named.where, named.status)
            ]
            assert len(found) == 1
            assert named.text.startswith(f"{named.check} {named.where}".strip())
            limit, (low, high) = found[0].limit, found[0].bounds
            end = {"fail": low, "pass": high}.get(named.status)
            assert named.share == (None if limit is None or end is None else pytest.approx(end / limit))
    (document,) = json.loads(printed("fits", "json"))["verdicts"]
    assert document["bottleneck"] == msgspec.to_builtins(made("fits").verdicts[0].bottleneck)
    assert [row["bottleneck"] for row in table("several")] == [one.bottleneck.text for one in made("several").verdicts]


def test_the_energy_list_has_every_basis_and_its_parts() -> None:
    (report,) = made("fits").verdicts
    rows = table("fits", "energy")
    whole = {row["basis"]: row for row in rows if row["part"] == "in all"}
    assert list(whole) == ["measured", "power", "operations"]
    parts = [row for row in rows if row["basis"] == "operations" and row["part"] != "in all"]
    assert sum(float(row["high_j"]) for row in parts) == pytest.approx(float(whole["operations"]["high_j"]))
    least = [float(row["low_j"]) for row in parts if row["part"] != "weights again"]
    assert sum(least) == pytest.approx(float(whole["operations"]["low_j"]))
    assert report.energy.best is not None and report.energy.chosen is not None
    assert float(whole[report.energy.chosen]["value_j"]) == report.energy.best.value
    assert "not known: " in {row["basis"]: row["how"] for row in table("silent", "energy")}["power"]
