"""A graph "as if quantized": every floating tensor stored in another type, nothing else changed.

What the sizes would be, with no claim of accuracy: activations and weights (parameters and the statistics of norms)
take the type; biases of convolutions and Gemm are int32 beside 8-bit integers, int64 beside int16, as in TFLite's
specification (https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec). Pairs of
QuantizeLinear and DequantizeLinear that the graph has are folded first. Scales and zero points are not counted: a real
quantized file has them. Bodies of If, Loop, Scan and functions stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from effaudit.errors import UsageError
from effaudit.graph import ENCODINGS, INT32, INT64, Constant, Encoding, Graph, Value
from effaudit.lower import boundary, qdq
from effaudit.lower._rewrite import FLOATING
from effaudit.lower.norms import AS_IF
from effaudit.weights import BUFFER, PARAM, classify

_BY_NAME: Final[Mapping[str, Encoding]] = {e.dtype: e for e in ENCODINGS.values()}
DTYPES: Final[Mapping[str, Encoding]] = {
    "int8": _BY_NAME["int8"],
    "uint8": _BY_NAME["uint8"],
    "int16": _BY_NAME["int16"],
    "fp16": _BY_NAME["float16"],
    "bf16": _BY_NAME["bfloat16"],
}
ALIASES: Final = {"w8a8": "int8", "float16": "fp16", "bfloat16": "bf16"}
_BIASES: Final[Mapping[str, Encoding]] = {"int8": INT32, "uint8": INT32, "int16": INT64}
_BIASED: Final = frozenset("Conv ConvTranspose Gemm".split())


def as_if(graph: Graph, dtype: str) -> Graph:
    """The graph with inferred shapes, its floating tensors stored as "int8", "uint8", "int16", "fp16" or "bf16"; itself
    where nothing is floating. Raises UsageError for any other type.
    """
    wanted = ALIASES.get(dtype.lower(), dtype.lower())
    if wanted not in DTYPES:
        raise UsageError(f"--quantize {dtype!r}: expected one of {', '.join(DTYPES)}")
    encoding, dtype = DTYPES[wanted], wanted
    folded = boundary.integers(qdq.fold(graph))
    constants = _constants(folded, encoding, _BIASES.get(dtype))
    values = {name: _stored(folded, name, value, encoding, constants) for name, value in folded.values.items()}
    if all(values[name] is value for name, value in folded.values.items()):
        return folded
    given = set(folded.inputs)
    declared = {name: values.get(name, at) if name in given else at for name, at in folded.declared.items()}
    return replace(
        folded,
        values=values,
        constants=constants,
        declared=declared,
        history=(*folded.history, f"{AS_IF}{dtype}"),
    )


def _constants(graph: Graph, encoding: Encoding, bias: Encoding | None) -> dict[str, Constant]:
    """Every constant, the floating parameters and buffers in their new type."""
    roles = {id(t.constant) for t in classify(graph).of(PARAM, BUFFER)}
    biases = {n.inputs[2] for n in graph.nodes if n.op in _BIASED and not n.domain and len(n.inputs) > 2}
    found = dict(graph.constants)
    for name, constant in graph.constants.items():
        if id(constant) in roles and constant.encoding.dtype in FLOATING:
            new = bias if bias is not None and name in biases else encoding
            if new != constant.encoding:
                found[name] = _converted(constant, new)
    return found


def _converted(constant: Constant, encoding: Encoding) -> Constant:
    size = encoding.nbytes(constant.numel)
    assert type(size) is int
    why = f"stored as if {encoding.dtype}: no such elements exist"
    return replace(constant, encoding=encoding, nbytes=size, raw=None, payload=None, missing=why)


def _stored(graph: Graph, name: str, value: Value, encoding: Encoding, constants: Mapping[str, Constant]) -> Value:
    """The value in its new type. A tensor that a rule reads as numbers (a limit, a scale of Resize) keeps its own."""
    if name in graph.constants:
        new = constants[name].encoding
        return value if new == value.encoding else replace(value, encoding=new, content=None)
    if value.encoding.dtype not in FLOATING or value.content is not None or value.encoding == encoding:
        return value
    return replace(value, encoding=encoding)
