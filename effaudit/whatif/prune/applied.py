"""What every way of zeroing weights does once it knows which: the new constants, and what is told of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.whatif.constants import derived, elements, missing
from effaudit.whatif.draft import Draft
from effaudit.whatif.prune import storage
from effaudit.whatif.prune.arguments import OPTION
from effaudit.whatif.prune.targets import Weight
from effaudit.whatif.types import Blocked, Change, Detail

if TYPE_CHECKING:
    import numpy as np

TABLE: Final = "sparse weights"
_SAID: Final[Mapping[str, str]] = {
    "dense": "dense",
    "bitmap": "as values and a bitmap",
    "csr": "as CSR",
    "compressed": "as kept values with their indices",
    "bsr": "as blocks (BSR)",
    "smallest": "in the smallest format of each",
}


class Zeroing(msgspec.Struct, frozen=True):
    """What is zeroed in one weight: `mask` of its elements is True there; None where elements are missing that would
    tell.

    `zeros` is how many that is, `kept_blocks` how many blocks stay, None where only the elements tell. `squares` gives
    the saliency of the elements; None: their squares.
    """

    weight: Weight
    mask: Callable[[np.ndarray], np.ndarray] | None
    zeros: int | None
    kept_blocks: int | None = None
    squares: Callable[[np.ndarray], np.ndarray] | None = None


class Way(msgspec.Struct, frozen=True):
    """How weights were zeroed: `pattern` (N, M) or `tile` (rows, columns) where there is one; `most` is the largest
    share of the squared magnitude that it may take, `zeros` how many elements go of all weights together where that
    alone is known, `retrain` the reason why it needs training again, "" where not."""

    written: str
    most: Fraction
    zeros: int | None = None
    pattern: tuple[int, int] | None = None
    tile: tuple[int, int] | None = None
    retrain: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """One weight, zeroed. None where its elements would have to be known."""

    weight: Weight
    before: int | None
    zeros: int | None
    kept_blocks: int | None
    removed: float | None  # saliency that is gone: squared magnitude, where nothing weighs it
    total: float | None  # saliency that was there
    sizes: storage.Sizes


def chosen(
    weights: Sequence[Weight],
    smallest: Callable[[Sequence[Weight]], list[Zeroing]],
    unread: Callable[[Weight], Zeroing],
    *,
    per_layer: bool,
) -> list[Zeroing]:
    """What goes: by `smallest` of all weights together or of each. `unread` says what is known of a weight without
    elements from its own share; where weights are compared with each other and one has none, nothing is known of any.
    """
    if per_layer or len(weights) == 1:
        return [unread(w) if missing(w.constant) else smallest((w,))[0] for w in weights]
    if any(missing(weight.constant) for weight in weights):
        return [Zeroing(weight, None, None) for weight in weights]
    return smallest(weights)


def applied(
    audited: Audited, zeroings: Sequence[Zeroing], blocked: Sequence[Blocked], way: Way, stored: str = ""
) -> Change:
    """The graph with the weights zeroed, stored as `stored` says ("": dense, and not mentioned). Raises UsageError."""
    draft = Draft(audited)
    outcomes = []
    for zeroing in zeroings:
        constant = zeroing.weight.constant
        outcome = _outcome(zeroing, way)
        outcomes.append(outcome)
        size = _stored_size(outcome, stored)
        new = derived(constant, _zeroed(zeroing.mask), shape=constant.shape) if zeroing.mask else constant
        draft.exchange(constant.name, replace(new, nbytes=size))
    return Change(
        graph=draft.graph(f"{OPTION} {way.written}"),
        notes=tuple(_notes(outcomes, way, stored)),
        blocked=tuple(blocked),
        details=tuple(_detail(outcome, stored) for outcome in outcomes),
        loss=_loss(outcomes),
        retrain=bool(way.retrain),
    )


def _zeroed(mask: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    def compute(array: np.ndarray) -> np.ndarray:
        found = array.copy()
        found[mask(array)] = 0
        return found

    return compute


def _outcome(zeroing: Zeroing, way: Way) -> Outcome:
    weight = zeroing.weight
    if zeroing.mask is None or missing(weight.constant):
        sizes = sizes_of(weight, way, zeroing.zeros, zeroing.kept_blocks)
        return Outcome(weight, None, zeroing.zeros, zeroing.kept_blocks, None, None, sizes)
    import numpy as np

    array = elements(weight.constant, f"{OPTION} {way.written}")
    gone = zeroing.mask(array)
    squares = np.square(array, dtype=np.float64) if zeroing.squares is None else zeroing.squares(array)
    left = (array != 0) & ~gone
    zeros = int(array.size - np.count_nonzero(left))
    blocks = None if way.tile is None else _blocks_left(weight, left, way.tile)
    return Outcome(
        weight=weight,
        before=int(array.size - np.count_nonzero(array)),
        zeros=zeros,
        kept_blocks=blocks,
        removed=float(squares[gone].sum()),
        total=float(squares.sum()),
        sizes=sizes_of(weight, way, zeros, blocks),
    )


def _blocks_left(weight: Weight, left: np.ndarray, tile: tuple[int, int]) -> int:
    """Blocks with an element that is not zero."""
    import numpy as np

    return int(np.count_nonzero(tiled(weight.matrix.of(left), tile).any(axis=(1, 3))))


def tiled(matrix: np.ndarray, tile: tuple[int, int]) -> np.ndarray:
    """[R, r, C, c]: a matrix in blocks of r x c, those at an edge filled with zeros."""
    import numpy as np

    (rows, columns), (tall, wide) = matrix.shape, tile
    whole = np.pad(matrix, ((0, -rows % tall), (0, -columns % wide)))
    return whole.reshape(whole.shape[0] // tall, tall, whole.shape[1] // wide, wide)


def sizes_of(weight: Weight, way: Way, zeros: int | None, kept_blocks: int | None) -> storage.Sizes:
    """The bytes of a weight with so many zeros in each format."""
    matrix, bits, numel = weight.matrix, weight.constant.encoding.bits, weight.constant.numel
    rows, columns = matrix.rows, matrix.columns
    compressed = bsr = bitmap = csr = None
    if way.pattern is not None and matrix.run:
        groups = rows * (columns // matrix.run) * -(-matrix.run // way.pattern[1])
        compressed = storage.compressed_bytes(groups, *way.pattern, bits)
    if way.tile is not None and kept_blocks is not None:
        bsr = storage.bsr_bytes(rows, columns, kept_blocks, way.tile, bits)
    if zeros is not None:
        bitmap = storage.bitmap_bytes(numel, numel - zeros, bits)
        csr = storage.csr_bytes(rows, columns, numel - zeros, bits)
    return storage.Sizes(storage.dense_bytes(numel, bits), bitmap, csr, compressed, bsr)


def _stored_size(outcome: Outcome, stored: str) -> int:
    """Bytes of a weight in the format asked for; as they were where none is. Raises UsageError where only the elements
    tell how many."""
    sizes, constant = outcome.sizes, outcome.weight.constant
    if not stored:
        return constant.nbytes
    found: int | None = getattr(sizes, sizes.smallest if stored == "smallest" else stored)
    if found is None or (stored == "smallest" and outcome.zeros is None):
        raise UsageError(
            f"{OPTION} storage={stored}: how many zeros {constant.name!r} gets depends on elements of this model that "
            "are missing; scope=layer tells without them"
        )
    return found


def _detail(outcome: Outcome, stored: str) -> Detail:
    """The row of one weight; a share of saliency is of its own squared magnitude."""
    sizes, numel = outcome.sizes, outcome.weight.constant.numel
    bits, matrix = outcome.weight.constant.encoding.bits, outcome.weight.matrix
    removed = None if outcome.removed is None or not outcome.total else outcome.removed / outcome.total
    even = storage.csr_break_even(matrix.rows, matrix.columns, bits)
    figures: Mapping[str, int | float | str | None] = {
        "node": outcome.weight.reader,
        "elements": numel,
        "rows": matrix.rows,
        "columns": matrix.columns,
        "zeros_before": outcome.before,
        "zeros_after": outcome.zeros,
        "sparsity": None if outcome.zeros is None else outcome.zeros / numel,
        "saliency_removed": 0.0 if outcome.total == 0 else removed,
        "dense_bytes": sizes.dense,
        "bitmap_bytes": sizes.bitmap,
        "csr_bytes": sizes.csr,
        "compressed_bytes": sizes.compressed,
        "bsr_bytes": sizes.bsr,
        "smallest": None if outcome.zeros is None else sizes.smallest,
        "stored_bytes": _stored_size(outcome, stored),
        "bitmap_break_even": float(storage.bitmap_break_even(bits)),
        "csr_break_even": None if even is None else float(even),
    }
    return Detail(TABLE, outcome.weight.name, figures)


def _loss(outcomes: Sequence[Outcome]) -> float | None:
    """The share of the squared magnitude that is gone; None without elements."""
    totals = [outcome.total for outcome in outcomes if outcome.total is not None]
    if len(totals) < len(outcomes):
        return None
    removed = sum(outcome.removed or 0.0 for outcome in outcomes)
    return removed / sum(totals) if sum(totals) else 0.0


def _notes(outcomes: Sequence[Outcome], way: Way, stored: str) -> Iterable[str]:
    numel = sum(outcome.weight.constant.numel for outcome in outcomes)
    zeros = [outcome.zeros for outcome in outcomes if outcome.zeros is not None]
    before = [outcome.before for outcome in outcomes if outcome.before is not None]
    if len(zeros) == len(outcomes):
        had = f", of which {sum(before):,} were zero before" if len(before) == len(outcomes) else ""
        yield f"{sum(zeros):,} of the {numel:,} weights in {len(outcomes)} tensors are zero{had}"
    elif way.zeros is not None:
        yield f"{way.zeros:,} of the {numel:,} weights are zero; their elements would tell which"
    if len(before) < len(outcomes):
        yield (
            f"weights of {len(outcomes) - len(before)} tensors are not known: zeros are counted as if none of them was "
            "zero before, and the saliency removed is not known; "
            f"it is at most {100 * float(way.most):.4g} %, as the smallest go"
        )
    yield from _sizes_said(outcomes, stored)
    if not stored:
        yield "zeros change neither the dense size nor the MACs: name storage= for the bytes of a format without them"
    if way.retrain:
        yield f"re-train: {way.retrain}"


def _sizes_said(outcomes: Sequence[Outcome], stored: str) -> Iterable[str]:
    said = []
    for name in storage.Sizes.__struct_fields__:
        sizes = [getattr(outcome.sizes, name) for outcome in outcomes]
        if all(size is not None for size in sizes):
            said.append(f"{sum(sizes):,} B {_SAID[name]}")
    yield f"these weights take {', '.join(said)}"
    if stored:
        larger = sum(_stored_size(outcome, stored) > outcome.sizes.dense for outcome in outcomes)
        but = f"; {larger} of them larger than dense" if larger else ""
        yield (
            f"weight bytes count these tensors {_SAID[stored]}{but}, until a later step rewrites them. ONNX Runtime "
            "stores and computes them dense: a saved file holds every zero, MACs and bytes moved stay as they were"
        )
