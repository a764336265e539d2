"""Energy, power and emissions."""

from __future__ import annotations

from typing import Final

from effaudit.explain.formulas._model import Formula
from effaudit.explain.formulas._parameters import count, formula, positive, seconds, share

_HOROWITZ: Final = "https://doi.org/10.1109/ISSCC.2014.6757323"
_MULTIPLY: Final = positive("multiply", "energy of a multiplication in pJ", "3.7", "3.7")
_ADD: Final = positive("add", "energy of an addition in pJ", "0.9", "0.9")
_ACCESS: Final = positive("access", "energy of an access to memory in pJ", "640", "640")
_TDP: Final = positive("tdp", "thermal design power in W", "300")
_UTILIZATION: Final = share("utilization", "share of it in use", "70%")
_YEAR: Final = "Horowitz's figures are for 45 nm: 3.7 pJ an fp32 multiplication, 0.9 an addition, 640 a DRAM word."

FORMULAS: Final[tuple[Formula, ...]] = (
    formula(
        "relative-energy",
        "energy / reference",
        positive("energy", "energy in pJ", "640"),
        positive("reference", "energy in pJ of what it is compared with", "0.1", "0.1"),
        unit="x",
        about="One operation against another; the reference is a 32-bit integer addition unless given.",
        mistakes=(
            "State the reference: against an integer addition an fp32 multiplication is 37 and a DRAM access 6400,"
            " not 4 and 200.",
        ),
        source=_HOROWITZ,
    ),
    formula(
        "mac-energy",
        "multiply + add",
        _MULTIPLY,
        _ADD,
        unit="pJ/MAC",
        about="A multiplication and an addition.",
        mistakes=("3.7 pJ is the fp32 multiplication alone; the MAC is 4.6 pJ.", _YEAR),
        source=_HOROWITZ,
    ),
    formula(
        "compute-energy",
        "macs * (multiply + add) / 10 ** 12",
        count("macs", "multiply-accumulates", "118013952"),
        _MULTIPLY,
        _ADD,
        unit="J",
        about="The arithmetic alone.",
        mistakes=(_YEAR,),
        source=_HOROWITZ,
    ),
    formula(
        "memory-energy",
        "words * uses * access / 10 ** 12",
        count("words", "words", "9408"),
        count("uses", "accesses to each", "1", "1"),
        _ACCESS,
        unit="J",
        about="Each word is fetched for each use where nothing is cached.",
        mistakes=(_YEAR,),
        source=_HOROWITZ,
    ),
    formula(
        "memory-to-compute-energy",
        "words * uses * access / (macs * operation)",
        count("words", "words", "9408"),
        count("uses", "accesses to each", "1", "1"),
        count("macs", "multiply-accumulates", "118013952"),
        _ACCESS,
        positive("operation", "energy of an operation in pJ", "4.6", "4.6"),
        unit="x",
        about="The energy of memory over that of arithmetic.",
        mistakes=("With the multiplication alone, 3.7 pJ, the ratio looks larger than with the MAC, 4.6 pJ.", _YEAR),
        source=_HOROWITZ,
    ),
    formula(
        "power-draw",
        "tdp * utilization * pue",
        _TDP,
        _UTILIZATION,
        positive("pue", "power usage effectiveness of the data center", "1.2", "1"),
        unit="W",
        about="Power as a share of the design power, with cooling where pue is given.",
        mistakes=("An estimate: the power of a device is not proportional to its utilization.",),
    ),
    formula(
        "inference-energy",
        "power * latency",
        positive("power", "power in W", "210"),
        seconds("latency", "latency", "10ms"),
        unit="J",
        about="Power times time.",
    ),
    formula(
        "carbon",
        "tdp * utilization * pue * time / 3600 / 1000 * intensity / 1000",
        _TDP,
        _UTILIZATION,
        positive("pue", "power usage effectiveness of the data center", "1.2", "1"),
        seconds("time", "time", "10ms"),
        positive("intensity", "emissions of the grid in g of CO2 per kWh", "400"),
        unit="kg CO2",
        about="Energy in kWh times the emissions of the grid.",
        source="https://arxiv.org/abs/1910.09700",
    ),
    formula(
        "ops-per-watt",
        "peak * utilization / power",
        positive("peak", "operations per second", "100T"),
        share("utilization", "share of it that is reached", "70%", "1"),
        positive("power", "power in W", "252"),
        unit="ops/W",
        about="Operations per second and watt, which is operations per joule.",
    ),
    formula(
        "battery-life",
        "capacity / 1000 * voltage * 3600 / power",
        positive("capacity", "capacity in mAh", "225"),
        positive("voltage", "voltage", "3"),
        positive("power", "average power in W", "2.7"),
        unit="s",
        about="The energy of a battery over the power drawn.",
        mistakes=("An upper bound: small cells cannot deliver such currents, and their capacity shrinks with load.",),
    ),
    formula(
        "battery-power",
        "capacity / 1000 * voltage / (time / 3600)",
        positive("capacity", "capacity in mAh", "225"),
        positive("voltage", "voltage", "3"),
        seconds("time", "time it shall last", "90min"),
        requires=(("time > 0", "the time must be above 0"),),
        unit="W",
        about="The average power that empties a battery in a time.",
    ),
)
