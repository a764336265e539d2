"""Constants that a rewrite makes: elements computed from others' when they are first needed, or given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from effaudit.errors import UsageError
from effaudit.graph import ENCODINGS, Constant, Encoding, Graph, Node

if TYPE_CHECKING:
    import numpy as np

BY_NAME: Final[Mapping[str, Encoding]] = {encoding.dtype: encoding for encoding in ENCODINGS.values()}
CODES: Final[Mapping[str, int]] = {encoding.dtype: code for code, encoding in ENCODINGS.items()}  # of TensorProto


def missing(constant: Constant) -> str:
    """Why the elements of a constant cannot be had; "" where they can."""
    if constant.read is not None or constant.raw is not None or constant.payload is not None:
        return constant.missing
    return constant.missing or ("" if constant.numel == 0 else "no data")


def holds_weights(tensors: Iterable[Constant]) -> bool:
    """True where the elements of all of them can be had."""
    return not any(map(missing, tensors))


def elements(constant: Constant, what: str) -> np.ndarray:
    """The elements of a constant, for what wants them. Raises UsageError where the model holds structure only."""
    from effaudit.load.values import values

    if why := missing(constant):
        raise UsageError(f"{what} reads the weights, and {constant.name!r} has none: {why}")
    return values(constant)


def derived(
    source: Constant,
    compute: Callable[[np.ndarray], np.ndarray],
    *,
    shape: tuple[int, ...],
    encoding: Encoding | None = None,
    name: str | None = None,
) -> Constant:
    """A constant whose elements are computed from another's when they are read; of one without elements, a header."""
    from effaudit.load.values import values

    stored = encoding or source.encoding
    why = missing(source)
    return sized(
        replace(
            source,
            name=source.name if name is None else name,
            read=None if why else lambda: compute(values(source)).reshape(shape),
            missing=why,
        ),
        shape,
        stored,
    )


def sized(constant: Constant, shape: tuple[int, ...], encoding: Encoding) -> Constant:
    """The constant with another shape and encoding; where its bytes lay is forgotten."""
    numel = prod(shape)
    size = encoding.nbytes(numel)
    assert type(size) is int
    return replace(
        constant,
        shape=shape,
        encoding=encoding,
        numel=numel,
        nbytes=size,
        location="inline",
        raw=None,
        payload=None,
        strings=None,
    )


def literal(name: str, array: np.ndarray, encoding: Encoding | None = None, place: str = "initializer") -> Constant:
    """A constant of given elements; the encoding is that of the array's type where none is named."""
    stored = encoding or BY_NAME[array.dtype.name]
    made = Constant(name, stored, tuple(array.shape), place, 0, 0, read=lambda: array)
    return sized(made, tuple(array.shape), stored)


def tensor(graph: Graph, name: str, makers: Mapping[str, Node]) -> Constant | None:
    """The constant a name stands for: an initializer, or the tensor of a Constant node among `makers`."""
    found = graph.constants.get(name)
    if found is not None:
        return found
    node = makers.get(name)
    if node is None or node.op != "Constant" or node.domain:
        return None
    held = node.attrs.get("value")
    return held if isinstance(held, Constant) else None


def computed(
    sources: Sequence[Constant],
    compute: Callable[..., np.ndarray],
    *,
    name: str,
    shape: tuple[int, ...],
    encoding: Encoding,
) -> Constant:
    """A constant whose elements are computed from several others' when they are read; a header where one has none."""
    from effaudit.load.values import values

    why = next((reason for source in sources if (reason := missing(source))), "")
    read = None if why else lambda: compute(*(values(source) for source in sources)).reshape(shape)
    return sized(Constant(name, encoding, shape, "initializer", 0, 0, missing=why, read=read), shape, encoding)
