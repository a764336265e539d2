"""Opening a model: samples, streams, addresses, and files that turn out to be something else."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from effaudit.errors import LoadError
from effaudit.load.external import REMOTE
from effaudit.load.feed import Feed, FileFeed, StreamFeed

SAMPLE: Final = "sample:"
SCHEMES: Final = ("http://", "https://")

# (offset, magic, what it is, what to run instead)
_MAGICS: Final = (
    (0, b"version https://git-lfs", "a Git LFS pointer, not the model", "run `git lfs pull` and try again"),
    (
        4,
        b"TFL3",
        "a TensorFlow Lite model",
        "convert it first: `python -m tf2onnx.convert --tflite FILE --output model.onnx`",
    ),
    (4, b"ORTM", "an ONNX Runtime .ort model", "audit the .onnx file it was made from"),
    (
        0,
        b"PK\x03\x04",
        "a zip archive (a PyTorch .pt or Keras .keras file?)",
        "export it first: `torch.onnx.export(model, args, 'model.onnx')`",
    ),
    (
        0,
        b"\x80\x02",
        "a Python pickle (a PyTorch .pt file?)",
        "export it first: `torch.onnx.export(model, args, 'model.onnx')`",
    ),
    (
        0,
        b"\x80\x04",
        "a Python pickle (a PyTorch .pt file?)",
        "export it first: `torch.onnx.export(model, args, 'model.onnx')`",
    ),
    (
        0,
        b"\x80\x05",
        "a Python pickle (a PyTorch .pt file?)",
        "export it first: `torch.onnx.export(model, args, 'model.onnx')`",
    ),
    (0, b"GGUF", "a GGUF model", "export the source model with `optimum-cli export onnx`"),
    (
        0,
        b"\x89HDF",
        "an HDF5 file (a Keras .h5 model?)",
        "convert it first: `python -m tf2onnx.convert --keras FILE --output model.onnx`",
    ),
    (8, b'{"', "a safetensors file: weights without a graph", "export the model with `optimum-cli export onnx`"),
)
_SUFFIXES: Final = {
    ".tflite": 1,
    ".ort": 2,
    ".pt": 3,
    ".pth": 3,
    ".gguf": 7,
    ".h5": 8,
    ".safetensors": 9,
}


def sample_folder() -> str:
    """The folder of the shipped samples: inside the wheel, or beside the package in a checkout."""
    package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    inside = os.path.join(package, "_sample_models")
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(package), "sample_models")


def sample_names() -> list[str]:
    """The names that `sample:NAME` opens."""
    try:
        return sorted(name[: -len(".onnx")] for name in os.listdir(sample_folder()) if name.endswith(".onnx"))
    except OSError:
        return []


def resolve(name: str) -> str:
    """The path of a model argument. Raises LoadError for a sample that does not exist."""
    if not name.startswith(SAMPLE):
        return name
    path = os.path.join(sample_folder(), f"{name[len(SAMPLE) :]}.onnx")
    if name[len(SAMPLE) :] not in sample_names():
        raise LoadError(f"{name}: no such sample; there are: {', '.join(sample_names())}")
    return path


class Opened(msgspec.Struct, frozen=True):
    """An open model: its name for messages and reports, its bytes, the folder of its external data and its path on disk
    (None and "" where it is on no disk), and why its weights cannot be read later ("" where they can)."""

    name: str
    feed: Feed
    folder: str | None
    path: str
    unread: str = ""


@contextmanager
def open_model(name: str) -> Iterator[Opened]:
    """The bytes of a model argument ("-" is standard input; http:// and https:// addresses are read by ranges).

    Raises LoadError for what cannot be opened or is recognisably no ONNX file.
    """
    if name == "-":
        stream = StreamFeed(0)
        stream.fill(0, 16)
        _recognise(name, stream.buf, "")
        yield Opened(name, stream, None, "")
        return
    if name.lower().startswith(SCHEMES):
        with _remote(name) as opened:
            yield opened
        return
    path = resolve(name)
    try:
        info = os.stat(path)
        if stat.S_ISDIR(info.st_mode):
            raise LoadError(f"{name}: a directory; give a model file, such as {_first_model(path, name)}")
        if not stat.S_ISREG(info.st_mode):
            raise LoadError(f"{name}: not a regular file; pipe it in with `effaudit report - < FILE`")
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise LoadError(f"{name}: no such file; the shipped samples open as sample:NAME, such as sample:ic") from None
    except (OSError, ValueError) as error:
        raise LoadError(f"{name}: cannot be opened: {getattr(error, 'strerror', None) or error}") from None
    try:
        feed = FileFeed(fd, info.st_size)
        feed.fill(0, 16)
        _recognise(name, feed.buf, name)
        yield Opened(name, feed, os.path.dirname(os.path.realpath(path)), path)
    finally:
        os.close(fd)


@contextmanager
def _remote(url: str) -> Iterator[Opened]:
    from effaudit.load.connection import address  # costly to import, and seldom needed
    from effaudit.load.remote import RemoteFeed, Server

    at = address(url)
    server = Server(at)
    try:
        feed = RemoteFeed(server)
        feed.fill(0, 16)
        _recognise(at.label, feed.buf, at.path)
        yield Opened(at.label, feed, None, "", REMOTE)
    finally:
        server.close()


def _first_model(folder: str, name: str) -> str:
    try:
        found = sorted(entry for entry in os.listdir(folder) if entry.endswith(".onnx"))
    except OSError:
        found = []
    return os.path.join(name, found[0]) if found else "model.onnx"


def _recognise(name: str, head: bytes, path: str) -> None:
    """Raises LoadError where the first bytes or the suffix of `path` tell that this is no ONNX file."""
    if not head:
        raise LoadError(f"{name}: an empty file; expected an ONNX model")
    if set(head[:16]) == {0}:
        raise LoadError(f"{name}: not an ONNX model: it begins with zero bytes")
    for offset, magic, what, remedy in _MAGICS:
        if head[offset : offset + len(magic)] == magic:
            raise LoadError(f"{name}: {what}; {remedy}")
    if head[:16].lstrip().lower().startswith((b"<!doctype", b"<html")):
        raise LoadError(f"{name}: a web page, not a model; download the file itself, not the page that shows it")
    known = _SUFFIXES.get(os.path.splitext(path)[1].lower())
    if known is not None:
        _, _, what, remedy = _MAGICS[known]
        raise LoadError(f"{name}: {what} by its suffix; {remedy}")
