"""The unit of a number, told by its key."""

from __future__ import annotations

from typing import Final

# The longest suffix that a key ends with decides.
SUFFIXES: Final = {
    "_bytes": "B",
    "_bytes_per_node": "B/node",
    "_bytes_per_tensor": "B/tensor",
    "_byte_per_s": "B/s",
    "_pj_per_byte": "pJ/B",
    "_pj_per_mac": "pJ/MAC",
    "_pj": "pJ",
    "_hz": "Hz",
    "_s": "s",
    "_cycles": "cycles",
    "_mac_per_cycle": "MAC/cycle",
    "_mac_per_s": "MAC/s",
    "_op_per_cycle": "op/cycle",
    "_op_per_s": "op/s",
    "_flop_per_s": "FLOP/s",
    "_channels": "channels",
    "_w": "W",
    "_v": "V",
    "_mah": "mAh",
    "_ratio": "1",
    "_fraction": "1",
    "_factor": "1",
    "_count": "1",
}
WHOLE: Final = {
    "cores": "1",
    "mac_per_cycle": "MAC/cycle",
    "mac_per_s": "MAC/s",
    "op_per_cycle": "op/cycle",
    "op_per_s": "op/s",
    "fraction_of_peak": "1",
}
# Keys whose values are numbers by name (an element type).
TABLES: Final = {"system_pj_per_mac": "pJ/MAC", "mac_pj": "pJ", "op_pj": "pJ"}


def unit_of(key: str) -> str | None:
    """ "B" of `size_bytes`; None of a key that holds no number."""
    if key in WHOLE:
        return WHOLE[key]
    found = [suffix for suffix in SUFFIXES if key.endswith(suffix)]
    return SUFFIXES[max(found, key=len)] if found else None
