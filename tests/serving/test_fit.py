"""A decoder through `effaudit fit`: verdicts by bounds, who gave the dims, what bounds time, and the screen."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import pytest

from effaudit.checks.subject import Limits
from effaudit.checks.types import Result
from effaudit.errors import UsageError
from effaudit.fit.asked import FitAsked, Sequences
from effaudit.fit.model import fit
from effaudit.fit.types import FitReport
from effaudit.load import NOTHING_GIVEN, Given
from effaudit.serving.cache import is_decoder
from effaudit.serving.types import Serving
from effaudit.wrapping import WIDTH
from tests.cli.in_process import Done, invoke
from tests.profiles import accelerator, device, document, written

from .served import GQA, LLAMA_7B, asked, saved

HEIGHT = 40
# Fast enough that memory decides, of a size that 64 tokens of the small decoder take a part of.
PEAK, SPEED, SIZE = 10**12, 10**11, 10**7
AT_64 = Sequences(context=64, prompt=64)


def on(state: Any = 0, code: Any = 0, **parts: Any) -> dict[str, Any]:
    """A GPU whose runtime keeps `state` and `code` bytes; None: the profile does not say."""
    made = accelerator(PEAK, SPEED, dtype="float32", size=SIZE)
    runtime = {**made["runtimes"][0], "state_bytes": state, "code_bytes": code}
    runtime = {key: value for key, value in runtime.items() if value is not None}
    return {**made, "runtimes": [runtime], **parts}


def report(
    folder: Path, whole: dict[str, Any], sequences: Sequences = AT_64, given: Given = NOTHING_GIVEN, **more: Any
) -> FitReport:
    """The small decoder as it is served."""
    (found,) = fit("sample:decoder-gqa", [device(folder, whole)], [FitAsked(sequences=sequences, **more)], given)
    return found


def result(found: FitReport, check: str = "context") -> Result:
    (one,) = (r for r in found.findings if r.check == check)
    return one


def serving(found: FitReport) -> Serving:
    assert found.serving is not None
    return found.serving


def needed(folder: Path) -> int:
    """All that is needed at 64 tokens where the runtime keeps nothing."""
    total = serving(report(folder, on())).memory.total.value
    assert total is not None
    return total


# ---- bounds
@pytest.mark.parametrize(("most", "wanted"), [(0, "pass"), (1, "unknown")])
def test_it_passes_by_the_most_that_is_needed(most: int, wanted: str, tmp_path: Path) -> None:
    """The runtime keeps 1,000 bytes, or all that is left, or one byte more: its middle value would fit."""
    left = SIZE - needed(tmp_path)
    found = report(tmp_path, on({"value": left // 2, "low": 1000, "high": left + most}))
    said, memory = result(found), serving(found).memory
    assert (said.status, memory.fits) == (wanted, True if wanted == "pass" else None)
    assert said.bounds == (SIZE - left + 1000, SIZE + most) and said.limit == SIZE and said.margin == -most
    (use,) = memory.uses
    assert (use.runtime.low, use.runtime.high) == (1000, left + most)
    assert (use.need.low, use.need.high) == said.bounds and memory.short_at_most == most
    assert ("not known: state of bare" in said.message) is (wanted == "unknown")
    (row,) = found.memory.rows
    assert row.need_bounds == said.bounds and row.margin_bytes == said.margin


def test_it_fails_by_the_least_that_is_needed(tmp_path: Path) -> None:
    left = SIZE - needed(tmp_path)
    found = report(tmp_path, on({"value": 2 * left, "low": left + 1, "high": 3 * left}))
    assert result(found).status == "fail" and serving(found).memory.short == 1


@pytest.mark.parametrize(("what", "field"), [("state", "state_bytes"), ("code", "code_bytes")])
@pytest.mark.parametrize("stated", [True, False])
def test_what_a_profile_does_not_know_never_passes(what: str, field: str, stated: bool, tmp_path: Path) -> None:
    """A null, or the key left out."""
    null = {"value": None, "note": "nobody publishes it"} if stated else None
    found = report(tmp_path, on(**{what: null}))
    said, longest = result(found), serving(found).longest_context
    assert (found.status, said.status, said.bounds[1]) == ("unknown", "unknown", None)
    assert [i.what for i in found.memory.rows[0].items if i.bounds[1] is None] == [f"{what} of the runtime"]
    assert f"{what} of bare" in said.message and ("nobody publishes it" if stated else field) in said.message
    assert (
        longest.sure is None and longest.at_most is not None and longest.at_most > 64 and serving(found).longest is None
    )
    assert {row.fits for row in serving(found).contexts} <= {None, False}
    assert {row.fits for row in serving(found).batches} <= {None, False}


def test_a_null_with_an_upper_bound_is_a_range(tmp_path: Path) -> None:
    left = SIZE - needed(tmp_path)
    null = {"value": None, "low": 0, "high": left, "note": "not published"}
    assert result(report(tmp_path, on(null))).status == "pass"


@pytest.mark.parametrize(("size", "wanted"), [({"value": 1000}, "pass"), ({"value": None, "note": "?"}, "unknown")])
def test_what_the_device_keeps_has_bounds_too(size: dict[str, Any], wanted: str, tmp_path: Path) -> None:
    found = report(tmp_path, on(reserved=[{"memory": "dram", "size_bytes": size, "what": "driver"}]))
    assert result(found).status == wanted
    assert "driver in dram" in result(found).message or wanted == "pass"


def test_several_that_the_user_keeps_of_one_memory(tmp_path: Path) -> None:
    """They add up, as bytes, as a part and by region, and what is kept of a region stays there."""
    whole = on()
    whole["memories"][0] = {k: v for k, v in whole["memories"][0].items() if k != "size_bytes"}
    whole["memories"][0]["regions"] = [
        {"name": "main", "size_bytes": SIZE, "base": 0},
        {"name": "side", "size_bytes": 1000, "base": 10 * SIZE},
    ]
    reserve = {"dram": 5000, "vram": Fraction(1, 10), "side": 600, "main": 70}
    tenth = -(-(SIZE + 1000) // 10)
    found = report(tmp_path, whole, reserve=reserve)
    (use,) = serving(found).memory.uses
    assert use.reserved.value == 5000 + tenth + 600 + 70
    (row,) = found.memory.rows
    kept = {item.what: (item.bytes, item.place) for item in row.items if item.what.startswith("reserved")}
    assert kept == {
        "reserved by --reserve": (5000, "anywhere"),
        "reserved by --reserve vram": (tenth, "anywhere"),
        "reserved by --reserve side": (600, "elsewhere"),
        "reserved by --reserve main": (70, "piece"),
    }
    assert row.need_bytes == use.need.value
    with pytest.raises(UsageError, match="--reserve dtcm: test-device has no such memory"):
        report(tmp_path, whole, reserve={"dtcm": 1})


def test_a_size_that_is_a_range(tmp_path: Path) -> None:
    """It has to fit the smallest that the memory may be."""
    need = needed(tmp_path)
    for low, high, wanted in ((need, need + 9, "pass"), (need - 1, need, "unknown"), (need - 9, need - 1, "fail")):
        whole = on()
        whole["memories"][0]["size_bytes"] = {"value": low, "low": low, "high": high}
        found = report(tmp_path, whole)
        assert result(found).status == wanted
        assert wanted == "fail" or result(found).limit == low


def test_the_longest_context_has_bounds(tmp_path: Path) -> None:
    """1,000 tokens of cache are what the runtime may keep or not: about as many tokens lie between the two ends."""
    spread = 1000 * GQA.token
    exact, least, most = (
        serving(report(tmp_path, on(state))).longest_context
        for state in ({"value": 0, "high": spread}, {"value": 0}, {"value": spread})
    )
    assert (exact.sure, exact.at_most) == (most.sure, least.sure) and most.sure is not None and least.sure is not None
    assert 0 < least.sure - most.sure <= 1000
    assert serving(report(tmp_path, on())).longest == least.sure


# ---- who said how large a dim is
@pytest.mark.parametrize(
    ("sequences", "origins"),
    [
        (Sequences(context=64), {"batch": "default", "sequence_length": "default", "past_sequence_length": "asked"}),
        (Sequences(2, 64), {"batch": "asked", "sequence_length": "default", "past_sequence_length": "asked"}),
    ],
)
def test_who_gave_the_dims(sequences: Sequences, origins: dict[str, str], tmp_path: Path) -> None:
    found = report(tmp_path, on(), sequences)
    assert {name: info.origin for name, info in found.dims.items()} == origins
    assert found.given["dims"] == {} and "--context" in found.options
    assert ("--batch-size" in found.options) is (sequences.batch is not None)


def test_what_was_typed_stays_given(tmp_path: Path) -> None:
    found = report(tmp_path, on(), given=Given({"batch": 3}))
    assert found.dims["batch"].origin == "given" and found.given["dims"] == {"batch": 3}
    assert found.dims["past_sequence_length"].origin == "asked" and serving(found).batch == 3


def test_a_model_without_a_cache_has_its_context_for_a_length(tmp_path: Path) -> None:
    (found,) = fit("sample:bert-base", [device(tmp_path, on())], [FitAsked(sequences=Sequences(context=128))])
    assert {info.origin for info in found.dims.values()} == {"asked", "default"}
    assert (
        found.dims["sequence"].origin == "asked" and serving(found).tokens_per_s is serving(found).prefill.tokens_per_s
    )  # type: ignore[union-attr]


# ---- time
@pytest.mark.parametrize(("factor", "wanted"), [(1.04, "unknown"), (0.96, "fail")])
def test_only_the_ceiling_fails_a_latency(factor: float, wanted: str, tmp_path: Path) -> None:
    """No efficiency is known: a limit just above the ceiling is not known to fail, however much the graph copies; one
    just below it fails, by time and by bandwidth."""
    phase = serving(report(tmp_path, on())).decode
    assert phase is not None and phase.ceiling.seconds is not None and phase.latency.value is None
    found = report(tmp_path, on(), limits=Limits(latency_s=factor * phase.ceiling.seconds))
    assert phase.latency.low == found.latency_s.low == phase.ceiling.seconds
    assert (result(found, "latency").status, result(found, "bandwidth").status) == (wanted, wanted)
    low, high = result(found, "bandwidth").bounds
    assert low == pytest.approx(SPEED / factor, rel=1e-6) and high is not None and high > low


def test_activations_need_not_come_from_memory(tmp_path: Path) -> None:
    """Of a model that is not served too: what a runtime fuses never leaves the chip; its weights do."""
    gpu = device(tmp_path, on())
    (plain,) = fit("sample:ic", [gpu], [FitAsked(limits=Limits(latency_s=1.0))])
    low, high = result(plain, "bandwidth").bounds
    (weights,) = (item.bytes for item in plain.memory.rows[0].items if item.what == "weights")
    assert low == weights and high is not None and high > 2 * low
    for factor, wanted in ((1.04, "unknown"), (0.96, "fail")):
        (found,) = fit("sample:ic", [gpu], [FitAsked(limits=Limits(latency_s=factor * low / SPEED))])
        assert result(found, "bandwidth").status == wanted


def test_a_cache_of_the_processor_keeps_weights(tmp_path: Path) -> None:
    whole = on()
    whole["memories"].append({"name": "l2", "kind": "cache", "size_bytes": 2 * SIZE})
    assert result(report(tmp_path, whole, limits=Limits(latency_s=1.0)), "bandwidth").bounds[0] == 0


def test_what_runs_elsewhere_is_not_modelled(tmp_path: Path) -> None:
    whole = on(engines=[{"name": "gpu", "kind": "gpu"}, {"name": "cpu", "kind": "simd"}])
    whole["runtimes"][0] |= {"supports": "max78000", "fallback": "cpu"}
    notes = serving(report(tmp_path, whole)).notes
    assert any("kernels run on cpu: not modelled here" in note for note in notes)
    assert not any("not modelled" in note for note in serving(report(tmp_path, on())).notes)


# ---- the command
@pytest.fixture
def called(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """`effaudit fit MODEL --device` with a GPU of 900 GB/s, 112 TFLOP/s and 16 GB, and more options."""
    path = written(tmp_path, accelerator(112e12, 900e9, size=16 * 10**9))

    def call(model: str, *options: str) -> Done:
        return invoke(capsys, monkeypatch, "fit", model, "--device", str(path), *options)

    return call


def test_7b_on_900_gb_per_s(called: Any) -> None:
    """7e9 x 2 bytes over 900 GB/s are 64.3 tokens a second; a prompt is compute-bound, a step is not."""
    done = called("sample:decoder-7b", "--context", "1500", "--json")
    (verdict,) = json.loads(done.out)["verdicts"]
    assert done.code == 0 and verdict["status"] == "fits"
    found = verdict["serving"]
    assert round(found["decode"]["ceiling_tokens_per_s"]) == round(900e9 / (7e9 * 2)) == 64
    bounds = [found[phase]["ceiling"]["bound"] for phase in ("prefill", "decode")]
    assert bounds == ["compute", "bandwidth"] and found["memory"]["token_bytes"]["low"] == LLAMA_7B.token
    (context,) = (one for one in verdict["findings"] if one["check"] == "context")
    assert context["measured"] == found["memory"]["uses"][0]["need"]["low"] and context["limit"] == 16 * 10**9


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("sample:decoder-7b", ("--context", "4096")),
        ("sample:decoder-7b", ("--batch-size", "4", "--context", "32768", "--prompt", "512")),
        ("sample:decoder-gqa", ("--context", "100000", "--batch-size", "32")),
        ("sample:decoder-7b", ("--context", str(10**7), "--batch-size", str(10**6))),
    ],
)
def test_the_screen_holds(called: Any, model: str, options: tuple[str, ...]) -> None:
    lines = called(model, *options).out.splitlines()
    assert len(lines) <= HEIGHT
    assert all(len(line) <= WIDTH for line in lines if not line.startswith("next"))
    assert not any("0.00" in line for line in lines)
    heads = [line.split(" ")[0] for line in lines]
    assert all(head in heads for head in ("roles", "cache", "needs", "reach", "prefill", "decode", "sweep"))


def test_gqa_bytes_are_read_from_the_graph(called: Any) -> None:
    (verdict,) = json.loads(called("sample:decoder-gqa", "--context", "64", "--json").out)["verdicts"]
    assert verdict["serving"]["memory"]["cache"]["low"] == 64 * GQA.token and verdict["serving"]["mha_ratio"] == 2.0


def test_a_decoder_is_asked_how_it_is_served(called: Any) -> None:
    done = called("sample:decoder-gqa")
    assert done.code == 2 and done.err.count("\n") == 1
    for option in ("--batch-size 1", "--context 2048", "--prompt 512", "--dim batch=1"):
        assert option in done.err
    assert "--context" not in called("sample:bert-base").err


def test_what_is_a_decoder(tmp_path: Path) -> None:
    from effaudit.audited import examine
    from tests.views import caches

    assert is_decoder(examine("sample:decoder-gqa")) and is_decoder(examine(saved(caches.grouped(), tmp_path)))
    assert not any(is_decoder(examine(f"sample:{name}")) for name in ("ic", "bert-base"))


def test_a_batch_that_the_file_fixes(tmp_path: Path) -> None:
    """It need not be asked for again."""
    given = Given({"batch": 2})
    assert serving(report(tmp_path, on(), given=given)).batch == 2
    gpu = device(tmp_path, cast(dict[str, Any], document(memories=on()["memories"])))
    assert asked("sample:decoder-gqa", gpu, context=8, given=given).largest_batch.limit == "file"
