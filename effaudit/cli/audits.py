"""Auditing several models: one that fails spoils only itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from effaudit.cli.messages import complain
from effaudit.errors import EffauditError, UnknownName
from effaudit.load.binding import Given

Made = TypeVar("Made")


def each(names: Sequence[str], given: Given, audit: Callable[[str, Given], Made]) -> tuple[list[Made], int]:
    """(what `audit` made of each model that can be audited, the exit code).

    An error of the only model is raised, those of several are printed. A size for a dim or input that some of several
    models do not have is left out for these, with a note; one that none has is an error.
    """
    if len(names) == 1:
        return [audit(names[0], given)], 0
    made: list[Made] = []
    code, unknown = 0, dict.fromkeys((*given.dims, *given.shapes), 0)
    for name in names:
        try:
            made.append(adapted(name, given, audit, unknown))
        except EffauditError as error:
            complain(str(error))
            code = max(code, error.exit_code)
    for name, missing in unknown.items():
        if missing == len(names):
            raise UnknownName(f"none of the {len(names)} models has a dim or input named {name!r}", name)
    return made, code


def adapted(name: str, given: Given, audit: Callable[[str, Given], Made], unknown: dict[str, int]) -> Made:
    """What `audit` makes of one of several models, without the sizes that it does not have, each with a note. `unknown`
    counts, by their names, how many models do not have each."""
    while True:
        try:
            return audit(name, given)
        except UnknownName as error:
            if error.name not in unknown:
                raise
            unknown[error.name] += 1
            complain(f"{name}: has no dim or input named {error.name!r}; reported without it")
            dims = {key: size for key, size in given.dims.items() if key != error.name}
            shapes = {key: shape for key, shape in given.shapes.items() if key != error.name}
            given = msgspec.structs.replace(given, dims=dims, shapes=shapes)
