"""What is asked about energy, and what is said."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Basis = Literal["measured", "power", "operations"]

PICO: Final = 1e-12
J_PER_KWH: Final = 3.6e6

# Used where the user gives no other, and named wherever they are used.
GRID_G_PER_KWH: Final = 475.0
GRID_SOURCE: Final = "world average, IEA 2019, as in CodeCarbon 3.3.2 (https://github.com/mlco2/codecarbon)"
PUE: Final = 1.0
PUE_SOURCE: Final = "no data centre around it; 1.58 was the average of data centres in 2023 (Uptime Institute's survey)"
UTILISATION: Final = 1.0
UTILISATION_SOURCE: Final = "all of the power is drawn while it runs: an upper bound"


class Circumstances(msgspec.Struct, frozen=True):
    """What the user knows: grams of CO2 per kWh, price per kWh (no default: prices differ too much), the power usage
    effectiveness around the device, the share of its power that is drawn, and a battery (joules)."""

    grid_g_per_kwh: float | None = None
    price_per_kwh: float | None = None
    pue: float | None = None
    utilisation: float | None = None
    battery_j: float | None = None


class Joules(msgspec.Struct, frozen=True):
    """An energy in joules and where it comes from; `why` says what is missing where there is no value. `parts` are
    those of a table of operations that are known; "weights again ..." is in `high` alone, "operations as a wider type"
    not in `low`."""

    basis: Basis
    value: float | None
    low: float | None
    high: float | None
    how: str
    why: str = ""
    parts: dict[str, float] = {}


class EnergyReport(msgspec.Struct, frozen=True):
    """One run of the model. `chosen` is the basis that the figures below follow: the board's own power times the time,
    else what was measured per MAC, else its TDP; a table of operations is never taken for an absolute figure.
    `ops_per_w` is operations per second and watt. `inferences_per_j` and `inferences_per_battery` count its inputs, or
    its tokens."""

    joules: tuple[Joules, ...]
    chosen: Basis | None
    carbon_kg: float | None
    cost: float | None
    inferences_per_battery: float | None
    battery_s: float | None
    ops_per_w: float | None
    inferences_per_j: float | None
    notes: tuple[str, ...]

    @property
    def best(self) -> Joules | None:
        return next((one for one in self.joules if one.basis == self.chosen), None)
