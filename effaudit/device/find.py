"""The device of a name: a path, a name, an alias, or `alias/part`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import msgspec

from effaudit.device.folders import SUFFIXES, Place, files, heads, places
from effaudit.device.heads import Head, head, key
from effaudit.device.read import Locate, read_device
from effaudit.device.types import Device
from effaudit.errors import UsageError
from effaudit.nearest import did_you_mean
from effaudit.printable import printable

__all__ = ["Loaded", "find", "is_path", "load", "locate", "locator"]


class Loaded(msgspec.Struct, frozen=True):
    """A device, where its profile lies, and whose it is: user, package or shipped."""

    device: Device
    path: str
    origin: str


def find(name: str, folders: Sequence[str] = ()) -> Device:
    """The device of a name, in any case (`_` is `-`): the path of a profile, the name or an alias of one, or
    `alias/part` (`cortex-m7/stm32h743`: the part, which must be one of those).

    Looked for in the user's `folders` (or single files), then those of installed packages (entry points of the group
    `effaudit.devices`), then the shipped ones. Raises UsageError where there is none, two claim an alias, the profile
    is not valid, or is only there to be extended.
    """
    found = load(name, folders)
    if found.device.abstract:
        raise UsageError(f"device {_said(name)}: {_abstract(found.device, folders)}")
    return found.device


def load(name: str, folders: Sequence[str] = ()) -> Loaded:
    """`find`, with where the profile lies; one that is only there to be extended is as good as any."""
    group, (path, origin) = _group(name), _located(name, folders)
    device = read_device(path, locator(folders))
    if group and not _belongs(device, group, path, folders):
        raise UsageError(f"device {_said(name)}: {device.name} is no {printable(group, 60)}; write {device.name} alone")
    return Loaded(device, path, origin)


def locator(folders: Sequence[str] = ()) -> Locate:
    """How `read_device` finds what a profile extends: beside it, then as `find` does; itself only where no other has
    that name, so that a profile of the user's may complete the shipped one of the same name."""

    def located(name: str, source: str) -> str:
        beside = os.path.dirname(source) or "."
        if is_path(name):
            path = os.path.normpath(os.path.join(beside, name))
            if not os.path.isfile(path):
                raise UsageError(f"there is no file {printable(path, None)}")
            return path
        for place in (Place(beside, "user"), *places(folders)):
            found = None if place.problem else _in(place, key(name), os.path.realpath(source))
            if found is not None:
                return found
        if key(head(source).name) == key(name):
            return source  # what follows says that this is a cycle
        raise _unknown(name, (beside, *folders), abstract=True)

    return located


def locate(name: str, folders: Sequence[str] = ()) -> str:
    """The path of the profile of a name. Raises UsageError as `find`."""
    return _located(name, folders)[0]


def _located(name: str, folders: Sequence[str]) -> tuple[str, str]:
    if is_path(name):
        return name, "user"
    wanted = key(name.rpartition("/")[2])
    for place in places(folders):
        if place.problem and place.origin == "package":  # said where the device is not found
            continue
        found = _in(place, wanted, parts="/" in name)
        if found is not None:
            return found, place.origin
    raise _unknown(name, folders, abstract=False)


def is_path(name: str) -> bool:
    """Whether a device is named by the path of its profile; `alias/part` is no path unless there is such a file."""
    separators = [s for s in (os.sep, os.altsep) if s]
    if name.endswith(SUFFIXES) or name.startswith((".", "~", *separators)):
        return True
    return any(s in name for s in separators) and (name.count("/") != 1 or os.path.exists(name))


def _group(name: str) -> str:
    """`cortex-m7` of `cortex-m7/stm32h743`."""
    return "" if is_path(name) else key(name.rpartition("/")[0])


def _in(place: Place, wanted: str, but: str = "", *, parts: bool = False) -> str | None:
    """The profile of that name in a place; `but` is left out. A file that has the name is looked at first."""
    paths = [path for path in files(place) if not but or os.path.realpath(path) != but]
    for path in paths:
        if key(os.path.splitext(os.path.basename(path))[0]) == wanted:
            one = head(path)
            if key(one.name) == wanted:
                return path
    found = [one for one in heads(place) if one.path in set(paths)] if paths else []
    for calls in (_names, _aliases, *([_parts] if parts else [])):
        claimed = [one for one in found if wanted in calls(one)]
        if len(claimed) > 1:
            both = " and ".join(printable(one.path, None) for one in claimed[:2])
            raise UsageError(f"device {_said(wanted)}: {both} both claim it; rename one of them")
        if claimed:
            return claimed[0].path
    return None


def _names(one: Head) -> tuple[str, ...]:
    return (key(one.name),)


def _aliases(one: Head) -> tuple[str, ...]:
    return tuple(map(key, one.aliases))


def _parts(one: Head) -> tuple[str, ...]:
    return (key(one.part),) if one.part else ()


def _known(folders: Sequence[str]) -> Iterator[Head]:
    for place in places(folders):
        if not place.problem:
            yield from heads(place)


def _unknown(name: str, folders: Sequence[str], *, abstract: bool) -> UsageError:
    known = [one for one in _known(folders) if abstract or not one.abstract]
    word = key(name.rpartition("/")[2])
    hint = did_you_mean(word, dict.fromkeys(n for one in known for n in (*_names(one), *_aliases(one))))
    broken = [place.problem for place in places(folders) if place.problem]
    also = f" ({broken[0]})" if broken else ""
    return UsageError(
        f"device {_said(name)}: there is none of that name{hint or ';'} `effaudit devices list` names them{also}"
    )


def _abstract(device: Device, folders: Sequence[str]) -> str:
    """What extends a profile that is abstract, directly or not."""
    known, names = list(_known(folders)), {key(device.name), *map(key, device.aliases)}
    while True:
        more = {n for one in known if key(one.extends) in names for n in (*_names(one), *_aliases(one))}
        if more <= names:
            break
        names |= more
    made = [one.name for one in known if not one.abstract and key(one.name) in names]
    which = f"choose one of {', '.join(map(printable, made))}" if made else f"write one with extends: {device.name}"
    return f"{device.name} is only there to be extended; {which}"


def _belongs(device: Device, group: str, path: str, folders: Sequence[str]) -> bool:
    """Whether a device is one of a group: called so, by its maker or its class, with such an engine, or extending what
    is called so."""
    words = [device.name, *device.aliases, device.vendor, device.kind, device.part]
    words += [word for engine in device.engines for word in (engine.name, engine.title, engine.isa)]
    above, extends, located = path, device.extends, locator(folders)
    while extends:  # no cycle: the profile was read
        above = located(extends, above)
        one = head(above)
        words += [one.name, *one.aliases]
        extends = one.extends
    return any(f"-{group}-" in f"-{key(word).replace(' ', '-')}-" for word in words)


def _said(name: str) -> str:
    return printable(repr(name), 80)
