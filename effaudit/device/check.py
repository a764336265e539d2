"""Profiles held against the schema, themselves, each other, and what else is shipped."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from effaudit import support
from effaudit.device.find import locator
from effaudit.device.folders import Place, files
from effaudit.device.heads import head, key
from effaudit.device.read import all_problems, read_device
from effaudit.errors import UsageError
from effaudit.nearest import did_you_mean
from effaudit.printable import printable


def checked(paths: Sequence[str], folders: Sequence[str] = ()) -> Iterator[tuple[str, list[str]]]:
    """(file, everything that is wrong with it, one line each) of profiles and folders of profiles; of all that are
    shipped where none is named. Raises UsageError for a folder that cannot be read."""
    for path in paths or (support.folder(),):
        found = files(Place(path, "user")) if os.path.isdir(path) else [path]
        if not found:
            raise UsageError(f"{printable(path, None)}: no profiles (*.yaml) in this folder")
        claims: dict[str, str] = {}  # name -> the first file that claims it
        for file in found:
            problems = all_problems(file, locator(folders))
            if not problems:
                problems = [f"{printable(file, None)}: {what}" for what in _supports(file, folders)]
            if len(found) > 1:
                problems += _claimed(file, claims)
            yield printable(file, None), problems


def _supports(path: str, folders: Sequence[str]) -> Iterator[str]:
    known = support.names()
    for i, runtime in enumerate(read_device(path, locator(folders)).runtimes):
        name = runtime.supports
        if name and key(name) not in known and not os.path.isfile(name):
            said = printable(repr(name), 60)
            yield f"$.runtimes[{i}].supports: no set of operators {said}{did_you_mean(name, known)}"


def _claimed(path: str, claims: dict[str, str]) -> list[str]:
    one, problems = head(path), []
    for place, name in (("name", one.name), *((f"aliases[{i}]", alias) for i, alias in enumerate(one.aliases))):
        other = claims.setdefault(key(name), path)
        if other != path:
            said = f"{printable(repr(name), 60)} is claimed by {printable(other, None)} as well"
            problems.append(f"{printable(path, None)}: $.{place}: {said}; rename one of them")
    return problems
