"""Where profiles lie: folders the user names, installed packages, and those that are shipped."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Any, Final

import msgspec

from effaudit.device.heads import Head, head, of_another_schema
from effaudit.errors import UsageError
from effaudit.printable import printable
from effaudit.support.read import folder

GROUP: Final = "effaudit.devices"  # the entry points of packages: a folder of profiles, or a function that gives one
SUFFIXES: Final = (".yaml", ".yml")
MAX_FILES: Final = 2_000  # profiles of one folder
_CONFIGS: Final = ("effaudit.yaml", ".effaudit.yaml")


class Place(msgspec.Struct, frozen=True):
    """A folder (or one file) that is searched. `origin`: user, package or shipped; `problem`: why it cannot be."""

    path: str
    origin: str
    problem: str = ""


def places(folders: Sequence[str] = ()) -> Iterator[Place]:
    """Where profiles are looked for, the first place first; a name that an earlier place has is that one's."""
    for named in folders:
        problem = "" if os.path.exists(named) else f"{printable(named, None)}: no such folder of device profiles"
        yield Place(named, "user", problem)
    yield from packages()
    yield Place(folder(), "shipped")


def packages() -> Iterator[Place]:
    """The folders that installed packages have; one that fails is a place with a problem."""
    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        try:
            made = entry.load()
            found = os.fspath(made() if callable(made) else made)
            problem = "" if os.path.isdir(found) else f"{found!r} is no folder"
        except (Exception, SystemExit) as error:  # whatever the package does wrong
            found, problem = "", " ".join(f"{type(error).__name__}: {error}".split())
        yield Place(str(found), "package", f"{_owner(entry)}: {problem}; repair or uninstall it" if problem else "")


def _owner(entry: Any) -> str:
    package = f"package {entry.dist.name} {entry.dist.version}" if entry.dist is not None else "a package"
    return printable(f"{package} (entry point {GROUP}: {entry.name} = {entry.value})")


def files(place: Place) -> list[str]:
    """The profiles of a place, by name. Raises UsageError where it cannot be read."""
    if place.problem:
        raise UsageError(place.problem)
    if not os.path.isdir(place.path):
        return [place.path]
    try:
        names = sorted(name for name in os.listdir(place.path) if name.endswith(SUFFIXES) and name not in _CONFIGS)
    except OSError as error:
        raise UsageError(f"{printable(place.path, None)}: cannot be read: {error.strerror}") from None
    if len(names) > MAX_FILES:
        raise UsageError(f"{printable(place.path, None)}: more than {MAX_FILES:,} profiles in one folder; refused")
    return [path for name in names if os.path.isfile(path := os.path.join(place.path, name))]


def heads(place: Place) -> list[Head]:
    """The names of the profiles of a place; files of another of effaudit's schemas are passed over."""
    found = []
    for path in files(place):
        one = head(path)
        if place.origin != "user" or not of_another_schema(path):
            found.append(one)
    return found
