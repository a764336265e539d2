"""The input of one run from an .npz file: its headers first, because its shapes may be what the model leaves open."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from effaudit.errors import UsageError
from effaudit.graph import Graph
from effaudit.run.folder import checked, header, loaded, opened_archive

if TYPE_CHECKING:
    import numpy as np


class FileInput(msgspec.Struct, frozen=True):
    """One input of a graph: the `file` it lies in, and the shape of each array, by the name of the graph's input; what
    `Given(shapes=...)` takes."""

    file: str
    shapes: Mapping[str, tuple[int, ...]]

    def load(self, graph: Graph) -> dict[str, np.ndarray]:
        """The arrays. `graph` may have more of its dims in numbers than the one that the headers were checked against.
        Raises UsageError for an array that cannot be read."""
        return loaded(self.file, graph, nan=True)


def from_file(path: str | os.PathLike[str], graph: Graph) -> FileInput:
    """An .npz file, or the first of a folder by its name, as the input of a graph: an array per input, by its name;
    where there is one input, a single array of any name. No array is read yet, and nothing is ever unpickled.

    Raises UsageError, which names the file and the input, for what cannot be read, an input too many or too few, an
    array of another type or shape, and one too large where the graph leaves its size open.
    """
    file = _first(os.fspath(path))
    with opened_archive(file) as archive:
        members = checked(file, archive, graph)
        return FileInput(file, {name: header(file, name, archive, members)[0] for name in members})


def _first(path: str) -> str:
    """The file, or the first one of a folder."""
    if not os.path.isdir(path):
        return path
    try:
        names = sorted(name for name in os.listdir(path) if name.endswith(".npz"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; give an .npz file") from None
    if not names:
        raise UsageError(f"{path}: holds no .npz file; save the inputs there with numpy.savez")
    return os.path.join(path, names[0])
