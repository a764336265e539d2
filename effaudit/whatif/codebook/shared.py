"""The graph with weights that share the entries of a table each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import log10
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.graph import Constant
from effaudit.load.values import blocks, values
from effaudit.nearest import did_you_mean
from effaudit.ops._registry import MAC_KINDS
from effaudit.printable import printable
from effaudit.units import human_bytes
from effaudit.weights import PARAM
from effaudit.whatif.codebook import OPTION, Arguments, text
from effaudit.whatif.codebook.means import entries, nearest
from effaudit.whatif.constants import derived, missing
from effaudit.whatif.draft import Draft
from effaudit.whatif.products import INSIDE, NOT_FINITE, STORED, UNKNOWN, first, matches, patterns, together
from effaudit.whatif.quantize.grid import Error
from effaudit.whatif.types import Blocked, Change, Detail

if TYPE_CHECKING:
    import numpy as np

TABLE: Final = "codebooks"
COARSE: Final = 4  # bits of an index below which nobody ships them without training, as of quantized weights


class Shared(msgspec.Struct, frozen=True):
    """A tensor, the node that reads it, its `book` and what was lost to it; None where it has no elements. `indices`
    and `table` are the bytes that both take."""

    constant: Constant
    reader: str
    indices: int
    table: int
    book: np.ndarray | None = None
    lost: Error | None = None

    @property
    def stored(self) -> int:
        """Bytes of the tensor with its table."""
        return self.indices + self.table


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model with shared weights. Raises UsageError where no tensor takes fewer bytes so."""
    draft = Draft(audited)
    found, blocked = _meant(audited, draft, arguments)
    made = []
    for one in found:
        shared = one if missing(one.constant) else _filled(one, arguments.entries)
        if shared is None:
            blocked.append(Blocked(one.constant.name, NOT_FINITE))
            continue
        draft.exchange(one.constant.name, _constant(shared))
        made.append(shared)
    if not made:
        raise UsageError(f"{audited.name}: {OPTION}: no weights take fewer bytes with a table{first(blocked)}")
    loss = together(one.lost for one in made)
    return Change(
        graph=draft.graph(f"codebook {text(arguments)}"),
        notes=tuple(_notes(made, arguments, loss)),
        blocked=tuple(blocked),
        details=tuple(_detail(one, arguments) for one in made),
        loss=loss,
        retrain=arguments.index_bits < COARSE,
    )


def _meant(audited: Audited, draft: Draft, arguments: Arguments) -> tuple[list[Shared], list[Blocked]]:
    """The matrices and filters of parameters that are meant, and those that keep their elements. Raises UsageError for
    a pattern that no parameter has."""
    tensors = [t for t in audited.weights.of(PARAM) if t.reader is not None]
    names = [(t.constant.name, t.reader.label if t.reader else "") for t in tensors]
    only, skip = patterns(arguments.only), patterns(arguments.skip)
    for pattern in (*only, *skip):
        if not any(matches(one, (pattern,)) for one in names):
            hint = did_you_mean(pattern, [name for one in names for name in one])
            said = f"no weight, nor a node that reads one, has a name like {printable(repr(pattern), 80)}{hint}"
            raise UsageError(f"{OPTION}: {said}")
    kinds = {id(node): audited.kind(i) for i, node in enumerate(audited.graph.nodes)}
    found, blocked = list[Shared](), list[Blocked]()
    for tensor, name in zip(tensors, names, strict=True):
        constant = tensor.constant
        multiplied = kinds.get(id(tensor.reader), "") in MAC_KINDS and len(constant.shape) > 1
        if (only and not matches(name, only)) or matches(name, skip) or not (multiplied or constant.name in only):
            continue
        one = Shared(constant, name[1], *sizes(constant, arguments))
        if why := _unfit(draft, one):
            blocked.append(Blocked(constant.name, why))
        else:
            found.append(one)
    return found, blocked


def sizes(constant: Constant, arguments: Arguments) -> tuple[int, int]:
    """Bytes of the indices of a tensor, and of the table: its entries have the type of the weights."""
    return -(-constant.numel * arguments.index_bits // 8), -(-arguments.entries * constant.encoding.bits // 8)


def _unfit(draft: Draft, one: Shared) -> str:
    """Why a tensor keeps its elements; "" where it does not."""
    constant = one.constant
    if draft.constant(constant.name) is not constant:
        return INSIDE
    if constant.place == "sparse":
        return "it is stored as a sparse tensor"
    if constant.encoding.dtype not in STORED:
        return f"it is {constant.encoding.dtype} already"
    if one.stored >= constant.nbytes:
        return f"indices and table take {one.stored:,} bytes, the tensor {constant.nbytes:,}"
    return ""


def _filled(one: Shared, k: int) -> Shared | None:
    """With the table of the elements and what they lose to it; None where they are not finite."""
    import numpy as np

    from effaudit.whatif.fold._affine import as_stored

    array = values(one.constant)
    if not np.isfinite(array).all():
        return None
    book = as_stored(entries(array, k), one.constant.encoding)
    return replace(one, book=book, lost=_lost(one.constant, book))


def _lost(constant: Constant, book: np.ndarray) -> Error:
    import numpy as np

    total = Error()
    for block in blocks(constant):
        exact = block.astype(np.float64)
        off = exact - book.astype(np.float64)[nearest(book, block)]
        total += Error(float(np.abs(off).max(initial=0.0)), float(off @ off), float(exact @ exact), block.size)
    return total


def _constant(one: Shared) -> Constant:
    """The tensor with the entries in place of its elements, and the bytes of indices and table."""
    book = one.book
    if book is None:
        return replace(one.constant, nbytes=one.stored)
    made = derived(one.constant, lambda array: book[nearest(book, array)], shape=one.constant.shape)
    return replace(made, nbytes=one.stored)


# ---- what is told
def _detail(one: Shared, arguments: Arguments) -> Detail:
    lost = one.lost
    figures: Mapping[str, int | float | str | None] = {
        "sqnr_db": None if lost is None else lost.sqnr_db,
        "mse": None if lost is None else lost.mse,
        "max_abs_error": None if lost is None else lost.max_abs,
        "elements": one.constant.numel,
        "entries": arguments.entries,
        "used": None if one.book is None else one.book.size,
        "index_bits": arguments.index_bits,
        "before_bytes": one.constant.nbytes,
        "index_bytes": one.indices,
        "table_bytes": one.table,
        "stored_bytes": one.stored,
        "node": one.reader,
    }
    return Detail(TABLE, one.constant.name, figures)


def _notes(made: Sequence[Shared], arguments: Arguments, loss: float | None) -> Iterator[str]:
    before, indices = sum(one.constant.nbytes for one in made), sum(one.indices for one in made)
    tables = sum(one.table for one in made)
    yield (
        f"{len(made)} tensors of {human_bytes(before)} are {human_bytes(indices)} of indices, "
        f"{arguments.index_bits} bits each, and {human_bytes(tables)} of tables, {arguments.entries:,} entries each"
    )
    if loss is None:
        yield UNKNOWN
    elif loss:
        yield f"the signal of these weights is {-10 * log10(loss):.1f} dB over the noise"
    yield (
        "weight bytes count indices and tables until a later step rewrites them. ONNX Runtime stores and computes the "
        "tensors dense: a saved file holds every element, MACs and bytes moved stay as they were"
    )
    if arguments.index_bits < COARSE:
        yield f"re-train: below {COARSE} bits accuracy is not kept without training the entries"
