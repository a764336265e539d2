"""ONNX Runtime's own shape inference as a judge for operators that have no CPU kernel.

A model that states impossible output shapes is opened: ONNX Runtime warns that they do not merge with those it
inferred, and names both. That works for every registered schema, whether or not a kernel can run it.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from effaudit.graph import Graph
from tests.ops.oracle import REFUSALS, infer

MS = "com.microsoft"
ODD = 97  # no operator here makes this size
Typed = tuple[str, tuple[int, ...]] | None
_TYPES = {name.lower(): number for name, number in TensorProto.DataType.items()}
_TYPES |= {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}


def schema_shapes(
    op: str, inputs: Sequence[Typed], attrs: Mapping[str, Any], outputs: int = 1, domain: str = MS
) -> tuple[dict[str, tuple[int, ...]], Graph]:
    """The output shapes ONNX Runtime infers (-1 for a dim it cannot tell), and what effaudit makes of the same node."""
    names = ["" if x is None else f"in{i}" for i, x in enumerate(inputs)]
    fed = [helper.make_tensor_value_info(f"in{i}", _TYPES[x[0]], x[1]) for i, x in enumerate(inputs) if x is not None]
    made = [f"out{i}" for i in range(outputs)]
    node = helper.make_node(op, names, made, name="node", domain=domain, **attrs)
    imports = [helper.make_opsetid("", 21)] + ([helper.make_opsetid(domain, 1)] if domain else [])

    def model(stated: Sequence[onnx.ValueInfoProto]) -> onnx.ModelProto:
        graph = helper.make_graph([node], "single", fed, stated)
        return helper.make_model(graph, opset_imports=imports, ir_version=10)

    graph = infer(model([onnx.ValueInfoProto(name=name) for name in made]))
    types = [_TYPES.get(graph.values[name].encoding.dtype, TensorProto.FLOAT) for name in made]
    odd = [helper.make_tensor_value_info(name, t, [ODD] * 7) for name, t in zip(made, types, strict=True)]
    warned = _warnings(model(odd))
    found = re.findall(r"'(out\d+)' source:\{([^}]*)\}", warned)
    assert found, f"{op}: nothing inferred: {warned}"
    return {name: tuple(int(d) for d in dims.split(",") if d) for name, dims in found}, graph


def _warnings(model: onnx.ModelProto) -> str:
    """What ONNX Runtime says on stderr while it opens the model, which need not be runnable."""
    options = ort.SessionOptions()
    options.log_severity_level = 2
    saved = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            ort.InferenceSession(model.SerializeToString(), options)
        except REFUSALS as refusal:
            said = str(refusal)
        else:
            said = ""
        finally:
            os.dup2(saved, 2)
            os.close(saved)
        log.seek(0)
        return log.read().decode(errors="replace") + said
