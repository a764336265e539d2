"""The keys of a configuration, `effaudit.config/1`."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

import msgspec

SCHEMA: Final = "effaudit.config/1"

Size: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a project states once instead of on every command line. Paths are relative to the file.

    `models` are audited where none is named; `dims` and `shapes` are the sizes of these models (a shape is a list of
    sizes); `devices` are folders of device profiles, or single profiles.
    """

    schema: Literal["effaudit.config/1"]
    models: tuple[str, ...] = ()
    dims: dict[str, Size] = {}
    shapes: dict[str, tuple[Size, ...]] = {}
    devices: tuple[str, ...] = ()
