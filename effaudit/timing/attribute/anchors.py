"""Tensors of the optimized graph that stand for tensors of the original one.

A tensor whose name is in both graphs is the same tensor: an optimizer gives new names to what it makes anew. ONNX
Runtime's NCHWc pass renames tensors and calls its nodes after the tensor that they make:
https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/optimizer/nchwc_transformer.cc
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from effaudit.graph import Node
from effaudit.ops._registry import NCHWC
from effaudit.timing.attribute.families import blocked_tensors, family
from effaudit.timing.attribute.side import Side

NUMBERED: Final = re.compile(r"(_token_\d+|_\d+)$")  # what ONNX Runtime adds to a name that is taken
BLOCKED: Final = re.compile(r"^(?P<tensor>.+?)(_bn)?_nchwc(_token_\d+|_\d+)?$", re.DOTALL)
# A tensor in another type (insert_cast_transformer.cc), or dequantized once more (ensure_unique_dq_for_node_unit.cc).
COPY: Final = re.compile(r"^(?:InsertedPrecisionFreeCast_(.+?)|(.+?)/duplicated)(_token_\d+)?$", re.DOTALL)
LAST: Final = re.compile(r"^(?P<node>.+)/(QuickGeluFusion)/?(_token_\d+)?$", re.DOTALL)  # named after its last node


def anchors(original: Side, optimized: Side) -> dict[str, str]:
    """Tensor of the optimized graph -> tensor of the original graph that it stands for, possibly in another layout."""
    stands = {name: name for name in optimized.graph.inputs if original.tensor(name)}
    for name in optimized.maker:
        copy = COPY.match(name)
        told = name if copy is None or original.tensor(name) else copy[1] or copy[2]
        if original.tensor(told):
            stands[name] = told
    named = _named(original)
    blocked = blocked_tensors(optimized.graph.nodes)
    for node in optimized.graph.nodes:
        if any(name in blocked and name not in stands for name in node.outputs):
            _follow(node, original, stands, named)
    _back(optimized, stands)
    return stands


def unnumbered(name: str) -> str:
    return NUMBERED.sub("", name)


def _named(side: Side) -> dict[str, int]:
    """Nodes by their name, where only one has it."""
    count = Counter(node.name for node in side.graph.nodes)
    return {node.name: i for i, node in enumerate(side.graph.nodes) if node.name and count[node.name] == 1}


def _follow(node: Node, original: Side, stands: dict[str, str], named: dict[str, int]) -> None:
    """What the outputs of a node with new tensor names stand for, as far as its name tells."""
    if node.domain == NCHWC and node.op == "ReorderInput" and not node.attrs.get("channels_last"):
        if node.inputs[0] in stands:
            stands[node.outputs[0]] = stands[node.inputs[0]]
    elif node.domain == NCHWC:
        found = BLOCKED.match(node.name)
        if found and found["tensor"] in original.maker and node.outputs[0] not in stands:
            stands[node.outputs[0]] = _grown(node, found["tensor"], original, stands)
    else:
        last = LAST.match(node.name)
        i = named.get(last["node"] if last else node.name)
        twin = None if i is None else original.graph.nodes[i]
        if twin and len(twin.outputs) == len(node.outputs) and (last or _alike(node, twin, original, stands)):
            pairs = zip(node.outputs, twin.outputs, strict=True)
            stands.update((a, b) for a, b in pairs if a and b and a not in stands)


def _alike(node: Node, twin: Node, original: Side, stands: dict[str, str]) -> bool:
    """Whether a node does what the node of the same name does: a node keeps its name when it is fused with what comes
    before it, or moved past a change of layout; then its inputs stand for others."""
    if (twin.domain, twin.op) != (node.domain, node.op):
        return False
    mine = {original.same.get(stands[name], stands[name]) for name in node.inputs if name in stands}
    theirs = {original.same.get(name, name) for name in twin.inputs if original.tensor(name)}
    return bool(mine) and mine <= theirs


def _grown(node: Node, tensor: str, original: Side, stands: dict[str, str]) -> str:
    """The tensor that a blocked convolution gives: the one in its name, a sum and an activation that came later taken
    in. ONNX Runtime takes in a sum only where the convolution has no activation yet, then an activation."""
    if node.op != "Conv":
        return tensor
    nodes = original.graph.nodes
    added = stands.get(node.inputs[3]) if len(node.inputs) > 3 and node.inputs[3] else None
    if added is not None:
        added = original.same.get(added, added)
        for i in original.readers.get(tensor, ()):
            others = [original.same.get(name, name) for name in nodes[i].inputs if name != tensor]
            if family(nodes[i].op) in ("Add", "Sum") and added in others:
                tensor = nodes[i].outputs[0]
                break
    activation = node.attrs.get("activation")
    if activation and nodes[original.maker[tensor]].op != activation:
        readers = original.readers.get(tensor, ())
        if len(readers) == 1 and nodes[readers[0]].op == activation:
            tensor = nodes[readers[0]].outputs[0]
    return tensor


def _back(optimized: Side, stands: dict[str, str]) -> None:
    """What a blocked tensor stands for that is put back into plain layout under its name."""
    for node in optimized.graph.nodes:
        plain = node.domain == NCHWC and node.op == "ReorderOutput" and not node.attrs.get("channels_last")
        if plain and node.outputs[0] in stands:
            stands[node.inputs[0]] = stands[node.outputs[0]]
