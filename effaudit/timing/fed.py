"""What a model is fed to be timed, and what the sizes of its inputs rest on."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

import msgspec

from effaudit.audited import Audited, examined
from effaudit.fit.subject import assumed
from effaudit.graph import Graph
from effaudit.load import Given, infer
from effaudit.run.one_file import from_file
from effaudit.run.random import random_inputs

if TYPE_CHECKING:
    import numpy as np

CHANCE: Final = "drawn by chance: floats from N(0, 1), integers within what their readers accept, masks of ones"


class Fed(msgspec.Struct, frozen=True):
    """An array for each input, and where they come from."""

    arrays: dict[str, np.ndarray]
    origin: str


def fed(audited: Audited, inputs: str | None) -> Fed:
    """The inputs of one run: those of an .npz file, else drawn, the same every time.

    Raises UsageError for an input whose shape is open or of a type that cannot be drawn, and for a file that does not
    hold what the model takes.
    """
    if inputs is None:
        (drawn,) = random_inputs(audited.graph, 1)
        return Fed(drawn, CHANCE if drawn else "nothing: the model has no inputs")
    file = from_file(inputs, audited.graph)
    return Fed(file.load(audited.graph), f"from {file.file}")


def sized(raw: Graph, given: Given, inputs: str | None) -> Audited:
    """A model at the sizes `given`; what these leave open is as the arrays of an .npz file are.

    Raises UsageError, also for a file that does not hold what the model takes.
    """
    if inputs is None:
        return examined(raw, given)
    file = from_file(inputs, infer(raw, given))
    return examined(raw, msgspec.structs.replace(given, shapes=dict(file.shapes)))


def assumptions(audited: Audited) -> tuple[str, ...]:
    """What a reader must know of sizes that nobody gave: the time is that of the assumed ones."""
    open_dims = assumed(audited)
    if not open_dims:
        return ()
    sizes = {name: audited.graph.dims[name].value for name in open_dims}
    told = ", ".join(f"{name}={size}" for name, size in sizes.items())
    options = " ".join(f"--dim {shlex.quote(name)}=N" for name in open_dims)
    count = "a dim" if len(open_dims) == 1 else f"{len(open_dims)} dims"
    return (f"the file leaves {count} open; it was run with {told}, ASSUMED: give the real ones: {options}",)
