"""The type and value fields of an attribute, from its Python value.

AttributeProto: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from typing import Any, Final

from effaudit.errors import UsageError
from effaudit.graph import Constant, Node, Value
from effaudit.load.convert import FLOAT_A, FLOATS_A, INT_A, INTS_A, STRING_A, STRINGS_A, Reference
from effaudit.save.message import Message
from effaudit.save.storage import Storage
from effaudit.save.types import tensor_type

_TENSOR_A, _TYPE_A, TYPE = 4, 13, 20
# Attributes that are floats, or lists of them, in every operator that has one of the name; and lists of strings.
_REAL: Final = frozenset(
    """alpha beta bias clip cubic_coeff_a decay_factor default_float epsilon extrapolation_value gamma height_scale high
    lambd low max mean min momentum norm_coefficient norm_coefficient_post ratio replaced_value_float scale softcap
    spatial_scale threshold value_float width_scale activation_alpha activation_beta activation_gamma base_values
    class_weights coefficients imputed_value_floats intercepts kernel_params keys_floats nodes_hitrates nodes_values
    offset prob_a prob_b rho scales support_vectors target_weights value_floats values_floats weights
    mask_filter_value activation_params reduction_scale head_weight_scale qk_norm_epsilon temperature
    swiglu_limit""".split()
)
_TEXTS: Final = frozenset(
    """activations cats_strings classes_strings classlabels_strings keys_strings nodes_modes pool_strings separators
    stopwords string_vocabulary value_strings values_strings xs zs""".split()
)
_LISTS: Final = {int: INTS_A, float: FLOATS_A, str: STRINGS_A}
_SINGLE: Final = {int: INT_A, float: FLOAT_A, str: STRING_A}


def attribute(node: Node, name: str, value: Any, storage: Storage) -> Message:
    """The AttributeProto of a node's attribute. Where the value leaves its type open (an empty list, a whole number
    for a float), the attribute's name decides: in the schemas of operators most names have one type everywhere.

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
    return float if name in _REAL else str if name in _TEXTS and not kinds else int


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
