"""A calibration as a device profile: valid, and read back as what was measured."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from effaudit import strict_yaml
from effaudit.calibrate.error import error_of, estimated_s
from effaudit.calibrate.profile import document, runtime_of
from effaudit.calibrate.text import text
from effaudit.device.document import shown
from effaudit.device.facts import stated
from effaudit.device.read import all_problems, read_device
from effaudit.device.types import Device
from effaudit.device.validate import problems
from effaudit.render.devices.page import HEIGHT, page
from effaudit.strict_yaml import convert
from tests.calibrate.machines import FACTS, QUIET, calibration
from tests.calibrate.planted import seconds_of

TODAY = date(2026, 1, 31)


@cache
def made() -> dict[str, Any]:
    return document(calibration(), "build-server", TODAY)


@pytest.fixture
def device(tmp_path: Path) -> Device:
    path = tmp_path / "host.yaml"
    path.write_text(text(made()), encoding="utf-8")
    return read_device(path, lambda name, _: name)


def test_the_profile_is_valid(tmp_path: Path) -> None:
    assert problems(convert(stated(made()), Device, "test")) == []
    path = tmp_path / "host.yaml"
    path.write_text(text(made()), encoding="utf-8")
    assert all_problems(path, lambda name, _: name) == []


def test_the_file_says_what_the_document_says(device: Device) -> None:
    assert strict_yaml.parse(text(made()), "test") == made()
    assert device == convert(stated(made()), Device, "test")


def test_every_number_is_measured_here(device: Device) -> None:
    for entry in device.performance:
        for cost in entry.costs:
            facts = [getattr(cost, name) for name in cost.__struct_fields__ if name != "kind"]
            assert all(fact.source == "calibration" and fact.status == "measured" for fact in facts if fact is not None)
    assert "1.31.1" in device.sources["calibration"].title and device.sources["calibration"].accessed == "2026-01-31"


def test_estimates_by_the_file_are_those_by_the_fit(device: Device) -> None:
    """Costs keep four digits: what they say of a network differs by less than a thousandth."""
    for one in calibration().measured:
        runtime = runtime_of(device, one.threads)
        for net in one.nets:
            planted = sum(seconds_of(sample.kernel) for sample in net.samples)
            found = estimated_s(net, device, runtime)
            assert found is not None
            if one.threads == 1:
                assert found == pytest.approx(net.seconds, rel=0.015) and found > planted * 0.9


def test_each_number_of_threads_is_a_runtime_with_an_engine_of_its_own(device: Device) -> None:
    assert [(one.name, one.engine, one.threads) for one in device.runtimes] == [
        ("onnxruntime-1", "cpu-1", 1),
        ("onnxruntime-2", "cpu-2", 2),
    ]
    assert [engine.cores.value for engine in device.engines if engine.cores is not None] == [1, 2]
    assert {(entry.engine, entry.runtime) for entry in device.performance} == {
        ("cpu-1", "onnxruntime-1"),
        ("cpu-2", "onnxruntime-2"),
    }
    assert device.runtimes[0] == runtime_of(device, 1)
    with pytest.raises(KeyError):
        runtime_of(device, 3)


def test_the_error_is_that_of_the_networks_left_out(device: Device) -> None:
    """They were made a tenth slower than the costs say, so the estimates are 1/11 too low and a little."""
    for one in calibration().measured:
        runtime = runtime_of(device, one.threads)
        again = error_of(one.held_out, device, runtime)
        assert again is not None and again.count == len(one.held_out)
        for entry in device.performance:
            error = entry.prediction_error
            if entry.runtime == runtime.name:
                assert error is not None
                assert error.median_ratio.value == pytest.approx(again.median_ratio, rel=1e-3)
                assert error.interval_factor.value == pytest.approx(again.interval, rel=1e-3)
                assert error.rows_count.value == len(one.held_out)
                assert 0.05 < error.median_ratio.value < 0.15  # type: ignore[operator]


def test_memory_is_what_the_system_states_and_caches_what_is_left_of_it(device: Device) -> None:
    memory = {one.name: one for one in device.memories}
    assert memory["dram"].size_bytes is not None and memory["dram"].size_bytes.value == FACTS.memory_bytes
    assert memory["l2"].size_bytes is not None and memory["l2"].size_bytes.value == 200_000
    assert "of the 262,144 that there are" in memory["l2"].size_bytes.note
    assert memory["l2"].holds == memory["l3"].holds == ()


def test_what_is_not_known_of_a_machine_is_left_out() -> None:
    bare = replace(FACTS, processor=None, memory_bytes=None, caches={}, isa=(), governor=None)
    one = document(replace(calibration(), facts=bare, rss_bytes=None), "host", TODAY)
    device = convert(stated(one), Device, "test")
    assert problems(device) == [] and device.part == "a processor (x86_64)"
    dram = next(memory for memory in device.memories if memory.name == "dram")
    assert dram.size_bytes is None and device.runtimes[0].state_bytes is None
    assert strict_yaml.parse(text(one), "test") == one


def test_networks_that_did_not_run_leave_the_error_unknown() -> None:
    found = calibration((1,))
    one = document(replace(found, measured=tuple(replace(m, held_out=()) for m in found.measured)), "host", TODAY)
    device = convert(stated(one), Device, "test")
    assert all(entry.prediction_error is None for entry in device.performance)


def test_a_busy_machine_is_noted() -> None:
    assert made()["notes"] == []
    busy = replace(QUIET, others=0.7, stolen=0.021)
    facts = replace(FACTS, governor="powersave")
    notes = document(replace(calibration((1,), busy), facts=facts), "host", TODAY)["notes"]
    assert [
        word for word, note in zip(("0.7 processors", "2.1%", "powersave"), notes, strict=True) if word in note
    ] == [
        "0.7 processors",
        "2.1%",
        "powersave",
    ]


def test_the_page_counts_kinds_and_says_the_error_once_for_each_number_of_threads(tmp_path: Path) -> None:
    path = tmp_path / "host.yaml"
    path.write_text(text(made()), encoding="utf-8")
    (profile,) = shown([str(path)], ()).profiles
    words = " ".join(" ".join(page(profile)).split())
    for entry in profile.device.performance[:1]:
        count = sum(cost.rows_count.value or 0 for cost in entry.costs if cost.rows_count is not None)
        assert f"costs of {len(entry.costs)} kinds of kernels, fitted to {count:,}" in words
    assert len(page(profile)) <= HEIGHT
    assert 1 <= words.count("in the median") <= 2
    assert "measured with 1 thread;" in words and "measured with 2 threads;" in words
    assert "GMAC/s.." not in words, "costs say more than the ends of a rate"
