"""Value -> TypeProto and ValueInfoProto, as `load.types` reads them."""

from __future__ import annotations

from effaudit.dims import Dim
from effaudit.errors import UsageError
from effaudit.graph import SEQUENCE, Value
from effaudit.save.message import Message
from effaudit.save.storage import CODES


def value_info(name: str, value: Value | None) -> Message:
    """The ValueInfoProto of a tensor; without a type where none is known.

    Raises UsageError for a sequence: what it holds is not known.
    """
    message = Message()
    message.text(1, name)
    if value is not None and value.encoding is SEQUENCE:
        raise UsageError(f"{name!r}: a sequence, whose type can be saved only as it stands in the file")
    if value is not None and value.encoding in CODES:
        message.message(2, tensor_type(name, value))
    return message


def tensor_type(name: str, value: Value) -> Message:
    """The TypeProto of a tensor: dims without a name of their own (`x[2]` of x) have none in the file either."""
    tensor = Message()
    tensor.number(1, CODES[value.encoding])
    if value.shape is not None:
        shape = Message()
        for i, dim in enumerate(value.shape):
            shape.message(1, _dim(dim, f"{name}[{i}]"))
        tensor.message(2, shape)
    typed = Message()
    typed.message(1, tensor)
    return typed


def _dim(dim: Dim, anonymous: str) -> Message:
    message = Message()
    if isinstance(dim, int):
        message.number(1, dim)
    elif str(dim) != anonymous:
        message.text(2, str(dim))
    return message
