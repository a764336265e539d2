"""What Winograd's minimal filtering would save: multiplications of 3x3 (and length-3) convolutions of stride 1.

Lavin and Gray: Fast Algorithms for Convolutional Neural Networks, CVPR 2016, https://arxiv.org/abs/1509.09308.
F(m, r) makes m outputs of a filter of r taps with m + r - 1 multiplications; nested, F(m x m, r x r) takes
(m + r - 1)^2. A tile of t = m + r - 1 inputs per axis is transformed, multiplied element by element with the
transformed filter, summed over the input channels, and transformed back.

Only the element-wise products are counted as multiplications here. The transforms of data and outputs are counted
apart, as additions; that of the weights is done ahead. Memory and rounding errors are left out. No figure of a report
changes: its MACs are those of direct convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from effaudit import dims
from effaudit.audited import Audited
from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.graph import Graph, Node, Shape
from effaudit.ops._call import INVALID
from effaudit.ops._registry import MICROSOFT, NCHWC, ONNX
from effaudit.ops._windows import per_axis
from effaudit.ops.microsoft_nhwc import NHWC
from effaudit.quantity import Quantity, add, between

TAPS: Final = 3
INTEGER: Final = "integer: needs wider accumulators"
DEPTHWISE: Final = "one channel per group: nothing to sum between the transforms, which dominate"
GROUPED: Final = "grouped: each data transform serves the filters of one group only"
INSIDE: Final = "a body holds convolutions: they count as direct"


class Algorithm(msgspec.Struct, frozen=True):
    """F(m, 3): the outputs of a tile along one axis, and what its one-dimensional transforms cost.

    `data` and `output`: (additions, multiplications by constants) of one transform of m + 2 inputs, and of m + 2
    products to m outputs, as the paper's matrices write them with common sums shared.
    """

    outputs: int
    data: tuple[int, int]
    output: tuple[int, int]

    @property
    def tile(self) -> int:
        """Inputs of a tile along one axis, and the products it takes."""
        return self.outputs + TAPS - 1


# F(2, 3): B^T d = (d0-d2, d1+d2, d2-d1, d1-d3): 4 additions. A^T m = (m0+m1+m2, m1-m2-m3): 4 additions.
F2: Final = Algorithm(2, (4, 0), (4, 0))
# F(4, 3), with a = d4-4d2, b = d3-4d1, c = d4-d2, e = 2(d3-d1):
# B^T d = (4d0-5d2+d4, a+b, a-b, c+e, c-e, 4d1-5d3+d5): 4 in a..e + 2+1+1+1+1+2 = 12 additions, 7 multiplications by 2,
# 4 and 5;
# A^T m, with p = m1+m2, q = m1-m2, u = m3+m4, v = m3-m4: (m0+p+u, q+2v, p+4u, q+8v+m5): 4 + 2+1+1+2 = 10 additions, 3
# multiplications by 2, 4 and 8. Nested in two dimensions: 144 and 100 additions, as in the paper (F(2, 3): 32 and 24).
F4: Final = Algorithm(4, (12, 7), (10, 3))


class Count(msgspec.Struct, frozen=True):
    """One node, or the model, under one algorithm. A figure is None where it is not exact; `why` says why.

    `multiplications`: element-wise products, within `multiplications_bounds`. `data_additions`, `output_additions`: of
    the two transforms; `constant_multiplications`: by the constants in them (5, else powers of two). `tiles`: over all
    images and positions, ragged ones whole. `reduction`: direct MACs per product.
    """

    name: str
    tiles: int | None
    multiplications: int | None
    multiplications_bounds: list[int | None]
    reduction: float | None
    data_additions: int | None
    output_additions: int | None
    constant_multiplications: int | None
    why: str = ""


class WinogradNode(msgspec.Struct, frozen=True):
    """An eligible convolution: its MACs done directly, and its counts under F(2, 3) and F(4, 3) along each axis.

    `channels` are the input channels per group (None: not known); `note` says what keeps the gain from being had.
    """

    node: int
    label: str
    op: str
    kind: str
    kernel: tuple[int, ...]
    groups: int
    channels: int | None
    macs: int | None
    macs_bounds: list[int | None]
    f2: Count
    f4: Count
    note: str = ""


class Skipped(msgspec.Struct, frozen=True):
    """A convolution that is not eligible, and why."""

    node: int
    label: str
    op: str
    macs: int | None
    macs_bounds: list[int | None]
    why: str


class Winograd(msgspec.Struct, frozen=True):
    """The eligible convolutions of a model, in order, and the totals.

    `macs` are the model's; `eligible_macs` those in eligible convolutions, `share` of all (None where not exact). `f2`
    and `f4` count the whole model: products in eligible convolutions, MACs elsewhere; transforms apart. `skipped` has
    the other convolutions, and nodes whose bodies hold some.
    """

    rows: tuple[WinogradNode, ...]
    skipped: tuple[Skipped, ...]
    macs: int | None
    macs_bounds: list[int | None]
    eligible_macs: int | None
    eligible_macs_bounds: list[int | None]
    share: float | None
    f2: Count
    f4: Count
    counts: str = "element-wise products only: transforms and rounding errors are extra; no MACs of a report change"


# data and weight inputs, and whether the channels come last (None: the attribute channels_last says it)
LAYOUTS: Final[dict[tuple[str, str], tuple[int, int, bool | None]]] = {
    (ONNX, "Conv"): (0, 1, False),
    (ONNX, "ConvInteger"): (0, 1, False),
    (ONNX, "QLinearConv"): (0, 3, False),
    (MICROSOFT, "FusedConv"): (0, 1, False),
    (MICROSOFT, "NhwcConv"): (0, 1, True),
    (MICROSOFT, "NhwcFusedConv"): (0, 1, True),
    (MICROSOFT, "QLinearConv"): (0, 3, None),
    (NCHWC, "Conv"): (0, 1, False),
    (NHWC, "Conv"): (0, 1, True),
    (NHWC, "QLinearConv"): (0, 3, True),
}
INTEGERS: Final = frozenset(("ConvInteger", "QLinearConv"))


class _Figures(NamedTuple):
    """The figures of a count, as ranges."""

    tiles: Quantity
    multiplications: Quantity
    data_additions: Quantity
    output_additions: Quantity
    constant_multiplications: Quantity


class _Found(NamedTuple):
    """An eligible convolution: its row, and the ranges that totals are made of."""

    row: WinogradNode
    macs: Quantity
    figures: tuple[_Figures, _Figures]


def winograd(audited: Audited) -> Winograd:
    """The multiplications of a model under Winograd's algorithms, over the nodes that run. Linear in the nodes."""
    found: list[_Found] = []
    skipped: list[Skipped] = []
    holding = _holding(audited.graph)
    for i, row in enumerate(audited.table.rows):
        node = row.node
        if not row.live or ((node.domain, node.op) not in LAYOUTS and i not in holding):
            continue
        macs = row.quantity("macs")
        tried = INSIDE if i in holding else _tried(i, node, audited, macs)
        if isinstance(tried, str):
            skipped.append(Skipped(i, node.label, node.op, macs.value, macs.bounds, tried))
        else:
            found.append(tried)
    whole, eligible = audited.table.total("macs"), add(one.macs for one in found)
    return Winograd(
        rows=tuple(one.row for one in found),
        skipped=tuple(skipped),
        macs=whole.value,
        macs_bounds=whole.bounds,
        eligible_macs=eligible.value,
        eligible_macs_bounds=eligible.bounds,
        share=eligible.value / whole.value if eligible.value is not None and whole.value else None,
        f2=_total("F(2,3)", [one.figures[0] for one in found], whole, eligible),
        f4=_total("F(4,3)", [one.figures[1] for one in found], whole, eligible),
    )


def _holding(graph: Graph) -> set[int]:
    """The nodes with a convolution in one of their bodies, at any depth. Bodies shared by calls are looked at once."""
    found: dict[int, bool] = {}

    def holds(body: Graph) -> bool:  # bodies nest at most as deep as the loader lets them
        if id(body) not in found:
            found[id(body)] = False
            found[id(body)] = any(
                (node.domain, node.op) in LAYOUTS or any(map(holds, node.bodies.values())) for node in body.nodes
            )
        return found[id(body)]

    return {i for i, node in enumerate(graph.nodes) if any(map(holds, node.bodies.values()))}


def _tried(i: int, node: Node, audited: Audited, macs: Quantity) -> _Found | str:
    try:
        return _node(i, node, audited, macs)
    except Undecided as doubt:
        return f"its size is not known: {doubt}"
    except INVALID as error:
        return f"invalid {node.op}: {str(error)[:160]}"


def _node(i: int, node: Node, audited: Audited, macs: Quantity) -> _Found | str:
    """The row of a convolution, or why it is not eligible."""
    x, w, last = LAYOUTS[node.domain, node.op]
    values = audited.graph.values
    data, weights, out = (values[name] for name in (node.inputs[x], node.inputs[w], node.outputs[0]))
    if data.shape is None or weights.shape is None or out.shape is None:
        return next(v.why for v in (data, weights, out) if v.shape is None) or "a shape is not known"
    kernel = weights.shape[2:]
    why = _not_eligible(node, kernel)
    if why:
        return why
    channels_last = bool(node.attrs.get("channels_last", 0)) if last is None else last
    spatial = out.shape[1:-1] if channels_last else out.shape[2:]
    c_in, c_out = (s[-1] if channels_last else s[1] for s in (data.shape, out.shape))
    per_group = weights.shape[1]
    groups = int(node.attrs.get("group", 1))
    f2, f4 = (_figures(f, out.shape[0], spatial, (c_in, c_out, per_group)) for f in (F2, F4))
    notes = [INTEGER] if node.op in INTEGERS else []
    if groups > 1:
        notes.append(DEPTHWISE if per_group == 1 else GROUPED)
    row = WinogradNode(
        node=i,
        label=node.label,
        op=node.op,
        kind=audited.kind(i),
        kernel=(TAPS,) * len(kernel),
        groups=groups,
        channels=per_group if isinstance(per_group, int) else None,
        macs=macs.value,
        macs_bounds=macs.bounds,
        f2=_count(_name(2, len(kernel)), f2, macs),
        f4=_count(_name(4, len(kernel)), f4, macs),
        note="; ".join(notes),
    )
    return _Found(row, macs, (f2, f4))


def _name(outputs: int, axes: int) -> str:
    return f"F({outputs},3)" if axes == 1 else f"F({outputs}x{outputs},3x3)"


def _not_eligible(node: Node, kernel: Sequence[Dim]) -> str:
    rank = len(kernel)
    if rank not in (1, 2):
        return f"{rank} spatial axes"
    if any(k != TAPS for k in kernel):
        return f"a kernel of {' x '.join(map(str, kernel))}"
    if any(s != 1 for s in per_axis(node.attrs.get("strides"), rank, 1)):
        return "a stride other than 1"
    if any(d != 1 for d in per_axis(node.attrs.get("dilations"), rank, 1)):
        return "a dilation other than 1"
    return ""


def _figures(f: Algorithm, batch: Dim, spatial: Shape, channels: tuple[Dim, Dim, Dim]) -> _Figures:
    """Tiles = N x prod(ceil(size / m)); per tile (m + 2)^axes products for every pair of channels that meet.

    A transform of a tile runs the 1-D one along each axis in turn: of data, t lines along either axis; of products, t
    lines along the first and m along the second (with t = m + 2; one line where there is one axis).
    """
    c_in, c_out, per_group = channels
    axes = len(spatial)
    tiles = batch
    for size in spatial:
        tiles = tiles * dims.ceildiv(size, f.outputs)
    lines_in, lines_out = (1, 1) if axes == 1 else (2 * f.tile, f.tile + f.outputs)
    return _Figures(
        tiles=_exact(tiles),
        multiplications=_exact(tiles * c_out * per_group * f.tile**axes),
        data_additions=_exact(tiles * c_in * (lines_in * f.data[0])),
        output_additions=_exact(tiles * c_out * (lines_out * f.output[0])),
        constant_multiplications=_exact(tiles * (c_in * (lines_in * f.data[1]) + c_out * (lines_out * f.output[1]))),
    )


def _count(name: str, figures: _Figures, macs: Quantity) -> Count:
    products = figures.multiplications
    return Count(
        name=name,
        tiles=figures.tiles.value,
        multiplications=products.value,
        multiplications_bounds=products.bounds,
        reduction=macs.value / products.value if macs.value is not None and products.value else None,
        data_additions=figures.data_additions.value,
        output_additions=figures.output_additions.value,
        constant_multiplications=figures.constant_multiplications.value,
        why=products.why,
    )


def _exact(dim: Dim) -> Quantity:
    return between(dim, dim)


def _total(name: str, figures: Sequence[_Figures], macs: Quantity, eligible: Quantity) -> Count:
    sums = (
        _Figures(*(add(column) for column in zip(*figures, strict=True)))
        if figures
        else _Figures(*[Quantity(0, 0)] * 5)
    )
    return _count(name, sums._replace(multiplications=_elsewhere(sums.multiplications, macs, eligible)), macs)


def _elsewhere(products: Quantity, macs: Quantity, eligible: Quantity) -> Quantity:
    """The products, and the MACs of everything that is not eligible (a range where either is one)."""
    low = products.low + max(macs.low - (eligible.low if eligible.high is None else eligible.high), 0)
    if products.high is None or macs.high is None:
        return Quantity(low, None, products.why or macs.why)
    high = products.high + macs.high - eligible.low
    return Quantity(low, high, "" if low == high else products.why or macs.why or eligible.why)
