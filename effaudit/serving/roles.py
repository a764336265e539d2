"""Which dims of a file are batch, new tokens, past and total length.

Structure first: the tensors that hold the cache have a batch axis and a length axis, and what a cache grows by is the
number of new tokens. Then names, of dims and of inputs. Then trial: the one choice under which every operator is valid.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Final

from effaudit import dims
from effaudit.audited import Audited
from effaudit.dims import Dim, Expr
from effaudit.errors import LimitError, UsageError
from effaudit.graph import INTEGERS, Graph, Shape
from effaudit.load import Given, infer
from effaudit.printable import printable
from effaudit.serving.types import Role, RoleName, Roles
from effaudit.views.kv_cache import CacheTensor, KVCache
from effaudit.views.kv_cache.types import STATE
from effaudit.views.transformer.types import CROSS

_MASK: Final = re.compile(r"mask", re.IGNORECASE)
_LENGTHS: Final = re.compile(r"seq_?len|lengths", re.IGNORECASE)  # one number per sequence
_ENCODER: Final = re.compile(r"encoder|cross|source|src", re.IGNORECASE)
# Patterns on the name of a dim, the first that matches decides.
_NAMED: Final[tuple[tuple[re.Pattern[str], RoleName], ...]] = (
    (re.compile(r"batch|^bs?$", re.IGNORECASE), "batch"),
    (re.compile(r"encoder|cross|source|src", re.IGNORECASE), "encoder"),
    (re.compile(r"total|kv_?(seq|len)|past.*\+|\+.*past", re.IGNORECASE), "total"),
    (re.compile(r"past|cache|history|prev", re.IGNORECASE), "past"),
    (re.compile(r"max", re.IGNORECASE), "capacity"),
    (re.compile(r"seq|new|len|token|query|^(s|t|n)$", re.IGNORECASE), "new"),
)
MAX_OPEN: Final = 3  # groups of dims that are tried out
# Sizes under which only the right choice is valid: none is the sum or a multiple of others.
TRIAL: Final[Mapping[RoleName, int]] = {"batch": 2, "new": 3, "past": 7, "total": 10, "capacity": 10, "encoder": 5}


def roles(audited: Audited, cache: KVCache | None, given: Given) -> Roles:
    """The roles of the dims of a model with attention; `cache` is what the view of it says.

    Raises UsageError, with the --dim options to give, where a dim that is open can be more than one thing.
    """
    found = _Found(audited, given)
    tensors = _tensors(cache)
    for tensor, cross in tensors:
        found.cache(tensor, cross=cross)
    cached = any(not cross for _, cross in tensors)
    for name in audited.raw.inputs:
        if name not in found.caches:
            found.fed(name, cached=cached)
    found.try_out(cached=cached)
    if not cached and "new" not in found.sizes and not found.has("new"):
        found.length_of(cache)
    return Roles(found.rows(), cached)


def given_for(found: Roles, given: Given, batch: int, new: int, past: int) -> Given:
    """The sizes of `batch` sequences of `past` tokens and `new` ones; what is `given` beside stays."""
    sizes = {"batch": batch, "new": new, "past": past, "total": past + new, "capacity": past + new}
    made = {name: sizes[row.role] for row in found.rows if row.size is None and row.role in sizes for name in row.dims}
    return Given({**made, **given.dims}, given.shapes, given.assumed)


def _tensors(cache: KVCache | None) -> list[tuple[CacheTensor, bool]]:
    """The cache tensors that the model takes in, each once, and whether it is of cross attention."""
    layers = () if cache is None else (*cache.layers, *cache.cross)
    seen: dict[str, tuple[CacheTensor, bool]] = {}
    for layer in layers:
        for tensor in layer.tensors:
            if tensor.past:
                seen.setdefault(tensor.past, (tensor, layer.attention == CROSS))
    return list(seen.values())


class _Found:
    """What is known so far: dim -> role and how it was told, and the sizes that the file fixes."""

    def __init__(self, audited: Audited, given: Given) -> None:
        self.raw, self.symbolic, self.given = audited.raw, audited.symbolic, given
        self.numeric = audited.graph
        infos = audited.symbolic.dims
        stated = {s.name for n in audited.raw.inputs for s in _symbols(audited.raw.declared[n].shape or ())}
        self.open = {n for n, info in infos.items() if n in stated and info.value is None}
        self.known: dict[str, tuple[RoleName, str]] = {}
        self.sizes: dict[RoleName, tuple[int, str]] = {}
        self.unsure: dict[str, str] = {}  # dim -> where it stands
        self.caches: set[str] = set()

    def has(self, role: RoleName) -> bool:
        return any(one == role for one, _ in self.known.values())

    # ---- structure
    def cache(self, tensor: CacheTensor, *, cross: bool) -> None:
        """The axes of one tensor of the cache."""
        self.caches.add(tensor.past)
        shape = self._shape(tensor.past)
        if shape is None:
            return
        if tensor.role == STATE:
            self._take("batch", shape, 0, tensor.past)
            return
        axis = self._length_axis(tensor, shape)
        first = max(len(shape) - 4, 0)
        if axis is None:
            self._take("batch", shape, first, tensor.past)
            return
        self._take("batch", shape, first + (axis == first), tensor.past)
        if cross:
            self._take("encoder", shape, axis, tensor.past)
            return
        grown = self._grown(tensor, axis)
        self._take("capacity" if grown == 0 else "past", shape, axis, tensor.past)
        if isinstance(grown, int) and grown > 0:
            self.sizes.setdefault("new", (grown, f"{tensor.past} grows by {grown:,}"))
        elif isinstance(grown, Expr):
            names = [s.name for s in dims.symbols(grown) if s.name in self.open and s.name not in self.known]
            if len(names) == 1:
                self.known[names[0]] = ("new", f"what {tensor.past} grows by")

    def _length_axis(self, tensor: CacheTensor, shape: Shape) -> int | None:
        """The axis along which it grows, else the only open one that is no batch, else the one of so many tokens."""
        present = self._inferred(tensor.present)
        past = self._inferred(tensor.past)
        if past is not None and present is not None and len(present) == len(past):
            grown = [i for i, (a, b) in enumerate(zip(past, present, strict=True)) if a != b]
            if len(grown) == 1:
                return grown[0]
        first = max(len(shape) - 4, 0)
        opened = [i for i, dim in enumerate(shape) if isinstance(dim, Expr) and i != first]
        if len(opened) == 1:
            return opened[0]
        numbers = self.numeric.values[tensor.past].shape or ()
        fits = [i for i, dim in enumerate(numbers) if dim == tensor.tokens and i > first]
        return fits[0] if len(fits) == 1 else (2 + first if len(shape) >= 4 else None)

    def _grown(self, tensor: CacheTensor, axis: int) -> Dim | None:
        past, present = self._inferred(tensor.past), self._inferred(tensor.present)
        if past is None or present is None or len(past) != len(present):
            return None
        return present[axis] - past[axis]

    # ---- what is fed beside the cache
    def fed(self, name: str, *, cached: bool) -> None:
        """The axes of an input that holds no cache."""
        shape = self._shape(name) or ()
        tokens = self._is_tokens(name, shape, cached=cached)
        for axis, dim in enumerate(shape):
            if isinstance(dim, int):
                if tokens and axis < 2 and not _MASK.search(name) and not _ENCODER.search(name):
                    self.sizes.setdefault("new" if axis else "batch", (dim, f"axis {axis} of {name}"))
                continue
            for symbol in dims.symbols(dim):
                if symbol.name in self.open and symbol.name not in self.known:
                    self._by_name(symbol.name, name, axis, len(shape), cached=cached)

    def _is_tokens(self, name: str, shape: Shape, *, cached: bool) -> bool:
        """Token numbers, batch x length, or the embeddings of a decoder; of features that an encoder takes, which
        axis is time cannot be told."""
        whole = self.raw.declared[name].encoding.dtype in INTEGERS
        return (len(shape) == 2 and whole) or (len(shape) == 3 and not whole and cached and name in self.raw.inputs[:1])

    def _by_name(self, dim: str, name: str, axis: int, rank: int, *, cached: bool) -> None:
        place = f"axis {axis} of {name}"
        anonymous = dim.startswith(f"{name}[") or not re.search(r"[A-Za-z]{2}", dim)
        named = None if anonymous else next((role for pattern, role in _NAMED if pattern.search(dim)), None)
        told = f"{place}, by its name"
        role: RoleName | None = None
        if axis == 0 and named in (None, "batch") and (rank > 1 or _LENGTHS.search(name)):
            role, told = "batch", place
        elif _ENCODER.search(name):
            role = "encoder"
        elif _MASK.search(name) and cached:
            role = "total"
        elif named is not None:
            role = "new" if not cached and named in ("past", "total", "capacity") else named
        elif rank in (2, 3) and axis == 1 and not cached:
            role, told = "new", place
        if role is None:
            self.unsure.setdefault(dim, place)
        else:
            self.known[dim] = (role, told)
            self.unsure.pop(dim, None)

    # ---- trial
    def try_out(self, *, cached: bool) -> None:
        """The one role of every dim left, under which the graph is valid. Raises UsageError where there is none."""
        left = [dim for dim in self.unsure if dim not in self.known]
        if not left:
            return
        options: tuple[RoleName, ...] = ("new", "total", "past") if cached else ("new", "batch")
        valid = []
        if len(left) <= MAX_OPEN:
            valid = [chosen for chosen in product(options, repeat=len(left)) if self._valid(left, chosen)]
        if len(valid) != 1:
            raise UsageError(self._ambiguous(left, options, len(valid)))
        for dim, role in zip(left, valid[0], strict=True):
            self.known[dim] = (role, f"{self.unsure[dim]}: the only choice under which the graph is valid")

    def _valid(self, left: Sequence[str], chosen: Sequence[RoleName]) -> bool:
        sizes = {dim: TRIAL[role] for dim, (role, _) in self.known.items()}
        sizes.update({dim: TRIAL[role] for dim, role in zip(left, chosen, strict=True)})
        try:
            graph = infer(self.raw, Given({**sizes, **self.given.dims}, self.given.shapes))
        except (UsageError, LimitError):
            return False
        return is_valid(graph)

    def _ambiguous(self, left: Sequence[str], options: Sequence[str], valid: int) -> str:
        named = ", ".join(f"{printable(dim, 60)!r} ({printable(self.unsure[dim], 80)})" for dim in left[:4])
        give = " ".join(f"--dim {shlex.quote(dim)}=N" for dim in left[:4])
        why = f"{valid} choices are valid" if valid else "none is valid"
        return f"{self.raw.source.path}: which of {', '.join(options)} is dim {named}? {why}; give {give}"

    def length_of(self, cache: KVCache | None) -> None:
        """The tokens that a model without a cache attends over, where the file fixes them."""
        if cache is not None and cache.tokens is not None and not self.open - self.known.keys():
            self.sizes["new"] = (cache.tokens, "the tokens that attention is over")

    # ---- all together
    def _take(self, role: RoleName, shape: Shape, axis: int, name: str) -> None:
        if axis >= len(shape):
            return
        dim, told = shape[axis], f"axis {axis} of {name}"
        if isinstance(dim, int):
            self.sizes.setdefault(role, (dim, told))
            return
        for symbol in dims.symbols(dim):
            if symbol.name in self.open:
                self.known.setdefault(symbol.name, (role, told))

    def _shape(self, name: str) -> Shape | None:
        """As the file states it, sizes that were given in place of dims."""
        stated, now = self.raw.declared[name].shape, self._inferred(name)
        if stated is None or now is None or len(stated) != len(now):
            return now
        return tuple(b if isinstance(b, int) else a for a, b in zip(stated, now, strict=True))

    def _inferred(self, name: str) -> Shape | None:
        value = self.symbolic.values.get(name) if name else None
        return None if value is None else value.shape

    def rows(self) -> tuple[Role, ...]:
        order: tuple[RoleName, ...] = ("batch", "new", "past", "total", "capacity", "encoder")
        return tuple(row for role in order for row in self._row(role))

    def _row(self, role: RoleName) -> Iterator[Role]:
        names = tuple(dim for dim, (one, _) in self.known.items() if one == role)
        if names:
            told = dict.fromkeys(how for one, how in self.known.values() if one == role)
            first = next(iter(told))
            yield Role(role, names, None, first + (f" and {len(told) - 1} more" if len(told) > 1 else ""))
        elif role in self.sizes:
            size, told_by = self.sizes[role]
            yield Role(role, (), size, told_by)


def is_valid(graph: Graph) -> bool:
    """True where no operator breaks its contract under these sizes."""
    return not any(value.invalid for value in graph.values.values())


def encoder_missing(found: Roles, path: str) -> None:
    """Raises UsageError where cross attention looks at a length that nobody gave."""
    row = found.get("encoder")
    if row is not None and row.size is None:
        give = " ".join(f"--dim {shlex.quote(dim)}=N" for dim in row.dims)
        raise UsageError(f"{path}: the length of the encoder's keys and values is open ({row.told}); give {give}")


def _symbols(shape: Shape) -> Iterator[dims.Symbol]:
    for dim in shape:
        if isinstance(dim, Expr):
            yield from dims.symbols(dim)
