"""Files that are not ONNX: other frameworks' models, pointers, downloads gone wrong, plain noise."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

from ..case import TEXT, Case, broken
from ..wire import block, integer, plain

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), b"\x80\x02}q\x00.")
    return buffer.getvalue()


def legacy_torch() -> bytes:
    """torch.save before 1.6: a pickled magic number, a protocol version, then the object."""
    magic, protocol = 0x1950A86A20F9469CFC6C, 1001
    return b"".join([pickle.dumps(part, protocol=2) for part in (magic, protocol, {"weight": [0.0] * 64})])


def safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(16)


def gguf() -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 20) + b"general.architecture" + bytes(64)


RUN = r"export|convert|run|use|pip install|optimum|tf2onnx|pull|save"  # what to do instead, in whatever words

# name: (bytes, its own ending, what the line must call it)
FRAMEWORKS: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "tflite": (
        lambda: b"\x1c\x00\x00\x00TFL3" + bytes(range(64)),
        "tflite",
        r"tflite|tensorflow lite|litert",
    ),
    "pytorch-zip": (lambda: zipped("archive/data.pkl", "archive/version"), "pt", r"pytorch|torch"),
    "pytorch-legacy": (legacy_torch, "pth", r"pytorch|torch|pickle"),
    "gguf": (gguf, "gguf", r"gguf"),
    "safetensors": (safetensors, "safetensors", r"safetensors"),
    "hdf5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(512), "h5", r"keras|hdf5"),
    "ort": (lambda: b"\x18\x00\x00\x00ORTM" + bytes(range(64)), "ort", r"\bort\b|onnx ?runtime"),
}


def framework(name: str) -> list[Case]:
    make, ending, called = FRAMEWORKS[name]
    says = (called, RUN)
    return [
        broken(f"foreign/{name}", make, *says, name=f"model.{ending}", parses=False),
        broken(f"foreign/{name}-renamed", make, *says, parses=False),
    ]


def pointers() -> list[Case]:
    says = (r"lfs", r"git lfs pull|git lfs")
    return [
        broken("foreign/lfs-pointer", POINTER, *says),
        broken("foreign/lfs-pointer-crlf", POINTER.replace(b"\n", b"\r\n"), *says),
        broken(
            "foreign/lfs-pointer-with-extension",
            POINTER.replace(b"oid ", b"ext-0-foo sha256:00\noid "),
            *says,
        ),
    ]


def noise() -> list[Case]:
    html = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>Not Found</body></html>\n"
    frozen = block(1, block(1, "input") + block(2, "Placeholder")) * 3  # a TensorFlow GraphDef: field 1 is a message
    coreml = integer(1, 4) + block(2, block(1, block(1, "image"))) + block(500, block(1, b"\0" * 40))
    files: dict[str, bytes | Callable[[], bytes]] = {
        "random": random.Random(7).randbytes(4096),
        "random-more": random.Random(8).randbytes(1 << 20),
        "prose": b"# Read me\n\nThe model is at https://example.com/model.onnx\n" * 20,
        "html": html,
        "json": b'{"irVersion": "8", "graph": {"node": []}}',
        "onnx-text": b'<ir_version: 8, opset_import: ["" : 17]>\ng (float x) => (float y) { y = Relu(x) }',
        "textproto": b'ir_version: 8\nproducer_name: "x"\ngraph {\n  node {\n    op_type: "Relu"\n  }\n}\n',
        "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(64),
        "elf": b"\x7fELF\x02\x01\x01" + bytes(64),
        "gzip": lambda: gzip.compress(plain(), mtime=0),
        "zip-of-model": lambda: zipped("model.onnx"),
        "numpy": b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
        "graphdef": frozen,
        "coreml": coreml,
        "openvino-xml": b'<?xml version="1.0"?>\n<net name="m" version="11"><layers/></net>\n',
        "yaml": b"models:\n  - path: model.onnx\n",
        "zeros-1mb": lambda: bytes(1 << 20),
        "ones-1mb": lambda: b"\xff" * (1 << 20),
        "newlines": b"\n" * 1000,
        "escapes": b"\x1b[31m\x1b]0;evil\x07" * 50,
        "one-byte": b"\x08",
        "utf16": "ir_version: 8".encode("utf-16"),
    }
    return [broken(f"foreign/{name}", content, parses=False) for name, content in files.items()]


def empty(folder: Path) -> Path:
    path = folder / "model.onnx"
    path.touch()
    return path


CASES: list[Case] = [
    Case("foreign/empty", empty, "error", (r"empty|0 bytes|no bytes",), (TEXT,), parses=False),
    *pointers(),
    *[case for name in FRAMEWORKS for case in framework(name)],
    *noise(),
]
