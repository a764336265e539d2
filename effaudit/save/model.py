"""Graph -> a model file: a rewritten graph as ONNX Runtime runs it. Weights are streamed, one tensor at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import BinaryIO, Final

from effaudit.errors import LoadError, UsageError
from effaudit.graph import Graph, nested
from effaudit.load import read
from effaudit.load.files import SCHEMES, open_model
from effaudit.load.skeleton import read_skeleton
from effaudit.save.encode import file_bytes, stored
from effaudit.save.graphs import Writer
from effaudit.save.layout import external
from effaudit.save.message import Message, Piece, Span
from effaudit.save.origin import File, Place
from effaudit.save.storage import Storage
from effaudit.save.target import available, not_own, replaced
from effaudit.save.versions import ir_version

INLINE_BYTES: Final = 2_000_000_000  # a larger message is no model to onnx, and protobuf ends at 2 GiB
_IR, _GRAPH, _OPSET, _FUNCTION = 1, 7, 8, 25
_IR_SEPARATE: Final = 4  # from here on an initializer need not be an input, and one that is can be set by a caller


def save_model(
    graph: Graph, path: str | os.PathLike[str], *, weightless: bool = False, inline_bytes: int = INLINE_BYTES
) -> None:
    """Writes a graph as an ONNX model to `path`. It is the graph as it was read, or what rewrites made of that.

    What is unchanged since it was read from `graph.source.path` keeps its bytes. Weights that lay in files beside the
    model come into it; a model of more than `inline_bytes` has them in one file beside it, named `path` + ".data".
    `weightless`: tensors without elements point to a file that is not there, `path` + ".weights". The model is
    complete, or it is not there.

    Raises UsageError for a model on no disk, a tensor without elements (unless `weightless`), what no ONNX file can
    hold, and a target that cannot be written or is a file of the model; LoadError where the model changed since it was
    read, or its weights are damaged.
    """
    goal = available(os.fspath(path))
    base = os.path.basename(goal)
    weights = f"{base}.weights" if weightless else ""
    if weights and os.path.exists(f"{goal}.weights"):
        raise UsageError(f"{goal}.weights: it is there, so no model without weights can point to it; give another path")
    with _opened(graph) as (file, origin, mode):
        if file is not None:
            not_own(goal, file.name, _beside(graph.source.path))
        storage = Storage("", weights)
        model = _model(graph, origin, file, storage)
        if model.length > inline_bytes:
            storage = Storage(f"{base}.data", weights)
            model = _model(graph, origin, file, storage)
            not_own(f"{goal}.data", file.name if file else "", _beside(graph.source.path) if file else ())
        _write(goal, model, storage, file, mode)


@contextmanager
def _opened(graph: Graph) -> Iterator[tuple[File | None, Graph, int]]:
    """The file of a graph, the graph it holds and its mode; a graph built in memory has none.

    Raises UsageError for what lies on no disk, LoadError where the file is not the one that was read.
    """
    name = graph.source.path
    if not name and not graph.functions:
        yield None, graph, 0o644
        return
    if name in ("", "-") or name.lower().startswith(SCHEMES):
        raise UsageError(
            f"{name or 'this graph'}: not a file on disk, so it cannot be saved; download it and name the file"
        )
    origin = read(name, graph.operators or None)
    with open_model(name) as opened, open(opened.path, "rb") as file:
        info = os.fstat(file.fileno())
        if info.st_size != graph.source.file_bytes:
            raise LoadError(f"{name}: changed since it was read; try again")
        yield File(file.fileno(), info.st_size, opened.path), origin, info.st_mode & 0o777


def _beside(name: str) -> set[str]:
    with open_model(name) as opened:
        return external(read_skeleton(opened.feed, name))


def _model(graph: Graph, origin: Graph, file: File | None, storage: Storage) -> Message:
    """The ModelProto."""
    fields = list(file.fields(Span(0, file.size))) if file else []
    version = ir_version(graph, origin) if file else ir_version(graph, None)
    settable = version < _IR_SEPARATE or origin.source.ir_version >= _IR_SEPARATE
    place = Place(file, origin, *(content for number, _, _, content in fields if number == _GRAPH)) if file else None
    writer = Writer(storage, hints=not graph.history, settable=settable)
    message = Message()
    message.number(_IR, version)
    for number, _, whole, _ in fields:
        if number not in (_IR, _GRAPH, _OPSET, _FUNCTION):
            message.copy(whole)
    if not file:
        message.text(2, "effaudit")
    message.message(_GRAPH, writer.graph(graph, place))
    _opsets(message, graph, origin, [whole for number, _, whole, _ in fields if number == _OPSET])
    functions = (field for field in fields if field[0] == _FUNCTION)
    for (key, function), field in zip(origin.functions.items(), functions, strict=False):
        if file and key in graph.functions:
            message.message(_FUNCTION, writer.function(function, field, file))
    return message


def _opsets(message: Message, graph: Graph, origin: Graph, fields: Sequence[Span]) -> None:
    """The opset imports; a domain that a rewrite brought in without one has its first version."""
    known = {*(_domains(origin) if fields else ()), *graph.opsets, *(domain for domain, _, _ in graph.functions)}
    new = _domains(graph) - known
    opsets = {**graph.opsets, **dict.fromkeys(sorted(new), 1)}
    if fields and opsets == origin.opsets:
        message.copy(*fields)
        return
    for domain, version in opsets.items():
        entry = Message()
        if domain:
            entry.text(1, domain)
        entry.number(2, version)
        message.message(_OPSET, entry)


def _domains(graph: Graph) -> set[str]:
    return {node.domain for part in nested((graph,)) for node in part.nodes}


def _write(goal: str, model: Message, storage: Storage, file: File | None, mode: int) -> None:
    try:
        with ExitStack() as stack:
            out = stack.enter_context(replaced(goal, mode))
            if storage.beside:
                with replaced(f"{goal}.data", mode) as beside:
                    _write_beside(beside, storage)
            for piece in model.pieces:
                for chunk in _bytes(piece, file):
                    out.write(chunk)
            if file and os.fstat(file.fd).st_size != file.size:
                raise LoadError(f"{file.name}: changed while it was read; try again")
    except OSError as error:
        raise UsageError(f"{goal}: cannot be written: {error.strerror or error}; give another path") from None


def _write_beside(out: BinaryIO, storage: Storage) -> None:
    for offset, constant in storage.beside:
        out.write(bytes(offset - out.tell()))
        for chunk in stored(constant):
            out.write(chunk)


def _bytes(piece: Piece, file: File | None) -> Iterable[bytes]:
    if isinstance(piece, Span):
        assert file is not None
        return file_bytes(file.name, piece.start, piece.stop - piece.start)
    return (piece,) if isinstance(piece, bytes) else stored(piece.constant)
