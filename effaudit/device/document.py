"""What `effaudit devices list` and `show` say, as one document: `effaudit.devices/1`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from effaudit import __version__
from effaudit.device.catalogue import Entry, catalogue, entry
from effaudit.device.contiguous import largest_contiguous
from effaudit.device.find import load
from effaudit.device.peaks import dense_flop_per_s, ridge
from effaudit.device.types import Device

SCHEMA: Final = "effaudit.devices/1"
_NOT_FILLED: Final = ("cache", "link")


class PeakFigures(msgspec.Struct, frozen=True):
    """What follows from a profile for one element type on one engine: its dense peak (operations per second, 2 per
    MAC) and, by memory, the operations per byte from which on it binds."""

    engine: str
    dtype: str
    dense_op_per_s: float | None
    ridge_op_per_byte: dict[str, float]


class Profile(msgspec.Struct, frozen=True):
    """A device in full: its profile with every number as a fact, and what follows from it. `origin`: user, package or
    shipped."""

    origin: str
    path: str
    device: Device
    peaks: tuple[PeakFigures, ...]
    largest_contiguous_bytes: dict[str, int | None]


class DevicesDocument(msgspec.Struct, frozen=True):
    """A line per device (`list`), and the profiles in full (`show`)."""

    devices: tuple[Entry, ...]
    profiles: tuple[Profile, ...] = ()
    schema: Literal["effaudit.devices/1"] = SCHEMA
    version: str = __version__


def listed(folders: Sequence[str], classes: Sequence[str] = (), *, abstract: bool = False) -> DevicesDocument:
    """The devices of some classes (none: of all), and what cannot be read; with profiles that are only extended where
    `abstract` says so."""
    found = [
        one
        for one in catalogue(folders)
        if one.problem or ((not classes or one.kind in classes) and (abstract or not one.abstract))
    ]
    return DevicesDocument(tuple(found))


def shown(names: Sequence[str], folders: Sequence[str]) -> DevicesDocument:
    """The devices of these names. Raises UsageError as `effaudit.device.find.find`; abstract profiles are shown."""
    made = [load(name, folders) for name in names]
    profiles = tuple(_profile(one.device, one.origin, one.path) for one in made)
    return DevicesDocument(tuple(entry(one.device, one.origin, one.path) for one in made), profiles)


def _profile(device: Device, origin: str, path: str) -> Profile:
    peaks = []
    for engine in device.engines:
        for dtype in engine.peaks:
            ridges = {m.name: ridge(engine, dtype, m) for m in device.memories if m.kind not in _NOT_FILLED}
            known = {name: value for name, value in ridges.items() if value is not None}
            peaks.append(PeakFigures(engine.name, dtype, dense_flop_per_s(engine, dtype), known))
    contiguous = {m.name: largest_contiguous(m) for m in device.memories if m.kind not in _NOT_FILLED}
    return Profile(origin, path, device, tuple(peaks), contiguous)
