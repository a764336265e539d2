"""Products that are quantized as they run: MatMulInteger with what turns its result back, and what quantizes its input.

`MatMulIntegerToFloatFusion` and `DynamicQuantizeMatMulFusion` (onnxruntime/core/optimizer).
"""

from __future__ import annotations

from effaudit.graph import Graph, Node
from effaudit.lower.ort_fusions.draft import Draft
from effaudit.ops._registry import MICROSOFT


def to_float(graph: Graph) -> Graph:
    """MatMulInteger, Cast, Mul by both scales and the Add of a bias as com.microsoft's MatMulIntegerToFloat."""
    draft = Draft(graph)
    for i in draft.indices():
        node = draft.nodes[i]
        if node.op == "MatMulInteger" and not node.domain:
            _to_float(draft, i)
    return draft.graph()


def _to_float(draft: Draft, i: int) -> None:
    product = draft.nodes[i]
    cast = draft.reader(product.outputs[0], "Cast")
    scaled = None if cast is None else draft.reader(draft.nodes[cast].outputs[0], "Mul")
    if cast is None or scaled is None:
        return
    source = draft.nodes[cast].outputs[0]
    both = next((name for name in draft.nodes[scaled].inputs if name != source), "")
    scales = draft.makes(both, "Mul")
    if scales is None or draft.sole(both) is None or len(product.inputs) < 2:
        return
    gone = [i, cast, scaled, draft.maker(both)]
    zeros = (*product.inputs[2:4], "", "")[:2]
    inputs = (*product.inputs[:2], *scales.inputs, *zeros)
    out = draft.nodes[scaled].outputs[0]
    shift = draft.reader(out, "Add")
    bias = "" if shift is None else next((name for name in draft.nodes[shift].inputs if draft.is_constant(name)), "")
    if shift is not None and bias and len(draft.shape(bias) or ()) == 1:
        gone.append(shift)
        inputs, out = (*inputs, bias), draft.nodes[shift].outputs[0]
    draft.fuse(
        [j for j in gone if j is not None], Node(product.name, MICROSOFT, "MatMulIntegerToFloat", inputs, (out,), {})
    )


def quantizing(graph: Graph) -> Graph:
    """DynamicQuantizeLinear in the one product that reads it: com.microsoft's DynamicQuantizeMatMul."""
    draft = Draft(graph)
    for i in draft.indices():
        node = draft.nodes[i]
        if node.op != "MatMulIntegerToFloat" or node.domain != MICROSOFT:
            continue
        j = draft.maker(node.inputs[0])
        before = None if j is None else draft.nodes[j]
        if j is None or before is None or before.op != "DynamicQuantizeLinear":
            continue
        fits = (before.outputs[0], before.outputs[1], before.outputs[2]) == (*node.inputs[:1], *node.inputs[2:5:2])
        if fits and all(draft.sole(name) == i for name in before.outputs):
            inputs = (before.inputs[0], node.inputs[1], node.inputs[3], node.inputs[5], *node.inputs[6:])
            made = Node(node.name, MICROSOFT, "DynamicQuantizeMatMul", inputs, node.outputs, {})
            draft.fuse((i, j), made)
    return draft.graph()
