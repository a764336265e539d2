"""Finding a configuration: in a folder or the nearest above it, up to the root of the repository."""

from __future__ import annotations

import os
from typing import Any, Final

import msgspec

from effaudit import strict_yaml
from effaudit.config.schema import SCHEMA, Config
from effaudit.errors import UsageError
from effaudit.printable import printable

FILES: Final = ("effaudit.yaml", ".effaudit.yaml")
PYPROJECT: Final = "pyproject.toml"
TABLE: Final = "[tool.effaudit]"
# Not places of their own: addresses, shipped samples, standard input.
_ELSEWHERE: Final = ("http://", "https://", "sample:")


class Found(msgspec.Struct, frozen=True):
    """A configuration and the file it stands in."""

    path: str
    config: Config

    def models(self) -> tuple[str, ...]:
        """The models, as paths from the current folder."""
        return tuple(
            name if name == "-" or name.lower().startswith(_ELSEWHERE) else self._here(name)
            for name in self.config.models
        )

    def devices(self) -> tuple[str, ...]:
        """The folders and files of device profiles, as paths from the current folder."""
        return tuple(map(self._here, self.config.devices))

    def _here(self, name: str) -> str:
        name = os.path.expanduser(name)
        return name if os.path.isabs(name) else os.path.relpath(os.path.join(os.path.dirname(self.path), name))


def nearest(start: str | os.PathLike[str] = ".") -> Found | None:
    """The configuration of a folder, or of the nearest above it that has one; None where there is none up to the first
    folder that holds `.git`, or the root.

    Raises UsageError, one line `FILE: $.place: what was expected`, where it is not valid or a folder has two.
    """
    try:
        folder = os.path.abspath(start)
    except FileNotFoundError:  # the current folder is gone
        return None
    while True:
        found = [path for name in FILES if os.path.isfile(path := os.path.join(folder, name))]
        table = _table(os.path.join(folder, PYPROJECT))
        if len(found) + (table is not None) > 1:
            names = [*map(os.path.basename, found), *([f"{PYPROJECT} {TABLE}"] if table is not None else [])]
            raise UsageError(f"{printable(folder, None)}: {' and '.join(names)}: two configurations; keep one of them")
        if found:
            return Found(found[0], _config(strict_yaml.read(found[0]), found[0], ""))
        if table is not None:
            path = os.path.join(folder, PYPROJECT)
            return Found(path, _config(table, f"{path}: {TABLE}", SCHEMA))
        above = os.path.dirname(folder)
        if above == folder or os.path.exists(os.path.join(folder, ".git")):
            return None
        folder = above


def _config(document: object, place: str, default: str) -> Config:
    stated = document.get("schema", default) if isinstance(document, dict) else default
    if isinstance(document, dict) and stated != SCHEMA:
        got = "nothing" if stated == "" else printable(repr(stated), 60)
        raise UsageError(f"{printable(place, None)}: $.schema: expected {SCHEMA}, got {got}")
    return strict_yaml.convert(
        {**document, "schema": stated} if isinstance(document, dict) else document, Config, place
    )


def _table(path: str) -> Any:
    """`[tool.effaudit]` of a pyproject.toml; None where there is none. A file without the word is not parsed."""
    if not os.path.isfile(path):
        return None
    try:
        with open(path, "rb") as file:
            raw = file.read(strict_yaml.MAX_BYTES + 1)
    except OSError:  # another tool's matter
        return None
    if b"effaudit" not in raw:
        return None
    if len(raw) > strict_yaml.MAX_BYTES:
        raise UsageError(f"{printable(path, None)}: more than {strict_yaml.MAX_BYTES:,} bytes; refused")
    import tomllib  # only where there is something to read

    try:
        document = tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{printable(path, None)}: no TOML: {printable(' '.join(str(error).split()))}") from None
    tool = document.get("tool")
    return tool.get("effaudit") if isinstance(tool, dict) else None
