"""Bringing a model forward to a newer version of the standard operators: those whose spelling changed are spelt anew,
those that changed meaning forbid it.

https://github.com/onnx/onnx/blob/main/docs/Changelog.md
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from msgspec.structs import replace

from effaudit.graph import Graph, Node, nested
from effaudit.whatif.constants import literal
from effaudit.whatif.draft import Draft

OLDEST: Final = 7  # before it most operators broadcast in another way

# Version -> operators it reads in another way than the version before. `Clip.min`: only where the attribute is given.
_CHANGED: Final[Mapping[int, str]] = {
    8: "Max Mean Min Sum",
    9: "BatchNormalization.spatial Scan Upsample",
    10: "Dropout Resize Slice TopK Upsample",
    11: "Clip.min Clip.max Pad Resize Scatter",
    12: "Dropout.ratio",
    13: "Softmax LogSoftmax Hardmax Squeeze.axes Unsqueeze ReduceSum.axes Split.split",
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
# Attributes that became the second input as they are: a list of whole numbers.
_MOVED: Final = {
    (op, version): attr for version in (13, 18) for op, attrs in CHANGED[version].items() for attr in attrs
}
_MOVED[("Unsqueeze", 13)] = "axes"
_LAST_AXIS: Final = ("Softmax", "LogSoftmax", "Hardmax")  # opset 13: along one axis, before it over all from it on


def raised(graph: Graph, needed: int) -> str:
    """Why the graph, as it is spelt, cannot state version `needed` of the standard operators; "" where it can."""
    return _refused(graph, needed, ())


def bring_forward(draft: Draft, needed: int) -> str:
    """Makes the draft state version `needed`, nodes spelt anew where it must be; or says why it cannot."""
    stated = draft.opsets.get("", 1)
    respelt = [i for i, node in enumerate(draft.raw.nodes) if _respelt(draft, node, stated, needed)]
    if why := _refused(replace(draft.raw, opsets=draft.opsets), needed, respelt):
        return why
    for version in range(stated + 1, needed + 1):
        for i in respelt:
            draft.put(i, *(_spelt(draft, node, version) for node in draft.at(i)))
    draft.opsets[""] = max(needed, stated)
    return ""


def _refused(graph: Graph, needed: int, but: Collection[int]) -> str:
    """Why the graph cannot be brought to a version, the nodes `but` of it left out."""
    stated = graph.opsets.get("", 1)
    if stated >= needed:
        return ""
    limit = f"it needs opset {needed} and the model states {stated}"
    if stated < OLDEST:
        return f"{limit}; models older than opset {OLDEST} are not brought forward"
    left = {id(graph.nodes[i]) for i in but}
    for version in range(stated + 1, needed + 1):
        for part in nested((graph,)):
            for node in part.nodes:
                if not node.domain and id(node) not in left and differs(node, version):
                    return f"{limit}; {node.op}, as {node.label!r}, changed in opset {version}"
    return ""


def differs(node: Node, version: int) -> bool:
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


def _respelt(draft: Draft, node: Node, stated: int, needed: int) -> bool:
    """True where the node can be spelt so that all versions between mean the same."""
    versions = [version for version in range(stated + 1, needed + 1) if not node.domain and differs(node, version)]
    return bool(versions) and all(_spellable(draft, node, version) for version in versions)


def _spellable(draft: Draft, node: Node, version: int) -> bool:
    if node.op == "Split" and version == 18:
        return True
    if (node.op, version) in _MOVED:
        return _MOVED[(node.op, version)] in node.attrs
    if node.op not in _LAST_AXIS or node.inputs[0] not in draft.values:
        return False
    shape = draft.values[node.inputs[0]].shape
    return shape is not None and node.attrs.get("axis", 1) in (-1, len(shape) - 1)


def _spelt(draft: Draft, node: Node, version: int) -> Node:
    """The node as a version writes it."""
    import numpy as np

    if node.domain or not differs(node, version):
        return node
    if node.op == "Split" and version == 18:
        return replace(node, attrs={**node.attrs, "num_outputs": len(node.outputs)})
    if node.op in _LAST_AXIS:
        return replace(node, attrs={**node.attrs, "axis": -1})
    attr = _MOVED[(node.op, version)]
    numbers = np.array(node.attrs[attr], np.int64)
    name = draft.add(f"{node.label}_{attr}", literal("", numbers))
    rest = {key: value for key, value in node.attrs.items() if key != attr}
    return replace(node, inputs=(node.inputs[0], name), attrs=rest)
