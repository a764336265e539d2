"""A broken profile of each kind: one line that names the file, the place and what was expected, and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from effaudit.device.find import locator
from effaudit.device.read import all_problems
from tests.cli.in_process import invoke

from .profiles import BOARD, GPU, changed, device, written

# what it is: (text, replaced by, what the line says behind the file)
BOARDS = {
    "unknown key": ("vendor: Acme\n", "vendors: Acme\n", "$: unknown key 'vendors'; did you mean 'vendor'?"),
    "unknown key of an engine": ("kind: simd", "kind: simd\n    clock: 1", "$.engines[0]: unknown key 'clock'"),
    "unknown key of a peak": (
        "int8: {dense_mac_per_cycle: 2}",
        "int8: {dense_macs: 2}",
        "$.engines[0].peaks",
    ),
    "unknown key of a memory": ("- {name: l1,", "- {name: l1, size: 3,", "$.memories[2]: unknown key 'size'"),
    "unknown key of a region": (
        "{name: dtcm,",
        "{name: dtcm, size: 3,",
        "$.memories[1].regions[0]: unknown key 'size'",
    ),
    "unknown key of a number": (
        "{value: 0.5, low: 0.4,",
        "{value: 0.5, lower: 0.4,",
        "$.performance[0].rates.conv.mac_per_cycle: unknown key 'lower'; did you mean 'low'?",
    ),
    "unknown key of a number that stands alone": (
        "clock_hz: 100e6",
        "clock_hz: {value: 1e8, unit: Hz}",
        "$.engines[0].clock_hz: unknown key 'unit'",
    ),
    "unknown key of a reserve": ("{memory: sram,", "{memory: sram, why: x,", "$.reserved[0]: unknown key 'why'"),
    "unknown key of a runtime": ("{name: tflm,", "{name: tflm, arena: 3,", "$.runtimes[0]: unknown key 'arena'"),
    "unknown key of a speed": ("dtype: int8", "dtype: int8\n    board: x", "$.performance[0]: unknown key 'board'"),
    "unknown key of a rate": (
        "conv: {mac_per_cycle:",
        "conv: {speed: 3, mac_per_cycle:",
        "$.performance[0].rates[...]: unknown key 'speed'",
    ),
    "unknown key of an error": (
        "dataset: MLPerf Tiny",
        "data: MLPerf Tiny",
        "$.performance[0].prediction_error: ",
    ),
    "unknown key of a source": ("paper: {title: Measurements}", "paper: {name: x}", "$.sources[...]: "),
    "unknown key of energy": ("active_w: 0.3", "active_power: 0.3", "$.energy: unknown key 'active_power'"),
    "unknown key of a battery": ("voltage_v: 3}", "voltage: 3}", "$.battery: "),
    "unknown class of kernels": (
        "softmax:",
        "softmaxx:",
        "a key of $.performance[0].rates: expected one of attention, conv,",
    ),
    "number as text": (
        "size_bytes: 1048576",
        "size_bytes: 312e12x",
        "$.memories[0].size_bytes: expected a number, got",
    ),
    "number in quotes": ("size_bytes: 1048576", 'size_bytes: "1048576"', "$.memories[0].size_bytes: expected a number"),
    "number in quotes inside": (
        "{value: 0.5, low",
        '{value: "0.5", low',
        "$.performance[0].rates.conv.mac_per_cycle.value: expected a number, got the text '0.5'",
    ),
    "number with its unit": ("size_bytes: 1048576", "size_bytes: 1 MiB", "$.memories[0].size_bytes: expected a number"),
    "number that is true": ("clock_hz: 100e6", "clock_hz: true", "$.engines[0].clock_hz: expected a number, got True"),
    "number that is a list": ("clock_hz: 100e6", "clock_hz: [1]", "$.engines[0].clock_hz: expected a number, got [1]"),
    "number that is infinite": ("clock_hz: 100e6", "clock_hz: .inf", "line 18: .inf: a finite number is expected"),
    "number with a zero before it": ("cores: 1", "cores: 010", "line 17: 010: a number that begins with 0"),
    "duplicate key": ("vendor: Acme\n", "vendor: Acme\nvendor: Acme\n", "line 6: duplicate key 'vendor'"),
    "duplicate key inside": ("cores: 1", "cores: 1\n    cores: 1", "line 18: duplicate key 'cores'"),
    "no source": ("source: manual\n", "", "no source; state it there or once for the profile"),
    "no status": ("status: vendor\n", "", "no status; state it there or once for the profile"),
    "unknown source": (
        "\nsource: manual",
        "\nsource: manuel",
        "source: 'manuel' is no key of `sources`; did you mean manual?",
    ),
    "unknown source of one number": (
        "high: 0.6, source: paper",
        "high: 0.6, source: pap",
        "$.performance[0].rates.conv.mac_per_cycle.source: 'pap' is no key of `sources`",
    ),
    "unknown status": (
        "status: vendor",
        "status: trusted",
        "expected one of assumed, derived, fitted, measured, vendor, got 'trusted'",
    ),
    "unknown class": (
        "class: mcu",
        "class: toaster",
        "$.class: expected one of cpu, gpu, mcu, npu, phone, sbc, tpu, got 'toaster'",
    ),
    "missing class": ("class: mcu\n", "", "$: the key 'class' is missing"),
    "missing name": ("name: acme-board\n", "", "$: the key 'name' is missing"),
    "missing engine of a runtime": (
        "rules: im2col, engine: core",
        "rules: im2col",
        "$.runtimes[1]: the key 'engine' is",
    ),
    "derived without how": ("status: measured}}", "status: derived}}", "expected how it was derived"),
    "assumed without why": ("status: measured}}", "status: assumed}}", "expected how it was assumed"),
    "unknown without why": ("{value: null, note: nobody says}", "{value: null}", "expected the reason why there is no"),
    "negative": ("size_bytes: 16384", "size_bytes: -1", "$.memories[2].size_bytes: expected no number below 0, got -1"),
    "low over high": ("low: 0.4, high: 0.6", "low: 0.6, high: 0.4", "expected low <= value <= high, got 0.6, 0.5, 0.4"),
    "half a byte": (
        "size_bytes: 16384",
        "size_bytes: 0.5",
        "$.memories[2].size_bytes: expected a whole number of bytes",
    ),
    "unknown engine of a runtime": (
        "rules: tflm, engine: core",
        "rules: tflm, engine: cor",
        "$.runtimes[0].engine: no engine 'cor'; did you mean core?",
    ),
    "unknown fallback": (
        "rules: tflm, engine: core",
        "rules: tflm, engine: core, fallback: gpu",
        "$.runtimes[0].fallback: no engine 'gpu'",
    ),
    "unknown rules": ("rules: tflm", "rules: tfml", "$.runtimes[0].rules: 'tfml' are no rules of"),
    "unknown engine of a speed": ("- engine: core", "- engine: gpu", "$.performance[0].engine: no engine 'gpu'"),
    "unknown memory of a reserve": ("{memory: sram,", "{memory: srom,", "$.reserved[0].memory: no memory 'srom'"),
    "unknown runtime of a speed": ("runtime: tflm\n", "runtime: tfm\n", "$.performance[0].runtime: no runtime 'tfm'"),
    "unknown type of a peak": (
        "int8: {dense_mac",
        "int9: {dense_mac",
        "$.engines[0].peaks.int9: no element type of ONNX",
    ),
    "unknown type of a speed": ("dtype: int8", "dtype: i8", "$.performance[0].dtype: no element type 'i8'"),
    "regions that overlap": ("base: 0x20010000", "base: 0x2000ffff", "regions: dtcm and sram1 overlap at 0x2000ffff"),
    "an address below 0": (
        "base: 0x40024000",
        "base: -4096",
        "$.memories[1].regions[2].base: expected an address from 0",
    ),
    "regions of the same name": ("{name: sram1,", "{name: dtcm,", "$.memories[1].regions: two are named 'dtcm'"),
    "regions larger than the memory": (
        "    regions:\n",
        "    size_bytes: 311296\n    regions:\n",
        "$.memories[1].regions: hold more than the memory's 311,296 bytes",
    ),
    "memories of the same name": ("{name: l1,", "{name: flash,", "$.memories: two are named 'flash'"),
    "a cache that holds weights": (
        "size_bytes: 16384",
        "size_bytes: 16384, holds: [weights]",
        "$.memories[2].holds: expected nothing; a cache changes how fast bytes come",
    ),
    "two rates for one class": (
        "conv: {mac_per_cycle:",
        "conv: {mac_per_s: 3, mac_per_cycle:",
        "$.performance[0].rates.conv: expected one of",
    ),
    "a rate of 0": (
        "{op_per_cycle: {value: 0.1,",
        "{op_per_cycle: {value: 0,",
        "expected more than 0; leave the class out",
    ),
    "a factor under 1": ("value: 1.4", "value: 0.4", "expected a coverage in 0..1 and a factor of at least 1"),
    "a name in capitals": ("name: acme-board", "name: Acme", "$.name: expected lower-case letters"),
    "an alias with a blank": ("aliases: [acme,", "aliases: [a b,", "$.aliases[0]: expected lower-case letters"),
    "an address that is none": (
        "https://acme.example/rm1",
        "acme.example",
        "$.sources.manual.url: expected an address",
    ),
    "a date that is none": ('"2026-01-31"', "yesterday", "$.sources.manual.accessed: expected a date"),
    "a batch of 0": (
        "status: vendor\n",
        "status: vendor\nbatch: 0\n",
        "$.batch: expected a whole number from 1, got 0",
    ),
    "no runtime": (
        "runtimes:\n  - {name: tflm, rules: tflm, engine: core, code_bytes: 81920}\n"
        "  - {name: im2col, rules: im2col, engine: core}\nperformance:\n  - engine: core\n    dtype: int8\n"
        "    runtime: tflm",
        "performance:\n  - engine: core\n    dtype: int8",
        "$.runtimes: expected at least one",
    ),
    "wrong schema": (
        "effaudit.device/1",
        "effaudit.device/2",
        "$.schema: expected effaudit.device/1, got 'effaudit.dev",
    ),
    "no schema": ("schema: effaudit.device/1\n", "", "$.schema: expected effaudit.device/1, got None"),
    "a float peak in the key of integers": (
        "float32: {dense_flop_per_s: 1e8}",
        "float32: {dense_op_per_s: 1e8}",
        "$.engines[0].peaks.float32: float32 states its peak as dense_flop_per_s",
    ),
    "an integer peak in the key of floats": (
        "int8: {dense_mac_per_cycle: 2}",
        "int8: {dense_flop_per_s: 4e8}",
        "$.engines[0].peaks.int8: int8 states its peak as dense_op_per_s",
    ),
    "a peak of twice the clock": (
        "int8: {dense_mac_per_cycle: 2}",
        "int8: {dense_mac_per_cycle: 2, dense_op_per_s: 8e8}",
        "the dense peak is 2 times cores x clock x MACs per cycle x 2 (a sparse peak in the dense key?)",
    ),
    "a ridge point too low": (
        "{dense_flop_per_s: 1e8}",
        "{dense_flop_per_s: 1e6}",
        "memory flash is 0.01 FLOP/B, expected",
    ),
    "a ridge point too high": (
        "{dense_flop_per_s: 1e8}",
        "{dense_flop_per_s: 1e14}",
        "is 1e+06 FLOP/B, expected 0.05..5,000",
    ),
    "extends nothing there": (
        "class: mcu\n",
        "class: mcu\nextends: acme-base\n",
        "$.extends: device 'acme-base': there is",
    ),
    "extends itself": (
        "class: mcu\n",
        "class: mcu\nextends: acme-board\n",
        "$.extends: a cycle: acme-board.yaml -> acme-b",
    ),
    "extends a file not there": (
        "class: mcu\n",
        "class: mcu\nextends: ./base.yaml\n",
        "$.extends: there is no file base.yaml",
    ),
    "extends a number": (
        "class: mcu\n",
        "class: mcu\nextends: 3\n",
        "$.extends: expected the name of a profile, got 3",
    ),
    "tags": ("vendor: Acme\n", "vendor: !!python/name:os.system x\n", "line 5: tag "),
    "merge keys": ("vendor: Acme\n", "<<: {vendor: Acme}\n", "line 5: merge keys (<<) are not read"),
}

GPUS = {
    "the sparse peak in the dense key": (
        "float16: {dense_flop_per_s: 312e12, sparse",
        "float16: {dense_flop_per_s: 624e12, sparse",
        "$.engines[0].peaks.float16: expected the 2:4-sparse peak to be twice the dense one, it is 1 times (the sparse",
    ),
    "a sparse peak that is not twice the dense one": (
        "sparse_2_4_op_per_s: 1248e12",
        "sparse_2_4_op_per_s: 1300e12",
        "$.engines[0].peaks.int8: expected the 2:4-sparse peak to be twice the dense one, it is 2.08 times",
    ),
    "int8 four times float16": (
        "int8: {dense_op_per_s: 624e12, sparse_2_4_op_per_s: 1248e12}",
        "int8: {dense_op_per_s: 1248e12}",
        "$.engines[0].peaks.int8: the dense peak is 4 times that of float16, expected at most 2 (a sparse peak in the",
    ),
    "float16 twice bfloat16": (
        "bfloat16: {dense_flop_per_s: 312e12}",
        "bfloat16: {dense_flop_per_s: 156e12}",
        "$.engines[0].peaks.float16: the dense peak is 2 times that of bfloat16, expected at most 1",
    ),
    "float16 four times tfloat32": (
        "tfloat32: {dense_flop_per_s: 156e12, sparse_2_4_flop_per_s: 312e12}",
        "tfloat32: {dense_flop_per_s: 78e12}",
        "$.engines[0].peaks.float16: the dense peak is 4 times that of tfloat32, expected at most 2",
    ),
    "bandwidth in GB/s": ("read_bandwidth_byte_per_s: 2.039e12", "read_bandwidth_byte_per_s: 2039", "check the units"),
    "a bandwidth of bits": (
        "read_bandwidth_byte_per_s: 2.039e12",
        "read_bandwidth_byte_per_s: 1e10",
        "check the units",
    ),
}

ALL = {**{name: (BOARD, *case) for name, case in BOARDS.items()}, **{name: (GPU, *case) for name, case in GPUS.items()}}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EFFAUDIT_DEVICES", raising=False)


def test_what_is_broken_below_is_whole() -> None:
    for text in (BOARD, GPU):
        assert all_problems(written(Path(), text, "whole.yaml"), locator()) == []


@pytest.mark.parametrize("name", ALL)
def test_a_broken_profile(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text, old, new, expected = ALL[name]
    path = written(Path(), changed(text, old, new))
    done = invoke(capsys, monkeypatch, "devices", "validate", path)
    assert (done.code, done.err) == (2, "")
    lines = done.out.splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    assert any(expected in line for line in lines), done.out
    shown = invoke(capsys, monkeypatch, "devices", "show", f"./{path}")
    assert (shown.code, shown.out) == (2, "")
    (line,) = shown.err.splitlines()
    assert line.startswith(f"effaudit: ./{path}: ") or f"{path}" in line


FILES = {
    "empty": (b"", "$: expected the keys of a device profile (effaudit.device/1)"),
    "comments only": (b"# nothing\n", "$: expected the keys of a device profile"),
    "a list": (b"[1, 2]", "$: expected the keys of a device profile"),
    "binary": (bytes(range(256)) * 16, "line "),
    "zero bytes": (bytes(4096), ""),
    "enormous": (b"a: 1\n" * 300_000, "more than 1,048,576 bytes; refused"),
    "deep": (
        b"schema: effaudit.device/1\nengines: " + b"[" * 5_000 + b"]" * 5_000,
        "nested more than 32 deep; refused",
    ),
    "aliases that multiply": (
        b"a: &a [1,1,1,1,1,1,1,1,1,1]\n"
        + b"".join(b"%c: &%c [%s]\n" % (i + 1, i + 1, b",".join([b"*%c" % i] * 10)) for i in range(97, 107)),
        "more than 100,000 values",
    ),
    "two documents": (b"a: 1\n---\na: 2\n", "line 2: a second document; one is expected"),
    "no YAML": (b"a: [1, 2\nb: 3", "no YAML"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_profile(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    content, expected = FILES[name]
    Path("x.yaml").write_bytes(content)
    done = invoke(capsys, monkeypatch, "devices", "validate", "x.yaml")
    (line,) = done.out.splitlines()
    assert (done.code, done.err) == (2, "")
    assert line.startswith("x.yaml: ") and expected in line and line.isprintable()
    assert invoke(capsys, monkeypatch, "devices", "show", "x.yaml").code == 2


def test_problems_are_all_listed_and_the_first_is_told() -> None:
    text = changed(changed(BOARD, "class: mcu\n", "class: mcu\nbatch: 0\n"), "size_bytes: 16384", "size_bytes: -1")
    found = all_problems(written(Path(), text), locator())
    assert len(found) == 2
    with pytest.raises(Exception, match=r"\$\.batch: .* \(and 1 more: effaudit devices validate lists them\)"):
        device(Path(), text)


def test_a_note_explains_what_is_unusual() -> None:
    """int8 at four times float16 is true of some accelerators; then its note says so."""
    case = "int8: {dense_op_per_s: 624e12, sparse_2_4_op_per_s: 1248e12}"
    noted = changed(GPU, case, 'int8: {dense_op_per_s: 1248e12, note: "its own unit"}')
    assert all_problems(written(Path(), noted), locator()) == []


def test_terminals_are_safe() -> None:
    """A control character in a name is spelled out wherever a message shows it."""
    text = changed(BOARD, "name: acme-board\n", 'name: "a\\e[31mb\\u202e"\n')
    (problem,) = all_problems(written(Path(), text), locator())
    assert problem.isprintable() and "x1b" in problem
