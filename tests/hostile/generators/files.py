"""Paths and streams: what the argument points at is the trouble, or the file is cut short or very large."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..case import JSON, TEXT, Case, legal, odd, written
from ..wire import LENGTH, block, graph, integer, key, model, node, opset, plain, tensor, value, varint

CUT = r"truncat|cut|short|ends|end of|incomplete|damaged|corrupt|beyond|past|no graph|not .*onnx|invalid|broken"
GONE = r"no such|not found|does not exist|cannot find|missing|no file"
UNFIT = r"not a (regular )?file|fifo|pipe|device|socket|special|empty|not .*onnx|cannot|regular"


def truncated() -> list[Case]:
    data = plain()
    size = len(data)
    offsets = [1, 2, 4, 8, 13, 16, size // 8, size // 4, size // 2, size * 3 // 4, size * 7 // 8, size - 1]
    return [
        Case(f"files/truncated-at-{at}", written(data[:at]), "error", (CUT,), (TEXT,), parses=False) for at in offsets
    ]


def place(id: str, make: Callable[[Path], Path], *says: str, **more: Any) -> Case:
    return Case(id, make, "error", says, **{"runs": (TEXT,), "parses": False, **more})


def directory(folder: Path) -> Path:
    (folder / "weights").mkdir()
    return folder / "weights"


def directory_named_onnx(folder: Path) -> Path:
    (folder / "model.onnx").mkdir()
    return folder / "model.onnx"


def unreadable(folder: Path) -> Path:
    path = written(plain())(folder)
    path.chmod(0)
    return path


def fifo(folder: Path) -> Path:
    """Opening it for reading waits for a writer who never comes."""
    os.mkfifo(folder / "model.onnx")
    return folder / "model.onnx"


def unix_socket(folder: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "model.onnx"))
    return folder / "model.onnx"


def link(target: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "model.onnx"
        path.symlink_to(target)
        return path

    return make


def link_to_model(folder: Path) -> Path:
    written(plain(), "real.bin")(folder)
    return link("real.bin")(folder)


def below_a_file(folder: Path) -> Path:
    return written(plain())(folder) / "inner.onnx"


# --- large files, without the disk they would need ------------------------------------------------

WEIGHTS = 2_900_000_000


def three_gigabytes(folder: Path) -> Path:
    """A valid model whose last initializer holds 2.9 GB of zeros inline: a hole in a sparse file."""
    head = tensor("w", [WEIGHTS // 4 // 1000, 1000]) + key(9, LENGTH) + varint(WEIGHTS)
    nodes = graph(
        [node("MatMul", ["x", "w"], ["y"], "matmul")],
        [value("x", [1, WEIGHTS // 4000])],
        [value("y", [1, 1000])],
    )
    before = nodes + key(5, LENGTH) + varint(len(head) + WEIGHTS) + head
    path = folder / "model.onnx"
    with path.open("wb") as file:
        file.write(integer(1, 8) + opset(17) + key(7, LENGTH) + varint(len(before) + WEIGHTS) + before)
        file.truncate(file.tell() + WEIGHTS)
    return path


def large_first(folder: Path) -> Path:
    """The same, with the weights at the front and the nodes behind them."""
    head = tensor("w", [WEIGHTS // 4000, 1000]) + key(9, LENGTH) + varint(WEIGHTS)
    nodes = graph(
        [node("MatMul", ["x", "w"], ["y"], "matmul")],
        [value("x", [1, WEIGHTS // 4000])],
        [value("y", [1, 1000])],
    )
    before = key(5, LENGTH) + varint(len(head) + WEIGHTS) + head
    path = folder / "model.onnx"
    with path.open("wb") as file:
        file.write(integer(1, 8) + opset(17) + key(7, LENGTH) + varint(len(before) + WEIGHTS + len(nodes)) + before)
        file.seek(WEIGHTS, os.SEEK_CUR)
        file.write(nodes)
    return path


def gigabyte_of_zeros(folder: Path) -> Path:
    path = folder / "model.onnx"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    return path


def all_weights(entry: dict[str, Any]) -> None:
    assert entry["totals"]["weight_bytes"] == WEIGHTS
    assert entry["totals"]["macs"] == WEIGHTS // 4


def giant_attribute() -> bytes:
    """20 MB in one string attribute of an operator that has no such attribute."""
    return model(graph([node("Relu", ["x"], ["y"], "relu", note=b"A" * 20_000_000)], [value("x", [4])], [value("y")]))


def giant_constant() -> bytes:
    """20 MB in the one string of a Constant, which is legal."""
    text = node("Constant", [], ["s"], "text", value_string=b"A" * 20_000_000)
    return model(graph([text, node("Relu", ["x"], ["y"])], [value("x", [4])], [value("y", [4]), value("s", [], 8)]))


def giant_metadata() -> bytes:
    return plain() + block(14, block(1, "notes") + block(2, b"A" * 20_000_000))


def repeated_field() -> bytes:
    """8 million times the two-byte field `ir_version`: legal (the last counts), and slow to walk."""
    return integer(1, 8) * 8_000_000 + plain()


def streams() -> list[Case]:
    data = plain()
    stream = r"stdin|standard input|(^|\s)-(:|\s|$)"
    return [
        Case("stdin/valid", written(data), "report", runs=(JSON, TEXT), stdin="file"),
        Case("stdin/truncated", written(data[:200]), "error", (stream,), (TEXT,), stdin="file", parses=False),
        Case("stdin/empty", written(b""), "error", (stream,), (TEXT,), stdin="file", parses=False),
        Case("stdin/gigabyte-of-zeros", written(b""), "error", (stream,), (TEXT,), stdin="zeros", parses=False),
        Case("stdin/closed", written(b""), "error", (stream,), (TEXT,), stdin="closed", parses=False),
    ]


AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0

CASES: list[Case] = [
    legal("files/valid", plain(), runs=(TEXT, JSON, ("--nodes",))),
    *truncated(),
    place("files/directory", directory, r"director|folder"),
    place("files/directory-named-onnx", directory_named_onnx, r"director|folder"),
    place("files/missing", lambda folder: folder / "absent.onnx", GONE),
    place("files/missing-folder", lambda folder: folder / "absent" / "model.onnx", GONE),
    place("files/below-a-file", below_a_file, r"director|folder|" + GONE),
    *([] if AS_ROOT else [place("files/unreadable", unreadable, r"permission|denied|allowed|cannot read")]),
    place("files/fifo", fifo, UNFIT),
    place("files/socket", unix_socket, UNFIT),
    place("files/dev-zero", link("/dev/zero"), UNFIT),
    place("files/dev-null", link("/dev/null"), UNFIT),
    place("files/link-to-itself", link("model.onnx"), r"link|loop|cannot|" + GONE),
    place("files/link-to-nothing", link("absent.bin"), r"link|" + GONE),
    place(
        "files/name-too-long",
        lambda folder: folder / ("a" * 5000 + ".onnx"),
        r"too long|long|" + GONE,
        named=False,
    ),
    Case("files/link-to-model", link_to_model, "report"),
    Case("files/other-ending", written(plain(), "model.pb"), "report"),
    Case("files/no-ending", written(plain(), "model"), "report"),
    Case("files/spaces-and-accents", written(plain(), "mön modèle 模型.onnx"), "report", runs=(TEXT, JSON)),
    Case(
        "files/3gb-weights-last",
        three_gigabytes,
        "report",
        runs=(TEXT, JSON),
        verify=all_weights,
        parses=False,
    ),
    Case("files/3gb-weights-first", large_first, "report", verify=all_weights, parses=False),
    place("files/gigabyte-of-zeros", gigabyte_of_zeros),
    odd("files/20mb-unknown-attribute", giant_attribute, runs=(TEXT, JSON)),
    legal("files/20mb-constant-string", giant_constant, runs=(TEXT, JSON)),
    legal("files/20mb-metadata", giant_metadata),
    odd("files/8-million-fields", repeated_field),
    *streams(),
]


def socket_path_fits() -> bool:
    """A socket's path holds about 100 characters; macOS's temporary folder alone can be longer."""
    return len(tempfile.gettempdir()) < 60


if not socket_path_fits():
    CASES = [case for case in CASES if case.id != "files/socket"]
