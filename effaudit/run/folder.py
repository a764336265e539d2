"""Inputs from a folder of .npz files, one file per run: checked by their headers, loaded when their turn comes.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from math import prod
from typing import IO, TYPE_CHECKING, Any, Final

from effaudit.errors import UsageError
from effaudit.graph import Graph, Value
from effaudit.run.dtypes import FED

if TYPE_CHECKING:
    import numpy as np

MAX_BYTES: Final = 1 << 28  # of one array whose size the graph leaves open: a few kilobytes of a zip hold terabytes
_HEADER: Final = 1 << 16  # bytes of a header that are looked at; numpy writes a few hundred
_SUFFIX: Final = ".npy"


class Folder:
    """The inputs in a folder, in the order of the file names. Each is loaded anew whenever it is asked for."""

    def __init__(self, graph: Graph, files: tuple[str, ...]) -> None:
        self.files = files
        self._graph = graph

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Mapping[str, np.ndarray]]:
        for file in self.files:
            yield loaded(file, self._graph)


def from_folder(path: str | os.PathLike[str], graph: Graph) -> Folder:
    """The .npz files of a folder as inputs of a graph: an array per input, by its name; where there is one input, a
    single array of any name. Shapes are those of the graph, where it leaves none open; nothing is unpickled.

    Raises UsageError, which names the file and the input, for a folder or file that cannot be read, an input too many
    or too few, and an array of another type or shape. All headers are checked here, before anything is loaded.
    """
    folder = os.fspath(path)
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".npz"))
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read: {error.strerror}; give a folder of .npz files") from None
    if not names:
        raise UsageError(f"{folder}: holds no .npz file; save each input there with numpy.savez(FILE, {_keys(graph)})")
    files = tuple(os.path.join(folder, name) for name in names)
    for file in files:
        with opened_archive(file) as archive:
            checked(file, archive, graph)
    return Folder(graph, files)


def opened_archive(file: str) -> zipfile.ZipFile:
    """Raises UsageError where it cannot be read, or is no archive."""
    try:
        return zipfile.ZipFile(file)
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror or error}") from None
    except zipfile.BadZipFile:
        raise UsageError(f"{file}: not an .npz file; write it with numpy.savez") from None


def loaded(file: str, graph: Graph, *, nan: bool = False) -> dict[str, np.ndarray]:
    """The arrays of a file, by input. Raises UsageError, also where one holds NaN, unless `nan` allows it."""
    import numpy as np

    with opened_archive(file) as archive:
        found = {}
        for name, member in checked(file, archive, graph).items():
            try:
                with archive.open(member) as stream:
                    array = np.lib.format.read_array(stream, allow_pickle=False)
            except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
                raise UsageError(f"{file}: the array of input {name!r} cannot be read: {error}") from None
            if not nan and array.dtype.kind in "fc" and np.isnan(array).any():
                raise UsageError(f"{file}: input {name!r} holds NaN: no range follows from it")
            found[name] = array.astype(array.dtype.newbyteorder("="), copy=False)
        return found


def checked(file: str, archive: zipfile.ZipFile, graph: Graph) -> dict[str, zipfile.ZipInfo]:
    """The archive's member for each input, its header found to be what the graph takes."""
    members = {
        info.filename.removesuffix(_SUFFIX): info for info in archive.infolist() if info.filename.endswith(_SUFFIX)
    }
    if len(graph.inputs) == 1 and len(members) == 1:
        members = dict(zip(graph.inputs, members.values(), strict=True))
    if set(members) != set(graph.inputs):
        raise UsageError(
            f"{file}: holds {_listed(members)}; expected an array for each input of the model: {_listed(graph.inputs)}"
        )
    for name in graph.inputs:
        _check(file, name, graph.values.get(name) or graph.declared.get(name), *header(file, name, archive, members))
    return {name: members[name] for name in graph.inputs}


def header(
    file: str, name: str, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]
) -> tuple[tuple[int, ...], Any]:
    """(shape, dtype) as the header of an array states them; no more of it is unpacked."""
    import numpy as np

    where = f"{file}: the array of input {name!r}"
    try:
        with archive.open(members[name]) as stream:
            shape, dtype = _parsed(stream)
    except (ValueError, OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise UsageError(f"{where} cannot be read: {' '.join(str(error).split())[:200]}") from None
    if np.dtype(dtype).hasobject:
        raise UsageError(f"{where} holds Python objects, which are not unpickled; save numbers or text")
    return shape, dtype


def _parsed(stream: IO[bytes]) -> tuple[tuple[int, ...], Any]:
    from numpy.lib import format as npy

    start = BytesIO(stream.read(_HEADER))
    version = npy.read_magic(start)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version} of the .npy format")
    shape, _, dtype = read(start)
    return tuple(int(dim) for dim in shape), dtype


def _check(file: str, name: str, value: Value | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    where = f"{file}: input {name!r}"
    if value is None or value.encoding.dtype not in FED:
        raise UsageError(f"{where} is {value.encoding.dtype if value else 'unknown'}, which cannot be read from .npz")
    wanted = value.encoding.dtype
    found = "string" if dtype.kind == "U" else dtype.name
    if found != wanted:
        raise UsageError(f"{where} is {found}; the model takes {wanted}")
    dims = value.shape
    if dims is not None:
        same = len(dims) == len(shape) and all(
            not isinstance(d, int) or d == n for d, n in zip(dims, shape, strict=False)
        )
        if not same:
            raise UsageError(
                f"{where} has the shape {_shape(shape)}; the model takes {_shape(dims)}{_hint(dims, shape)}"
            )
    nbytes = prod(shape) * dtype.itemsize
    fixed = dims is not None and all(isinstance(d, int) for d in dims)
    if nbytes > MAX_BYTES and not (fixed and wanted != "string"):
        raise UsageError(f"{where} would take {nbytes:,} bytes; {MAX_BYTES:,} at most where the model leaves it open")


def _hint(dims: tuple[Any, ...], shape: tuple[int, ...]) -> str:
    """Where many samples lie in one array."""
    rest = dims[1:] == shape[1:] and len(dims) == len(shape) and bool(dims)
    if rest and isinstance(dims[0], int) and shape[0] > dims[0]:
        return f"; {shape[0]} samples in one array: write a file for every {dims[0]}"
    if shape == dims[1:]:
        return "; the leading dim is missing"
    return ""


def _shape(dims: tuple[Any, ...]) -> str:
    return "x".join(map(str, dims)) or "scalar"


def _keys(graph: Graph) -> str:
    return ", ".join(f"{name}=..." if name.isidentifier() else f"**{{{name!r}: ...}}" for name in graph.inputs[:3])


def _listed(names: Any) -> str:
    found = [repr(name) for name in names]
    return ", ".join(found[:6]) + (f" and {len(found) - 6} more" if len(found) > 6 else "") or "no array"
