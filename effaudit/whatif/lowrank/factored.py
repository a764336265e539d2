"""The graph with products of lower rank."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Final

import msgspec

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.graph import Node
from effaudit.whatif.constants import missing
from effaudit.whatif.draft import Draft
from effaudit.whatif.lowrank import OPTION, Arguments, text
from effaudit.whatif.lowrank.factors import Spectrum, spectrum
from effaudit.whatif.products import (
    NOT_FINITE,
    UNKNOWN,
    Product,
    first,
    held,
    lost,
    macs_said,
    named,
    products,
    relative,
    stored,
    together,
    window,
)
from effaudit.whatif.prune.arguments import percent
from effaudit.whatif.quantize.grid import Error
from effaudit.whatif.types import Change, Detail

if TYPE_CHECKING:
    import numpy as np

OPS: Final = ("Conv", "Gemm", "MatMul")
TABLE: Final = "products of low rank"
UNTRAINED: Final = 0.01  # of the squared weights: 20 dB of signal over noise
GEMM_WITHOUT_C: Final = 11  # the opset from which a Gemm need not add anything


class Unfit(Exception):
    """Why a weight stays as it is."""


class Factors(msgspec.Struct, frozen=True):
    """A weight seen as a matrix of `rows` x `columns`, its `rank` of `full`, and the names of its factors, rows x rank
    and rank x columns; `lost` and `kept` (the share of its energy) are None where the elements would tell."""

    rows: int
    columns: int
    rank: int
    full: int
    left: str
    right: str
    lost: Error | None
    kept: float | None

    @property
    def sizes(self) -> tuple[int, int]:
        """Multiplications per output position before and after."""
        return self.rows * self.columns, self.rank * (self.rows + self.columns)


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model with products of lower rank, where that takes fewer MACs. Raises UsageError."""
    draft = Draft(audited)
    found = products(audited, draft, OPS, arguments.only, arguments.skip, OPTION)
    refused, made = list[tuple[Node, str]](), list[tuple[Product, Factors]]()
    known: dict[str, Factors | Unfit] = {}
    for product in found.products:
        name = product.weight.name
        try:
            _fits(draft, product)
            if name not in known:
                known[name] = _factors(draft, product, arguments)
        except Unfit as why:
            refused.append((product.node, str(why)))
            continue
        factors = known[name]
        if isinstance(factors, Unfit):
            refused.append((product.node, str(factors)))
            continue
        draft.put(product.i, *_nodes(draft, product, factors))
        made.append((product, factors))
    blocked = found.blocked(refused)
    if not made:
        raise UsageError(f"{audited.name}: {OPTION}: no product takes fewer MACs in this rank{first(blocked)}")
    loss = together(one.lost for one in {f.left: f for _, f in made}.values())
    again = loss is None or loss > UNTRAINED
    return Change(
        graph=draft.graph(f"lowrank {text(arguments)}"),
        notes=tuple(_notes(made, len(found.products), loss, again=again)),
        blocked=blocked,
        details=tuple(_detail(product, factors) for product, factors in made),
        loss=loss,
        retrain=again,
    )


def _fits(draft: Draft, product: Product) -> None:
    """Raises Unfit for a product that two others cannot stand for."""
    node, weight = product.node, product.weight
    if node.op == "Conv" and product.groups != 1:
        raise Unfit(f"it has {product.groups} groups of channels, which factors of all channels would join")
    if node.op != "Conv" and len(weight.shape) != 2:
        raise Unfit(f"its weights have {len(weight.shape)} axes: no single matrix")
    turned = node.attrs.get("transA", 0) or node.attrs.get("transB", 0)
    if node.op == "Gemm" and turned and draft.opsets.get("", 1) < GEMM_WITHOUT_C:
        raise Unfit(f"a Gemm that turns a matrix and adds nothing takes opset {GEMM_WITHOUT_C}")


def _factors(draft: Draft, product: Product, arguments: Arguments) -> Factors | Unfit:
    """The factors of a weight, in the draft; else why it stays. Raises UsageError for the energy of missing weights."""
    weight = product.weight
    rows, columns = weight.shape[0], prod(weight.shape[1:])
    full, found = min(rows, columns), None
    rank = arguments.rank_of(full)
    if rank is None and not product.known:
        why = f"energy={percent(arguments.energy or 0)} reads the weights, and {weight.name!r} has none"  # type: ignore[arg-type]
        raise UsageError(f"{OPTION}: {why}: {missing(weight)}; rank= and ratio= do without")
    if rank is None or (product.known and _saves(rows, columns, rank)):
        found = _spectrum(held(weight).reshape(rows, columns))
        if found is None:
            return Unfit(NOT_FINITE)
        rank = rank or found.rank(arguments.energy)  # type: ignore[arg-type]
    if not _saves(rows, columns, rank):
        return Unfit(_dearer(rows, columns, rank))
    return _put(draft, product, rank, found)


def _spectrum(matrix: np.ndarray) -> Spectrum | None:
    import numpy as np

    return spectrum(matrix) if np.isfinite(matrix).all() else None


def _saves(rows: int, columns: int, rank: int) -> bool:
    return rank * (rows + columns) < rows * columns


def _dearer(rows: int, columns: int, rank: int) -> str:
    """Why a rank is none that saves anything."""
    most = (rows * columns - 1) // (rows + columns)
    save = f"it saves up to rank {most}" if most else "no rank saves any"
    after, before = rank * (rows + columns), rows * columns
    return f"rank {rank} takes {after:,} MACs per position where {rows} x {columns} takes {before:,}: {save}"


def _put(draft: Draft, product: Product, rank: int, found: Spectrum | None) -> Factors:
    """The factors as constants. A Conv reads them as filters: rank x in x kernel, and out x rank x 1."""
    weight = product.weight
    rows, columns = weight.shape[0], prod(weight.shape[1:])
    left, right = (None, None) if found is None else found.factors(rank)
    shapes = (rows, rank, *(1,) * (len(weight.shape) - 2)), (rank, *weight.shape[1:])
    up, down = (stored("", one, weight, shape) for one, shape in zip((left, right), shapes, strict=True))
    gone = None
    if found is not None:
        gone = lost(found.matrix, held(up).reshape(rows, rank) @ held(down).reshape(rank, columns))
    return Factors(
        rows,
        columns,
        rank,
        min(rows, columns),
        draft.add(f"{weight.name}.left", up),
        draft.add(f"{weight.name}.right", down),
        gone,
        None if found is None else found.kept(rank),
    )


# ---- nodes
def _nodes(draft: Draft, product: Product, factors: Factors) -> tuple[Node, Node]:
    """Two products for one: the first makes `rank` channels, the second what the old one made, its bias as well."""
    node = product.node
    between = draft.fresh(f"{node.outputs[0]}.rank")
    attrs = [dict(node.attrs), dict(node.attrs)]
    op, order = node.op, (factors.left, factors.right)
    if op == "Conv":
        pointwise: tuple[int, ...] = (1,) * (len(product.weight.shape) - 2)
        order, attrs = (factors.right, factors.left), [dict(window(node)), {"kernel_shape": pointwise}]
    elif op == "Gemm":
        attrs, op = _scaled(draft, node)
        if node.attrs.get("transB", 0):
            order = (factors.right, factors.left)
    return (
        Node(named(node, "first"), "", op, (node.inputs[0], order[0]), (between,), attrs[0]),
        Node(named(node, "second"), "", node.op, (between, order[1], *node.inputs[2:]), node.outputs, attrs[1]),
    )


def _scaled(draft: Draft, node: Node) -> tuple[list[dict[str, object]], str]:
    """The attributes of the two products that a Gemm becomes, and the operator of the first."""
    first = {key: value for key, value in node.attrs.items() if key in ("transA", "transB")}
    second = {key: value for key, value in node.attrs.items() if key != "transA"}
    if draft.opsets.get("", 1) >= GEMM_WITHOUT_C:
        return [first, second], "Gemm"
    return [{}, second], "MatMul"


# ---- what is told
def _detail(product: Product, factors: Factors) -> Detail:
    before, after = factors.sizes
    macs = product.macs.value
    figures: Mapping[str, int | float | str | None] = {
        "error": relative(factors.lost),
        "max_abs_error": None if factors.lost is None else factors.lost.max_abs,
        "rank": factors.rank,
        "full_rank": factors.full,
        "energy_share": factors.kept,
        "weights_before": before,
        "weights_after": after,
        "macs_before": macs,
        "macs_after": None if macs is None else macs * after // before,
        "weight": product.weight.name,
    }
    return Detail(TABLE, product.node.label, figures)


def _notes(made: Sequence[tuple[Product, Factors]], meant: int, loss: float | None, *, again: bool) -> Iterator[str]:
    yield f"{len(made)} of {meant} products are two of lower rank each"
    yield from macs_said((product.macs for product, _ in made), (factors.sizes for _, factors in made))
    if loss is None:
        yield UNKNOWN
    if again:
        yield f"re-train: more than {100 * UNTRAINED:g} % of the squared weights may be gone"
