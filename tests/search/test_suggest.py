"""The smallest change that fits: against every change there is, and through the command line it prints."""

from __future__ import annotations

import json
import shlex
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from effaudit.audited import Audited, examine
from effaudit.checks import results
from effaudit.device.types import Device
from effaudit.fit.asked import FitAsked
from effaudit.fit.subject import subject_of
from effaudit.search import moves
from effaudit.search import suggest as search
from effaudit.search.moves import quantized, shrunk, thinned
from effaudit.search.suggest import suggest
from effaudit.search.tried import Made, Tried, judged, with_step
from tests.cli.test_report import run
from tests.profiles import KIB, MIB, board, device, written

PEAKS = {"int8": {"dense_op_per_s": 1e9}, "float32": {"dense_flop_per_s": 1e8}}
INT8 = {"name": "cpu", "kind": "scalar", "peaks": PEAKS}
BOARDS = {
    "256 KiB": (1 * MIB, 256 * KIB),
    "fewer channels and int8": (160 * KIB, 64 * KIB),
    "smaller images and int8": (300 * KIB, 40 * KIB),
}


def made_for(flash: int, sram: int) -> dict[str, Any]:
    """The profile of a board that computes in int8 and float32."""
    return board(flash, sram, rules="tflm", engines=[INT8])


@pytest.fixture(scope="module")
def vww() -> Audited:
    return examine("sample:vww")


def every(audited: Audited, on: Device, failed: frozenset[str]) -> list[Tried]:
    """Every change of the grid, whatever the search would leave out."""
    made: list[Made] = []
    for size, width in product(shrunk(audited), [thinned(audited, share) for share in (0, *moves.CHANNELS)]):
        start = Made(audited)
        for step in (*size, *width):
            following = with_step(start, step)
            assert isinstance(following, Made), following
            start = following
        made.append(start)
    found = []
    for start, types in product(made, quantized(audited, on)):
        last: Made | str = start
        for step in types:
            assert isinstance(last, Made)
            last = with_step(last, step)
        assert isinstance(last, Made), last
        found.append(judged(last, on, FitAsked(), failed))
    return found


@pytest.mark.parametrize("name", BOARDS)
def test_nothing_that_fits_loses_less(name: str, vww: Audited, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves, "CHANNELS", (30, 50, 80))
    monkeypatch.setattr(search, "CHANNELS", (30, 50, 80))
    monkeypatch.setattr(moves, "SCALES", ((3, 4), (1, 2)))
    on = device(tmp_path, made_for(*BOARDS[name]))
    heard: list[int] = []
    found = suggest(vww, on, FitAsked(), ("model.onnx",), heard.append)
    failed = frozenset(r.check for r in results(subject_of(vww, on, FitAsked())) if r.status == "fail")
    assert failed
    fitting = [one for one in every(vww, on, failed) if one.fits]
    assert found.smallest is not None and fitting
    assert found.smallest.loss is not None
    assert found.smallest.loss <= min(one.rank for one in fitting) + 1e-12
    assert heard == sorted(heard) and heard[-1] == found.tried
    losses = [one.loss for one in found.front]
    assert losses == sorted(losses) and found.front[0] == found.smallest
    for one, other in product(found.front, found.front):
        figures = [(s.loss, s.weight_bytes, s.macs, s.arena_bounds[1]) for s in (one, other)]
        assert one is other or any(a < b for a, b in zip(*figures, strict=True)), "one is beaten by another"


def test_a_per_cent_less_does_not_fit(vww: Audited, tmp_path: Path) -> None:
    on = device(tmp_path, made_for(160 * KIB, 100 * KIB))
    found = suggest(vww, on, FitAsked(), ("model.onnx",), lambda tried: None)
    assert found.smallest is not None
    (prune,) = (step for step in found.smallest.steps if step.startswith("--prune channels="))
    share = int(prune.removeprefix("--prune channels=").removesuffix("%"))
    assert share % 10, "a round one would show nothing"
    steps = [*thinned(vww, share - 1), *quantized(vww, on)[-1]]
    made: Made | str = Made(vww)
    for step in steps:
        assert isinstance(made, Made)
        made = with_step(made, step)
    assert isinstance(made, Made) and not judged(made, on, FitAsked(), frozenset()).fits


def test_nothing_fits_a_board_without_room(vww: Audited, tmp_path: Path) -> None:
    found = suggest(vww, device(tmp_path, made_for(2 * KIB, 2 * KIB)), FitAsked(), ("model.onnx",), lambda tried: None)
    assert found.smallest is None and not found.front
    assert found.why and found.tried


def suggestions(*arguments: str, code: int = 1) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    done = run("fit", *arguments, "--suggest", "--json")
    assert done.returncode == code, done.stderr.decode()
    (verdict,) = json.loads(done.stdout)["verdicts"]
    return verdict, verdict["suggestions"]["front"]


def judge(one: dict[str, Any]) -> str:
    """The verdict of the command line that was printed, after its last step, with the arena and time it promised."""
    command = one["command"]
    assert command[0] == "effaudit"
    done = run(*command[1:], "--json")
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    report = found["verdicts"][0] if command[1] == "fit" else found["models"][0]["steps"][-1]["devices"][0]
    arena = report["memory"] if command[1] == "fit" else report
    assert (arena["arena_bytes"], arena["arena_bounds"]) == (one["arena_bytes"], one["arena_bounds"])
    assert report["latency_s"]["value"] == one["latency_s"]
    return str(report["status"])


def test_a_float_network_is_made_to_fit_256_kib(tmp_path: Path) -> None:
    """MobileNetV1-0.25 at 96 in float32."""
    profile = written(tmp_path, made_for(MIB, 256 * KIB))
    verdict, front = suggestions("sample:vww", "--device", str(profile))
    assert verdict["status"] in ("does-not-fit", "fits-with")
    assert front
    for one in front:
        assert judge(one) == "fits", shlex.join(one["command"])


def test_mobilenetv2_on_a_cortex_m7() -> None:
    """It cannot fit as it is, which is proven; the printed command makes it fit."""
    verdict, front = suggestions("sample:mobilenetv2", "--device", "cortex-m7")
    assert verdict["status"] == "does-not-fit" and verdict["proof"]
    assert judge(front[0]) == "fits", shlex.join(front[0]["command"])


def test_what_fits_needs_no_suggestion() -> None:
    done = run("fit", "sample:vww-int8", "--device", "cortex-m7", "--suggest", "--json")
    (verdict,) = json.loads(done.stdout)["verdicts"]
    assert done.returncode == 0 and verdict["suggestions"] is None
