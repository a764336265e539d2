"""Other ways in which a model's operations and parameters are counted in the wild.

Sources: torchvision counts what `macs` counts (https://github.com/pytorch/vision, test/common_extended_utils.py);
ptflops adds biases, 2 per element of batch norms, 1 per element of activations and pooled inputs
(https://github.com/sovrasov/flops-counter.pytorch, ptflops/pytorch_ops.py); fvcore counts 2 per element of batch norms
(https://github.com/facebookresearch/fvcore, fvcore/nn/jit_handles.py).
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Final

from effaudit.ops._registry import CONV_KINDS
from effaudit.views.published.candidate import CONVENTION, VARIANT, Count, doubled
from effaudit.views.published.figure import COMPUTE, PARAMS
from effaudit.views.published.parts import ATTENTION, FULLY_CONNECTED, Part, Parts, known_sum, total
from effaudit.views.published.topology import early_strides, shortcut_projections
from effaudit.weights import PARAM, Tensor

_EMBEDDERS: Final = frozenset(("embedding",))
_LOOKUPS: Final = frozenset("Gather GatherElements GatherND EmbedLayerNormalization GatherBlockQuantized".split())
_PRODUCTS: Final = frozenset("MatMul MatMulInteger FusedMatMul MatMulNBits".split())


def conventions(parts: Parts) -> list[Count]:
    """Every convention that differs from the plain total, each for operations also with two per multiply-accumulate."""
    compute = [*_selections(parts), *_adjustments(parts), *_variants(parts)]
    compute = [count for count in compute if count.value and count.value != parts.macs.low]
    return [*compute, *map(doubled, compute), *_params(parts), *_unfolded(parts)]


def _selections(parts: Parts) -> list[Count]:
    """Counts of some kinds of nodes only."""
    rows = parts.computing
    shortcuts = {id(row) for row in shortcut_projections(parts)}
    last = id(_classifier(rows))
    named: list[tuple[str, Callable[[Part], bool], str]] = [
        ("convolutions alone", lambda r: r.kind in CONV_KINDS, "macs of all convolutions"),
        (
            "convolutions and fully connected layers",
            lambda r: r.kind in CONV_KINDS | FULLY_CONNECTED,
            "macs of all convolutions and products with weights",
        ),
        ("fully connected layers alone", lambda r: r.kind in FULLY_CONNECTED, "macs of all products with weights"),
        ("without the classifier", lambda r: id(r) != last, "macs less those of the last fully connected layer"),
        ("without attention products", lambda r: r.kind not in ATTENTION, "macs less QK^T and AV of attention"),
        ("attention products alone", lambda r: r.kind in ATTENTION, "macs of QK^T and AV of attention"),
        ("without depthwise convolutions", lambda r: r.kind != "depthwise", "macs less depthwise convolutions"),
        ("without 1x1 convolutions", lambda r: r.kind != "pointwise", "macs less 1x1 convolutions"),
        (
            "without shortcut projections",
            lambda r: id(r) not in shortcuts,
            "macs less the 1x1 convolutions that run beside a branch and are added to it",
        ),
        (
            "convolutions alone, without shortcut projections",
            lambda r: r.kind in CONV_KINDS and id(r) not in shortcuts,
            "macs of all convolutions but the 1x1 beside a branch",
        ),
    ]
    return [_selection(name, rows, keep, words) for name, keep, words in named]


def _selection(name: str, rows: tuple[Part, ...], keep: Callable[[Part], bool], words: str) -> Count:
    value = sum(row.macs for row in rows if keep(row))
    return Count(name, CONVENTION, COMPUTE, value, words, rows, tuple(row for row in rows if not keep(row)))


def _classifier(rows: tuple[Part, ...]) -> Part | None:
    return next((row for row in reversed(rows) if row.kind in FULLY_CONNECTED), None)


def _adjustments(parts: Parts) -> list[Count]:
    """Counts of all nodes, some of them by another rule; not those that need a size that is not known."""
    rows, macs = parts.computing, parts.macs.low
    norms, activations = _elements(parts, "norm"), _elements(parts, "activation")
    biases, pooled = _biases(parts), _pooled(parts)
    ungrouped = sum(row.macs * (_groups(row) - 1) for row in rows if row.kind in CONV_KINDS)
    attention = sum(row.macs for row in rows if row.kind in ATTENTION)
    named: list[tuple[str, int | None, str]] = [
        ("groups ignored", macs + ungrouped, "every convolution as if each output channel saw all input channels"),
        (
            "transposed convolutions by outputs",
            known_sum(macs, _transposed(parts)),
            "every output element sees the whole kernel",
        ),
        ("attention halved", macs - attention // 2, "causal attention: half of QK^T and AV"),
        ("macs + biases", known_sum(macs, biases), "one more for each element a bias is added to"),
        ("macs + normalization", known_sum(macs, norms), "one more for each normalized element"),
        ("macs + 2 x normalization", known_sum(macs, norms, norms), "two more for each normalized element"),
        (
            "macs + biases + 2 x normalization + activations + pooling",
            known_sum(macs, biases, norms, norms, activations, pooled),
            "more for each element: 1 a bias, 2 a norm, 1 an activation, 1 a pooled input",
        ),
    ]
    if parts.batch > 1 and macs % parts.batch == 0:
        named.append(("one sample", macs // parts.batch, f"macs / {parts.batch}, the leading dim of the first input"))
    return [Count(name, CONVENTION, COMPUTE, value, words, rows) for name, value, words in named if value is not None]


def _groups(row: Part) -> int:
    group = row.node.attrs.get("group", 1)
    return group if isinstance(group, int) and group > 0 else 1


def _elements(parts: Parts, kind: str) -> int | None:
    return known_sum(*(row.elements for row in parts.rows if row.kind == kind))


def _pooled(parts: Parts) -> int | None:
    """The elements that pooling reads."""
    values = parts.audited.graph.values
    return total(values.get(row.node.inputs[0]) for row in parts.rows if row.kind == "pooling" and row.node.inputs)


def _biases(parts: Parts) -> int | None:
    """The elements a bias is added to: the third input of a convolution or Gemm, or a constant added to a product."""
    products = {row.node.outputs[0] for row in parts.rows if row.node.op in _PRODUCTS and row.node.outputs}
    varying = parts.audited.flow.varying
    found: list[int | None] = []
    for row in parts.rows:
        names = row.node.inputs
        fused = row.node.op in ("Conv", "ConvTranspose", "Gemm") and len(names) > 2 and names[2]
        added = row.node.op == "Add" and not products.isdisjoint(names) and not varying.issuperset(names)
        if fused or added:
            found.append(row.elements)
    return known_sum(*found)


def _transposed(parts: Parts) -> int | None:
    """What transposed convolutions cost more if each output element saw every weight of its filter."""
    more = 0
    for row in parts.computing:
        if row.node.op == "ConvTranspose":
            kernel = parts.shape(row.node.inputs[1]) or ()
            sizes = [d for d in kernel if isinstance(d, int)]
            if row.elements is None or not sizes or len(sizes) < len(kernel):
                return None
            more += row.elements * sizes[0] // _groups(row) * prod(sizes[2:]) - row.macs
    return more


def _variants(parts: Parts) -> list[Count]:
    """Counts of a graph that is not quite this one."""
    cheaper = early_strides(parts)
    saved = sum(row.macs - cheaper[id(row.node)] for row in parts.computing if id(row.node) in cheaper)
    if not saved:
        return []
    words = (
        f"another graph: 1x1 convolutions ({len(cheaper)}) take over the stride of the convolution after them, as in "
        "the first ResNet"
    )
    name = "strides in the 1x1 convolutions"
    return [Count(name, VARIANT, COMPUTE, parts.macs.low - saved, words, parts.computing)]


def _params(parts: Parts) -> list[Count]:
    """Counts of some parameters only."""
    tensors = parts.audited.weights.of(PARAM)
    kinds = {id(row.node): row.kind for row in parts.rows}
    last = _classifier(parts.computing)
    named: list[tuple[str, Callable[[Tensor], bool], str]] = [
        ("weights alone", lambda t: len(t.constant.shape) > 1, "params with two axes or more: no biases, no norms"),
        ("without normalization", lambda t: _kind(t, kinds) != "norm", "params less norm scales and shifts"),
        ("without embeddings", lambda t: not _embeds(t, kinds), "params less the tables that tokens look up"),
        (
            "without the classifier's params",
            lambda t: last is None or t.reader is not last.node,
            "params less those of the last fully connected layer",
        ),
        ("params of convolutions", lambda t: _kind(t, kinds) in CONV_KINDS, "params of all convolutions"),
        ("params of fully connected layers", lambda t: _kind(t, kinds) in FULLY_CONNECTED, "params of all products"),
    ]
    found = []
    for name, keep, words in named:
        dropped = {id(t.reader) for t in tensors if not keep(t)}
        value = sum(t.logical for t in tensors if keep(t))
        out = tuple(row for row in parts.holding if id(row.node) in dropped)
        if value and dropped:
            found.append(Count(name, CONVENTION, PARAMS, value, words, parts.holding, out))
    return found


def _unfolded(parts: Parts) -> list[Count]:
    """The params before batch norms were folded away: where a convolution has a bias, a scale and a shift were."""
    convolutions = {id(row.node) for row in parts.rows if row.kind in CONV_KINDS}
    if not convolutions or any(row.node.op == "BatchNormalization" for row in parts.rows):
        return []
    tensors = parts.audited.weights.of(PARAM)
    more = sum(t.logical for t in tensors if id(t.reader) in convolutions and len(t.constant.shape) == 1)
    words = "another graph: every bias of a convolution was a norm's scale and shift before it was folded"
    value = parts.audited.weights.params + more
    return [Count("norms unfolded", VARIANT, PARAMS, value, words, parts.holding)] if more else []


def _kind(tensor: Tensor, kinds: dict[int, str]) -> str:
    return kinds.get(id(tensor.reader), "")


def _embeds(tensor: Tensor, kinds: dict[int, str]) -> bool:
    reader = tensor.reader
    return reader is not None and (reader.op in _LOOKUPS or _kind(tensor, kinds) in _EMBEDDERS)
