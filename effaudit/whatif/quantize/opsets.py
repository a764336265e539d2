"""Whether a model may state a newer version of the standard operators: only where none of its own changed meaning.

https://github.com/onnx/onnx/blob/main/docs/Changelog.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from effaudit.graph import Graph, Node, nested

OLDEST: Final = 7  # before it most operators broadcast in another way

# Version -> operators it reads in another way than the version before. `Clip.min`: only where the attribute is given.
_CHANGED: Final[Mapping[int, str]] = {
    8: "Max Mean Min Sum",
    9: "BatchNormalization.spatial Scan Upsample",
    10: "Dropout Resize Slice TopK Upsample",
    11: "Clip.min Clip.max Pad Resize Scatter",
    12: "Dropout.ratio",
    13: """Softmax LogSoftmax Hardmax Squeeze.axes Unsqueeze ReduceSum.axes Split.split""",
    14: "BatchNormalization",
    18: """ReduceL1.axes ReduceL2.axes ReduceLogSum.axes ReduceLogSumExp.axes ReduceMax.axes ReduceMean.axes
        ReduceMin.axes ReduceProd.axes ReduceSumSquare.axes Split""",
    20: "DFT GridSample",
    21: "GroupNormalization",
}
CHANGED: Final[Mapping[int, Mapping[str, frozenset[str]]]] = {
    version: {
        op: frozenset(attr for one, _, attr in (word.partition(".") for word in words.split()) if one == op and attr)
        for op in {word.partition(".")[0] for word in words.split()}
    }
    for version, words in _CHANGED.items()
}


def raised(graph: Graph, needed: int) -> str:
    """Why the graph cannot state version `needed` of the standard operators; "" where it can, or does."""
    stated = graph.opsets.get("", 1)
    if stated >= needed:
        return ""
    limit = f"it needs opset {needed} and the model states {stated}"
    if stated < OLDEST:
        return f"{limit}; models older than opset {OLDEST} are not brought forward"
    for version in range(stated + 1, needed + 1):
        for part in nested((graph,)):
            for node in part.nodes:
                if not node.domain and _differs(node, version):
                    return f"{limit}; {node.op}, as {node.label!r}, changed in opset {version}"
    return ""


def _differs(node: Node, version: int) -> bool:
    """True where a version reads the node in another way than the one before."""
    changed = CHANGED.get(version, {})
    if node.op not in changed:
        return False
    if version == 14:
        return len(node.outputs) > 1  # statistics of a batch in training
    if node.op == "Split" and version == 18:
        return len(node.inputs) < 2  # equal parts, whose number must be stated since
    attrs = changed[node.op]
    return not attrs or not attrs.isdisjoint(node.attrs)
