"""The ideal runtime with kernels that write out their operands: a convolution its columns, attention its scores.

Columns are those of one image and one group at a time, as a matrix product reads them; a pointwise convolution of
stride 1 needs none. Attention operators hold their scores, or none where their kernel goes by blocks. Both are
workspaces: they exist while their node runs, beside its inputs and outputs.
"""

from __future__ import annotations

from effaudit.graph import Graph, Node
from effaudit.quantity import Quantity
from effaudit.runtimes import _workspaces
from effaudit.runtimes._runtime import Runtime
from effaudit.runtimes._shapes import exactly
from effaudit.runtimes.ideal import RUNTIME as IDEAL


def scratch(graph: Graph, node: Node) -> Quantity:
    """The workspace of a node."""
    if node.op == "Conv" and not node.domain:
        return _workspaces.im2col(graph, node)
    return _workspaces.attention_scores(graph, node) if "Attention" in node.op else exactly(0)


RUNTIME = Runtime(
    name="im2col",
    title="an ideal runtime with im2col",
    sources=("https://hal.inria.fr/inria-00112631", "https://arxiv.org/abs/2205.14135"),
    lower=IDEAL.lower,
    sharing=IDEAL.sharing,
    scratch=scratch,
)
