"""The names of a profile, without parsing the profile: what finding one device among many needs of each."""

from __future__ import annotations

import os
import re
from typing import Any, Final

import msgspec

from effaudit import strict_yaml
from effaudit.errors import UsageError

# A key of the first level with a plain word (or a flow list of plain words) on its line; anything else is parsed.
_WORD: Final = r"[A-Za-z0-9][A-Za-z0-9.+_-]*"
_END: Final = r"[ \t]*(?:[ \t]#.*)?\r?$"
_KEY: Final = re.compile(r"^(name|aliases|part|extends|abstract)[ \t]*:", re.MULTILINE)
_PLAIN: Final = re.compile(rf"[ \t]+({_WORD}){_END}", re.MULTILINE)
_WORDS: Final = re.compile(rf"[ \t]+([A-Za-z0-9][A-Za-z0-9.+_()/-]*(?: [A-Za-z0-9.+_()/-]+)*){_END}", re.MULTILINE)
_LIST: Final = re.compile(rf"[ \t]+\[[ \t]*({_WORD}(?:[ \t]*,[ \t]*{_WORD})*)?[ \t]*\]{_END}", re.MULTILINE)
_VALUES: Final = {"aliases": _LIST, "part": _WORDS}
_SCHEMA: Final = re.compile(r"^schema[ \t]*:[ \t]*[\"']?effaudit\.(?!device/)", re.MULTILINE)


class Head(msgspec.Struct, frozen=True):
    """What a profile calls itself. `problem` says why its names cannot be read; its name is then that of its file."""

    path: str
    name: str
    aliases: tuple[str, ...] = ()
    part: str = ""
    extends: str = ""
    abstract: bool = False
    problem: str = ""

    @property
    def stem(self) -> str:
        """The name of the file, without its suffix."""
        return os.path.splitext(os.path.basename(self.path))[0]


def key(name: str) -> str:
    """A name as names are compared: in lower case, `_` as `-`."""
    return name.strip().lower().replace("_", "-")


def head(path: str) -> Head:
    """The names of a profile: from the lines that hold them where these are plain, else from the whole document."""
    try:
        found = scanned(strict_yaml.text_of(path))
        if found is None:
            found = _parsed(strict_yaml.read(path))
        return Head(path=path, **found)
    except UsageError as error:
        return Head(path=path, name=os.path.splitext(os.path.basename(path))[0], problem=str(error))


def of_another_schema(path: str) -> bool:
    """Whether a file says that it is another of effaudit's documents (operators, a configuration)."""
    try:
        return _SCHEMA.search(strict_yaml.text_of(path)) is not None
    except UsageError:
        return False


def scanned(text: str) -> dict[str, Any] | None:
    """The names in the text of a profile; None where a line is not plain enough to be sure of it."""
    found: dict[str, Any] = {}
    for match in _KEY.finditer(text):
        name = match[1]
        value = _VALUES.get(name, _PLAIN).match(text, match.end())
        if value is None or name in found:
            return None
        if name == "aliases":
            found[name] = tuple(word.strip() for word in (value[1] or "").split(",") if word.strip())
        elif name == "abstract":
            if value[1] not in ("true", "false"):
                return None
            found[name] = value[1] == "true"
        else:
            found[name] = value[1]
    return found if "name" in found else None


def _parsed(document: object) -> dict[str, Any]:
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise UsageError("$.name: expected the name of the device")
    found: dict[str, Any] = {k: document[k] for k in ("name", "part", "extends") if isinstance(document.get(k), str)}
    aliases = document.get("aliases")
    if isinstance(aliases, list):
        found["aliases"] = tuple(alias for alias in aliases if isinstance(alias, str))
    return {**found, "abstract": document.get("abstract") is True}
