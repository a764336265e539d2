"""The only model the program knows: encodings, values, nodes, graphs.

A `Graph` is the file as written. `load` fills it; `ops` rules read it; rewrites make new ones. Nothing here is mutable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import prod
from typing import Any, Final, TypeAlias

import msgspec

from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.units import MAX_FIGURE

Shape: TypeAlias = tuple[Dim, ...]
Element: TypeAlias = Any  # int | float | bool | str | Expr | None (unknown) ; a Value in a sequence
Data: TypeAlias = tuple[Element, ...]

TOO_LARGE: Final = "a tensor of more than 2^900 elements"


def numel(shape: Iterable[Dim]) -> Dim:
    """The product of dims. Raises Undecided where it is larger than any count that is followed."""
    total: Dim = prod(shape)
    if type(total) is int and total > MAX_FIGURE:
        raise Undecided(TOO_LARGE)
    return total


class Encoding(msgspec.Struct, frozen=True, gc=False):
    """How an element is stored. The only place where bits become bytes."""

    dtype: str
    bits: int

    def nbytes(self, numel: Dim) -> Dim:
        """Bytes of `numel` packed elements; a trailing partial byte counts whole."""
        if self.bits >= 8:
            return numel * (self.bits // 8)
        return (numel * self.bits + 7) // 8


FLOAT: Final = Encoding("float32", 32)
UINT8: Final = Encoding("uint8", 8)
INT8: Final = Encoding("int8", 8)
INT32: Final = Encoding("int32", 32)
INT64: Final = Encoding("int64", 64)
BOOL: Final = Encoding("bool", 8)
STRING: Final = Encoding("string", 0)
FLOAT16: Final = Encoding("float16", 16)
DOUBLE: Final = Encoding("float64", 64)
SEQUENCE: Final = Encoding("sequence", 0)
UNKNOWN: Final = Encoding("unknown", 0)

# TensorProto.DataType, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
ENCODINGS: Final[Mapping[int, Encoding]] = {
    1: FLOAT,
    2: UINT8,
    3: INT8,
    4: Encoding("uint16", 16),
    5: Encoding("int16", 16),
    6: INT32,
    7: INT64,
    8: STRING,
    9: BOOL,
    10: FLOAT16,
    11: DOUBLE,
    12: Encoding("uint32", 32),
    13: Encoding("uint64", 64),
    14: Encoding("complex64", 64),
    15: Encoding("complex128", 128),
    16: Encoding("bfloat16", 16),
    17: Encoding("float8e4m3fn", 8),
    18: Encoding("float8e4m3fnuz", 8),
    19: Encoding("float8e5m2", 8),
    20: Encoding("float8e5m2fnuz", 8),
    21: Encoding("uint4", 4),
    22: Encoding("int4", 4),
    23: Encoding("float4e2m1", 4),
    24: Encoding("float8e8m0", 8),
    25: Encoding("uint2", 2),
    26: Encoding("int2", 2),
}

INTEGERS: Final = frozenset("uint8 int8 uint16 int16 int32 int64 uint32 uint64 uint4 int4 uint2 int2".split())


class Lazy:
    """Elements that are decoded when first asked for."""

    __slots__ = ("_read", "_data", "_done")

    def __init__(self, read: Callable[[], Data | None]) -> None:
        self._read: Callable[[], Data | None] | None = read
        self._data: Data | None = None
        self._done = False

    def get(self) -> Data | None:
        if not self._done:
            assert self._read is not None
            self._data, self._done, self._read = self._read(), True, None
        return self._data


class Value(msgspec.Struct, frozen=True, gc=False):
    """A tensor as far as it is known.

    `shape` is None where not even the rank is known (`why` then says why); an unknown dim is a `Symbol` of origin
    "data" or "unknown". `content` holds the elements of a small tensor in row-major order, where they are known.
    `extent` is the number of elements where only the rank is open (a scalar or a vector of one).
    A sequence has encoding SEQUENCE, its element's shape and, where known, its elements as `content`.
    """

    encoding: Encoding
    shape: Shape | None
    content: Data | Lazy | None = None
    why: str = ""
    extent: Dim | None = None

    @property
    def data(self) -> Data | None:
        """The elements, or None where they are not known (or too many to be worth knowing)."""
        content = self.content
        return content.get() if type(content) is Lazy else content  # type: ignore[return-value]

    @property
    def numel(self) -> Dim:
        """The number of elements. Raises TypeError where it is unknown, Undecided where it is too large to follow."""
        if self.shape is None and self.extent is not None:
            return self.extent
        return numel(self.shape)  # type: ignore[arg-type]

    @property
    def nbytes(self) -> Dim:
        return self.encoding.nbytes(self.numel)

    @property
    def invalid(self) -> bool:
        """True where the operator that makes it refuses its inputs (`why` says how)."""
        return self.shape is None and self.why.startswith("invalid")


class Payload(msgspec.Struct, frozen=True):
    """Where the bytes of a tensor lie in a file: `field` is the TensorProto data field they belong to (9: raw)."""

    path: str
    offset: int
    length: int
    field: int


class Constant(msgspec.Struct, frozen=True, gc=False):
    """An initializer or Constant tensor: its header, and where its bytes lie.

    `place` is "initializer", "node" or "sparse". The bytes are `raw` (a small tensor inside the file), at `payload`, or
    `missing` says why they cannot be had. `strings` holds the elements of a string tensor. `read` makes the elements of
    a tensor that a rewrite made, as a numpy array of what `load.values.values` gives for the encoding; an audit never
    calls it for a weight.
    """

    name: str
    encoding: Encoding
    shape: tuple[int, ...]
    place: str
    numel: int
    nbytes: int
    location: str = "inline"
    missing: str = ""
    raw: bytes | None = None
    strings: tuple[str, ...] | None = None
    payload: Payload | None = None
    read: Callable[[], Any] | None = None


class Node(msgspec.Struct, frozen=True, gc=False):
    """One operator call. An omitted optional input or output is ""; `bodies` holds subgraphs by attribute name
    (a call of a model-local function has its inlined body under "function")."""

    name: str
    domain: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any]
    bodies: Mapping[str, Graph] = {}

    @property
    def label(self) -> str:
        """The name, or the first output where the file gives none."""
        return self.name or next((o for o in self.outputs if o), self.op)


def nested(graphs: Iterable[Graph]) -> Iterator[Graph]:
    """The graphs and the bodies in them, however deep, in no order; one that occurs twice once."""
    waiting = list({id(graph): graph for graph in graphs}.values())
    seen = set(map(id, waiting))
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.nodes:
            for body in node.bodies.values():
                if id(body) not in seen:
                    seen.add(id(body))
                    waiting.append(body)


class Function(msgspec.Struct, frozen=True):
    """A model-local function: `attrs` are the attribute names it takes, with defaults where it has them."""

    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any]
    nodes: tuple[Node, ...]
    opsets: Mapping[str, int]


class DimInfo(msgspec.Struct, frozen=True):
    """A named dim of the model: its value and where it comes from ("given", "model", "assumed", "data", "unknown").

    `low`..`high` bound it where the value is not known; `reason` says why it is not.
    """

    value: int | None
    origin: str
    low: int | None = None
    high: int | None = None
    reason: str = ""


class Source(msgspec.Struct, frozen=True):
    """Where a graph came from: the path as given, the producer, the IR version and the bytes read of it."""

    path: str
    producer: str = ""
    ir_version: int = 0
    file_bytes: int = 0
    read_bytes: int = 0
    sorted: bool = True


class Graph(msgspec.Struct, frozen=True):
    """A graph in topological order.

    `declared` holds the types the file states for its inputs and outputs, `stated()` those of intermediate tensors
    (read only where no rule can tell); `values` every tensor's `Value`
    after shape inference (empty before). `captured` are the outer names a body reads, `times` the
    fewest and most runs of a body in one run of its node (None: nothing bounds them). `operators` are the rules that
    were given for this graph, by (domain, operator): they go before those of the registry.
    """

    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Constant]
    declared: Mapping[str, Value]
    opsets: Mapping[str, int]
    stated: Callable[[], Mapping[str, Value]] = dict
    functions: Mapping[tuple[str, str, str], Function] = {}
    captured: tuple[str, ...] = ()
    times: tuple[Dim | None, Dim | None] = (1, 1)
    values: Mapping[str, Value] = {}
    dims: Mapping[str, DimInfo] = {}
    source: Source = Source("")
    history: tuple[str, ...] = ()
    operators: Mapping[tuple[str, str], Any] = {}

    @property
    def runs(self) -> bool:
        """False for a body that is known never to run."""
        return self.times != (0, 0)
