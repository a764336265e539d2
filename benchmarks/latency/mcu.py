"""Microcontrollers: which measurements are used, the fit of their latency, and its score on boards it has not seen.

A board is predicted from its core, its clock, the runtime, its version and the element type alone. `scored` leaves one
board out at a time; the interval of a row comes from the errors made on the other boards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil, exp, log
from typing import Final

import msgspec

from benchmarks.latency.mcu_model import Case, Model, Sample, cycles, fit
from benchmarks.latency.mcu_work import CLASSES, RULES, built, work
from benchmarks.latency.rows import Row
from benchmarks.latency.score import Scored

COVERAGE: Final = 0.9  # of the errors on other boards: what an interval is made to hold
SCALAR: Final = 1.0  # MAC per cycle at most without vector instructions
FEW: Final = 20  # errors of a kind below which the interval takes those of every kind
WIDEST: Final = 20.0
# What the boards of these suites cannot tell about others: the first convolution is all they have of that class, and
# the fully connected layer reads its weights once, from a memory that is not stated (the ST zoo's largest models only
# fit in external flash).
ODD: Final[Mapping[str, tuple[int, ...]]] = {
    "TinyEngine README": (CLASSES.index("conv"), CLASSES.index("fully_connected")),
    "STM32 model zoo": (CLASSES.index("conv"), CLASSES.index("fully_connected")),
}


class Core(msgspec.Struct, frozen=True):
    """A core with a profile: the abstract base, how measurements name it, and its int8 MACs per cycle at most. Cores of
    one `family` are expected to take as many cycles but for `peak` and `half_rate`: then the buses and memories run at
    half of the core's clock, which is so on `boards` alone."""

    profile: str
    names: tuple[str, ...]
    peak: float
    family: str
    half_rate: bool = False
    boards: tuple[str, ...] = ()


# STM32H743 and H747 divide the clock of their core by 2 for AXI and AHB, which reach 240 MHz (RM0433, RM0399: HPRE);
# the buses of the H7A3 and the F7 run at the clock of the core.
CORES: Final[tuple[Core, ...]] = (
    Core(
        "arm-cortex-m7-half-rate", ("cortex-m7",), 2.0, "m7", half_rate=True, boards=("stm32h743", "stm32h747i-disco")
    ),
    Core("arm-cortex-m0plus", ("cortex-m0+",), 0.5, "m0plus"),
    Core("arm-cortex-m4", ("cortex-m4",), 2.0, "m4"),
    Core("arm-cortex-m33", ("cortex-m33",), 2.0, "m33"),
    Core("arm-cortex-m7", ("cortex-m7",), 2.0, "m7"),
    Core("arm-cortex-m55", ("cortex-m55",), 8.0, "helium"),
    Core("arm-cortex-m85", ("cortex-m85",), 8.0, "helium"),
    Core("xtensa-lx6", ("xtensa-lx6", "esp32"), 1.0, "lx6"),
    Core("xtensa-lx7", ("xtensa-lx7", "esp32-s3"), 16.0, "lx7"),
    Core("riscv-esp32-c3", ("esp32-c3",), 0.5, "esp32-c3"),
)


class Cited(msgspec.Struct, frozen=True):
    """A measurement that is published, but not a row of the file: MACs per cycle of a network of MLPerf Tiny."""

    board: str
    profile: str
    runtime: str
    version: str
    dtype: str
    network: str
    macs: int
    mac_per_cycle: float


# https://github.com/mlcommons/tiny_results_v1.2: closed/Renesas (EK-RA8D1), closed/bosch (NUCLEO-H7A3ZI-Q, float).
AD: Final = "mlperf_tiny_ad01_int8 (FC autoencoder 640-128x4-8-128x4-640)"
IC: Final = "mlperf_tiny_resnet8_cifar10 (pretrainedResnet_quant)"
KWS: Final = "mlperf_tiny_ds_cnn (kws_ref_model)"
# They are figures of a core with Helium, and of float32 on a Cortex-M7, of which the file has none.
CITED: Final = (
    Cited("ek-ra8d1", "arm-cortex-m85", "cmsis-nn", "", "int8", IC, 12501632, 3.072),
    Cited("ek-ra8d1", "arm-cortex-m85", "cmsis-nn", "", "int8", KWS, 2656768, 1.597),
    Cited("ek-ra8d1", "arm-cortex-m85", "cmsis-nn", "", "int8", AD, 264192, 1.037),
    Cited("nucleo-h7a3zi-q", "arm-cortex-m7", "hale", "1.0.175", "float32", IC, 12501632, 0.359),
)


def core_of(row: Row) -> Core | None:
    """The core of a measurement's board, None where it has no profile."""
    for core in CORES:
        if core.boards and row.board not in core.boards:
            continue
        if row.processor.lower() in core.names or (not row.processor and row.board in core.names):
            return core
    return None


def skipped(row: Row) -> str:
    """Why a measurement is not used, "" of one that is."""
    if row.accelerator:
        return f"runs on an accelerator, {row.accelerator}"
    if core_of(row) is None:
        return f"no profile of this core, {row.processor}"
    if row.runtime not in RULES:
        return f"no rules of this runtime, {row.wrote}"
    if row.clock_hz is None:
        return "no clock is stated"
    if row.dtype not in ("int8", "float32"):
        return f"no element type is stated, {row.precision}"
    if not built(row.network):
        return f"the project does not have this network, {row.network}"
    return ""


def used(rows: Iterable[Row]) -> list[Row]:
    """The measurements of microcontrollers that can be predicted."""
    return [row for row in rows if row.kind == "mcu" and not skipped(row)]


def taught(rows: Iterable[Row]) -> list[Row]:
    """Those that the model is fitted to: not the rows whose runtime runs less than the network as it is written."""
    return [row for row in used(rows) if not row.drops_channels]


def case_of(row: Row) -> Case:
    """What the cost of a usable measurement depends on."""
    core = core_of(row)
    assert core is not None
    return case(core, row.runtime, row.version, row.dtype)


def case(core: Core, runtime: str, version: str, dtype: str) -> Case:
    """What a cost on this core depends on. TFLM's own kernels are portable C++: they use no vectors."""
    peak = min(core.peak, SCALAR) if runtime == "tflm" else core.peak
    return Case(core.family, core.half_rate, peak, runtime, version, dtype)


def samples(rows: Iterable[Row], without: str = "") -> list[Sample]:
    """What the model is fitted to; nothing of the board `without`."""
    found = [sample_of(row) for row in taught(rows) if row.board != without]
    return found + [_cited(one) for one in CITED if one.board != without]


def _cited(one: Cited) -> Sample:
    core = next(core for core in CORES if core.profile == one.profile)
    counts = work(one.network, rules_of(one.runtime, one.version))
    return Sample(case(core, one.runtime, one.version, one.dtype), one.board, counts, one.macs / one.mac_per_cycle)


def rules_of(runtime: str, version: str) -> str:
    """The rules that lower a network for a runtime."""
    return "st-balanced" if runtime == "x-cube-ai" and version.endswith("-balanced") else RULES[runtime]


def sample_of(row: Row) -> Sample:
    """A usable measurement in cycles."""
    assert row.clock_hz is not None
    counts = work(row.network, rules_of(row.runtime, row.version))
    return Sample(case_of(row), row.board, counts, row.seconds * row.clock_hz, ODD.get(row.suite, ()))


def predicted(model: Model, row: Row, *, known_runtime: bool = True) -> float:
    """Seconds of a usable measurement, as if its board, or its runtime as well, had never been seen."""
    sample = sample_of(row)
    found = sample.case if known_runtime else msgspec.structs.replace(sample.case, runtime="", version="")
    assert row.clock_hz is not None
    return cycles(model, found, sample.work) / row.clock_hz


def seen(rows: Sequence[Row], row: Row) -> bool:
    """True where another board of the same core was measured with the same runtime and element type."""
    return any(other.board != row.board and _alike(other) == _alike(row) for other in rows)


def _alike(row: Row) -> tuple[str, str, str]:
    core = core_of(row)
    return (core.family if core else "", row.runtime, row.dtype)


def scored(rows: Iterable[Row]) -> list[Scored]:
    """Every usable measurement beside the estimate fitted to the rows of all other boards. The factor of its interval
    is that of the errors on those other boards, each left out in its turn."""
    found, told = [], unseen(rows)
    for row, seconds, known in told:
        factor = interval_factor([miss for miss in told if miss[0].board != row.board], known)
        found.append(Scored(row, seconds, seconds / factor, seconds * factor, known, "mcu"))
    return found


Miss = tuple[Row, float, bool]


def unseen(rows: Iterable[Row]) -> list[Miss]:
    """Every usable measurement, the seconds predicted without its board, and whether a sister knows the runtime."""
    rows = list(rows)
    teaching, told = taught(rows), []
    for board in dict.fromkeys(row.board for row in used(rows)):
        model = fit(samples(rows, board))
        told += [(row, predicted(model, row), seen(teaching, row)) for row in used(rows) if row.board == board]
    return told


def interval_factor(told: Sequence[Miss], known: bool) -> float:
    """The factor that holds `COVERAGE` of the errors (row, seconds predicted, known), of boards where the runtime is
    known on a sister or of the others; of both where one kind has few. Rows of runtimes that drop channels count: an
    estimate is of the network as it is written."""
    of_kind = [miss for miss in told if miss[2] == known]
    return factor_of(of_kind if len(of_kind) >= FEW else told)


def factor_of(told: Sequence[Miss]) -> float:
    """The factor that holds `COVERAGE` of these errors, by the rank that also does for one more; at most `WIDEST`."""
    errors = sorted(abs(log(seconds / row.seconds)) for row, seconds, _ in told)
    if not errors:
        return WIDEST
    place = min(ceil(COVERAGE * (len(errors) + 1)), len(errors)) - 1
    return min(exp(errors[place]), WIDEST)
