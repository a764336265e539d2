"""The graph with adapters beside its products, and its frozen weights in fewer bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from effaudit.audited import Audited, examined
from effaudit.errors import UsageError
from effaudit.graph import FLOAT16, Constant, Encoding, Graph, Node
from effaudit.whatif.adapt import OPTION, Arguments, text
from effaudit.whatif.adapt.memory import Base, memory, rows, said
from effaudit.whatif.constants import CODES, derived, missing, sized
from effaudit.whatif.draft import Draft
from effaudit.whatif.given import still_open
from effaudit.whatif.products import Product, first, held, lost, named, products, together
from effaudit.whatif.quantize.grid import Error
from effaudit.whatif.types import Change

if TYPE_CHECKING:
    import numpy as np

NF4_BLOCK: Final = 64


class Adapter(msgspec.Struct, frozen=True):
    """One product with its adapter: a weight of `rows` x `columns`, and the name of what the frozen product makes."""

    product: Product
    rows: int
    columns: int
    frozen: str


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model with adapters. Raises UsageError."""
    draft = Draft(audited)
    found = products(audited, draft, ("MatMul", "Gemm"), arguments.targets, arguments.skip, OPTION)
    refused, made = list[tuple[Node, str]](), list[Adapter]()
    for product in found.products:
        if why := _unfit(product, arguments.rank):
            refused.append((product.node, why))
        else:
            made.append(_adapted(draft, product, arguments, len(made)))
    blocked = found.blocked(refused)
    if not made:
        raise UsageError(f"{audited.name}: {OPTION}: no product can have an adapter{first(blocked)}")
    weights = {adapter.product.weight.name: adapter.product.weight for adapter in made}
    if arguments.base == "fp16":
        base, losses = _halved(draft, made, weights)
        graph, loss, more = draft.graph(f"{OPTION} {text(arguments)}"), together(losses), tuple[str, ...]()
    else:
        graph = draft.graph(f"{OPTION} {text(arguments)}")
        stored, base = _quantized(audited, graph, made, arguments)
        graph, loss, more = stored.graph, stored.loss, stored.notes
        blocked = (*blocked, *(one for one in stored.blocked if one.group in weights))
    total = memory(audited, made, weights, base, arguments)
    return Change(
        graph,
        notes=(*said(made, total, arguments), *more),
        blocked=blocked,
        details=tuple(rows(made, base, total, arguments)),
        loss=loss,
        retrain=True,
    )


def _unfit(product: Product, rank: int) -> str:
    """Why a product has no adapter; "" where it can have one."""
    shape = product.weight.shape
    if len(shape) != 2:
        return f"its weights have {len(shape)} axes: no single matrix"
    if product.node.op == "Gemm" and product.node.attrs.get("transA", 0):
        return "it turns what it reads"
    return "" if rank < min(shape) else f"rank {rank} is no lower than that of its weights, {shape[0]} x {shape[1]}"


def _adapted(draft: Draft, product: Product, arguments: Arguments, number: int) -> Adapter:
    """Puts the adapter beside a product: y = x W + (alpha / rank) x A B, where B is zero before it is trained."""
    import numpy as np

    node, weight = product.node, product.weight
    rows, columns = weight.shape[::-1] if node.attrs.get("transB", 0) else weight.shape
    rank, kind = arguments.rank, weight.encoding
    y = node.outputs[0]
    label = f"{weight.name}.lora"
    a = draft.add(f"{label}_A", _made((rows, rank), kind, _drawn(rows, rank, number)))
    b = draft.add(f"{label}_B", _made((rank, columns), kind, lambda: np.zeros((rank, columns))))
    scale = draft.add(f"{label}_scale", _made((), kind, lambda: np.array((arguments.alpha or rank) / rank)))
    frozen, down, up, scaled = (draft.fresh(f"{y}.{part}") for part in ("frozen", "down", "up", "scaled"))
    draft.put(
        product.i,
        replace(node, outputs=(frozen,)),
        Node(named(node, "lora_A"), "", "MatMul", (node.inputs[0], a), (down,), {}),
        Node(named(node, "lora_B"), "", "MatMul", (down, b), (up,), {}),
        Node(named(node, "lora_scale"), "", "Mul", (up, scale), (scaled,), {}),
        Node(named(node, "lora"), "", "Add", (frozen, scaled), (y,), {}),
    )
    return Adapter(product, rows, columns, frozen)


def _made(shape: tuple[int, ...], encoding: Encoding, make: Callable[[], np.ndarray]) -> Constant:
    """A constant whose elements are made when they are first read, in the type of the weights."""

    def read() -> np.ndarray:
        from effaudit.whatif.fold._affine import as_stored

        return as_stored(make(), encoding).reshape(shape)

    return sized(Constant("", encoding, shape, "initializer", 0, 0, read=read), shape, encoding)


def _drawn(rows: int, rank: int, number: int) -> Callable[[], np.ndarray]:
    """Uniform within 1 / sqrt(in), as the authors' code starts: https://github.com/microsoft/LoRA"""

    def draw() -> np.ndarray:
        import numpy as np

        found: np.ndarray = np.random.default_rng(number).uniform(-1, 1, (rows, rank)) / np.sqrt(rows)
        return found

    return draw


# ---- the frozen weights
def _halved(
    draft: Draft, made: Sequence[Adapter], weights: Mapping[str, Constant]
) -> tuple[dict[str, Base], list[Error | None]]:
    """The weights in float16, each behind a Cast to what it was."""
    names: dict[str, str] = {}
    losses: list[Error | None] = []
    base: dict[str, Base] = {}
    for name, weight in weights.items():
        if weight.encoding.bits <= FLOAT16.bits:
            base[name] = Base(weight.nbytes)
            losses.append(Error())
            continue
        stored = derived(weight, _half, shape=weight.shape, encoding=FLOAT16)
        names[name] = draft.add(f"{name}.half", stored)
        base[name] = Base(stored.nbytes)
        losses.append(None if missing(weight) else _rounded(weight))
    wide: dict[str, str] = {}
    for adapter in made:
        i, name = adapter.product.i, adapter.product.node.inputs[1]
        if name not in names:
            continue
        nodes, several = list[Node](), draft.at(i)
        if name not in wide:
            wide[name] = draft.fresh(f"{name}.cast")
            to = {"to": CODES[weights[name].encoding.dtype]}
            nodes.append(Node("", "", "Cast", (names[name],), (wide[name],), to))
        own = several[0]
        draft.put(i, *nodes, replace(own, inputs=(own.inputs[0], wide[name], *own.inputs[2:])), *several[1:])
    return base, losses


def _half(array: np.ndarray) -> np.ndarray:
    import numpy as np

    with np.errstate(over="ignore"):
        return array.astype(np.float16)


def _rounded(weight: Constant) -> Error:
    import numpy as np

    exact = held(weight)
    return lost(exact, _half(exact).astype(np.float64))


def _quantized(
    audited: Audited, graph: Graph, made: Sequence[Adapter], arguments: Arguments
) -> tuple[Change, dict[str, Base]]:
    """The graph with its frozen weights as `base` says, and what each weight takes."""
    names = {adapter.product.weight.name: adapter.product.weight for adapter in made}
    whole = {name: Base(weight.nbytes) for name, weight in names.items()}
    if not arguments.base:
        return Change(graph), whole
    from effaudit.whatif.quantize import weights
    from effaudit.whatif.quantize.types import AS_IT_IS, BLOCK, Rule

    rule = Rule("nf4", granularity=BLOCK, group=NF4_BLOCK) if arguments.base == "nf4" else Rule("int8")
    frozen = {adapter.frozen for adapter in made}
    between = examined(graph, still_open(audited.given, graph))
    rules = [rule if frozen.intersection(node.outputs) else AS_IT_IS for node in graph.nodes]
    change = weights.rewrite(between, rules)
    for detail in change.details:
        if detail.name in whole:
            figures = detail.figures
            whole[detail.name] = Base(int(figures["data_bytes"] or 0), int(figures["overhead_bytes"] or 0))
    return change, whole
