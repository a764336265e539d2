"""Matrix products whose weight is packed inside one com.microsoft operator: MatMulNBits, and MatMulBnb4 for nf4."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from effaudit.graph import FLOAT16, UINT8, Constant, Encoding, Node
from effaudit.load.values import values
from effaudit.ops._registry import MICROSOFT
from effaudit.whatif.constants import missing, sized
from effaudit.whatif.draft import Draft
from effaudit.whatif.quantize.nbits import WIDTHS, Packed, blocks_of, fits, pack, pack_nf4
from effaudit.whatif.quantize.rows import Layout
from effaudit.whatif.quantize.sites import Site
from effaudit.whatif.quantize.stored import Stored
from effaudit.whatif.quantize.types import BLOCK, Rule, bits_of

if TYPE_CHECKING:
    import numpy as np

_NF4: Final = 1  # MatMulBnb4's `quant_type`


def unfit(node: Node, site: Site, rule: Rule) -> str:
    """Why the weight cannot be packed inside an operator; "" where it can."""
    if node.domain or node.op not in ("MatMul", "Gemm") or site.place != 1 or site.between:
        return f"{node.op} has no form with packed weights, only MatMul and Gemm with a constant B"
    if len(site.constant.shape) != 2:
        return "only a matrix can be packed"
    if node.op == "Gemm" and (node.attrs.get("transA", 0) or node.attrs.get("alpha", 1.0) != 1.0 or _beta(node)):
        return "a Gemm with transA, alpha or beta has no form with packed weights"
    if rule.granularity != BLOCK:
        return "packed weights have a scale per block"
    if rule.weights != "nf4" and ("int" not in rule.weights or bits_of(rule.weights) not in WIDTHS):
        return f"{rule.weights} is not packed: 2, 4 and 8 bits and nf4 are"
    if not fits(rule.group):
        return f"blocks of {rule.group}: packed ones have a power of two from 16 on"
    return ""


def _beta(node: Node) -> bool:
    return len(node.inputs) > 2 and bool(node.inputs[2]) and node.attrs.get("beta", 1.0) != 1.0


def write(draft: Draft, site: Site, rule: Rule) -> Stored:
    """Packs the weight of a product; a bias becomes an Add behind it, as onnxruntime writes it."""
    i, node = site.node, draft.raw.nodes[site.node]
    turned = node.op == "Gemm" and bool(node.attrs.get("transB", 0))
    made = (
        _nf4(site.constant, rule, turned=turned)
        if rule.weights == "nf4"
        else _nbits(site.constant, rule, turned=turned)
    )
    assert made.scale is not None
    inputs = [node.inputs[0], draft.add(made.codes.name, made.codes), draft.add(made.scale.name, made.scale)]
    if made.zero is not None:
        inputs.append(draft.add(made.zero.name, made.zero))
    inner, width = reversed(site.constant.shape) if turned else site.constant.shape
    attrs = {"K": inner, "N": width, "block_size": rule.group}
    attrs |= {"quant_type": _NF4} if rule.weights == "nf4" else {"bits": bits_of(rule.weights)}
    op = "MatMulBnb4" if rule.weights == "nf4" else "MatMulNBits"
    biased = len(node.inputs) > 2 and bool(node.inputs[2])
    output = draft.fresh(f"{node.outputs[0]}_MatMul") if biased else node.outputs[0]
    suffix = "Bnb4" if rule.weights == "nf4" else f"Q{bits_of(rule.weights)}"
    product = Node(node.name and f"{node.name}_{suffix}", MICROSOFT, op, tuple(inputs), (output,), attrs)
    nodes = [product]
    if biased:
        nodes.append(Node(node.name and f"{node.name}_Add", "", "Add", (output, node.inputs[2]), node.outputs, {}))
    draft.opsets.setdefault(MICROSOFT, 1)
    draft.instead(i, *nodes)
    return made


def _nbits(source: Constant, rule: Rule, *, turned: bool) -> Stored:
    bits = bits_of(rule.weights)
    inner, width = reversed(source.shape) if turned else source.shape
    count = blocks_of(inner, rule.group)
    return _stored(
        source,
        lambda array: pack(array.T if turned else array, rule),
        rule,
        Layout((inner, width), 0, rule.group),
        data=(f"_Q{bits}", (width, count, rule.group * bits // 8)),
        scale=("_scales", (width, count)),
        zero=None if rule.symmetric else ("_zero_points", (width, blocks_of(count * bits, 8))),
    )


def _nf4(source: Constant, rule: Rule, *, turned: bool) -> Stored:
    inner, width = reversed(source.shape) if turned else source.shape
    return _stored(
        source,
        lambda array: pack_nf4(array.T if turned else array, rule),
        rule,
        Layout((inner, width), 0, rule.group),
        data=("_Bnb4", (blocks_of(source.numel, 2),)),
        scale=("_absmax", (blocks_of(source.numel, rule.group),)),
        zero=None,
    )


def _stored(
    source: Constant,
    pack: Callable[[np.ndarray], Packed],
    rule: Rule,
    where: Layout,
    *,
    data: tuple[str, tuple[int, ...]],
    scale: tuple[str, tuple[int, ...]],
    zero: tuple[str, tuple[int, ...]] | None,
) -> Stored:
    why = missing(source)
    first = None if why else pack(values(source))
    scales, zeros = (None, None) if first is None else (first.scale, first.zero)

    def made(like: tuple[str, tuple[int, ...]], encoding: Encoding, read: Callable[[], np.ndarray | None]) -> Constant:
        named = replace(
            source, name=source.name + like[0], place="initializer", missing=why, read=None if why else read
        )
        return sized(named, like[1], encoding)

    codes = made(data, UINT8, lambda: pack(values(source)).data)
    precise = FLOAT16 if source.encoding is FLOAT16 else source.encoding
    return Stored(
        codes,
        made(scale, precise, lambda: scales),
        None if zero is None else made(zero, UINT8, lambda: zeros),
        where,
        None if first is None else first.error,
        scales,
        zeros,
    )
