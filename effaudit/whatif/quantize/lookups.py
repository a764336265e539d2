"""Tables that Gather looks up, stored in blocks and dequantized row by row: com.microsoft.GatherBlockQuantized.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GatherBlockQuantized
"""

from __future__ import annotations

from effaudit.graph import Node
from effaudit.ops._registry import MICROSOFT
from effaudit.whatif.draft import Draft
from effaudit.whatif.quantize.nbits import fits
from effaudit.whatif.quantize.rows import Layout
from effaudit.whatif.quantize.sites import Site
from effaudit.whatif.quantize.stored import Stored, store
from effaudit.whatif.quantize.types import BLOCK, Rule


def unfit(node: Node, site: Site, rule: Rule) -> str:
    """Why a table cannot be looked up in blocks; "" where it can."""
    if node.domain or node.op != "Gather" or site.between:
        return "only a table that Gather itself reads"
    if rule.granularity != BLOCK or not fits(rule.group):
        return "looked-up tables have blocks of a power of two from 16 on"
    if rule.weights not in ("int4", "uint4"):
        return f"{rule.weights} is not looked up in blocks; int4 and uint4 are"
    return "" if len(site.constant.shape) > 1 else "a table has rows"


def write(draft: Draft, site: Site, rule: Rule) -> Stored:
    """Stores the table in blocks along its last axis, which Gather dequantizes."""
    node = draft.raw.nodes[site.node]
    last = len(site.constant.shape) - 1
    made = store(site.constant, rule, Layout(site.constant.shape, last, rule.group))
    assert made.scale is not None and made.zero is not None
    parts = [draft.add(one.name, one) for one in (made.codes, made.scale, made.zero)]
    attrs = {"gather_axis": node.attrs.get("axis", 0), "quantize_axis": last, "block_size": rule.group}
    name = node.name and f"{node.name}_Q4"
    inputs = (parts[0], node.inputs[1], *parts[1:])
    draft.instead(site.node, Node(name, MICROSOFT, "GatherBlockQuantized", inputs, node.outputs, attrs))
    draft.opsets.setdefault(MICROSOFT, 1)
    return made
