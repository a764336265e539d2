"""The type and value fields of an attribute, from its Python value.

AttributeProto: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from typing import Any, Final

from effaudit.errors import UsageError
from effaudit.graph import Constant, Node, Value
from effaudit.load.convert import FLOAT_A, FLOATS_A, INT_A, INTS_A, STRING_A, STRINGS_A, Reference
from effaudit.ops._registry import find_built_in
from effaudit.save.message import Message
from effaudit.save.storage import Storage
from effaudit.save.types import tensor_type

_TENSOR_A, _TYPE_A, TYPE = 4, 13, 20
_LISTS: Final = {int: INTS_A, float: FLOATS_A, str: STRINGS_A}
_SINGLE: Final = {int: INT_A, float: FLOAT_A, str: STRING_A}


def attribute(node: Node, name: str, value: Any, storage: Storage) -> Message:
    """The AttributeProto of a node's attribute. Where the value leaves its type open (an empty list, a whole number
    for a float), the operator's signature decides; an empty list is one of integers where that tells nothing.

    Raises UsageError for a value that no attribute can have, or that was not read.
    """
    message = Message()
    message.text(1, name)
    if isinstance(value, Constant):
        message.message(5, storage.tensor(value))
        message.number(TYPE, _TENSOR_A)
    elif isinstance(value, Value):
        message.message(14, tensor_type(name, value))
        message.number(TYPE, _TYPE_A)
    elif isinstance(value, tuple):
        _list(message, value, _kind(node, name, [type(one) for one in value]))
    elif isinstance(value, (int, float, str)) and not isinstance(value, Reference):
        _single(message, value, _kind(node, name, [type(value)]))
    else:
        raise UsageError(
            f"{node.op} {node.label!r}: the attribute {name!r} cannot be saved, since its value was not read"
        )
    return message


def _kind(node: Node, name: str, found: list[type]) -> type:
    """int, float or str."""
    kinds = {int if kind is bool else kind for kind in found}
    if kinds - {int, float, str} or (str in kinds and len(kinds) > 1):
        raise UsageError(f"{node.op} {node.label!r}: the attribute {name!r} holds what no attribute can")
    if float in kinds or str in kinds:
        return kinds.pop() if len(kinds) == 1 else float
    rules = find_built_in(node.domain, node.op)
    signatures = (rules.shape_takes, rules.cost_takes) if rules else ()
    stated = {kind for s in signatures if s for kind in s.types.get(name, ()) if kind in _SINGLE}
    if len(stated) == 1 and (not kinds or float in stated):
        return stated.pop()
    return int


def _single(message: Message, value: Any, kind: type) -> None:
    if kind is str:
        message.text(4, value)
    elif kind is float:
        message.real(2, value)
    else:
        message.number(3, int(value))
    message.number(TYPE, _SINGLE[kind])


def _list(message: Message, values: tuple[Any, ...], kind: type) -> None:
    for value in values:
        if kind is str:
            message.text(9, value)
        elif kind is float:
            message.real(7, value)
        else:
            message.number(8, int(value))
    message.number(TYPE, _LISTS[kind])
