"""Where a user keeps device profiles."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from effaudit.config.find import nearest

ENVIRONMENT: Final = "EFFAUDIT_DEVICES"


def device_folders(environ: Mapping[str, str], start: str = ".") -> tuple[str, ...]:
    """The folders (or files) of `EFFAUDIT_DEVICES`, separated as in PATH, then those of the configuration.

    Raises UsageError where the configuration is not valid.
    """
    named = [os.path.expanduser(one) for one in environ.get(ENVIRONMENT, "").split(os.pathsep) if one]
    found = nearest(start)
    return (*named, *(found.devices() if found is not None else ()))
