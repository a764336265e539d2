"""Every device there is, a line each: what `effaudit devices list` shows."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from effaudit.device.contiguous import largest_contiguous, total_size
from effaudit.device.find import locator
from effaudit.device.folders import Place, heads, places
from effaudit.device.heads import Head, key
from effaudit.device.read import read_device
from effaudit.device.types import Device, Holds
from effaudit.errors import UsageError
from effaudit.printable import printable


class Entry(msgspec.Struct, frozen=True):
    """One profile. `origin`: user, package or shipped. Bytes are null where they are not known; a memory that holds
    both activations and weights counts as both. `problem` says why it cannot be used ("": it can); it spoils this line
    alone."""

    name: str
    title: str = ""
    kind: str = msgspec.field(default="", name="class")
    aliases: tuple[str, ...] = ()
    activation_bytes: int | None = None
    activation_contiguous_bytes: int | None = None
    weight_bytes: int | None = None
    runtime: str = ""
    origin: str = ""
    path: str = ""
    abstract: bool = False
    problem: str = ""


def catalogue(folders: Sequence[str] = ()) -> tuple[Entry, ...]:
    """Every profile in the order in which names are looked up: the user's, those of packages, the shipped ones."""
    made: list[Entry] = []
    taken: dict[str, str] = {}  # name -> path
    for place in places(folders):
        try:
            found = [] if place.problem else heads(place)
            problem = place.problem
        except UsageError as error:
            found, problem = [], str(error)
        if problem:
            made.append(Entry(place.path or "-", origin=place.origin, path=place.path, problem=problem))
        doubled = _doubled(found)
        for one in found:
            problem = doubled.get(one.path, "")
            if key(one.name) in taken and not problem:
                problem = f"hidden: {taken[key(one.name)]} has the same name"
            made.append(_entry(one, place, folders, problem))
        taken |= {key(one.name): printable(one.path, None) for one in reversed(found) if key(one.name) not in taken}
    return tuple(made)


def _doubled(found: Sequence[Head]) -> dict[str, str]:
    """What is wrong with profiles of one place that claim the same name or alias, by their path."""
    claims: dict[str, list[Head]] = {}
    for one in found:
        for name in {key(one.name), *map(key, one.aliases)}:
            claims.setdefault(name, []).append(one)
    wrong: dict[str, str] = {}
    for name, claiming in claims.items():
        for one, other in zip(claiming, [*claiming[1:], claiming[0]], strict=True):
            if one is not other:
                wrong[one.path] = f"{printable(other.path, None)} claims {printable(name)!r} as well"
    return wrong


def _entry(one: Head, place: Place, folders: Sequence[str], problem: str) -> Entry:
    if one.problem or problem:
        return Entry(
            one.name, origin=place.origin, path=one.path, abstract=one.abstract, problem=one.problem or problem
        )
    try:
        device = read_device(one.path, locator(folders))
    except UsageError as error:
        return Entry(one.name, origin=place.origin, path=one.path, abstract=one.abstract, problem=str(error))
    return entry(device, place.origin, one.path)


def entry(device: Device, origin: str, path: str) -> Entry:
    """The line of a device."""
    total, contiguous = holding(device, "activations")
    return Entry(
        device.name,
        device.title,
        device.kind,
        device.aliases,
        total,
        contiguous,
        holding(device, "weights")[0],
        device.runtimes[0].name if device.runtimes else "",
        origin,
        path,
        device.abstract,
    )


def holding(device: Device, what: Holds) -> tuple[int | None, int | None]:
    """(bytes of all memories that may hold it, of the largest contiguous region among them); None: not known."""
    memories = [memory for memory in device.memories if what in memory.holds]
    sizes, largest = list(map(total_size, memories)), list(map(largest_contiguous, memories))
    total = sum(size for size in sizes if size is not None) if sizes and None not in sizes else None
    return total, max((size for size in largest if size is not None), default=None) if None not in largest else None
