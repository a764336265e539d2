"""The screen: at most 40 lines of 80 columns, without colour, whatever the model."""

from __future__ import annotations

import pytest

from effaudit.load import Given
from effaudit.load.files import sample_names
from effaudit.render import render
from effaudit.report import Asked, ModelReport, audit, report
from effaudit.tables.table import Shown

VIEWS = ("transformer", "movement", "receptive-field", "winograd", "weights")


def screen(model: ModelReport, shown: Shown = Shown()) -> list[str]:
    return "".join(render("text", report([model]), shown)).splitlines()


@pytest.mark.parametrize("name", sample_names())
def test_the_first_screen_fits(name: str) -> None:
    lines = screen(audit(f"sample:{name}"))
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize("name", sample_names())
def test_every_table_fits_80_columns(name: str) -> None:
    asked = Asked(frozenset(VIEWS), ("kind", "op"), ("1G",))
    tables = ("groups", *VIEWS, "against", "nodes", "hot")
    lines = screen(audit(f"sample:{name}", asked=asked), Shown(tables=tables, chart="bytes"))
    assert max(map(len, lines)) <= 80, max(lines, key=len)


def test_a_screen_with_everything_to_say_keeps_its_last_line() -> None:
    lines = screen(audit("sample:bert-base"))
    assert lines[-2].startswith("next   effaudit report sample:bert-base")
    assert any(line.startswith("MACs ") and "cum" in line for line in lines)


def test_several_models_have_a_row_each() -> None:
    models = [audit("sample:ic"), audit("sample:kws"), audit("sample:bert-base")]
    text = "".join(render("text", report(models), Shown()))
    rows = {line.split()[0]: line for line in text.splitlines() if line.startswith("sample:")}
    assert list(rows) == ["sample:ic", "sample:kws", "sample:bert-base"]
    assert "12.50 M" in rows["sample:ic"] and "192.0 KiB" in rows["sample:ic"]
    assert "dims-assumed" in text


def test_a_wider_terminal_shows_longer_names() -> None:
    model = audit("sample:bert-base", Given(dims={"batch": 1, "sequence": 8}))
    narrow = screen(model, Shown(tables=("nodes",), width=80))
    wide = screen(model, Shown(tables=("nodes",), width=160))
    name = "encoder/layer.11/attention/output/LayerNorm/LayerNormalization"
    assert not any(name in line for line in narrow)
    assert any(name in line for line in wide)
    assert max(map(len, wide)) <= 160
