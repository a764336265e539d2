"""path -> Graph, exactly the file as written."""

from __future__ import annotations

from effaudit.errors import LoadError
from effaudit.graph import Graph, Source
from effaudit.load.binding import Given
from effaudit.load.convert import Converter
from effaudit.load.files import open_model
from effaudit.load.schema import schema
from effaudit.load.shapes import infer
from effaudit.load.skeleton import read_skeleton
from effaudit.load.tensors import Home

__all__ = ["Given", "infer", "load", "read"]


def read(name: str) -> Graph:
    """The graph of a model file, a sample (`sample:NAME`) or standard input (`-`), without shapes; weights stay unread.

    Raises LoadError where it is no ONNX model, LimitError past the documented bounds.
    """
    with open_model(name) as (feed, folder):
        skeleton = read_skeleton(feed, name)
        size, read_bytes = feed.size, feed.read_bytes
        path = name if folder is None or name.startswith("sample:") else name
    proto = _parse(skeleton, name)
    real = _real_path(name)
    source = Source(path, _producer(proto), proto.ir_version, size or read_bytes, read_bytes)
    return Converter(Home(name, folder, real)).model(proto, source)


def load(name: str, given: Given = Given()) -> Graph:
    """`read`, then shape inference under the sizes `given`."""
    return infer(read(name), given)


def _real_path(name: str) -> str:
    from effaudit.load.files import resolve

    return name if name == "-" else str(resolve(name))


def _parse(skeleton: bytes, name: str) -> object:
    pb = schema()
    proto = pb.ModelProto()
    try:
        proto.ParseFromString(skeleton)
    except Exception as error:  # protobuf's DecodeError lives in a module that is costly to import
        raise LoadError(f"{name}: not an ONNX model: {str(error).splitlines()[0]}") from None
    if not proto.HasField("graph"):
        raise LoadError(f"{name}: not an ONNX model: it holds no graph")
    return proto


def _producer(proto: object) -> str:
    parts = (getattr(proto, "producer_name", ""), getattr(proto, "producer_version", ""))
    return " ".join(p if isinstance(p, str) else p.decode("utf-8", "replace") for p in parts if p)
