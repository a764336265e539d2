"""The convolutions and matrix products of a graph that multiply by stored weights, for which others may stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

import msgspec

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.graph import Constant, Node, nested
from effaudit.load.values import values
from effaudit.lower._rewrite import FLOATING
from effaudit.nearest import did_you_mean
from effaudit.printable import printable
from effaudit.quantity import Quantity
from effaudit.units import human
from effaudit.whatif.constants import literal, missing, sized
from effaudit.whatif.draft import Draft
from effaudit.whatif.quantize.grid import Error
from effaudit.whatif.types import Blocked

if TYPE_CHECKING:
    import numpy as np

STORED: Final = frozenset("float32 float16 float64 bfloat16".split())
BETWEEN: Final = "they are computed; --fold constants computes ahead what it can"
QUANTIZED: Final = "they are quantized; make this step first, then quantize"
UNKNOWN: Final = "what the outputs lose is not known: the model holds no weights that would tell"
INSIDE: Final = "they lie in the body of a node or a function"
NOT_FINITE: Final = "it holds NaN or infinity"


class Product(msgspec.Struct, frozen=True):
    """The node `i`, a Conv, Gemm or MatMul whose second input is the stored tensor `weight`, and its MACs."""

    i: int
    node: Node
    weight: Constant
    macs: Quantity

    @property
    def known(self) -> bool:
        """True where the elements of the weight can be had."""
        return not missing(self.weight)

    @property
    def groups(self) -> int:
        """Groups of channels of a convolution."""
        return int(self.node.attrs.get("group", 1))


class Found(msgspec.Struct, frozen=True):
    """The products that are meant, those that cannot be rewritten with the reasons, and those that lie in bodies."""

    products: tuple[Product, ...]
    refused: tuple[tuple[Node, str], ...]
    inside: tuple[Blocked, ...]

    def blocked(self, more: Iterable[tuple[Node, str]] = ()) -> tuple[Blocked, ...]:
        """All that stays, with what a rewrite refuses: a row for all nodes that stay for the same reason."""
        from effaudit.whatif.fold._model import grouped

        return (*grouped((*self.refused, *more)), *self.inside)


def products(audited: Audited, draft: Draft, ops: Sequence[str], only: str, skip: str, option: str) -> Found:
    """The products of these operators that run, in the order of the graph.

    `only` and `skip` are patterns of nodes or of their weights, several with `|`. Raises UsageError for a pattern that
    no product has, and where there is nothing at all to rewrite.
    """
    meant, found, refused = [], list[Product](), list[tuple[Node, str]]()
    for i, node in enumerate(draft.raw.nodes):
        if node.op not in ops or node.domain or len(node.inputs) < 2 or not audited.flow.live[i]:
            continue
        if node.inputs[1] not in audited.flow.varying:  # a product of two tensors that are fed has no weights
            meant.append((i, node))
    names = [(node.label, node.name, node.inputs[1]) for _, node in meant]
    for pattern in (*patterns(only), *patterns(skip)):
        if not any(matches(one, (pattern,)) for one in names):
            hint = did_you_mean(pattern, [name for one in names for name in one if name])
            raise UsageError(f"{option}: no {' or '.join(ops)} has a name like {printable(repr(pattern), 80)}{hint}")
    for (i, node), name in zip(meant, names, strict=True):
        if (only and not matches(name, patterns(only))) or matches(name, patterns(skip)):
            continue
        weight = draft.constant(node.inputs[1])
        if why := _unfit(draft, node, weight):
            refused.append((node, f"its weights cannot be rewritten: {why}"))
        elif weight is not None:
            found.append(Product(i, node, weight, audited.table.rows[i].quantity("macs")))
    inside = [node for part in nested([audited.raw]) if part is not audited.raw for node in part.nodes]
    count = sum(node.op in ops and not node.domain for node in inside)
    bodies = (Blocked(f"{' and '.join(ops)}: {count} nodes", INSIDE),) if count else ()
    made = Found(tuple(found), tuple(refused), bodies)
    if not found:
        raise UsageError(f"{audited.name}: {option}: no {' or '.join(ops)} with stored weights{first(made.blocked())}")
    return made


def first(blocked: Sequence[Blocked]) -> str:
    """The first reason, as the end of a sentence; "" where there is none."""
    return f"; {blocked[0].group}: {blocked[0].reason}" if blocked else ""


def _unfit(draft: Draft, node: Node, weight: Constant | None) -> str:
    """Why a weight cannot be rewritten; "" where it can."""
    if weight is None:
        maker = draft.makers.get(node.inputs[1])
        quantized = maker is not None and maker.op == "DequantizeLinear"
        return QUANTIZED if quantized else BETWEEN
    if weight.place == "sparse":
        return "they are stored as a sparse tensor"
    if weight.encoding.dtype not in STORED:
        return QUANTIZED if weight.encoding.dtype in FLOATING else f"they are {weight.encoding.dtype}"
    return "" if weight.numel else "there are none: a dim is 0"


# ---- names
def patterns(written: str) -> tuple[str, ...]:
    """`conv*|head` -> its patterns."""
    return tuple(filter(None, written.split("|")))


def matches(names: Iterable[str], tried: Iterable[str]) -> bool:
    """True where a pattern is one of the names, or matches one by `*` and `?`."""
    several = tuple(tried)
    return any(name == one or fnmatchcase(name, one.replace("[", "[[]")) for one in several for name in names if name)


# ---- nodes and tensors
def named(node: Node, part: str) -> str:
    """The name of a node that stands for a part of another; none where that has none."""
    return f"{node.name}/{part}" if node.name else ""


def window(node: Node) -> Mapping[str, object]:
    """The attributes of a convolution but for its groups."""
    return {key: value for key, value in node.attrs.items() if key != "group"}


def stored(name: str, array: np.ndarray | None, source: Constant, shape: tuple[int, ...]) -> Constant:
    """A weight made from `source`, in its encoding; a header, with the reason, where there are no elements."""
    from effaudit.whatif.fold._affine import as_stored

    if array is None:
        header = Constant(name, source.encoding, shape, "initializer", 0, 0, missing=missing(source))
        return sized(header, shape, source.encoding)
    return literal(name, as_stored(array, source.encoding).reshape(shape), source.encoding)


def held(constant: Constant) -> np.ndarray:
    """The elements of a weight that has them, in float64. Raises LoadError."""
    import numpy as np

    return values(constant).astype(np.float64)


# ---- what is told
def lost(weight: np.ndarray, approximated: np.ndarray) -> Error:
    """What a float64 tensor lost to its approximation."""
    import numpy as np

    difference = weight - approximated
    squares, signal = np.vdot(difference, difference), np.vdot(weight, weight)
    return Error(float(np.abs(difference).max(initial=0.0)), float(squares), float(signal), weight.size)


def relative(error: Error | None) -> float | None:
    """The Frobenius norm of a difference over that of the tensor."""
    return None if error is None else float(error.share**0.5)


def together(losses: Iterable[Error | None]) -> float | None:
    """The loss of several tensors: the noise of all over the signal of all; None where one is not known."""
    total = Error()
    for one in losses:
        if one is None:
            return None
        total += one
    return total.share


def macs_said(before: Iterable[Quantity], ratios: Iterable[tuple[int, int]]) -> Iterator[str]:
    """ "12.5 M MACs become 3.2 M" of products whose MACs each become `after`/`before` of what they were; nothing where
    they are not numbers."""
    found = [one.value for one in before]
    if all(one is not None for one in found):
        made = sum((one or 0) * after // was for one, (was, after) in zip(found, ratios, strict=True))
        yield f"{human(sum(one or 0 for one in found))} MACs of theirs become {human(made)}"
