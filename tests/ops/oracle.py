"""The judge of operator rules: a one-node model is run, and what effaudit inferred must agree with what came out.

`check("MaxPool", [x], {"kernel_shape": [2, 2]}, outputs=2)` compares shapes, dtypes and every propagated value,
with the input dims fixed and again with each of them a symbol of its own. ONNX Runtime runs the model, unoptimised;
the onnx reference evaluator where it has no kernel.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnxruntime.capi import onnxruntime_pybind11_state as state

from effaudit import dims
from effaudit.graph import ENCODINGS, SEQUENCE, Graph, Value
from effaudit.load import load
from effaudit.ops._call import arguments
from effaudit.ops._registry import Context, Cost, find

ort.set_default_logger_severity(4)

Array = np.ndarray[Any, Any]
Fed = Array | list[Array] | None  # a list is a sequence, None an omitted optional input
NEVER, SYMBOLIC, ALWAYS = "never", "symbolic", "always"  # when an output may be unknown
REFUSALS: tuple[type[Exception], ...] = (
    *(x for x in vars(state).values() if isinstance(x, type) and issubclass(x, Exception)),
    RuntimeError,
    ValueError,
    TypeError,
)  # what ONNX Runtime raises: its own exceptions have no common base
_ORT_NAMES = {"float": "float32", "double": "float64"}


class Measured(NamedTuple):
    """One output as it came out; `array` is None where numpy has no such type, a list for a sequence."""

    dtype: str
    shape: tuple[int, ...]
    array: Any


def check(
    op: str,
    inputs: Sequence[Fed],
    attrs: Mapping[str, Any] | None = None,
    *,
    opset: int = 17,
    domain: str = "",
    outputs: int | Sequence[bool] = 1,
    constant: Iterable[int] | bool = (),
    symbolic: bool = True,
    unknown: str = NEVER,
    tie: bool = False,
    expected: Sequence[Array] | None = None,
    run_as: int | None = None,
    ir_version: int = 10,
) -> Graph:
    """Runs one node and compares; returns what effaudit inferred under static dims.

    `outputs`: how many, or which are wanted. `constant`: the inputs (by place; True: all) that are initializers.
    `tie`: input dims of equal size are one symbol. `expected`: the outputs, where no runtime has a kernel. `run_as`: an
    opset to run it under, where no runtime has this one and the operator did not change.
    """
    model = single_node(op, inputs, attrs, opset, domain, outputs, constant, ir_version)
    places = range(len(inputs)) if constant is True else list(constant or ())
    feeds = {f"in{i}": x for i, x in enumerate(inputs) if x is not None and i not in places}
    older = model if run_as is None else single_node(op, inputs, attrs, run_as, domain, outputs, constant, ir_version)
    return compare(model, feeds, symbolic=symbolic, unknown=unknown, tie=tie, expected=expected, runnable=older)


def single_node(
    op: str,
    inputs: Sequence[Fed],
    attrs: Mapping[str, Any] | None = None,
    opset: int = 17,
    domain: str = "",
    outputs: int | Sequence[bool] = 1,
    constant: Iterable[int] | bool = (),
    ir_version: int = 10,
) -> ModelProto:
    """A model of one node over inputs `in0`, `in1`... with outputs `out0`, `out1`..."""
    wanted = [True] * outputs if isinstance(outputs, int) else list(outputs)
    places = range(len(inputs)) if constant is True else list(constant or ())
    names = [f"in{i}" if x is not None else "" for i, x in enumerate(inputs)]
    made = [f"out{i}" if flag else "" for i, flag in enumerate(wanted)]
    node = helper.make_node(op, names, made, name="node", domain=domain, **(attrs or {}))
    graph = helper.make_graph(
        [node],
        "single",
        [declared(f"in{i}", x) for i, x in enumerate(inputs) if x is not None and i not in places],
        [onnx.ValueInfoProto(name=name) for name in made if name],
        [numpy_helper.from_array(_array(x), f"in{i}") for i, x in enumerate(inputs) if x is not None and i in places],
    )
    imports = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=imports, ir_version=ir_version)


def declared(name: str, fed: Fed) -> ValueInfoProto:
    """The static type of what is fed."""
    if isinstance(fed, list):
        kind = helper.np_dtype_to_tensor_dtype(fed[0].dtype)
        return helper.make_tensor_sequence_value_info(name, kind, None)
    array = _array(fed)
    kind = TensorProto.STRING if array.dtype.kind in "OUT" else helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, kind, array.shape)


def compare(
    model: ModelProto,
    feeds: Mapping[str, Fed],
    *,
    symbolic: bool = True,
    unknown: str = NEVER,
    tie: bool = False,
    expected: Sequence[Array] | None = None,
    runnable: ModelProto | None = None,
) -> Graph:
    """Compares effaudit's inference of every graph output with what a run (of `runnable`) measures."""
    measured = [_measured(x) for x in expected] if expected is not None else run(runnable or model, feeds)
    graph = infer(model)
    names = [output.name for output in model.graph.output]
    assert len(measured) == len(names)
    for name, real in zip(names, measured, strict=True):
        _agree(name, graph, real, {}, unknown == ALWAYS)
    if symbolic:
        open_model, sizes = symbolised(model, tie)
        if sizes:
            inferred = infer(open_model)
            for name, real in zip(names, measured, strict=True):
                _agree(name, inferred, real, sizes, unknown != NEVER)
    return graph


def symbolised(model: ModelProto, tie: bool = False) -> tuple[ModelProto, dict[str, int]]:
    """The model with every input dim a symbol, and the sizes they stand for. Empty dims stay fixed."""
    copy = ModelProto()
    copy.CopyFrom(model)
    sizes: dict[str, int] = {}
    for value in copy.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_value > 0:
                name = f"d{dim.dim_value}s" if tie else f"d{len(sizes)}"
                sizes[name] = dim.dim_value
                dim.dim_param = name
    return copy, sizes


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def infer(model: ModelProto) -> Graph:
    """What effaudit makes of the model, read from a file as a user's would be."""
    path = Path(_folder().name) / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return load(str(path))


def run(model: ModelProto, feeds: Mapping[str, Fed]) -> list[Measured]:
    """The outputs under ONNX Runtime, else under the reference evaluator."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        types = [output.type for output in session.get_outputs()]
        given = {name: _ort_value(fed) for name, fed in feeds.items()}
        if any(value is None for value in given.values()) or any(not t.startswith("tensor") for t in types):
            found = session.run(None, {name: _plain(fed) for name, fed in feeds.items()})
            return [_measured(x, _ort_dtype(t)) for x, t in zip(found, types, strict=True)]
        found = session.run_with_ort_values(None, given)
        return [Measured(_ort_dtype(t), tuple(v.shape()), _numpy(v)) for v, t in zip(found, types, strict=True)]
    except REFUSALS as refusal:
        print(f"ONNX Runtime: {refusal}")  # shown should the reference fail too
        return [_measured(x) for x in ReferenceEvaluator(model).run(None, dict(feeds))]


def runs(model: ModelProto, feeds: Mapping[str, Fed]) -> bool:
    """Whether ONNX Runtime accepts and runs the model (hypothesis tests draw some that it refuses)."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        session.run(None, dict(feeds))
    except REFUSALS:
        return False
    return True


def cost(graph: Graph, place: int = 0) -> Cost:
    """The cost of one node of an inferred graph."""
    node = graph.nodes[place]
    rules = find(node.domain, node.op)
    assert rules is not None and rules.cost is not None and rules.cost_takes is not None
    takes = rules.cost_takes
    args, attrs = arguments(node, [graph.values[n] if n else None for n in node.inputs], takes)
    outs = tuple(graph.values[n] if n else None for n in node.outputs)
    extra: dict[str, Any] = {}
    if takes.wants_out:
        extra["out"] = next(out for out in outs if out is not None)
    if takes.wants_outs:
        extra["outs"] = outs
    if takes.wants_ctx:
        extra["ctx"] = Context(node, graph.opsets.get(node.domain, 1), _no_dim, _no_body)
    return rules.cost(*args, **attrs, **extra)


def value(graph: Graph, place: int = 0) -> Value:
    """The inferred output `place` of a one-node model."""
    return graph.values[f"out{place}"]


def random(*shape: int, dtype: Any = np.float32, seed: int = 0) -> Array:
    """Reproducible numbers in 0..1 (0..8 for integers)."""
    generator = np.random.default_rng(seed)
    if np.dtype(dtype).kind in "iu":
        return generator.integers(0, 8, shape).astype(dtype)
    return generator.random(shape).astype(dtype)


def ints(*values: int) -> Array:
    """A 1-D int64 tensor."""
    return np.array(values, np.int64)


def scalar(number: float, dtype: Any = np.int64) -> Array:
    """A 0-D tensor."""
    return np.array(number, dtype)


def _agree(name: str, graph: Graph, real: Measured, sizes: Mapping[str, int], may_be_unknown: bool) -> None:
    inferred = graph.values[name]
    label = f"{name} ({'symbolic' if sizes else 'static'}): {inferred.encoding.dtype} {inferred.shape} {inferred.why}"
    if inferred.encoding is SEQUENCE or real.dtype == "sequence":
        assert inferred.encoding == SEQUENCE and real.dtype == "sequence", label
        for item in real.array:
            _agree_shape(label, inferred.shape, np.shape(item), sizes, True)
        return
    if inferred.shape is None and may_be_unknown:
        assert inferred.encoding.dtype in ("unknown", real.dtype), label
        assert inferred.why, label
        return
    assert inferred.encoding.dtype == real.dtype, f"{label}; measured {real.dtype}"
    _agree_shape(label, inferred.shape, real.shape, sizes, may_be_unknown)
    if inferred.data is not None and real.array is not None:
        _agree_data(label, inferred.data, real.array, sizes)


def _agree_shape(label: str, shape: Any, real: tuple[int, ...], sizes: Mapping[str, int], may_be_unknown: bool) -> None:
    assert shape is not None or may_be_unknown, f"{label}; measured {real}"
    if shape is None:
        return
    assert len(shape) == len(real), f"{label}; measured {real}"
    for dim, size in zip(shape, real, strict=True):
        found = dims.evaluate(dim, sizes)
        if found is not None:
            assert found == size, f"{label}; measured {real}"
            continue
        assert may_be_unknown, f"{label}; measured {real}: {dim} is unknown"
        for symbol in dims.symbols(dim) if str(dim) in {s.name for s in dims.symbols(dim)} else ():
            high = None if symbol.hi is None else dims.evaluate(symbol.hi, sizes)
            assert symbol.lo <= size and (high is None or size <= high), f"{label}; {size} not in {symbol.lo}..{high}"


def _agree_data(label: str, data: tuple[Any, ...], array: Array, sizes: Mapping[str, int]) -> None:
    flat = list(array.reshape(-1).tolist())
    assert len(flat) == len(data), f"{label}: {len(data)} elements known of {len(flat)}"
    for known, real in zip(data, flat, strict=True):
        if known is None:
            continue
        found = dims.evaluate(known, sizes) if isinstance(known, dims.Expr) else known
        if found is None:
            continue
        same = found == pytest.approx(real, rel=1e-6, nan_ok=True) if isinstance(real, float) else found == real
        assert same, f"{label}: value {known} where {real} came out"


def _measured(found: Any, dtype: str = "") -> Measured:
    if isinstance(found, list):
        return Measured("sequence", (), found)
    array = np.asarray(found)
    if not dtype:
        kind = TensorProto.STRING if array.dtype.kind in "OUT" else helper.np_dtype_to_tensor_dtype(array.dtype)
        dtype = ENCODINGS[kind].dtype
    return Measured(dtype, array.shape, array)


def _ort_dtype(kind: str) -> str:
    if not kind.startswith("tensor("):
        return "sequence"
    name = kind[len("tensor(") : -1]
    return _ORT_NAMES.get(name, name)


def _ort_value(fed: Fed) -> Any:
    if fed is None or isinstance(fed, list):
        return None
    array = _array(fed)
    if array.dtype.kind in "OUT":
        return None
    if array.dtype.kind == "V" or array.dtype.name in ("bfloat16",) or array.dtype.name.startswith("float8"):
        raw = array.view(np.uint16 if array.dtype.itemsize == 2 else np.uint8)
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(raw, helper.np_dtype_to_tensor_dtype(array.dtype))
    return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array) if array.ndim else array)


def _plain(fed: Fed) -> Any:
    return fed if isinstance(fed, list) else _array(fed)


def _array(fed: Fed) -> Array:
    assert fed is not None and not isinstance(fed, list)
    return fed


def _numpy(value: Any) -> Any:
    try:
        return value.numpy()
    except REFUSALS:  # a type numpy does not have
        return None


def _no_dim(*_: Any) -> Any:
    raise AssertionError("a cost rule wants a fresh dim")


def _no_body(*_: Any) -> Any:
    raise AssertionError("a cost rule wants to run a body")
